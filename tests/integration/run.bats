#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# run.bats - coffer run from the outside: whole runs in real machines, or in application kernels
#
# COFFER_BIN: folder of the programs (default: build/bin); COFFER_SANDBOX: what
# containers run in.  Emulated, a run takes about two seconds on a quiet machine;
# waits below allow for busy ones.

load sandbox

setup_file() {
	export COFFER="${COFFER_BIN:-build/bin}/coffer"
	export COFFER_RUN="$BATS_FILE_TMPDIR/run"
	export XDG_CONFIG_HOME="$BATS_FILE_TMPDIR/config"
	# Descriptor 3 is bats' own; a child that outlives its test must not hold it.
	"$COFFER" run coffer/hello true 3>&-
}

setup() {
	work="$BATS_TEST_TMPDIR"
	pid=
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
}

# Runs "$@" in the container; $status, $output and $stderr as bats has them.
coffer() {
	run --separate-stderr timeout 120 "$COFFER" "$@" 3>&-
}

# Starts a container in the background: its output to $work/out, its pid in $pid.
background() {
	: >"$work/out" # of an earlier one, which nobody may take for this one's
	"$COFFER" run "$@" >"$work/out" 2>"$work/err" </dev/null 3>&- &
	pid=$!
}

# ended CODE...: $pid, a child of ours, has ended with one of these codes
ended() {
	local code=0
	wait "$pid" || code=$?
	for expected; do
		[ "$code" -ne "$expected" ] || return 0
	done
	echo "ended with $code, expected $*"
	return 1
}

# wait_for TEXT: until $work/out has it
wait_for() {
	for _ in $(seq 600); do
		grep -q "$1" "$work/out" && return 0
		sleep 0.1
	done
	echo "never saw $1; stderr: $(cat "$work/err")"
	return 1
}

# No run directory is left, also not a stale one.
nothing_left() {
	for _ in $(seq 600); do
		[ -n "$(ls -A "$COFFER_RUN")" ] || return 0
		sleep 0.1
	done
	ls -lR "$COFFER_RUN"
	return 1
}

one_line() {
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == coffer:\ * ]]
}

bats_require_minimum_version 1.5.0

@test "output, error and exit code come back" {
	coffer run coffer/hello sh -c 'echo out; echo err >&2; exit 42'
	[ "$status" -eq 42 ]
	[ "$output" = out ]
	[ "$stderr" = err ]
	nothing_left
}

@test "it is another kernel's world" {
	coffer run --name c1 coffer/hello sh -c 'hostname; cat /proc/1/comm; echo $$; id -u'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = c1 ]
	[ "${lines[1]}" = sh ]
	[ "${lines[2]}" = 1 ]
	[ "${lines[3]}" = 0 ]
}

@test "options reach the program" {
	OUTER=from-here coffer run --hostname box -w /new/dir -u 1000:1000 -e A=1 -e B='x y' \
		-e OUTER -e MISSING --cpus 2 -m 128M coffer/hello \
		sh -c 'hostname; pwd; id -u; id -g; echo "$A $B $OUTER ${MISSING-unset}"; nproc'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = box ]
	[ "${lines[1]}" = /new/dir ]
	[ "${lines[2]}" = 1000 ]
	[ "${lines[3]}" = 1000 ]
	[ "${lines[4]}" = "1 x y from-here unset" ]
	[ "${lines[5]}" = 2 ]
}

@test "the program's own options are left alone" {
	coffer run coffer/hello echo -i --name x -- y
	[ "$status" -eq 0 ]
	[ "$output" = "-i --name x -- y" ]
}

@test "127 for a program that is not there, 126 for one that cannot run" {
	run -127 --separate-stderr "$COFFER" run coffer/hello no-such-program 3>&-
	one_line
	[[ "$stderr" == *no-such-program* ]]
	coffer run coffer/hello /etc/passwd
	[ "$status" -eq 126 ]
	one_line
	coffer run coffer/hello /etc
	[ "$status" -eq 126 ]
	nothing_left
}

@test "a program that dies of a signal gives 128 and its number" {
	coffer run coffer/hello sh -c 'sh -c "kill -SEGV \$\$"; exit $?'
	[ "$status" -eq 139 ]
}

