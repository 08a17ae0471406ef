#!/busybox/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# PID 1 of an initrd that hands over to the system on the disk
set -eu
PATH=/busybox/bin:/busybox/sbin:/busybox/usr/bin:/busybox/usr/sbin
export PATH

# Where the links of busybox's commands lead.
/busybox/bin/busybox mkdir -p /bin /dev /proc /root-disk
/busybox/bin/busybox ln -s /busybox/bin/busybox /bin/busybox
mount -t devtmpfs dev /dev
while read -r module; do
	insmod "/modules/$module"
done </modules/core.list
mount -t ext4 /dev/vda /root-disk
mount --move /dev /root-disk/dev
exec switch_root /root-disk /sbin/init
