#!/busybox/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# PID 1 of a test machine with a root file system on a disk
#
# Modules, the disk, the control groups in the version that "cgroup=" on the
# kernel's command line names; then it runs scripts that come over a port and
# answers "CODE OUT ERR\n" with what they printed behind it.  A script comes as
# "LENGTH\n" and its bytes.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/busybox/bin:/busybox/sbin
export PATH

before_root() {
	for dir in dev proc sys; do
		mkdir -p /$dir
	done
	mount -t devtmpfs dev /dev
	mount -t proc proc /proc
	while read -r module; do
		insmod "/modules/$module"
	done </modules/core.list
	mkdir -p /root-disk
	mount -t ext4 /dev/vda /root-disk
	mkdir -p /root-disk/bin /root-disk/sbin /root-disk/usr/bin
	cp /busybox/bin/busybox /root-disk/bin/busybox
	cp /init /root-disk/init
	umount /proc
	mount --move /dev /root-disk/dev
	exec switch_root /root-disk /bin/busybox sh /init second
}

cgroups_v1() {
	mount -t tmpfs cgroup /sys/fs/cgroup
	for controller in cpu cpuacct cpuset memory pids freezer devices blkio; do
		mkdir "/sys/fs/cgroup/$controller"
		mount -t cgroup -o "$controller" "$controller" "/sys/fs/cgroup/$controller"
	done
	mkdir /sys/fs/cgroup/systemd
	mount -t cgroup -o none,name=systemd systemd /sys/fs/cgroup/systemd
}

after_root() {
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t tmpfs -o mode=755 run /run
	mount -t tmpfs tmp /tmp
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o ptmxmode=666 devpts /dev/pts
	if grep -q cgroup=v1 /proc/cmdline; then
		cgroups_v1
	elif grep -q cgroup=both /proc/cmdline; then
		cgroups_v1
		mkdir /sys/fs/cgroup/unified
		mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
	else
		mount -t cgroup2 cgroup /sys/fs/cgroup
	fi
	ip link set lo up
}

serve() {
	while read -r length <&3; do
		head -c "$length" <&3 >/run/script
		code=0
		sh /run/script >/run/out 2>/run/err </dev/null 3>&- || code=$?
		out=$(stat -c %s /run/out)
		err=$(stat -c %s /run/err)
		echo "$code $out $err" >&3
		# What it has left behind may go on writing.
		head -c "$out" /run/out >&3
		head -c "$err" /run/err >&3
	done
}

if [ "${1:-}" != second ]; then
	/busybox/bin/busybox mkdir -p /bin
	/busybox/bin/busybox ln -s /busybox/bin/busybox /bin/busybox
	before_root
fi
/bin/busybox mkdir -p /usr/sbin /usr/bin /sbin
/bin/busybox --install -s
after_root
until port=$(ls /dev/vport*); do
	sleep 0.05
done 2>/dev/null
exec 3<>"$port"
echo ready >&3
serve
reboot -f
