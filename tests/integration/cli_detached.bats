#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# cli_detached.bats - containers in the background and the commands on them
#
# COFFER_BIN: folder of the programs (default: build/bin); COFFER_SANDBOX: what
# containers run in.  One container, "box", serves most tests: a boot takes seconds
# where it is emulated.

load sandbox

bats_require_minimum_version 1.5.0

setup_file() {
	export COFFER="${COFFER_BIN:-build/bin}/coffer"
	export COFFER_RUN="$BATS_FILE_TMPDIR/run"
	export XDG_CONFIG_HOME="$BATS_FILE_TMPDIR/config"
	export PYTHONPATH="$BATS_TEST_DIRNAME"
	export PYTHONDONTWRITEBYTECODE=1
	# Descriptor 3 is bats' own; a process in the background must not hold it.
	"$COFFER" run -d --name box --label tier=test --init --stop-timeout 60 -e FROM=run -w /srv coffer/hello \
		sh -c 'echo out; echo err >&2; trap "exit 4" TERM; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.5; done' 3>&-
}

teardown_file() {
	for id in $("$COFFER" ps -aq); do
		"$COFFER" rm -f "$id" >/dev/null || true
	done
}

setup() {
	T="$BATS_TEST_TMPDIR"
}

coffer() {
	run --separate-stderr timeout 120 "$COFFER" "$@" 3>&-
}

field() { # field NAME KEY...: of inspect
	local name="$1"
	shift
	"$COFFER" inspect "$name" | python3 -c '
import functools, json, sys
print(functools.reduce(lambda o, k: o[k], sys.argv[1:], json.load(sys.stdin)[0]))' "$@"
}

# The containers there are, but for box, which lives as long as tests need it.
others() {
	ls -A "$COFFER_RUN" | grep -vx box
}

@test "it is listed, as a table and as JSON" {
	coffer ps
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" == box*"sh -c echo out"*"Up "* ]]
	[ "$("$COFFER" ps -q)" = box ]
	coffer ps --format json
	python3 -c '
import json, sys
o = json.loads(sys.argv[1])
assert o["ID"] == "box" and o["State"] == "running" and o["Labels"] == {"tier": "test"}, o' "$output"
}

@test "inspect tells what it was asked for" {
	[ "$(field box State Status)" = running ]
	[ "$(field box Config WorkingDir)" = /srv ]
	[[ "$(field box Config Env)" == *"'FROM=run']" ]]
	[ "$(field box Config Labels tier)" = test ]
	[ "$(field box HostConfig Init)" = True ]
	[ -e "$(field box LogPath)" ]
	coffer inspect b
	[ "$status" -eq 0 ]
}

@test "exec: output, error, exit code, input" {
	coffer exec box sh -c 'echo o; echo e >&2; exit 42'
	[ "$status" -eq 42 ]
	[ "$output" = o ]
	[ "$stderr" = e ]
	[ "$(head -c 300000 /dev/zero | "$COFFER" exec -i box wc -c)" -eq 300000 ]
	# Without -i there is none.
	[ "$(echo lost | "$COFFER" exec box wc -c)" -eq 0 ]
}

@test "exec: bytes of any kind come through whole" {
	head -c 20000000 /dev/urandom >"$T/bytes"
	"$COFFER" exec -i box cat <"$T/bytes" >"$T/back"
	cmp "$T/bytes" "$T/back"
}

@test "exec: what is not said is as for the container" {
	coffer exec box sh -c 'pwd; echo $FROM; id -u'
	[ "${lines[0]}" = /srv ]
	[ "${lines[1]}" = run ]
	[ "${lines[2]}" = 0 ]
	printf 'ONE=1\n# no\n\nFROM=file\n' >"$T/env"
	coffer exec -w /tmp --env-file "$T/env" -e TWO=2 -u 1000:1000 box \
		sh -c 'pwd; echo $ONE $TWO $FROM; id -u; id -g'
	[ "${lines[0]}" = /tmp ]
	[ "${lines[1]}" = "1 2 file" ]
	[ "${lines[2]}" = 1000 ]
	[ "${lines[3]}" = 1000 ]
}

@test "exec: a signal ends the program, and us by its code" {
	"$COFFER" exec box sh -c 'echo up; exec sleep 1000' >"$T/out" 3>&- &
	pid=$!
	until [ -s "$T/out" ]; do sleep 0.05; done
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 143 ]
}

