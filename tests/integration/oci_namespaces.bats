#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: namespaces that are joined by path, and the users within.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
	HOLDER=
}

teardown() {
	[ -z "$HOLDER" ] || kill -KILL "$HOLDER" 2> /dev/null || true
	oci_teardown
}

# hold FLAG...: $HOLDER lives in new namespaces, as unshare(1) makes them
hold() {
	unshare "$@" sleep 1000 3>&- &
	HOLDER=$!
	until_true held
	HOLDER=$held
}

# What unshare runs is it or its only child. All is set up once that is the program.
held() {
	held=$(pgrep -P "$HOLDER" || echo "$HOLDER")
	[ "$(cat "/proc/$held/comm" 2> /dev/null)" = sleep ]
}

# join TYPE FILE: the container's namespace is the holder's
join() {
	configure ".linux.namespaces |= map(select(.type != \"$1\")) +
		[{type: \"$1\", path: \"/proc/$HOLDER/ns/$2\"}]"
}

inside() {
	args link "/proc/self/ns/$1"
	oci run -b "$B" "$ID"
}

@test "network, ipc, uts, cgroup" {
	hold -n -i -u -C
	configure '.hostname = null'
	for pair in network:net ipc:ipc uts:uts cgroup:cgroup; do
		join "${pair%:*}" "${pair#*:}"
	done
	for ns in net ipc uts cgroup; do
		[ "$(inside "$ns")" = "$(readlink "/proc/$HOLDER/ns/$ns")" ]
	done
	gone "$ID"
}

@test "a new network is there before anything looks at it" {
	local host
	host=$(readlink /proc/self/ns/net)
	[[ "$(inside net)" =~ ^net: ]]
	[ "$(inside net)" != "$host" ]
	args ls /sys/class/net
	[ "$(oci run -b "$B" "$ID")" = lo ]
	# The first mount of all, and what it shows is named by the one who mounts.
	configure '.mounts |= [{destination: "/ns", source: "/proc/self/ns/net", type: "none",
		options: ["bind"]}] + .'
	args cat /proc/self/mountinfo
	oci run -b "$B" "$ID" > "$T/out"
	grep ' /ns ' "$T/out" | grep -q 'net:\['
	! grep -qF " $host /ns " "$T/out"
}

@test "an error of an early mount is told, whatever was on its way to init" {
	touch "$B/rootfs/file"
	configure '.mounts |= [{destination: "/file/dir", type: "tmpfs", source: "tmpfs"}] + .'
	for _ in $(seq 20); do
		! oci run -b "$B" "$ID" > "$T/out" 2>&1
		grep -q 'mounts\[0\] on /file/dir' "$T/out"
	done
	gone "$ID"
}

@test "pid: the container's processes are among the others'" {
	hold -p --fork --kill-child --mount-proc
	join pid pid
	[ "$(inside pid)" = "$(readlink "/proc/$HOLDER/ns/pid")" ]
	args id
	! oci run -b "$B" "$ID" | grep -q '^pid 1 '
	args cat /proc/1/comm
	[ "$(oci run -b "$B" "$ID")" = sleep ]
	gone "$ID"
}

@test "time" {
	[ -e /proc/self/ns/time ] || skip "this kernel has no time namespaces"
	hold -T --boottime 100000 --fork --kill-child
	join time time
	[ "$(inside time)" = "$(readlink "/proc/$HOLDER/ns/time")" ]
	args cat /proc/uptime
	uptime=$(oci run -b "$B" "$ID")
	[ "${uptime%%.*}" -ge $(($(cut -d. -f1 /proc/uptime) + 99000)) ]
	configure '.linux.timeOffsets = {monotonic: {secs: 5}}'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.timeOffsets needs a new time namespace"* ]]
}

