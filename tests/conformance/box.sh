#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# box.sh TREE DIRECTORY COMMAND... - run a command where a runtime under test can break nothing.
#
# The command gets mount, pid, network, ipc, uts and cgroup namespaces of its own, a /dev of its own
# and below /sys/fs/cgroup the TREE it asks for: "unified" (one cgroup2), "v1" (a mount for each
# controller of v1) or "hybrid" (both).  All its cgroups lie below one that is removed in the end,
# and what still runs then is ended.  DIRECTORY is empty and ours.
set -eu

case ${COFFER_BOX-} in
'')
	# Outside: a cgroup in every hierarchy, seen as the root from inside.
	name=coffer-conformance-$$
	roots=$(awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts)
	# shellcheck disable=SC2317 # called by the trap
	tidy()
	{
		trap '' INT TERM
		for root in $roots; do
			[ -d "$root/$name" ] || continue
			find "$root/$name" -mindepth 2 -name freezer.state | while read -r f; do
				echo THAWED > "$f" || :
			done
			find "$root/$name" -name cgroup.procs | while read -r f; do
				# A signal at a time: who forks may have to be told twice.
				while p=$(head -n 1 "$f") && [ "${p:-0}" -gt 0 ]; do
					kill -9 "$p" || :
					sleep 0.05
				done
			done
			find "$root/$name" -depth -type d -exec rmdir {} +
		done 2>/dev/null
	}
	trap tidy EXIT
	trap 'exit 1' INT TERM HUP
	for root in $roots; do
		mkdir "$root/$name"
		for f in cpuset.cpus cpuset.mems; do
			[ ! -e "$root/$name/$f" ] || cat "$root/$f" > "$root/$name/$f"
		done
		mkdir "$root/$name/box"
		for f in cpuset.cpus cpuset.mems; do
			[ ! -e "$root/$name/$f" ] || cat "$root/$f" > "$root/$name/box/$f"
		done
	done
	COFFER_BOX=cgroup COFFER_BOX_ROOTS=$roots COFFER_BOX_NAME=$name sh "$0" "$@" &
	wait $! && status=0 || status=$?
	exit "$status"
	;;
cgroup)
	for root in $COFFER_BOX_ROOTS; do
		echo $$ > "$root/$COFFER_BOX_NAME/cgroup.procs"
	done
	COFFER_BOX=leaf exec unshare -C sh "$0" "$@"
	;;
leaf)
	# Controllers can be handed to siblings only when their parent has no process itself.
	for root in $COFFER_BOX_ROOTS; do
		echo $$ > "$root/$COFFER_BOX_NAME/box/cgroup.procs"
	done
	COFFER_BOX=inside exec unshare -mpniu -f --kill-child --mount-proc sh "$0" "$@"
	;;
esac

tree=$1 dir=$2
shift 2

v1_tree()
{
	mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
	# shellcheck disable=SC2013 # words have no blanks
	for words in $(awk -F: '$1 > 0 { print $2 }' /proc/self/cgroup); do
		mkdir "/sys/fs/cgroup/${words#name=}"
		case $words in
		name=*) mount -t cgroup -o "none,$words" cgroup "/sys/fs/cgroup/${words#name=}" ;;
		*) mount -t cgroup -o "$words" cgroup "/sys/fs/cgroup/$words" ;;
		esac
	done
}

umount -R /sys/fs/cgroup
case $tree in
unified)
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	;;
v1)
	v1_tree
	;;
hybrid)
	v1_tree
	mkdir /sys/fs/cgroup/unified
	mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
	;;
esac

mkdir "$dir/dev"
mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 kmsg:1:11 tty:5:0 ptmx:5:2 \
	fuse:10:229; do
	number=${node#*:}
	mknod -m 666 "$dir/dev/${node%%:*}" c "${number%:*}" "${number#*:}"
done
mkdir "$dir/dev/pts" "$dir/dev/shm"
mount --bind /dev/pts "$dir/dev/pts"
mount -t tmpfs tmpfs "$dir/dev/shm"
for link in fd stdin:0 stdout:1 stderr:2; do
	case $link in
	fd) ln -s /proc/self/fd "$dir/dev/fd" ;;
	*) ln -s "/proc/self/fd/${link#*:}" "$dir/dev/${link%:*}" ;;
	esac
done
mount --rbind "$dir/dev" /dev
ip link set lo up
# Tests of others expect a process id of five digits.
echo 20000 > /proc/sys/kernel/ns_last_pid
unset COFFER_BOX COFFER_BOX_ROOTS COFFER_BOX_NAME
"$@" && status=0 || status=$?
find /sys/fs/cgroup -name freezer.state | while read -r f; do
	echo THAWED > "$f" || :
done 2>/dev/null
exit "$status"
