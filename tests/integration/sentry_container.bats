#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# sentry_container.bats - containers in the application kernel, from the outside
#
# COFFER_BIN: folder of the programs (default: build/bin).  The root is the host's own.

bats_require_minimum_version 1.5.0

setup() {
	export COFFER="${COFFER_BIN:-build/bin}/coffer"
	export COFFER_RUN="$BATS_TEST_TMPDIR/run"
	export XDG_CONFIG_HOME="$BATS_TEST_TMPDIR/config"
	work="$BATS_TEST_TMPDIR"
	cd "$work" || return 1
	case "$COFFER" in /*) ;; *) COFFER="$OLDPWD/$COFFER" ;; esac
}

teardown() {
	"$COFFER" rm -f c >/dev/null 2>&1 3>&- || true
}

# Runs "$@"; $status, $output and $stderr as bats has them.
coffer() {
	run --separate-stderr timeout 60 "$COFFER" "$@" 3>&- <"${input:-/dev/null}"
}

# A container named c with the host's root and program "$@", in the background.
container() {
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs / -- "$@" 3>&- >/dev/null
}

# exec in c has to succeed.
inside() {
	timeout 60 "$COFFER" exec c "$@" 3>&-
}

# wait_for COMMAND...: until it succeeds
wait_for() {
	for _ in $(seq 1200); do
		"$@" && return 0
		sleep 0.05
	done
	echo "waited in vain for: $*"
	return 1
}

@test "output, error, exit code and standard input" {
	run --separate-stderr timeout 60 "$COFFER" run --sandbox sentry -i --rootfs / -- \
		sh -c 'cat; echo err >&2; exit 7' <<<"through" 3>&-
	[ "$status" -eq 7 ]
	[ "$output" = through ]
	[ "$stderr" = err ]
}

@test "standard streams are pipes that can be opened again" {
	# shellcheck disable=SC2016
	run --separate-stderr timeout 60 "$COFFER" run --sandbox sentry -i --rootfs / -- sh -c '
		for fd in 0 1 2; do test -p /proc/self/fd/$fd && echo pipe; done
		echo again >/dev/stdout; cat /dev/stdin' <<<"in" 3>&-
	[ "$output" = "$(printf '%s\n' pipe pipe pipe again in)" ]
}

@test "who logged in is told once, and handed on" {
	# shellcheck disable=SC2016
	coffer run --sandbox sentry --rootfs / -- sh -c 'cat /proc/self/loginuid; echo
		echo 5 >/proc/$$/loginuid; cat /proc/self/loginuid; echo
		echo 6 >/proc/$$/loginuid || echo no; echo 7 >/proc/1/loginuid || cat /proc/1/loginuid'
	[ "$output" = "$(printf '4294967295\n5\nno\n5')" ]
}

@test "a program that is not there is 127, one that cannot run 126, one killed 128 and more" {
	# A code that bats would warn of is told on the output.
	code() { timeout 60 "$COFFER" run --sandbox sentry --rootfs / -- "$@" 2>&1 3>&- || echo "code $?"; }
	[[ "$(code /nowhere/at/all)" == *"code 127" ]]
	[[ "$(code /etc/passwd)" == *"code 126" ]]
	[[ "$(code sh -c 'sh -c "kill -KILL \$\$"; exit $?')" == *"code 137" ]]
	# The container's init does nothing about signals it has no handler for.
	[ "$(code sh -c 'kill -TERM $$; echo lives')" = lives ]
}

@test "options reach the program" {
	coffer run --sandbox sentry --rootfs / -w /usr -u 12:34 -e A=b --hostname box -- \
		sh -c 'pwd; id -u; id -g; echo $A; hostname'
	[ "$status" -eq 0 ]
	[ "$output" = "/usr
12
34
b
box" ]
}

@test "exec, logs, kill and the end of a container" {
	container sh -c 'echo begun; exec sleep 1000'
	[ "$(inside echo hello)" = hello ]
	wait_for sh -c '"$COFFER" logs c 3>&- | grep -q begun'
	run inside sh -c 'exit 9'
	[ "$status" -eq 9 ]
	coffer kill -s KILL c
	[ "$status" -eq 0 ]
	coffer wait c
	[ "$output" = 137 ]
	coffer exec c true
	[ "$status" -ne 0 ]
	coffer rm c
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$COFFER_RUN")" ]
}

@test "who waits while a container is cleared away is told its code, and can remove it" {
	for _ in $(seq 10); do
		container sleep 1000
		inside true
		coffer kill -s KILL c
		coffer wait c
		[ "$output" = 137 ]
		coffer rm c
		[ "$status" -eq 0 ]
	done
}

@test "stop asks first" {
	container sh -c 'trap "echo asked; exit 3" TERM; while :; do sleep 0.1; done'
	inside sh -c 'until grep -q "^SigCgt:.*4...$" /proc/1/status; do sleep 0.02; done'
	coffer stop -t 50 c
	[ "$status" -eq 0 ]
	coffer logs c
	[ "$output" = asked ]
	coffer wait c
	[ "$output" = 3 ]
}

@test "what is copied to a container and back is the same" {
	mkdir -p from/dir
	echo text >from/file
	ln from/file from/dir/hard
	ln -s ../file from/dir/sym
	chmod 0750 from/dir
	head -c 3000000 /dev/urandom >from/large
	truncate -s 4M from/holes
	printf x | dd of=from/holes bs=1 seek=3000000 conv=notrunc status=none
	long=$(printf 'n%.0s' $(seq 150))
	mkdir -p "from/$long/$long"
	echo deep >"from/$long/$long/$long"
	touch -d 2001-02-03T04:05:06.789Z from/file from/dir
	container sleep 1000
	inside mkdir /tmp/copies
	coffer cp from c:/tmp/copies
	[ "$status" -eq 0 ]
	[ "$(inside stat -c '%a %Y %h' /tmp/copies/from/file)" = "644 981173106 2" ]
	[ "$(inside stat -c '%a %Y' /tmp/copies/from/dir)" = "750 981173106" ]
	[ "$(inside readlink /tmp/copies/from/dir/sym)" = ../file ]
	[ "$(inside cat "/tmp/copies/from/$long/$long/$long")" = deep ]
	coffer cp c:/tmp/copies/from back
	[ "$status" -eq 0 ]
	diff -r from back
	[ "$(stat -c %h back/file)" = 2 ]
	[ "$(stat -c %Y back/dir)" = 981173106 ]
}

@test "copies follow Docker's rules about what is there" {
	container sleep 1000
	echo one >file
	coffer cp file c:/tmp/renamed
	[ "$status" -eq 0 ]
	[ "$(inside cat /tmp/renamed)" = one ]
	inside mkdir /tmp/there
	coffer cp file c:/tmp/there
	[ "$(inside cat /tmp/there/file)" = one ]
	coffer cp file c:/tmp/nowhere/
	[ "$status" -ne 0 ]
	coffer cp c:/not/there .
	[ "$status" -ne 0 ]
	[[ "$stderr" == *"No such file or directory"* ]]
	# A mount of its own cannot be replaced, only written.
	coffer cp file c:/etc/hosts
	[ "$status" -eq 0 ]
	[ "$(inside cat /etc/hosts)" = one ]
}

@test "a link in the container leads nowhere else" {
	container sleep 1000
	inside ln -s "$work" /tmp/out
	echo secret >"$work/secret"
	echo new >file
	# The host's folder is not in the container's /tmp, whose names are the container's.
	inside sh -c 'rm -rf /escape; ln -s ../../../../../../escape /tmp/up; mkdir /escape'
	coffer cp file c:/tmp/up/
	[ "$status" -eq 0 ]
	[ ! -e /escape ]
	[ "$(inside cat /escape/file)" = new ]
}

@test "a hostile archive makes nothing beyond its destination" {
	container sleep 1000
	inside mkdir -p /tmp/dest /tmp/beside
	python3 - <<'END'
import io, tarfile
def archive(name, *entries):
    with tarfile.open(name, "w") as tar:
        for path, kind, link in entries:
            info = tarfile.TarInfo(path)
            info.type, info.linkname = kind, link
            data = b"evil\n" if kind == tarfile.REGTYPE else b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
archive("up.tar", ("../beside/evil", tarfile.REGTYPE, ""))
archive("link.tar", ("l", tarfile.SYMTYPE, "/tmp/beside"), ("l/evil", tarfile.REGTYPE, ""))
archive("rel.tar", ("m", tarfile.SYMTYPE, "../beside"), ("m/evil", tarfile.REGTYPE, ""))
archive("hard.tar", ("h", tarfile.LNKTYPE, "../../etc/passwd"))
archive("abs.tar", ("/abs", tarfile.REGTYPE, ""))
open("junk.tar", "wb").write(b"\xff" * 2048)
open("short.tar", "wb").write(open("abs.tar", "rb").read()[:600])
END
	for name in up hard junk short; do
		input="$name.tar" coffer cp - c:/tmp/dest
		[ "$status" -ne 0 ]
	done
	for name in link rel abs; do
		input="$name.tar" coffer cp - c:/tmp/dest
	done
	[ -z "$(inside ls -A /tmp/beside)" ]
	[ "$(inside cat /tmp/dest/abs)" = evil ]
	[ ! -e /abs ]
	# And it is as well as before.
	[ "$(inside echo alive)" = alive ]
}

@test "a copy that is given up ends, and so does the one of a container that goes" {
	container sleep 1000
	inside sh -c 'head -c 50000000 /dev/zero >/tmp/large'
	timeout 60 "$COFFER" cp c:/tmp/large - 3>&- | head -c 1000 >/dev/null || true
	[ "$(inside echo alive)" = alive ]
	mkfifo never
	# Both ends, so that nobody waits for the other one to be opened.
	exec 7<>never
	timeout 60 "$COFFER" cp - c:/tmp <never >/dev/null 2>&1 3>&- 7>&- &
	copier=$!
	sleep 0.3
	coffer rm -f c
	[ "$status" -eq 0 ]
	exec 7>&-
	wait "$copier" || true
}

@test "export has the root without what is mounted in it" {
	mkdir -p root/bin root/etc
	cp /bin/busybox root/bin/ || skip "no static busybox here"
	ln -s busybox root/bin/sh
	echo kept >root/etc/kept
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs root -- /bin/busybox sleep 1000 \
		3>&- >/dev/null
	coffer exec c /bin/sh -c 'echo made >/made'
	coffer export -o root.tar c
	[ "$status" -eq 0 ]
	[ "$(tar xOf root.tar made)" = made ]
	[ "$(tar xOf root.tar etc/kept)" = kept ]
	! tar tf root.tar | grep -q '^proc/.'
}

@test "what a container has become is an image, without what it removed" {
	export XDG_DATA_HOME="$work/data"
	mkdir -p root/bin root/etc
	cp /bin/busybox root/bin/ || skip "no static busybox here"
	echo kept >root/etc/kept
	echo gone >root/etc/gone
	tar cf root.tar -C root .
	coffer import root.tar box/base:1
	[ "$status" -eq 0 ]
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --pull never box/base:1 \
		/bin/busybox sleep 1000 3>&- >/dev/null
	inside /bin/busybox sh -c 'busybox rm /etc/gone; echo made >/etc/made'
	coffer commit c box/new:1
	[ "$status" -eq 0 ]
	coffer run --sandbox sentry --pull never box/new:1 \
		/bin/busybox sh -c 'busybox cat /etc/made /etc/kept; busybox test ! -e /etc/gone'
	[ "$status" -eq 0 ]
	[ "$output" = "made
kept" ]
}

@test "stats tell memory, processes and processor time" {
	container sh -c 'sleep 1000 & x=0; while [ $x -lt 20000 ]; do x=$((x+1)); done; echo done; wait'
	wait_for sh -c '"$COFFER" logs c 3>&- | grep -q done'
	coffer stats --no-stream --format json c
	[ "$status" -eq 0 ]
	python3 - "$output" <<'END'
import json, sys
s = json.loads(sys.argv[1])
assert s["PIDs"] == "2", s
assert s["MemUsageBytes"] > 50000, s
assert s["MemLimitBytes"] == 256 << 20, s
assert s["CPUUsec"] > 1000, s
assert s["MonitorPSS"] > 0, s
END
}

@test "paused, nothing of a container runs; it does not notice" {
	mkdir shared
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs / -v "$work/shared:/mnt" -- \
		sh -c 'trap "echo told >>/mnt/told" CONT
			(x=0; while :; do x=$((x+1)); echo $x >/mnt/ticks; done) &
			sleep 2; echo slept $? >/mnt/slept; while :; do wait; done' 3>&- >/dev/null
	wait_for test -s shared/ticks
	coffer pause c
	[ "$status" -eq 0 ]
	coffer ps
	[[ "$output" == *Paused* ]]
	before=$(cat shared/ticks)
	sleep 0.5
	[ "$(cat shared/ticks)" = "$before" ]
	coffer exec c true
	[ "$status" -ne 0 ]
	[[ "$stderr" == *paused* ]]
	coffer pause c
	[ "$status" -ne 0 ]
	coffer unpause c
	[ "$status" -eq 0 ]
	ticked() { [ -s shared/ticks ] && [ "$(cat shared/ticks)" != "$before" ]; }
	wait_for ticked
	coffer unpause c
	[ "$status" -ne 0 ]
	# The sleep was not cut short, and no signal came of it.
	wait_for test -s shared/slept
	[ "$(cat shared/slept)" = "slept 0" ]
	[ ! -e shared/told ]
}

@test "a paused container can be stopped and removed" {
	container sh -c 'trap "" TERM; while :; do :; done'
	inside sh -c 'until grep -q "^SigIgn:.*4...$" /proc/1/status; do sleep 0.02; done'
	coffer pause c
	[ "$status" -eq 0 ]
	coffer stop -t 1 c
	[ "$status" -eq 0 ]
	coffer wait c
	[ "$output" = 137 ]
	coffer rm c
	container sleep 1000
	coffer pause c
	coffer rm -f c
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$COFFER_RUN")" ]
}

@test "a port is carried here" {
	container python3 -u -m http.server 0 --bind 127.0.0.1 --directory /usr/bin
	wait_for sh -c '"$COFFER" logs c 3>&- | grep -q "Serving HTTP on"'
	inner=$("$COFFER" logs c 3>&- | sed -nE 's/^Serving HTTP .* port ([0-9]+) .*/\1/p')
	timeout 60 "$COFFER" port-forward c "0:$inner" >out 3>&- &
	forwarder=$!
	wait_for grep -q Forwarding out
	outer=$(sed -nE 's/^Forwarding from 127.0.0.1:([0-9]+) -> .*/\1/p' out)
	cmp <(python3 -c 'import sys, urllib.request as u
sys.stdout.buffer.write(u.urlopen("http://127.0.0.1:" + sys.argv[1] + "/env").read())' "$outer") /usr/bin/env
	kill "$forwarder"
	wait "$forwarder" || true
}

@test "what only a virtual machine has is refused by name" {
	coffer run --sandbox sentry --rootfs / --kernel /dev/null -- true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *kernel* ]]
	coffer run --sandbox sentry --rootfs / --platform linux/arm64 -- true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *architecture* ]]
}

