#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci as an ordinary user.

bats_require_minimum_version 1.5.0
load oci
load rootless

setup() {
	oci_setup
	rootless_setup
	chown -R "$USER_ID:$USER_ID" "$B"
	map_own
}

teardown() {
	oci_teardown
}

oci() {
	as_user "$T/coffer-oci" --root "$T/run" "$@"
}

# map UID-LINES: linux.uidMappings and gidMappings
map() {
	configure ".linux.namespaces |= map(select(.type != \"user\" and .type != \"network\")) +
			[{\"type\": \"user\"}]" \
		".linux.uidMappings = $1 | .linux.gidMappings = $1"
	chown "$USER_ID:$USER_ID" "$B/config.json"
}

map_own() {
	map "[{containerID: 0, hostID: $USER_ID, size: 1}]"
}

map_range() {
	command -v newuidmap > /dev/null || skip "newuidmap is not installed"
	map "[{containerID: 0, hostID: $USER_ID, size: 1},
	      {containerID: 1, hostID: $RANGE, size: 65536}]"
}

# A run that has to fail with WORDS, and leave nothing
refused() {
	run oci run -b "$B" "$ID"
	echo "$output"
	[ "$status" -eq 1 ]
	[[ "$output" == *"$1"* ]]
	gone "$ID"
}

@test "one's own id alone: root inside, without any program's help" {
	args cat /proc/self/uid_map
	USER_PATH=/nowhere run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | tr -s ' ')" = " 0 $USER_ID 1" ]
	args cat /proc/self/setgroups
	[ "$(oci run -b "$B" "$ID")" = deny ]
	args id
	[[ "$(oci run -b "$B" "$ID")" == *"uid 0 0 0"* ]]
	gone "$ID"
}

@test "groups that could not be set are refused" {
	configure '.process.user.additionalGids = [0]'
	refused "process.user.additionalGids: an ordinary user"
	configure '.process.user.additionalGids = []'
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	run oci exec --additional-gids 0 "$ID" /payload id
	[ "$status" -eq 255 ]
	[[ "$output" == *"process.user.additionalGids: the user namespace forbids setgroups"* ]]
	oci delete --force "$ID"
}

@test "a range of ids by newuidmap" {
	map_range
	configure '.process.user = {uid: 7, gid: 8, additionalGids: [9, 10], umask: 63}'
	args id
	run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[[ "$output" == *"uid 7 7 7"*"gid 8 8 8"*"groups 9 10"*"umask 0077"* ]]
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	pid=$(oci state "$ID" | jq .pid)
	[ "$(stat -c %u:%g "/proc/$pid")" = "$((RANGE + 6)):$((RANGE + 7))" ]
	oci delete --force "$ID"
	gone "$ID"
}

@test "without newuidmap a range is refused, by name" {
	map_range
	args id
	USER_PATH=/nowhere refused "linux.uidMappings: mapping more than one's own id takes root or the program newuidmap"
}

@test "somebody else's ids are refused in newuidmap's words" {
	map_range
	map "[{containerID: 0, hostID: $USER_ID, size: 1}, {containerID: 1, hostID: 0, size: 1}]"
	args id
	refused "linux.uidMappings: newuidmap: "
}

@test "ids outside of the maps are refused" {
	args id
	configure '.process.user.uid = 1'
	refused "process.user.uid: 1 is not in linux.uidMappings"
	configure '.process.user = {uid: 0, gid: 70000}'
	refused "process.user.gid: 70000 is not in linux.gidMappings"
	map_range
	configure '.process.user = {uid: 0, gid: 0, additionalGids: [1, 70000]}'
	refused "process.user.additionalGids: 70000 is not in linux.gidMappings"
}

@test "no user namespace, no maps" {
	args id
	configure '.linux.namespaces |= map(select(.type != "user")) |
		del(.linux.uidMappings, .linux.gidMappings)'
	refused "linux.namespaces: an ordinary user's container needs a user namespace"
	map '[]'
	refused "linux.uidMappings: missing"
}