@test "user: its maps count, those of the document are nothing" {
	hold -U -n -i -u
	echo 0 100000 1000 > "/proc/$HOLDER/uid_map"
	echo 0 200000 1000 > "/proc/$HOLDER/gid_map"
	for pair in user:user network:net ipc:ipc uts:uts; do
		join "${pair%:*}" "${pair#*:}"
	done
	configure '.hostname = null | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]' \
		'.linux.gidMappings = .linux.uidMappings'
	chown 100000:200000 "$B/rootfs"
	[ "$(inside user)" = "$(readlink "/proc/$HOLDER/ns/user")" ]
	args cat /proc/self/uid_map
	[ "$(oci run -b "$B" "$ID" | tr -s ' ')" = " 0 100000 1000" ]
	# Its own mount and pid namespaces belong to it.
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	pid=$(oci state "$ID" | jq .pid)
	[ "$(stat -c %u:%g "/proc/$pid")" = 100000:200000 ]
	[ "$(oci exec "$ID" /payload link /proc/self/ns/user)" = "$(readlink "/proc/$HOLDER/ns/user")" ]
	run oci exec --user 5000 "$ID" /payload id
	[ "$status" -ne 0 ]
	[[ "$output" == *"process.user.uid"* ]]
	oci delete --force "$ID"
	gone "$ID"
}

@test "mount: the others' root stays theirs, ours is ours" {
	hold -m --propagation private
	nsenter -t "$HOLDER" -m mount -t tmpfs only-there "$B/rootfs/mnt" 2> /dev/null || {
		mkdir "$B/rootfs/mnt"
		nsenter -t "$HOLDER" -m mount -t tmpfs only-there "$B/rootfs/mnt"
	}
	nsenter -t "$HOLDER" -m sh -c "echo seen > '$B/rootfs/mnt/file'"
	join mount mnt
	args cat /mnt/file
	[ "$(oci run -b "$B" "$ID")" = seen ]
	[ "$(inside mnt)" = "$(readlink "/proc/$HOLDER/ns/mnt")" ]
	# Who lives there sees what it saw, and so does who comes later.
	[ "$(nsenter -t "$HOLDER" -m cat "$B/rootfs/mnt/file")" = seen ]
	nsenter -t "$HOLDER" -m test -d /etc
	[ "$(readlink "/proc/$HOLDER/root")" = / ]
}

@test "mount: an exec ends up in the container's root" {
	hold -m --propagation private
	join mount mnt
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	[ "$(oci exec "$ID" /payload link /proc/self/ns/mnt)" = "$(readlink "/proc/$HOLDER/ns/mnt")" ]
	[ "$(oci exec "$ID" /payload ls / | grep -c '^payload$')" -eq 1 ]
	run oci exec --cwd /.. "$ID" /payload ls ..
	[[ "$output" == *payload* ]]
	oci delete --force "$ID"
	! grep -q "$T" /proc/self/mountinfo
}

@test "a path of another kind, and none at all, are refused by name" {
	configure '.hostname = null | .linux.namespaces |= map(select(.type != "uts")) +
		[{type: "uts", path: "/proc/self/ns/net"}]'
	args id
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.namespaces: /proc/self/ns/net is not a uts namespace"* ]]
	configure '.linux.namespaces |= map(if .type == "uts" then .path = "/nowhere" else . end)'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"/nowhere"* ]]
	gone "$ID"
}

@test "no mount namespace is refused" {
	configure '.linux.namespaces |= map(select(.type != "mount"))'
	args id
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.namespaces: a mount namespace is required"* ]]
	gone "$ID"
}

@test "a path to our own namespace is as if it were not named" {
	configure '.linux.namespaces |= map(select(.type != "network" and .type != "ipc")) +
		[{type: "network", path: "/proc/self/ns/net"}, {type: "ipc", path: "/proc/self/ns/ipc"}]'
	[ "$(inside net)" = "$(readlink /proc/self/ns/net)" ]
	[ "$(inside ipc)" = "$(readlink /proc/self/ns/ipc)" ]
}

@test "a new user namespace: root outside is nobody inside" {
	configure '.linux.namespaces += [{type: "user"}]' \
		'.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]' \
		'.linux.gidMappings = .linux.uidMappings | .process.user.additionalGids = [5, 65535]'
	chown 100000:100000 "$B/rootfs"
	args id
	run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"groups 5 65535"* ]]
	args cat /proc/self/setgroups
	[ "$(oci run -b "$B" "$ID")" = allow ]
	configure '.process.user.additionalGids = [65536]'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"process.user.additionalGids: 65536 is not in linux.gidMappings"* ]]
	gone "$ID"
}