@test "an init in front of the program" {
	# A code that bats would warn of is told on the output.
	code() { timeout 60 "$COFFER" run --sandbox sentry --rootfs / --init -- "$@" 2>&1 3>&- || echo "code $?"; }
	[ "$(code true)" = "" ]
	[ "$(code sh -c 'exit 42')" = "code 42" ]
	[ "$(code sh -c 'kill -9 $$')" = "code 137" ]
	[[ "$(code nope)" == *"nope: No such file or directory"*"code 127" ]]
	[[ "$(code /etc)" == *"code 126" ]]
	coffer run --sandbox sentry --rootfs / --init -e PATH=/nowhere:/usr/bin:/bin -- sh -c '
		tr "\0" " " </proc/1/cmdline; echo $$ $PPID
		for i in 1 2 3 4 5; do sh -c "sleep 0.05 & :"; done
		while pgrep sleep >/dev/null; do sleep 0.05; done
		grep -l "^State:.Z" /proc/[0-9]*/status || echo none'
	[ "$status" -eq 0 ]
	[[ "$output" == "/.coffer-init -- sh -c"* ]]
	[[ "$output" == *"2 1"* ]]
	[[ "$output" == *none ]]
}

@test "signals go through an init" {
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs / --init -- \
		sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done' 3>&- >/dev/null
	wait_for sh -c '"$COFFER" logs c | grep -q ready'
	"$COFFER" kill -s TERM c
	[ "$(timeout 60 "$COFFER" wait c)" = 9 ]
}

