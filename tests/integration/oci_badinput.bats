#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: a document that is wrong gets one line that names the place, exit code 1, and nothing
# is left behind.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
}

teardown() {
	oci_teardown
}

# bad FILTER WORDS: changed by FILTER it is refused with WORDS
bad() {
	cp "$B/config.json" "$T/good"
	configure "$1"
	refused "$2"
	mv "$T/good" "$B/config.json"
}

refused() {
	for c in create run; do
		run --separate-stderr oci $c -b "$B" "$ID" < /dev/null
		echo "$c: $status $output $stderr; expected: $1"
		[ "$status" -eq 1 ]
		[ -z "$output" ]
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
		[[ "$stderr" == *"$1"* ]]
		gone "$ID"
	done
}

@test "members of the wrong type or with words that nobody knows" {
	bad '.process.args = "sh"' 'process.args: expected array, got string'
	bad '.process.args = []' 'process.args'
	bad 'del(.process.args)' 'process.args'
	bad 'del(.process)' 'process'
	bad 'del(.root)' 'root'
	bad '.process.cwd = "tmp"' 'process.cwd'
	bad '.process.user.uid = -1' 'process.user.uid'
	bad '.process.user.uid = 4294967296' 'process.user.uid'
	bad '.process.user.uid = 1.5' 'process.user.uid: expected integer'
	bad '.process.capabilities.bounding = ["chown"]' 'process.capabilities.bounding[0]'
	bad '.process.capabilities.ambient = ["CAP_KILL", "CAP_"]' 'process.capabilities.ambient[1]'
	bad '.process.capabilities.permitted = [""]' 'process.capabilities.permitted[0]'
	bad '.process.capabilities.effective = [7]' 'process.capabilities.effective[0]'
	bad ".process.capabilities.inheritable = [\"CAP_$(printf 'A%.0s' {1..100})\"]" \
		'process.capabilities.inheritable[0]'
	bad '.process.user.gid = 4294967295' 'process.user.gid: 4294967295 is no id'
	bad '.process.rlimits[0].type = "RLIMIT_LUCK"' 'process.rlimits[0].type'
	bad '.process.terminal = "yes"' 'process.terminal: expected boolean, got string'
	bad '.linux.namespaces[0].type = "nope"' 'linux.namespaces[0].type'
	bad '.linux.namespaces += [{"type": "pid"}]' 'linux.namespaces'
	bad '.linux.namespaces[0].path = "relative"' 'linux.namespaces[0].path'
	bad '.linux.resources.memory = {"limit": "1G"}' 'linux.resources.memory.limit: expected integer'
	bad '.linux.seccomp = {"defaultAction": "SCMP_ACT_NOPE"}' 'linux.seccomp.defaultAction'
	bad '.linux.rootfsPropagation = "wild"' 'linux.rootfsPropagation'
	bad '.linux.sysctl = {"kernel.nope/../x": "1"}' 'linux.sysctl'
	bad '.linux.sysctl = {"kernel.shmmax": "banana"}' 'kernel.shmmax\"]: write'
	bad '.linux.sysctl = {"net.ipv4.nope": "1"}' 'net.ipv4.nope\"]: open'
	bad 'del(.mounts[0].destination)' 'mounts[0].destination'
	bad '.mounts = {}' 'mounts: expected array, got object'
	bad '.hooks = {"prestart": [{"path": "relative"}]}' 'hooks.prestart[0].path'
	bad '.ociVersion = "2.0.0"' 'ociVersion'
	bad '.hostname = ("x" * 65)' 'hostname'
	bad '.linux.cgroupsPath = "../../up"' 'cgroupsPath'
}

@test "what is no JSON, too long, or too deep" {
	for text in '' '{' '{"ociVersion":' '[]' 'null' '{"a":1,}' "{'a':1}" $'{"a":"\x01"}' $'\xff\xfe' '{} {}'; do
		printf '%s' "$text" > "$B/config.json"
		refused ''
	done
	/usr/bin/python3 -c 'print("{\"a\":" * 100000)' > "$B/config.json"
	refused 'config'
	/usr/bin/python3 -c 'print("{\"process\":{\"args\":" + "[" * 100)' > "$B/config.json"
	refused 'nesting too deep, in process.args[0][0]'
	echo '{"linux":{"resources":{"pids":{"limit":99999999999999999999}}}}' > "$B/config.json"
	refused 'number does not fit 64 bits, in linux.resources.pids.limit'
	/usr/bin/python3 -c 'print("[" * 5000000 + "]" * 5000000)' > "$B/config.json"
	refused 'config.json'
	/usr/bin/python3 -c 'print("{\"a\":\"" + "x" * (10 << 20) + "\"}")' > "$B/config.json"
	refused 'config.json'
	rm "$B/config.json"
	refused 'config.json: No such file or directory'
	mkdir "$B/config.json"
	refused 'config.json: Is a directory'
}