@test "exec: -d does not wait, and the program goes on" {
	coffer exec -d box sh -c 'sleep 1; echo there >/tmp/later'
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	for _ in $(seq 300); do
		[ "$("$COFFER" exec box cat /tmp/later 2>/dev/null)" != there ] || return 0
		sleep 0.2
	done
	return 1
}

@test "exec: a terminal with its size, Ctrl-C, and restored" {
	run -0 python3 "$BATS_TEST_DIRNAME/cli_terminal.py" "$COFFER" box 3>&-
	[[ "$output" == *"all good"* ]]
}

@test "exec: many at once all succeed, and are forgotten" {
	for i in $(seq 20); do
		"$COFFER" exec box sh -c "exit $i" 3>&- &
		pids[i]=$!
	done
	for i in $(seq 20); do
		code=0
		wait "${pids[i]}" || code=$?
		[ "$code" -eq "$i" ]
	done
}

@test "logs: both streams, with times, the last lines, since" {
	# The streams come each by its own way.
	for _ in $(seq 600); do
		coffer logs box
		[[ "$output" != *"tick 2"* || "$stderr" != *err* ]] || break
		sleep 0.1
	done
	[ "${lines[0]}" = out ]
	[ "$stderr" = err ]
	coffer logs --tail 2 -t box
	[ "${#lines[@]}" -eq 2 ]
	[[ "${lines[1]}" == 20*T*Z\ tick* ]]
	coffer logs --since 1h box
	[ "${lines[0]}" = out ]
	coffer logs --since 2100-01-01T00:00:00Z box
	[ -z "$output" ]
}

@test "cp: there and back, and as a stream" {
	mkdir -p "$T/tree/sub"
	echo hello >"$T/tree/file"
	ln -s file "$T/tree/link"
	head -c 5000000 /dev/urandom >"$T/tree/sub/big"
	"$COFFER" cp "$T/tree" box:/root
	[ "$("$COFFER" exec box readlink /root/tree/link)" = file ]
	"$COFFER" cp box:/root/tree "$T/back"
	diff -r "$T/tree" "$T/back"
	[ -L "$T/back/link" ]
	"$COFFER" cp box:/root/tree - | tar -tf - | grep -q '^tree/sub/big$'
	tar -cf - -C "$T" tree | "$COFFER" cp - box:/srv
	[ "$("$COFFER" exec box cat /srv/tree/file)" = hello ]
	coffer cp box:/no/such "$T/x"
	[ "$status" -eq 1 ]
	[ ! -e "$T/x" ]
	coffer cp "$T/no/such" box:/root
	[ "$status" -eq 1 ]
}

@test "stats: numbers of the container and what it costs" {
	coffer stats --no-stream box
	[[ "${lines[0]}" == "CONTAINER ID"*"CPU %"*"PIDS" ]]
	[[ "${lines[1]}" == box*MiB* ]]
	coffer stats --no-stream --format json
	python3 -c '
import json, sys
o = json.loads(sys.argv[1])
assert o["ID"] == "box" and o["MachineMemoryBytes"] == 256 << 20, o
assert 0 < o["MonitorPSS"] < 64 << 20 and o["CPUUsec"] > 0 and int(o["PIDs"]) >= 2, o' "$output"
}

# Nothing comes of it for two seconds, but what was on its way.
stands_still() {
	local before
	for _ in $(seq 30); do
		before=$("$COFFER" logs box 2>/dev/null | wc -l)
		sleep 2
		[ "$("$COFFER" logs box 2>/dev/null | wc -l)" -ne "$before" ] || return 0
	done
	return 1
}

@test "pause: it stands still, says so, and goes on" {
	coffer pause box
	[ "$output" = box ]
	[[ "$("$COFFER" ps)" == *"(Paused)"* ]]
	stands_still
	coffer exec box true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *paused* ]]
	coffer pause box
	[ "$status" -eq 1 ]
	coffer unpause box
	[ "$status" -eq 0 ]
	coffer exec box true
	[ "$status" -eq 0 ]
}