@test "without -i standard input is empty" {
	run -0 bash -c 'echo hello | "$COFFER" run coffer/hello cat 3>&-'
	[ -z "$output" ]
}

@test "64 MiB through standard input arrive whole" {
	head -c 64M /dev/urandom >"$work/data"
	run -0 bash -c '"$COFFER" run -i coffer/hello sha256sum <"$0" 3>&-' "$work/data"
	[ "${output%% *}" = "$(sha256sum <"$work/data" | cut -d' ' -f1)" ]
}

@test "64 MiB on each output arrive whole" {
	"$COFFER" run coffer/hello sh -c 'head -c 67108864 /dev/zero & head -c 67108864 /dev/zero >&2; wait' \
		>"$work/out" 2>"$work/err" 3>&-
	[ "$(stat -c %s "$work/out")" -eq 67108864 ]
	[ "$(stat -c %s "$work/err")" -eq 67108864 ]
}

@test "both directions at once" {
	head -c 8M /dev/urandom >"$work/data"
	run -0 bash -c '"$COFFER" run -i coffer/hello cat <"$0" 3>&- | cmp - "$0"' "$work/data"
}

@test "a reader that leaves ends the program" {
	run -0 bash -c '"$COFFER" run coffer/hello yes 3>&- | head -n 1; exit ${PIPESTATUS[1]}'
	[ "${lines[0]}" = y ]
	nothing_left
}

@test "output that cannot be written is an error" {
	run timeout 120 bash -c '"$COFFER" run coffer/hello echo hi 2>&1 >/dev/full' 3>&-
	[ "$status" = 125 ]
	[ "$output" = "coffer: write standard output: No space left on device" ]
}

@test "standard descriptors may be closed" {
	run timeout 120 bash -c '"$COFFER" run coffer/hello sh -c "echo out; echo err >&2" 2>&1 <&- >&-' 3>&-
	[ "$status" = 0 ]
	[ "$output" = err ]
}

@test "a child that holds the output does not hold us" {
	coffer run coffer/hello sh -c 'sleep 1000 & echo done'
	[ "$status" -eq 0 ]
	[ "$output" = "done" ]
}

@test "signals are forwarded to the program" {
	background coffer/hello sh -c 'trap "echo got USR1" USR1; trap "exit 7" TERM; echo ready
		while :; do sleep 0.1; done'
	wait_for ready
	kill -USR1 "$pid"
	wait_for "got USR1"
	kill -TERM "$pid"
	ended 7
	nothing_left
}

@test "a program that does nothing about a signal is ended by it" {
	background coffer/hello sh -c 'echo ready; exec sleep 100'
	wait_for ready
	sleep 1
	kill -TERM "$pid"
	ended 143
	background coffer/hello sh -c 'trap "" HUP; trap "exit 5" TERM; n=0
		while :; do echo $n; n=$((n+1)); sleep 1; done'
	wait_for '^0$'
	kill -HUP "$pid"
	# It goes on.
	wait_for "^$(($(wc -l <"$work/out") + 2))\$"
	kill -TERM "$pid"
	ended 5
	nothing_left
}

@test "a signal while it boots ends it at once" {
	background coffer/hello sleep 100
	sleep 0.4
	kill -INT "$pid" || true
	# A background job of a script ignores INT until it says otherwise; TERM is never ignored.
	# It may have ended of the first.
	kill -TERM "$pid" || true
	ended 130 143
	nothing_left
}

@test "-t without a terminal is refused at once" {
	coffer run -t coffer/hello true </dev/null
	[ "$status" -eq 125 ]
	one_line
	[[ "$stderr" == *"the input device is not a TTY"* ]]
}

@test "-t gives a terminal, with size and Ctrl-C" {
	command -v python3 >/dev/null || skip "needs python3"
	run -0 python3 "$BATS_TEST_DIRNAME/run_terminal.py" "$COFFER" 3>&-
	[[ "$output" == *"all good"* ]]
}

@test "a read-only root refuses writes" {
	coffer run --read-only coffer/hello sh -c 'touch /x || echo refused; touch /dev/shm/y && echo fine'
	[ "${lines[0]}" = refused ]
	[ "${lines[1]}" = fine ]
}

