#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: options, help, log, spec and features.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
}

teardown() {
	oci_teardown
}

commands="checkpoint create delete events exec features kill list pause ps restore resume run spec
	start state update"

@test "help and version" {
	for word in --help -h help ""; do
		run "$COFFER_OCI" $word
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage: coffer-oci "* ]]
	done
	for word in --version -v; do
		run "$COFFER_OCI" $word
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" =~ ^coffer-oci\ version\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
		[[ "${lines[1]}" =~ ^spec:\ 1\. ]]
		[[ "${lines[2]}" == +SYSTEMD\ * ]]
	done
	for c in $commands; do
		run "$COFFER_OCI" "$c" --help
		[ "$status" -eq 0 ]
		[[ "${lines[0]}" == "Usage: coffer-oci $c"* ]]
		[[ "$("$COFFER_OCI" --help)" == *"  $c "* ]]
	done
}

# No option without its paragraph, no paragraph without its option.
@test "the manual has every option and command" {
	for c in "" $commands; do
		[ -z "$c" ] || grep -q "^## \*$c\*" "$COFFER_MAN" || { echo "no section: $c" && false; }
		"$COFFER_OCI" $c --help | sed -nE 's/^ +(-., )?--([a-z0-9-]+).*/\2/p' | sort > "$T/has"
		[ -s "$T/has" ]
		if [ -z "$c" ]; then
			sed -n '/^# OPTIONS/,/^# COMMANDS/p' "$COFFER_MAN"
		else
			sed -n "/^## \*$c\*/,/^#/{/^## \*$c\*/p;/^#/!p}" "$COFFER_MAN"
		fi > "$T/section"
		grep -oE '\*--[a-z0-9-]+\*' "$T/section" | tr -d '*' | sed 's/^--//' | sort -u > "$T/told"
		echo "help" | sort -u - "$T/told" > "$T/all"
		diff "$T/has" "$T/all" || { echo "command: $c" && false; }
	done
}

@test "wrong use is one line and exit code 1" {
	for words in nope "--nope" "state" "state a b" "create" "kill" "kill a b c" "--log-format xml list" \
		"--cgroup-manager none list" "list --format yaml" "run --preserve-fds -1 x" \
		"exec $ID" "ps $ID -ef" "state ../x" "state ." "state .." "state a/b"; do
		run --separate-stderr oci $words
		echo "$words: $status $output $stderr"
		[[ "$status" -eq 1 || "$words" == exec* && "$status" -eq 255 ]]
		[ -z "$output" ]
		[ "$(wc -l <<< "$stderr")" -eq 1 ]
		[[ "$stderr" == *"level=error"* ]]
	done
}

@test "options stand anywhere, but not behind exec's program" {
	detached "$ID"
	oci kill "$ID" --all 0
	[ "$(oci exec "$ID" /payload echo --tty -d)" = "--tty -d" ]
	oci -debug list -quiet > /dev/null 2>&1
	oci delete "$ID" -force
}

@test "an error is in the log and on standard error" {
	run --separate-stderr oci --log "$T/log" --log-format json state nope
	[ "$status" -eq 1 ]
	[ "$stderr" = "container nope does not exist" ]
	[ "$(jq -r '.level + ": " + .msg' "$T/log")" = "error: container nope does not exist" ]
	date -d "$(jq -r .time "$T/log")" > /dev/null
	run --separate-stderr oci --log "$T/text" state nope
	grep -qE '^time="[^"]+" level=error msg="container nope does not exist"$' "$T/text"
	run --separate-stderr oci state nope
	[[ "$stderr" =~ ^time=\".*\"\ level=error\ msg=\"container\ nope\ does\ not\ exist\"$ ]]
}

@test "--root is made when it is needed, and may be relative" {
	args echo hello
	cd "$T"
	[ "$("$COFFER_OCI" --root some/where run -b "$B" "$ID")" = hello ]
	[ -d "$T/some/where" ]
	[ "$(stat -c %a "$T/some/where")" = 700 ]
	[ "$("$COFFER_OCI" --root none list -f json)" = null ]
	[ ! -e none ]
}

@test "--config names the document" {
	mkdir "$B/sub"
	args echo other
	mv "$B/config.json" "$B/sub/other.json"
	[ "$(oci run -b "$B" --config sub/other.json "$ID")" = other ]
	[ "$(cd "$B" && oci run -f "$B/sub/other.json" "$ID")" = other ]
}

@test "spec: what people edit" {
	cd "$T"
	"$COFFER_OCI" spec
	[ "$(jq -c '[.process.terminal, .process.args, .root.readonly, .process.rlimits[0].soft]' \
		config.json)" = '[true,["sh"],true,1024]' ]
	[ "$(jq -c '.process.capabilities.ambient' config.json)" = \
		'["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]' ]
	[ "$(jq -c '[.linux.namespaces[] | keys] | unique' config.json)" = '[["type"]]' ]
	run "$COFFER_OCI" spec
	[ "$status" -eq 1 ]
	[[ "$output" == *"exists"* ]]
	mkdir rootless
	"$COFFER_OCI" spec --rootless --bundle rootless
	[ "$(jq -c '.linux.uidMappings' rootless/config.json)" = '[{"containerID":0,"hostID":0,"size":1}]' ]
	jq -e '[.linux.namespaces[].type] | index("user") and (index("network") | not)' rootless/config.json
	jq -e '.linux | has("resources") | not' rootless/config.json
}

@test "features: what runc's has, and no empty list" {
	run "$COFFER_OCI" features
	[ "$status" -eq 0 ]
	jq -e '.ociVersionMin == "1.0.0" and (.ociVersionMax | startswith("1.2"))' <<< "$output"
	jq -e '(.hooks | length) == 6 and (.mountOptions | index("rro")) and
		(.linux.capabilities | index("CAP_SYS_ADMIN")) and (.linux.namespaces | length) == 8 and
		.linux.cgroup.v1 and .linux.cgroup.v2 and .linux.seccomp.enabled and
		(.linux.seccomp.actions | index("SCMP_ACT_NOTIFY"))' <<< "$output"
}

@test "terminal: size, controlling, console socket" {
	configure '.process.terminal = true'
	args tty
	run script -qec "stty rows 30 cols 90; '$COFFER_OCI' --root '$T/run' run -b '$B' '$ID'" /dev/null
	echo "$output"
	[[ "$output" == *"name /dev/pts/0"*"size 30 90"*"controlling yes"* ]]
	run oci run -d -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"use --console-socket"* ]]
	run oci run -b "$B" --console-socket "$T/nowhere" "$ID"
	[ "$status" -eq 1 ]
	gone "$ID"
	/usr/bin/python3 - "$T/console" > "$T/heard" <<- 'EOF' &
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1] + ".new")
		s.listen()
		os.rename(sys.argv[1] + ".new", sys.argv[1])  # there when it takes connections
		s.settimeout(60)
		name, fds, _, _ = socket.recv_fds(s.accept()[0], 100, 4)
		text = b""
		try:
		    while True:
		        text += os.read(fds[0], 1000)
		except OSError:  # the other end is closed
		    print(name.decode(), len(fds), text.decode())
	EOF
	until_true [ -S "$T/console" ]
	oci create -b "$B" --console-socket "$T/console" "$ID"
	oci start "$ID"
	wait $!
	[[ "$(head -n 1 "$T/heard")" == "/dev/ptmx 1 name /dev/pts/0"* ]]
}
