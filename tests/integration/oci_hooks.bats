#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hooks of coffer-oci: when each runs, where, as whom, what it is told, and what its failure does.

setup() {
	[ "$(id -u)" -eq 0 ] || skip "containers on the host take root here"
	command -v jq > /dev/null || skip "jq is not installed"
	T=$(mktemp -d /tmp/coffer-hooks-XXXXXX)
	chmod 755 "$T"
	mkdir -p "$T/bundle/rootfs/hooks"
	chmod 777 "$T/bundle/rootfs/hooks"
	cp "$COFFER_PAYLOAD" "$T/bundle/rootfs/payload"
	chmod 755 "$T/bundle/rootfs/payload"
	(cd "$T/bundle" && "$COFFER_OCI" spec)
	configure '.process.terminal = false | .process.args = ["/payload", "echo", "hi"] |
		.root.readonly = false | .annotations = {"who": "bats \"quoted\""}'
	ID="hooks-$$-$BATS_TEST_NUMBER"
}

teardown() {
	[ -n "$T" ] || return 0
	"$COFFER_OCI" --root "$T/run" delete --force "$ID" > /dev/null 2>&1 || true
	rm -rf "$T"
}

oci() {
	"$COFFER_OCI" --root "$T/run" "$@"
}

configure() {
	jq "$1" "$T/bundle/config.json" > "$T/config" && mv "$T/config" "$T/bundle/config.json"
}