@test "the built-in root can be written to, and forgets it" {
	coffer run coffer/hello sh -c 'echo x >/new && cat /new; rm -r /etc && ls -d /etc'
	[ "${lines[0]}" = x ]
	coffer run coffer/hello sh -c 'ls -d /etc; ls /new'
	[ "${lines[0]}" = /etc ]
	[ "${#lines[@]}" -eq 1 ]
}

make_root() {
	mkdir -p "$work/root/bin" "$work/root/etc"
	cp "$(command -v busybox)" "$work/root/bin/busybox"
	ln -s busybox "$work/root/bin/sh"
	echo from-dir >"$work/root/etc/note"
}

@test "a directory as root is copied" {
	make_root
	coffer run --rootfs "$work/root" -- sh -c 'read x </etc/note; echo $x; echo y >/etc/note'
	[ "$status" -eq 0 ]
	[ "$output" = from-dir ]
	[ "$(cat "$work/root/etc/note")" = from-dir ]
	[ ! -e "$work/root/proc" ]
}

@test "an image as root is left as it was" {
	make_root
	truncate -s 32M "$work/image"
	mke2fs -q -t ext4 -d "$work/root" "$work/image"
	before=$(sha256sum "$work/image")
	coffer run --rootfs "$work/image" -- sh -c 'read x </etc/note; echo $x; echo y >/etc/note'
	[ "$status" -eq 0 ]
	[ "$output" = from-dir ]
	[ "$(sha256sum "$work/image")" = "$before" ]
}

@test "a name is refused while it is in use, and free afterwards" {
	background --name same coffer/hello sh -c 'echo ready; sleep 100'
	wait_for ready
	coffer run --name same coffer/hello true
	[ "$status" -eq 125 ]
	one_line
	[[ "$stderr" == *same*exists* ]]
	kill -KILL "$pid"
	wait "$pid" || true
	coffer run --name same coffer/hello true
	[ "$status" -eq 0 ]
	nothing_left
}

@test "what is missing is told in one line, at once" {
	for args in "--rootfs /no/such/root" "--kernel /no/such/kernel" "--initrd /no/such/initrd" \
		"--rootfs /dev/null" "--kernel /etc/passwd" "--name ../x" "-m 1M" "--cpus 0" \
		"--machine none" "--frobnicate" "-w relative" "-e =x"; do
		coffer run $args coffer/hello true
		[ "$status" -eq 125 ]
		one_line
	done
	coffer run
	[ "$status" -eq 125 ]
	coffer frobnicate
	[ "$status" -eq 125 ]
	nothing_left
}

@test "without QEMU it says so" {
	needs_machine "there is no QEMU"
	coffer_bin=$(realpath "$COFFER")
	run --separate-stderr env PATH=/nonexistent "$coffer_bin" run coffer/hello true 3>&-
	[ "$status" -eq 125 ]
	one_line
	[[ "$stderr" == *qemu-system-x86_64* ]]
}

@test "the configuration file is read, and a wrong key named" {
	mkdir -p "$XDG_CONFIG_HOME/coffer"
	echo '{"kernel":"/no/such/kernel"}' >"$XDG_CONFIG_HOME/coffer/config.json"
	coffer run --sandbox vm coffer/hello true
	[ "$status" -eq 125 ]
	[[ "$stderr" == */no/such/kernel* ]]
	# Where there is one already it says nothing.
	coffer run --sandbox sentry coffer/hello true
	[ "$status" -eq 0 ]
	echo '{"sandbox":"none"}' >"$XDG_CONFIG_HOME/coffer/config.json"
	COFFER_SANDBOX= coffer run coffer/hello true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"sandbox none"* ]]
	COFFER_SANDBOX=nothing coffer run coffer/hello true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"sandbox nothing"* ]]
	echo '{"kernal":"/boot"}' >"$XDG_CONFIG_HOME/coffer/config.json"
	coffer run coffer/hello true
	rm "$XDG_CONFIG_HOME/coffer/config.json"
	[ "$status" -eq 125 ]
	one_line
	[[ "$stderr" == *config.json*kernal* ]]
}