@test "volumes, tmpfs and a read-only root" {
	mkdir shared
	echo here >shared/file
	coffer run --sandbox sentry --rootfs / --read-only -v "$work/shared:/mnt" --tmpfs /media -- \
		sh -c 'cat /mnt/file; echo there >/mnt/new; echo m >/media/x && cat /media/x; echo no >/no'
	[ "$status" -ne 0 ]
	[ "$output" = "here
m" ]
	[[ "$stderr" == *"Read-only file system"* ]]
	[ "$(cat shared/new)" = there ]
}

@test "what processes do is told as lines of JSON" {
	coffer run --sandbox sentry --trace "$work/trace" --rootfs / \
		sh -c 'echo a | cat >/dev/null; (exit 3)'
	[ "$status" -eq 3 ]
	run jq -r '[.event, .pid, .status // ""] | join(" ")' "$work/trace"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^clone 1' <<<"$output")" -eq 3 ]
	grep -q '^start 1' <<<"$output"
	grep -q '^exec 3' <<<"$output"
	grep -q '^exit 4 3' <<<"$output"
	grep -q '^exit 1 3' <<<"$output"
	run jq -r 'select(.event == "exec").argv[0]' "$work/trace"
	[ "$output" = cat ]
	coffer run --trace "$work/trace" --rootfs / true
	[ "$status" -eq 125 ]
	[[ "$stderr" == *"trace: a vm has a kernel of its own"* ]]
}

@test "calls that are not there are named by inspect, and all are written down for who asks" {
	container sleep 60
	coffer inspect c
	[ "$(jq -r '.[0].UnimplementedCalls | type' <<<"$output")" = object ]
	[ "$(jq -r '.[0].Sandbox' <<<"$output")" = sentry ]
	coffer --log-level info run --strace --sandbox sentry --rootfs / echo seen
	[ "$status" -eq 0 ]
	[[ "$stderr" == *'write(1, \"seen'* ]]
}

# A server at a socket of the host that answers each client with what it sent, once it has sent all.
echo_server() {
	/usr/bin/python3 - "$1" 3>&- <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1] + ".new")