# hook LIST SCRIPT: a line of shell on the host's side; its state is in $STATE
hook() {
	configure ".hooks.$1 += [{path: \"/bin/sh\", args: [\"sh\", \"-c\", $(jq -Rs . <<< "T=$T; STATE=\$(cat); $2")],
		env: [\"PATH=$PATH\"]}]"
}

nothing_left() {
	[ ! -e "$T/run/$ID" ]
	! grep -q "$T" /proc/self/mountinfo
	! grep -rqs "$ID" /proc/[0-9]*/cgroup
	[ -z "$(find /sys/fs/cgroup -name "$ID" -type d 2> /dev/null)" ]
}

@test "files that a hook makes have the caller's mask" {
	for list in createRuntime createContainer poststop; do
		hook "$list" "umask >> $T/masks"
	done
	(umask 027 && oci run --bundle "$T/bundle" "$ID" < /dev/null)
	[ "$(tr '\n' ' ' < "$T/masks")" = "0027 0027 0027 " ]
}

@test "the six run in their order and are told the state" {
	for list in prestart createRuntime createContainer poststart poststop; do
		hook "$list" "echo \"$list \$STATE\" >> $T/order"
		hook "$list" "echo again >> $T/order"
	done
	configure '.hooks.startContainer = [{path: "/payload", args: ["payload", "hook", "/hooks/start"]}]'
	oci create --bundle "$T/bundle" "$ID" < /dev/null > "$T/out" 2>&1
	[ "$(cut -d' ' -f1 "$T/order" | tr '\n' ' ')" = "prestart again createRuntime again createContainer again " ]
	[ ! -e "$T/bundle/rootfs/hooks/start" ]
	pid=$(oci state "$ID" | jq .pid)
	oci start "$ID"
	[ -e "$T/bundle/rootfs/hooks/start" ]
	for i in $(seq 600); do [ "$(oci state "$ID" | jq -r .status)" = stopped ] && break; sleep 0.1; done
	[ "$(sed -n '7s/ .*//p' "$T/order")" = poststart ]
	[ "$(wc -l < "$T/order")" -eq 8 ]
	oci delete "$ID"
	[ "$(sed -n '9s/ .*//p' "$T/order")" = poststop ]

	state() { sed -n "s/^$1 {/{/p" "$T/order"; }
	for list in prestart createRuntime createContainer poststart poststop; do
		state "$list" | jq -e --arg id "$ID" --arg bundle "$T/bundle" \
			'.id == $id and .bundle == $bundle and .annotations.who == "bats \"quoted\"" and
			(.ociVersion | startswith("1."))'
	done
	state prestart | jq -e --argjson pid "$pid" '.status == "creating" and .pid == $pid'
	state createRuntime | jq -e --argjson pid "$pid" '.status == "creating" and .pid == $pid'
	state createContainer | jq -e '.status == "creating" and .pid == 1'
	state poststart | jq -e --argjson pid "$pid" '.status == "running" and .pid == $pid'
	state poststop | jq -e '.status == "stopped" and has("pid") == false'
	head -1 "$T/bundle/rootfs/hooks/start" | jq -e --arg id "$ID" \
		'.status == "created" and .pid == 1 and .id == $id'
	nothing_left
}

@test "each runs in the namespaces that the specification says" {
	for list in prestart createRuntime createContainer poststart poststop; do
		hook "$list" "readlink /proc/self/ns/mnt /proc/self/ns/net | tr '\n' ' ' >> $T/ns; echo $list >> $T/ns"
	done
	hook prestart "readlink /proc/\$(echo \"\$STATE\" | jq .pid)/ns/mnt /proc/\$(echo \"\$STATE\" | jq .pid)/ns/net | tr '\n' ' ' > $T/ns-init"
	configure '.linux.namespaces |= map(select(.type != "pid"))'
	oci run --bundle "$T/bundle" "$ID" < /dev/null
	outside="$(readlink /proc/self/ns/mnt) $(readlink /proc/self/ns/net)"
	inside=$(cat "$T/ns-init")
	[ "$inside" != "$outside " ]
	for list in prestart createRuntime poststart poststop; do
		grep -qxF "$outside $list" "$T/ns"
	done
	grep -qxF "${inside}createContainer" "$T/ns"
}

@test "hooks find the container's mounts below the root's path and can add to them" {
	configure '.mounts += [{destination: "/fresh", type: "tmpfs", source: "tmpfs"}] |
		.process.args = ["/payload", "cat", "/fresh/file", "/joined/file", "/added/file"]'
	mkdir "$T/bundle/rootfs/joined" "$T/bundle/rootfs/added"
	hook prestart "! grep $T/bundle/rootfs /proc/self/mountinfo &&
		pid=\$(echo \"\$STATE\" | jq .pid) && grep -q $T/bundle/rootfs/fresh /proc/\$pid/mountinfo &&
		nsenter -t \$pid -m sh -c 'mount -t tmpfs none $T/bundle/rootfs/joined && echo two > $T/bundle/rootfs/joined/file'"
	hook createContainer "grep -q $T/bundle/rootfs/fresh /proc/self/mountinfo && echo one > $T/bundle/rootfs/fresh/file"
	hook createContainer "mount -t tmpfs none ./added && echo three > added/file"
	for propagation in private rslave shared; do
		configure ".linux.rootfsPropagation = \"$propagation\""
		run oci run --bundle "$T/bundle" "$ID" < /dev/null
		[ "$status" -eq 0 ]
		echo "$output"; [ "$output" = "one
two
three" ]
		nothing_left
	done
}

@test "startContainer has the rights of the program and no more" {
	configure '.process.user = {uid: 1234, gid: 5678} | .process.noNewPrivileges = true |
		.hooks.startContainer = [{path: "/payload", args: ["payload", "hook", "/hooks/start",
			"CapEff", "CapBnd", "NoNewPrivs", "Gid", "Seccomp:"]}] |
		.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [
			{names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38}]} |
		.process.args = ["/payload", "hook", "/hooks/program", "CapEff", "CapBnd", "NoNewPrivs", "Gid", "Seccomp:"]'
	oci run --bundle "$T/bundle" "$ID" < /dev/null
	cat "$T/bundle/rootfs/hooks/start"
	grep -q "^pid [2-9]* parent 1 uid 1234" "$T/bundle/rootfs/hooks/start"
	grep -q "NoNewPrivs:.1" "$T/bundle/rootfs/hooks/start"
	grep -q "Seccomp:.2" "$T/bundle/rootfs/hooks/start"
	[ "$(grep -E 'Cap|New|Gid|Sec' "$T/bundle/rootfs/hooks/start")" = "$(grep -E 'Cap|New|Gid|Sec' "$T/bundle/rootfs/hooks/program")" ]
}

@test "a hook that fails ends the creation and leaves nothing" {
	for list in prestart createRuntime createContainer; do
		configure 'del(.hooks)'
		hook "$list" "echo first line >&2; echo it went wrong >&2; exit 7"
		hook "$list" "touch $T/too-far"
		hook poststop "echo \$STATE > $T/stopped-$list"
		run oci create --bundle "$T/bundle" "$ID" < /dev/null
		[ "$status" -eq 1 ]
		[[ "$output" == *"error running hook $list[0]: /bin/sh: exit status 7: it went wrong"* ]]
		[ ! -e "$T/too-far" ]
		jq -e '.status == "stopped"' "$T/stopped-$list"
		nothing_left
	done
}

@test "a startContainer hook that fails: the program never runs" {
	configure '.hooks.startContainer = [{path: "/payload", args: ["payload", "exit", "9"]}] |
		.process.args = ["/payload", "write", "/hooks/ran", "x"]'
	oci create --bundle "$T/bundle" "$ID" < /dev/null
	run oci start "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"error running hook startContainer[0]: /payload: exit status 9"* ]]
	[ ! -e "$T/bundle/rootfs/hooks/ran" ]
	[ "$(oci state "$ID" | jq -r .status)" = stopped ]
	oci delete "$ID"
	nothing_left
}

@test "poststart and poststop hooks that fail are warnings" {
	for list in poststart poststop; do
		hook "$list" "exit 3"
		hook "$list" "touch $T/$list-second"
	done
	run oci run --bundle "$T/bundle" "$ID" < /dev/null
	[ "$status" -eq 0 ]
	[[ "$output" == *hi* ]]
	[[ "$output" == *"error running hook poststart[0]: /bin/sh: exit status 3"* ]]
	[[ "$output" == *"error running hook poststop[0]: /bin/sh: exit status 3"* ]]
	[ -e "$T/poststart-second" ]
	[ -e "$T/poststop-second" ]
	nothing_left
}

@test "a hook that hangs is killed with all it has started" {
	hook createRuntime "sleep 1000 & echo \$! > $T/pid; wait"
	# A busy machine may take longer until the hook has started anything.
	for seconds in 1 10 100; do
		configure ".hooks.createRuntime[0].timeout = $seconds"
		run oci create --bundle "$T/bundle" "$ID" < /dev/null
		[ "$status" -eq 1 ]
		[[ "$output" == *"error running hook createRuntime[0]: /bin/sh: killed after $seconds seconds"* ]]
		nothing_left
		[ ! -s "$T/pid" ] || break
	done
	# Killed it is, but nobody waits for its end.
	pid=$(cat "$T/pid")
	for i in $(seq 600); do grep -qs 'State:.[^Z]' "/proc/$pid/status" || break; sleep 0.1; done
	! grep -s 'State:.[^Z]' "/proc/$pid/status"
}

@test "a hook's environment is its own, its output nobody's" {
	hook prestart "env > $T/env; echo noise; echo noise >&2"
	configure ".hooks.createRuntime = [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"env > $T/inherited\"]}]"
	export SECRET=leak
	run oci run --bundle "$T/bundle" "$ID" < /dev/null
	[ "$status" -eq 0 ]
	[ "$output" = hi ]
	! grep -q SECRET "$T/env"
	# One that names none has the runtime's.
	grep -q SECRET "$T/inherited"
}

@test "a hook may ask the runtime about the container" {
	hook createRuntime "$COFFER_OCI --root $T/run state $ID > $T/asked"
	oci run --bundle "$T/bundle" "$ID" < /dev/null
	jq -e '.status == "creating" and .pid > 0' "$T/asked"
}

@test "what hooks may not be is refused" {
	for bad in '{path: "relative"}' '{path: "/bin/true", timeout: 0}' '{path: "/bin/true", timeout: -1}' '{}'; do
		configure ".hooks = {createRuntime: [$bad]}"
		run oci create --bundle "$T/bundle" "$ID" < /dev/null
		[ "$status" -eq 1 ]
		[[ "$output" == *"hooks.createRuntime[0]"* ]]
		nothing_left
	done
}