@test "a machine or a kernel that dies is told in one line" {
	background coffer/hello sh -c 'echo ready; sleep 100'
	wait_for ready
	read -r parent child <<<"$(wall "$pid")"
	kill -KILL "$child"
	ended 137
	[ "$(wc -l <"$work/err")" -eq 1 ]
	grep -Eq '^coffer: .*(qemu|gofer)' "$work/err"
	nothing_left
}

@test "a guest that does not bring up an agent is told with its last words" {
	needs_machine "there is no initrd"
	printf '' | cpio -o -H newc >"$work/initrd" 2>/dev/null
	coffer run --initrd "$work/initrd" coffer/hello true
	[ "$status" -eq 125 ]
	one_line
	[[ "$stderr" == *panic* ]]
	nothing_left
}

@test "kill -9 of any of the three leaves nothing behind" {
	for victim in owner parent child; do
		background --name victim coffer/hello sh -c 'echo ready; sleep 100'
		wait_for ready
		read -r parent child <<<"$(wall "$pid")"
		case $victim in
		owner) kill -KILL "$pid" ;;
		parent) kill -KILL "$parent" ;;
		child) kill -KILL "$child" ;;
		esac
		wait "$pid" || true
		for _ in $(seq 600); do
			[ -e "/proc/$parent" ] || [ -e "/proc/$child" ] || break
			sleep 0.1
		done
		[ ! -e "/proc/$parent" ]
		[ ! -e "/proc/$child" ]
	done
	coffer run coffer/hello true
	[ "$status" -eq 0 ]
	nothing_left
}

@test "--timing tells every stage" {
	local stages="prepare machine-spawn kernel agent-init rootfs"
	[ "${COFFER_SANDBOX:-vm}" = vm ] || stages="prepare machine-spawn rootfs"
	coffer run --timing coffer/hello echo hi
	[ "$status" -eq 0 ]
	for stage in $stages create-process start-process first-byte run stop total; do
		grep -q "^$stage " <<<"$stderr"
	done
	# They sum to the total; up to a tenth of a millisecond of each is rounded away.
	awk '/^total /{total=$2; next} !/within run/{sum+=$2; n++} END{exit !(sum > total*0.95-n*0.1 && sum < total*1.05+0.1)}' \
		<<<"$stderr"
}

@test "an ordinary user can do all that" {
	[ "$(id -u)" -eq 0 ] || skip "is one already"
	mkdir -p "$work/home"
	make_root
	chmod -R a+rX "$BATS_FILE_TMPDIR" "$work"
	chmod a+x "$BATS_RUN_TMPDIR" "$(dirname "$work")"
	# A build may lie where no other user can look, /root say.
	build="$(realpath "$(dirname "$COFFER")/..")"
	mkdir -p "$work/shared/bin" "$work/shared/lib"
	cp "$build"/bin/coffer "$build"/bin/coffer-{vmm,sentry} "$work/shared/bin"
	cp -rP "$build"/lib/coffer "$build"/lib/libcoffer.so* "$work/shared/lib"
	chown -R nobody "$work/home"
	run -0 setpriv --reuid=65534 --regid=65534 --clear-groups env -i PATH="$PATH" \
		HOME="$work/home" COFFER_RUN="$work/home/run" COFFER_SANDBOX="$COFFER_SANDBOX" \
		"$work/shared/bin/coffer" run --rootfs "$work/root" -- sh -c 'echo $$; read x </etc/note; echo $x' 3>&-
	[ "${lines[0]}" = 1 ]
	[ "${lines[1]}" = from-dir ]
	[ -z "$(ls -A "$work/home/run")" ]
}

@test "five at once, then five in a row, leave no trace" {
	pids=
	for i in 1 2 3 4 5; do
		"$COFFER" run -m 96M coffer/hello sh -c "exit $i" 3>&- &
		pids="$pids $!"
	done
	i=0
	for p in $pids; do
		i=$((i + 1))
		pid=$p ended "$i"
	done
	for i in 1 2 3 4 5; do
		coffer run coffer/hello true
		[ "$status" -eq 0 ]
	done
	nothing_left
}

@test "the library's example runs" {
	hello="$(dirname "$COFFER")/../examples/hello"
	[ -x "$hello" ] || skip "not built"
	run -0 "$hello" 3>&-
	[[ "$output" == "Hello from Linux "*", process 1" ]]
}