s.listen(8)
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    c, _ = s.accept()
    data = b""
    while chunk := c.recv(65536):
        data += chunk
    c.sendall(b"<" + data + b">")
    c.close()
END
	server=$!
	wait_for test -S "$1"
}

# A client of a unix socket: sends its second argument, prints the answer.
asks='import socket, sys
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
c.sendall(sys.argv[2].encode())
c.shutdown(socket.SHUT_WR)
data = b""
while chunk := c.recv(65536):
    data += chunk
print(data.decode())'

@test "unix sockets of the host inside, and of the container outside" {
	echo_server "$work/here.sock"
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs / \
		--socket-in "$work/here.sock:/run/deep/in.sock:622" --socket-out "/tmp/out.sock:$work/there.sock" -- \
		/usr/bin/python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX)
s.bind("/tmp/out.new")
s.listen(1)
os.rename("/tmp/out.new", "/tmp/out.sock")
while True:
    c, _ = s.accept()
    c.sendall(b"inside " + c.recv(100))
    c.close()' 3>&- >/dev/null
	[ "$(inside stat -c '%F %a' /run/deep/in.sock)" = "socket 622" ]
	[ "$(inside /usr/bin/python3 -c "$asks" /run/deep/in.sock one)" = "<one>" ]
	[ "$(inside /usr/bin/python3 -c "$asks" /run/deep/in.sock two)" = "<two>" ]
	[ "$(stat -c %a there.sock)" = 600 ]
	wait_for inside test -S /tmp/out.sock
	[ "$(/usr/bin/python3 -c "$asks" there.sock three 3>&-)" = "inside three" ]
	[ "$(/usr/bin/python3 -c "$asks" there.sock four 3>&-)" = "inside four" ]
	kill "$server"
	# Nobody answers any more, which is told to who asks.
	run inside /usr/bin/python3 -c "$asks" /run/deep/in.sock five
	[[ "$output" != *five* ]]
}

