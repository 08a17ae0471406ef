#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci --sandbox sentry as an ordinary user.

bats_require_minimum_version 1.5.0
load oci
load rootless

setup() {
	command -v busybox > /dev/null || skip "busybox is not installed"
	oci_setup
	rootless_setup
	mkdir "$B/rootfs/bin"
	cp "$(command -v busybox)" "$B/rootfs/bin/busybox"
	for applet in cat id ls mount sh sleep stat touch; do
		ln -s busybox "$B/rootfs/bin/$applet"
	done
	chown -R "$USER_ID:$USER_ID" "$B"
	rm "$B/config.json"
	as_user sh -c "cd $B && $T/coffer-oci spec --rootless"
	configure '.process.terminal = false | .root.readonly = false'
}

teardown() {
	oci_teardown
}

oci() {
	as_user "$T/coffer-oci" --root "$T/run" --sandbox sentry "$@"
}

script() {
	configure ".process.args = [\"sh\", \"-c\", $(jq -Rs . <<< "$1")]"
	chown "$USER_ID:$USER_ID" "$B/config.json"
}

@test "root inside is the caller outside, without any program's help" {
	script 'id -u; stat -c %u /bin/busybox; touch /made; stat -c %u /made; exit 7'
	USER_PATH=/nowhere run oci run -b "$B" "$ID"
	[ "$status" -eq 7 ]
	[ "$output" = "0
0
0" ]
	[ "$(stat -c %u "$B/rootfs/made")" = "$USER_ID" ]
	gone "$ID"
}

@test "a range of ids by newuidmap" {
	command -v newuidmap > /dev/null || skip "newuidmap is not installed"
	configure ".linux.uidMappings = [{containerID: 0, hostID: $USER_ID, size: 1},
		{containerID: 1, hostID: $RANGE, size: 65536}] |
		.linux.gidMappings = .linux.uidMappings | .process.user = {uid: 7, gid: 8}"
	chmod 777 "$B/rootfs"
	script 'id -u; id -g; touch /made'
	run oci run -b "$B" "$ID"
	[ "$output" = "7
8" ]
	[ "$(stat -c %u:%g "$B/rootfs/made")" = "$((RANGE + 6)):$((RANGE + 7))" ]
	gone "$ID"
}

@test "another root than the caller is refused" {
	configure '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]'
	script true
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.uidMappings: another root than the caller"* ]]
	gone "$ID"
}

@test "a whole life" {
	script 'trap "" TERM; sleep 1000'
	oci create -b "$B" "$ID" < /dev/null > /dev/null 2>&1
	[ "$(status_of "$ID")" = created ]
	oci start "$ID"
	[ "$(status_of "$ID")" = running ]
	[ "$(oci exec "$ID" id -u)" = 0 ]
	oci pause "$ID"
	[ "$(status_of "$ID")" = paused ]
	oci resume "$ID"
	oci update --memory 64m --pids-limit 20 "$ID"
	[[ "$(oci exec "$ID" cat /proc/meminfo)" == *"MemTotal: "*" 65536 kB"* ]]
	oci kill --all "$ID" TERM
	oci kill "$ID" KILL
	until_true is "$ID" stopped
	oci delete "$ID"
	gone "$ID"
}

@test "what is bound of the host's own file systems is the sentry's" {
	script 'mount; ls /sys/class/net'
	run oci run -b "$B" "$ID"
	[[ "$output" == *"sysfs on /sys type sysfs (ro"* ]]
}

@test "a terminal" {
	script 'stat -c %t /dev/console; [ -t 0 ]'
	configure '.process.terminal = true'
	chown "$USER_ID:$USER_ID" "$B/config.json"
	export -f as_user
	export T USER_ID
	SHELL=/bin/bash run script -qec \
		"as_user $T/coffer-oci --root $T/run --sandbox sentry run -b $B $ID" /dev/null
	[ "$status" -eq 0 ]
	gone "$ID"
}