@test "port-forward: a server on the container's loopback is reached" {
	command -v curl >/dev/null || skip "needs curl"
	"$COFFER" exec -d box sh -c 'mkdir -p /www; echo "hello from inside" >/www/index.html; httpd -f -p 127.0.0.1:80 -h /www'
	"$COFFER" port-forward box 0:80 >"$T/out" 3>&- &
	pid=$!
	for _ in $(seq 600); do
		[ ! -s "$T/out" ] || break
		sleep 0.1
	done
	port=$(sed -nE 's/^Forwarding from 127.0.0.1:([0-9]+) -> 80$/\1/p' "$T/out")
	[ "$(curl -s --retry 60 --retry-delay 1 --retry-all-errors -m 60 "http://127.0.0.1:$port/")" = "hello from inside" ]
	kill -INT "$pid" || true
	kill -TERM "$pid" || true
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 130 ] || [ "$code" -eq 143 ]
}

@test "analyze: a drawing that is well-formed" {
	"$COFFER" analyze plot box >"$T/boot.svg"
	python3 -c '
import sys, xml.dom.minidom
d = xml.dom.minidom.parse(sys.argv[1])
assert len(d.getElementsByTagName("rect")) > 5' "$T/boot.svg"
}

@test "its name is taken, and it is not removed while it runs" {
	coffer run --name box coffer/hello true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *exists* ]]
	coffer rm box
	[ "$status" -eq 1 ]
	[[ "$stderr" == *running* ]]
}

@test "the end: wait, logs -f and inspect agree, and rm leaves nothing" {
	"$COFFER" wait box >"$T/code" 3>&- &
	waiter=$!
	"$COFFER" logs -f box >"$T/log" 2>/dev/null 3>&- &
	follower=$!
	until [ -s "$T/log" ]; do sleep 0.05; done
	coffer stop box
	[ "$status" -eq 0 ]
	[ "$output" = box ]
	wait "$waiter" "$follower"
	[ "$(cat "$T/code")" = 4 ]
	[ "$(tail -1 "$T/log")" = "$("$COFFER" logs --tail 1 box)" ]
	[ "$(field box State Status)" = exited ]
	[ "$(field box State ExitCode)" = 4 ]
	[ -z "$("$COFFER" ps -q)" ]
	[[ "$("$COFFER" ps -a)" == *"Exited (4)"* ]]
	[ "$("$COFFER" wait box)" = 4 ]
	coffer exec box true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"not running"* ]]
	coffer stop box
	[ "$status" -eq 0 ]
	coffer rm box
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$COFFER_RUN")" ]
}

@test "a program that is not there: its code, and nothing is left" {
	run -127 --separate-stderr timeout 120 "$COFFER" run -d coffer/hello no-such-program 3>&-
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	coffer run -d coffer/hello /etc/passwd
	[ "$status" -eq 126 ]
	[ -z "$(others)" ]
}

@test "--rm, --cidfile, and a log that does not grow without bound" {
	coffer run -d --rm --cidfile "$T/id" coffer/hello sh -c 'yes 0123456789012345678901234567890123456789 | head -400000; until [ -e /seen ]; do sleep 0.1; done; exit 3'
	[ "$status" -eq 0 ]
	[[ "$output" =~ ^[0-9a-f]{12}$ ]]
	[ "$(cat "$T/id")" = "$output" ]
	id="$output"
	log=$(field "$id" LogPath)
	"$COFFER" wait "$id" >"$T/code" 3>&- &
	waiter=$!
	most=0
	while kill -0 "$waiter" 2>/dev/null; do
		size=$(cat "$log" "$log.1" 2>/dev/null | wc -c)
		[ "$size" -le 21000000 ]
		[ "$size" -le "$most" ] || most=$size
		[ "$most" -le 10485760 ] || "$COFFER" exec "$id" touch /seen || true
		sleep 0.2
	done
	[ "$most" -gt 10485760 ]
	[ "$(cat "$T/code")" = 3 ]
	for _ in $(seq 600); do
		[ -n "$(others)" ] || return 0
		sleep 0.1
	done
	return 1
}

@test "without a reader of its terminal a program goes on; rm -f ends it" {
	coffer run -d -t -i --name tty coffer/hello sh -c 'tty; exec sleep 1000'
	[ "$status" -eq 0 ]
	until [[ "$("$COFFER" logs tty)" == /dev/pts/0* ]]; do sleep 0.1; done
	"$COFFER" kill -s 0 tty 2>/dev/null || true
	coffer rm -f tty
	[ "$status" -eq 0 ]
	[ -z "$(others)" ]
}