@test "a whole life" {
	map_range
	args wait
	configure '.process.oomScoreAdj = 700'
	oci create -b "$B" "$ID" < /dev/null > /dev/null
	[ "$(status_of "$ID")" = created ]
	oci start "$ID"
	[ "$(status_of "$ID")" = running ]
	run oci exec "$ID" /payload id
	[ "$status" -eq 0 ]
	[[ "$output" == *"uid 0 0 0"* ]]
	run oci exec --user 5:6 "$ID" /payload id
	[[ "$output" == *"uid 5 5 5"*"gid 6 6 6"* ]]
	[ "$(oci exec "$ID" /payload cat /proc/self/oom_score_adj)" = 700 ]
	run oci exec --user 70000 "$ID" /payload id
	[ "$status" -ne 0 ]
	[[ "$output" == *"process.user.uid: set user 70000"* ]]
	oci ps "$ID" | grep -q payload
	oci kill "$ID" KILL
	until_true is "$ID" stopped
	oci delete "$ID"
	gone "$ID"
}

@test "exec in exactly the container's namespaces" {
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	pid=$(oci state "$ID" | jq .pid)
	for ns in mnt pid ipc uts user cgroup net; do
		[ "$(oci exec "$ID" /payload link "/proc/self/ns/$ns")" = \
			"$(readlink "/proc/$pid/ns/$ns")" ]
	done
	oci delete --force "$ID"
}

@test "clock offsets" {
	[ -e /proc/self/ns/time ] || skip "this kernel has no time namespaces"
	configure '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 100000}}'
	chown "$USER_ID:$USER_ID" "$B/config.json"
	args cat /proc/uptime
	uptime=$(oci run -b "$B" "$ID")
	[ "${uptime%%.*}" -ge $(($(cut -d. -f1 /proc/uptime) + 99000)) ]
	map_range
	[ -n "$(oci run -b "$B" "$ID")" ]
	gone "$ID"
}

@test "limits are left out with one warning" {
	args echo ran
	configure '.linux.resources = {memory: {limit: 33554432}, pids: {limit: 50}, cpu: {shares: 7}}'
	chown "$USER_ID:$USER_ID" "$B/config.json"
	run --separate-stderr oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = ran ]
	[ "$(grep -c level=warning <<< "$stderr")" -eq 1 ]
	[[ "$stderr" == *"limits are left out"* ]]
	gone "$ID"
}

@test "exec, pause and update of a container without a group" {
	args wait
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	[ "$(oci exec "$ID" /payload echo hi)" = hi ]
	run oci pause "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"no cgroup"* ]]
	[ "$(status_of "$ID")" = running ]
	oci delete --force "$ID"
	gone "$ID"
}

@test "the host's /sys and cgroups, /dev by binds" {
	args cat /proc/self/mountinfo
	run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	for at in /proc /sys /dev/pts /dev/mqueue /dev/null /sys/fs/cgroup; do
		grep -q " $at " <<< "$output"
	done
	# What is the host's may not be written to.
	! grep -E ' /sys(/[^ ]*)? rw,' <<< "$output"
	args open /dev/null
	oci run -b "$B" "$ID"
}

@test "a terminal" {
	args tty
	configure '.process.terminal = true'
	chown "$USER_ID:$USER_ID" "$B/config.json"
	export -f as_user
	export T USER_ID
	# script's shell is the caller's, and only bash passes functions on.
	SHELL=/bin/bash run script -qec "as_user $T/coffer-oci --root $T/run run -b $B $ID" /dev/null
	[ "$status" -eq 0 ]
	gone "$ID"
}

@test "a document from spec --rootless runs" {
	rm "$B/config.json"
	as_user sh -c "cd $B && $T/coffer-oci spec --rootless"
	configure '.process.terminal = false'
	args cat /proc/self/uid_map
	run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[ "$(echo "$output" | tr -s ' ')" = " 0 $USER_ID 1" ]
}

@test "without --root the state is in XDG_RUNTIME_DIR" {
	args wait
	as_user "$T/coffer-oci" run -d -b "$B" "$ID" < /dev/null > /dev/null
	[ -e "$T/xdg/coffer-oci/$ID/state.json" ]
	as_user "$T/coffer-oci" delete --force "$ID"
	[ ! -e "$T/xdg/coffer-oci/$ID" ]
}
