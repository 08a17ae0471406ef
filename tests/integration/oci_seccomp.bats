#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Seccomp in whole containers: profiles of init and exec, and calls that an agent answers.

setup() {
	[ "$(id -u)" -eq 0 ] || skip "containers on the host take root here"
	[ "$(uname -m)" = x86_64 ] || skip "the agent knows the numbers of x86-64"
	command -v jq > /dev/null || skip "jq is not installed"
	T=$(mktemp -d /tmp/coffer-seccomp-XXXXXX)
	mkdir -p "$T/bundle/rootfs" "$T/agent"
	cp "$COFFER_PAYLOAD" "$T/bundle/rootfs/payload"
	(cd "$T/bundle" && "$COFFER_OCI" spec)
	configure '.process.terminal = false'
	ID="seccomp-$$-$BATS_TEST_NUMBER"
}

teardown() {
	[ -n "$T" ] || return 0
	[ -z "$AGENT" ] || kill "$AGENT" 2> /dev/null || true
	"$COFFER_OCI" --root "$T/run" delete --force "$ID" > /dev/null 2>&1 || true
	rm -rf "$T"
}

oci() {
	"$COFFER_OCI" --root "$T/run" "$@"
}

configure() {
	jq "$1" "$T/bundle/config.json" > "$T/config" && mv "$T/config" "$T/bundle/config.json"
}

# notify CALL...: these go to the agent
notify() {
	configure ".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", listenerPath: \"$T/sock\",
		listenerMetadata: \"from \\\"bats\\\"\", architectures: [\"SCMP_ARCH_X86_64\"],
		syscalls: [{names: $(printf '%s\n' "$@" | jq -Rn '[inputs]'), action: \"SCMP_ACT_NOTIFY\"}]}"
}

start_agent() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/seccomp_agent.py" "$T/sock" "$T/agent" 3>&- &
	AGENT=$!
	for i in $(seq 1200); do [ -S "$T/sock" ] && return; sleep 0.05; done
	return 1
}

@test "a profile holds for init and for exec" {
	configure '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
		{names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 18}]} |
		.process.args = ["/payload", "call", "mkdir"]'
	for nnp in true false; do
		configure ".process.noNewPrivileges = $nnp"
		run oci run --bundle "$T/bundle" "$ID" < /dev/null
		[ "$output" = "mkdir -1 Invalid cross-device link" ]
	done
	configure '.process.args = ["/payload", "wait"]'
	oci run --detach --bundle "$T/bundle" "$ID" < /dev/null > /dev/null 2>&1
	run oci exec "$ID" /payload call mkdir
	[ "$output" = "mkdir -1 Invalid cross-device link" ]
}

@test "an agent answers for init and is told what for" {
	start_agent
	notify mkdir getppid
	configure '.process.args = ["/payload", "call", "mkdir"] | .annotations = {"a": "b"}'
	number=0
	for nnp in true false; do
		configure ".process.noNewPrivileges = $nnp"
		run oci run --bundle "$T/bundle" "$ID" < /dev/null
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$output" = "mkdir -1 Invalid cross-device link" ]
		cat "$T/agent/state.$number"
		jq -e --arg id "$ID" --arg bundle "$T/bundle" '.fds == ["seccompFd"] and .descriptors == 1 and
			.metadata == "from \"bats\"" and .pid == .state.pid and .pid > 1 and
			(.ociVersion | startswith("1.")) and .state.status == "created" and .state.id == $id and
			.state.bundle == $bundle and .state.annotations.a == "b"' "$T/agent/state.$number"
		number=$((number + 1))
	done
	[ "$(cat "$T/agent/calls")" = "83
83" ]
}

@test "an agent answers for an exec" {
	start_agent
	notify mkdir
	configure '.process.args = ["/payload", "wait"]'
	oci run --detach --bundle "$T/bundle" "$ID" < /dev/null > /dev/null 2>&1
	run oci exec "$ID" /payload call mkdir
	[ "$status" -eq 0 ]
	[ "$output" = "mkdir -1 Invalid cross-device link" ]
	init=$(oci state "$ID" | jq .pid)
	jq -e --argjson init "$init" '.state.pid == $init and .pid != $init and .state.status == "running"' \
		"$T/agent/state.1"
}

@test "a start by another process passes the listener on" {
	start_agent
	notify getppid mkdir
	configure '.process.args = ["/payload", "call", "mkdir"]'
	oci create --bundle "$T/bundle" "$ID" < /dev/null > "$T/out" 2>&1
	[ ! -e "$T/agent/state.0" ]
	pid=$(oci state "$ID" | jq .pid)
	oci start "$ID"
	for i in $(seq 600); do [ "$(oci state "$ID" | jq -r .status)" = stopped ] && break; sleep 0.1; done
	[ "$(cat "$T/out")" = "mkdir -1 Invalid cross-device link" ]
	jq -e --argjson pid "$pid" '.pid == $pid and .state.pid == $pid' "$T/agent/state.0"
}

@test "calls that the set-up makes itself may be asked for" {
	start_agent
	notify read recvmsg sendmsg close execve setresuid setgroups capset prctl openat newfstatat
	configure '.process.args = ["/payload", "echo", "through"]'
	for nnp in true false; do
		configure ".process.noNewPrivileges = $nnp"
		run oci run --bundle "$T/bundle" "$ID" < /dev/null
		echo "$output"
		[ "$status" -eq 0 ]
		[ "$output" = through ]
	done
	grep -qx 59 "$T/agent/calls"
}

@test "no agent: the program does not run" {
	notify mkdir
	configure '.process.args = ["/payload", "echo", "ran"]'
	run oci run --bundle "$T/bundle" "$ID" < /dev/null
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.seccomp.listenerPath: connect to $T/sock: No such file or directory"* ]]
	[[ "$output" != *ran* ]]
	[ ! -e "$T/run/$ID" ]
}

@test "what cannot be asked for is refused before anything is made" {
	notify mkdir write
	run oci create --bundle "$T/bundle" "$ID" < /dev/null
	[ "$status" -eq 1 ]
	[[ "$output" == *"linux.seccomp: syscalls[0]: SCMP_ACT_NOTIFY cannot be used for write"* ]]
	configure '.linux.seccomp = {defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/x"}'
	run oci create --bundle "$T/bundle" "$ID" < /dev/null
	[ "$status" -eq 1 ]
	[[ "$output" == *"SCMP_ACT_NOTIFY cannot be the default action"* ]]
	[ ! -e "$T/run/$ID" ]
}