@test "kill -9 of the owner: all of it ends, ps -a says so, rm cleans" {
	exec 8>"$T/held"
	coffer run -d --name orphan coffer/hello sleep 1000
	exec 8>&-
	[ "$status" -eq 0 ]
	owner=$(field orphan State Pid)
	# It keeps nothing of its caller's open.
	[ -z "$(find "/proc/$owner/fd" -lname "$T/held")" ]
	[ "$(readlink "/proc/$owner/cwd")" = / ]
	read -r parent child <<<"$(wall "$owner")"
	kill -KILL "$owner"
	for _ in $(seq 600); do
		state=$(ps -o stat= -p "$parent,$child" | grep -v Z || true)
		[ -n "$state" ] || break
		sleep 0.1
	done
	[ -z "$state" ]
	for _ in $(seq 600); do
		[ -n "$("$COFFER" ps -q | grep -vx box)" ] || break
		sleep 0.1
	done
	[ -z "$("$COFFER" ps -q | grep -vx box)" ]
	[[ "$("$COFFER" ps -a)" == *"Dead (137)"* ]]
	[[ "$(field orphan State Error)" == *killed* ]]
	[ "$("$COFFER" wait orphan)" = 137 ]
	coffer run --name orphan coffer/hello true
	[ "$status" -eq 125 ]
	coffer rm orphan
	[ "$status" -eq 0 ]
	[ -z "$(others)" ]
}

@test "kill -9 of the machine: dead, with a cause that names it" {
	coffer run -d --name broken coffer/hello sleep 1000
	owner=$(field broken State Pid)
	read -r parent child <<<"$(wall "$owner")"
	kill -KILL "$child"
	[ "$("$COFFER" wait broken)" = 137 ]
	for _ in $(seq 600); do
		[ "$(field broken State Status)" != dead ] || break
		sleep 0.1
	done
	if [ "${COFFER_SANDBOX:-vm}" = sentry ]; then
		# It has a reason to end when its gofer is gone.
		[[ "$(field broken State Error)" == *gofer* ]]
		[ "$(field broken Death Process)" = coffer-sentry ]
		[ "$(field broken Death Signal)" = 0 ]
	else
		[[ "$(field broken State Error)" == *qemu* ]]
		[ "$(field broken Death Process)" = qemu ]
		[ "$(field broken Death Signal)" = 9 ]
	fi
	coffer rm broken
	[ "$status" -eq 0 ]
}

@test "a run in the foreground is listed while it lives, and can be used" {
	"$COFFER" run --name fore coffer/hello sleep 1000 >/dev/null 2>&1 3>&- &
	pid=$!
	for _ in $(seq 600); do
		[ "$("$COFFER" exec fore echo yes 2>/dev/null)" != yes ] || break
		sleep 0.1
	done
	"$COFFER" ps -q | grep -qx fore
	coffer logs fore
	[ "$status" -eq 1 ]
	[[ "$stderr" == *"run -d"* ]]
	"$COFFER" kill -s TERM fore
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 143 ]
	[ -z "$(others)" ]
}

@test "a start that is given up leaves nothing" {
	needs_machine "a start is over before it can be given up"
	# One that would never be over.
	mkdir -p "$T/initrd/bin"
	cp "$(command -v busybox)" "$T/initrd/bin/busybox"
	printf '#!/bin/busybox sh\nexec /bin/busybox sleep 1000\n' >"$T/initrd/init"
	chmod 755 "$T/initrd/init"
	(cd "$T/initrd" && find . | cpio -o -H newc 2>/dev/null) >"$T/hangs"
	"$COFFER" run -d --name never --initrd "$T/hangs" coffer/hello sleep 1000 3>&- >"$T/out" 2>&1 &
	pid=$!
	for _ in $(seq 600); do
		[ -z "$(others)" ] || break
		sleep 0.1
	done
	sleep 0.4
	kill -TERM "$pid"
	code=0
	wait "$pid" || code=$?
	[ "$code" -eq 143 ]
	[ ! -s "$T/out" ]
	for _ in $(seq 600); do
		[ -n "$(others)" ] || return 0
		sleep 0.1
	done
	ls -R "$COFFER_RUN"
	return 1
}