@test "many clients at once through sockets, and more than their queue has room for" {
	echo_server "$work/here.sock"
	timeout 60 "$COFFER" run -d --name c --sandbox sentry --rootfs / \
		--socket-in "$work/here.sock:/run/in.sock" --socket-out "/tmp/out.sock:$work/there.sock" -- \
		/usr/bin/python3 -c '
import os, socket, time
s = socket.socket(socket.AF_UNIX)
s.bind("/tmp/out.new")
s.listen(1)
os.rename("/tmp/out.new", "/tmp/out.sock")
time.sleep(1)
while True:
    c, _ = s.accept()
    c.sendall(c.recv(100))
    c.close()' 3>&- >/dev/null
	wait_for inside test -S /tmp/out.sock
	run /usr/bin/python3 - there.sock 3>&- <<'END'
import socket, sys
clients = []
for i in range(20):
    c = socket.socket(socket.AF_UNIX)
    c.connect(sys.argv[1])
    c.sendall(b"%d" % i)
    clients.append(c)
print(sorted(int(c.recv(100)) for c in clients) == list(range(20)))
END
	[ "$output" = True ]
	run inside /usr/bin/python3 -c '
import socket
from concurrent.futures import ThreadPoolExecutor
def ask(i):
    c = socket.socket(socket.AF_UNIX)
    c.connect("/run/in.sock")
    data = bytes([i]) * 300000
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    got = b""
    while chunk := c.recv(65536):
        got += chunk
    return got == b"<" + data + b">"
with ThreadPoolExecutor(8) as pool:
    print(all(pool.map(ask, range(40))))'
	[ "$output" = True ]
	kill "$server"
}