@test "unknown members are ignored" {
	configure '.nope = {"a": [1]} | .process.nope = 1 | .linux.nope = null'
	args echo fine
	[ "$(oci run -b "$B" "$ID")" = fine ]
}

@test "ids" {
	args echo fine
	for id in "" . .. a/b "a b" $'a\nb' "-x-" ../x "$(printf 'x%.0s' {1..300})"; do
		run --separate-stderr oci run -b "$B" -- "$id"
		echo "$id: $status $output $stderr"
		[ "$status" -eq 1 ] || [ "$id" = "-x-" ]
	done
	[ "$(oci run -b "$B" Az_0+.-,9)" = fine ]
	[ -z "$(ls "$T/run")" ]
}

@test "a root that is not there, a bundle that is not there" {
	run oci run -b "$T/none" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"$T/none: No such file or directory"* ]]
	bad '.root.path = "none"' 'none'
	bad '.root.path = "/nope/none"' '/nope/none'
}

@test "a capability that nobody knows is left out, with a warning" {
	configure '.process.capabilities = {
		"bounding": ["CAP_KILL", "CAP_UNKNOWN"], "permitted": ["CAP_KILL", "UNKNOWN_CAP2"],
		"effective": ["CAP_KILL"], "ambient": ["CAP_UNKNOWN"]}'
	args status CapBnd
	run --separate-stderr oci run -b "$B" "$ID"
	echo "$output / $stderr"
	[ "$status" -eq 0 ]
	[[ "$output" == *0000000000000020 ]]
	[[ "$stderr" == *'level=warning msg="engine: process.capabilities.bounding[1]: unknown capability CAP_UNKNOWN is left out, and 2 more"'* ]]
	[ "$(wc -l <<< "$stderr")" -eq 1 ]

	configure '.process.capabilities = {"bounding": ["CAP_KILL"]}'
	detached "$ID"
	run --separate-stderr oci exec -c CAP_UNKNOWN -c CAP_CHOWN "$ID" /payload status CapBnd
	echo "$output / $stderr"
	[ "$status" -eq 0 ]
	[[ "$output" == *0000000000000021 ]]
	[[ "$stderr" == *'option --cap: unknown capability CAP_UNKNOWN is left out'* ]]
	run oci exec -c chown "$ID" /payload status CapBnd
	[ "$status" -eq 255 ]
	[[ "$output" == *'option --cap: \"chown\" is not a capability name'* ]]
}

@test "a process document for exec" {
	detached "$ID"
	while IFS='|' read -r text words; do
		printf '%s' "$text" > "$T/process.json"
		run --separate-stderr oci exec -p "$T/process.json" "$ID"
		echo "$text: $status $stderr"
		[ "$status" -eq 255 ]
		[[ "$stderr" == *"$words"* ]]
	done <<- 'EOF'
		{"cwd":"/"}|process.args
		{"cwd":"/","args":[]}|process.args
		{"cwd":"x","args":["/payload"]}|process.cwd
		{"cwd":"/","args":["/payload"],"user":{"uid":"0"}}|process.user.uid
		{"cwd":"/","args":["/payload"],"capabilities":{"bounding":["kill"]}}|process.capabilities.bounding[0]
		nope|JSON
	EOF
	[ "$(status_of "$ID")" = running ]
}

@test "a state file that was tampered with is an error, and delete --force still cleans" {
	for text in '' '{}' '[]' '{"version":2}' '{"version":1,"pid":"x"}' 'nonsense'; do
		detached "$ID"
		pid=$(oci state "$ID" | jq .pid)
		cp "$T/run/$ID/state.json" "$T/state"
		printf '%s' "$text" > "$T/run/$ID/state.json"
		run oci state "$ID"
		[ "$status" -eq 1 ]
		run oci start "$ID"
		[ "$status" -eq 1 ]
		cp "$T/state" "$T/run/$ID/state.json"
		: > "$T/run/$ID/config.json"
		oci delete --force "$ID"
		gone "$ID"
	done
}
