#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: a container's life, and every command in every status.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
}

teardown() {
	oci_teardown
}

@test "run: output, exit status, nothing left" {
	args echo hello
	run oci run -b "$B" "$ID"
	[ "$status" -eq 0 ]
	[ "$output" = hello ]
	args exit 7
	run oci run -b "$B" "$ID"
	[ "$status" -eq 7 ]
	gone "$ID"
}

@test "run: a signal's end is 128 and its number" {
	args wait
	"$COFFER_OCI" --root "$T/run" run -b "$B" "$ID" < /dev/null > /dev/null &
	until_true is "$ID" running
	oci kill "$ID" KILL
	code=0
	wait $! || code=$?
	[ "$code" -eq 137 ]
	gone "$ID"
}

@test "run: signals go to the program, standard input too" {
	configure '.linux.namespaces |= map(select(.type != "pid"))'
	args wait
	"$COFFER_OCI" --root "$T/run" run -b "$B" "$ID" < /dev/null > "$T/out" &
	until_true grep -q ready "$T/out"
	kill -USR1 $!
	code=0
	wait $! || code=$?
	[ "$code" -eq 138 ]
	args cat -
	[ "$(echo through | oci run -b "$B" "$ID")" = through ]
}

@test "run --keep leaves a stopped container" {
	args exit 3
	run oci run --keep -b "$B" "$ID"
	[ "$status" -eq 3 ]
	[ "$(status_of "$ID")" = stopped ]
	oci delete "$ID"
	gone "$ID"
}

@test "create, start, kill, delete" {
	args wait
	oci create -b "$B" --pid-file "$T/pid" "$ID" < /dev/null > "$T/out" 2>&1
	[ "$(status_of "$ID")" = created ]
	[ "$(cat "$T/pid")" = "$(oci state "$ID" | jq .pid)" ]
	[ ! -s "$T/out" ]
	oci start "$ID"
	until_true grep -q ready "$T/out"
	[ "$(status_of "$ID")" = running ]
	oci kill "$ID" KILL
	until_true is "$ID" stopped
	[ "$(oci state "$ID" | jq .pid)" -eq 0 ]
	oci delete "$ID"
	gone "$ID"
}

@test "state and list tell the same" {
	configure '.annotations = {"a.b": "c \"d\""}'
	detached "$ID"
	run oci state "$ID"
	[ "$status" -eq 0 ]
	[ "$(jq -c 'keys_unsorted' <<< "$output")" = \
		'["ociVersion","id","pid","status","bundle","rootfs","created","annotations","owner"]' ]
	[ "$(jq -r .id <<< "$output")" = "$ID" ]
	[ "$(jq -r .bundle <<< "$output")" = "$B" ]
	[ "$(jq -r .rootfs <<< "$output")" = "$B/rootfs" ]
	[ "$(jq -r '.annotations."a.b"' <<< "$output")" = 'c "d"' ]
	date -d "$(jq -r .created <<< "$output")" > /dev/null
	[ "$(oci list -f json | jq -c '.[0] | del(.owner)')" = "$(jq -c 'del(.owner)' <<< "$output")" ]
	[ "$(oci list -f json | jq -r '.[0].owner')" = root ]
	[ "$(oci list -q)" = "$ID" ]
	run oci list
	[[ "${lines[0]}" =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER$ ]]
	[[ "${lines[1]}" =~ ^$ID\ +[0-9]+\ +running\ +$B\ +20[0-9]+-.*Z\ +root$ ]]
	oci delete -f "$ID"
	[ "$(oci list -f json)" = null ]
}

@test "list goes on after one that it cannot read" {
	detached "$ID"
	mkdir -p "$T/run/broken"
	echo '{"version":1' > "$T/run/broken/state.json"
	[ "$(oci list -q 2> "$T/err")" = "$ID" ]
	grep -q 'level=warning.*broken' "$T/err"
	oci delete -f broken
	gone broken
}

@test "exec: output, status, environment, user, directory" {
	detached "$ID"
	[ "$(oci exec "$ID" /payload echo in there)" = "in there" ]
	run oci exec "$ID" /payload exit 9
	[ "$status" -eq 9 ]
	[[ "$(oci exec -e A=b --env C=d "$ID" /payload env)" == *"A=b"*"C=d"* ]]
	[[ "$(oci exec -u 7:8 -g 9 "$ID" /payload id)" == "uid 7 7 7"*"gid 8 8 8"*"groups 9"* ]]
	[ "$(oci exec --cwd /proc "$ID" /payload cwd | head -n 1)" = /proc ]
	printf '{"cwd":"/","args":["/payload","echo","by","file"]}' > "$T/process.json"
	[ "$(oci exec --process "$T/process.json" "$ID")" = "by file" ]
	[ "$(echo typed | oci exec "$ID" /payload cat -)" = typed ]
}

@test "exec --cgroup: into a group below, and no other" {
	configure '.linux.resources.pids = {"limit": 50}'
	detached "$ID"
	# A new group of processors has none of its own. Others' groups may vanish meanwhile.
	find /sys/fs/cgroup -path "*/$ID/cgroup.clone_children" -exec sh -c 'echo 1 > {}' \; || true
	find /sys/fs/cgroup -name "$ID" -type d -exec mkdir {}/sub \; || true
	run oci exec --cgroup sub "$ID" /payload cat /proc/self/cgroup
	echo "$output"
	[ "$status" -eq 0 ]
	[[ "$output" == *"/$ID/sub"* ]]
	! grep -v '^0:' <<< "$output" | grep -v "/$ID/sub\$"
	for words in ".. sub.cgroup.path" "sub/../../x sub.cgroup.path" "none no.such.file" "nope:/ unknown.controller"; do
		run oci exec --cgroup "${words% *}" "$ID" /payload echo no
		echo "$words: $status $output"
		[ "$status" -eq 255 ]
		[[ "$output" =~ ${words#* } ]]
	done
	[ "$(oci exec --cgroup / "$ID" /payload echo yes)" = yes ]
}

@test "exec --detach leaves the process and writes its pid" {
	detached "$ID"
	oci exec -d --pid-file "$T/pid" "$ID" /payload wait > /dev/null
	pid=$(cat "$T/pid")
	oci ps -f json "$ID" | jq -e "index($pid)"
	[ "$(oci ps -f json "$ID" | jq length)" -eq 2 ]
	run oci ps "$ID"
	[[ "${lines[0]}" =~ ^UID\ +PID\ +PPID\ +C\ +STIME\ +TTY\ +TIME\ +CMD$ ]]
	[[ "$output" == *"/payload wait"* ]]
	oci delete -f "$ID"
	[ ! -e "/proc/$pid" ]
}

@test "a program that is not there: in the words that callers look for" {
	args x
	configure '.process.args = ["nope"]'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"executable file not found in \$PATH"* ]]
	configure '.process.args = ["/nope"]'
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "${output,,}" == *"no such file or directory"* ]]
	chmod 644 "$B/rootfs/payload"
	configure '.process.args = ["/payload"]'
	run oci run -b "$B" "$ID"
	[ "$status" -eq 1 ]
	[[ "${output,,}" == *"permission denied"* ]]
	chmod 755 "$B/rootfs/payload"
	gone "$ID"
	detached "$ID"
	run oci exec "$ID" nope
	[ "$status" -eq 255 ]
	[[ "$output" == *"executable file not found in \$PATH"* ]]
}

@test "pause stops everything, resume lets it go on" {
	detached "$ID"
	oci pause "$ID"
	[ "$(status_of "$ID")" = paused ]
	run oci exec "$ID" /payload echo no
	[ "$status" -eq 255 ]
	oci resume "$ID"
	[ "$(status_of "$ID")" = running ]
	[ "$(oci exec "$ID" /payload echo yes)" = yes ]
	oci pause "$ID"
	oci kill "$ID" KILL
	until_true is "$ID" stopped
	oci delete "$ID"
	gone "$ID"
}

@test "paused before its start: created again when it is resumed" {
	args wait
	oci create -b "$B" "$ID" < /dev/null > /dev/null
	oci pause "$ID"
	[ "$(status_of "$ID")" = paused ]
	for c in "start $ID" "exec $ID /payload exit" "delete $ID"; do
		run oci $c
		[ "$status" -ne 0 ]
		[[ "$output" == *"paused"* ]]
	done
	oci resume "$ID"
	[ "$(status_of "$ID")" = created ]
	oci start "$ID"
	[ "$(status_of "$ID")" = running ]
	oci delete -f "$ID"
	gone "$ID"
}

@test "delete --force: a running one, a paused one, none at all" {
	detached "$ID"
	oci delete --force "$ID"
	gone "$ID"
	detached "$ID"
	oci pause "$ID"
	oci delete -f "$ID"
	gone "$ID"
	oci delete --force "$ID"
}

@test "a killed container's other processes go with it" {
	configure '.linux.namespaces |= map(select(.type != "pid"))'
	args orphans 3
	oci run -d -b "$B" "$ID" < /dev/null > "$T/out"
	until_true grep -q ready "$T/out"
	[ "$(oci ps -f json "$ID" | jq length)" -eq 4 ]
	oci kill "$ID" KILL
	until_true is "$ID" stopped
	oci kill --all "$ID" KILL
	oci delete "$ID"
	gone "$ID"
}

# What may be done in which status; everything else fails and changes nothing.
@test "every command in every status" {
	local -A allowed=(
		[created]=" start pause update events exec kill ps delete "
		[running]=" pause update events exec kill ps "
		[paused]=" resume update events kill ps "
		[stopped]=" ps delete "
	)
	local -A words=(
		[start]="start" [pause]="pause" [resume]="resume" [update]="update --pids-limit 99"
		[events]="events --stats" [exec]="exec" [kill]="kill" [ps]="ps" [delete]="delete"
	)
	for s in created running paused stopped; do
		for c in start pause resume update events exec kill ps delete; do
			args wait
			oci create -b "$B" "$ID" < /dev/null > /dev/null
			[ $s = created ] || oci start "$ID"
			[ $s != paused ] || oci pause "$ID"
			[ $s != stopped ] || { oci kill "$ID" KILL && until_true is "$ID" stopped; }
			case $c in
			exec) run oci exec "$ID" /payload exit ;;
			kill) run oci kill "$ID" 0 ;;
			*) run oci ${words[$c]} "$ID" ;;
			esac
			echo "$c when $s: $status $output"
			if [[ "${allowed[$s]}" == *" $c "* ]]; then
				[ "$status" -eq 0 ]
			else
				[ "$status" -ne 0 ]
				[ "${#lines[@]}" -eq 1 ]
				[ "$(status_of "$ID")" = $s ]
			fi
			oci delete -f "$ID"
		done
	done
	for c in state start pause resume update events kill ps delete; do
		run oci ${words[$c]:-state} "$ID"
		[ "$status" -eq 1 ]
		[[ "$output" == *"does not exist"* ]]
	done
}

@test "while it is being created" {
	mkfifo "$T/go"
	configure ".hooks = {\"createRuntime\": [{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"read x < $T/go\"]}]}"
	args wait
	"$COFFER_OCI" --root "$T/run" create -b "$B" "$ID" < /dev/null > /dev/null &
	creator=$!
	until_true is "$ID" creating
	[ "$(oci list -f json | jq -r '.[0].status')" = creating ]
	for words in "kill $ID KILL" "events --stats $ID"; do
		run oci $words
		echo "$words: $status $output"
		[ "$status" -eq 1 ]
		[ "$(status_of "$ID")" = creating ]
	done
	run oci create -b "$B" "$ID"
	[ "$status" -eq 1 ]
	# What changes it waits for its turn.
	oci start "$ID" &
	sleep 0.2
	[ "$(status_of "$ID")" = creating ]
	echo > "$T/go"
	wait $creator
	wait $!
	[ "$(status_of "$ID")" = running ]
}

@test "kill: names and numbers, and what is none" {
	args wait
	for signal in 9 KILL SIGKILL kill; do
		detached "$ID"
		oci kill "$ID" $signal
		until_true is "$ID" stopped
		oci delete "$ID"
	done
	detached "$ID"
	run oci kill "$ID" NOPE
	[ "$status" -eq 1 ]
	[[ "$output" == *'unknown signal \"NOPE\"'* ]]
	[ "$(status_of "$ID")" = running ]
}

# Numbers 3 and 5 are open, 4 is not.
with_descriptors() {
	(exec 3< /dev/null 4<&- 5< /dev/zero && "$@")
}

@test "descriptors: only those asked for" {
	args fds
	[ "$(with_descriptors oci run -b "$B" "$ID" | tr '\n' ' ')" = "0 1 2 " ]
	[ "$(with_descriptors oci run -b "$B" --preserve-fds 3 "$ID" | tr '\n' ' ')" = "0 1 2 3 5 " ]
	[ "$(LISTEN_FDS=1 with_descriptors oci run -b "$B" --preserve-fds 2 "$ID" | tr '\n' ' ')" = \
		"0 1 2 3 5 " ]
	args env
	[[ "$(LISTEN_FDS=1 oci run -b "$B" "$ID")" == *"LISTEN_FDS=1"*"LISTEN_PID=1"* ]]
	[[ "$(LISTEN_FDS=1 LISTEN_PID=1 oci run -b "$B" "$ID")" != *"LISTEN_FDS"* ]]
	detached "$ID"
	[ "$(with_descriptors oci exec --preserve-fds 3 "$ID" /payload fds | tr '\n' ' ')" = "0 1 2 3 5 " ]
}

@test "sd_notify: what the program says reaches the caller's socket" {
	args notify READY=1
	/usr/bin/python3 - "$T/notify" > "$T/heard" <<- 'EOF' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(60)
		print(s.recv(100).decode(), s.recv(100).decode(), sep="\n", end="")
	EOF
	until_true [ -S "$T/notify" ]
	NOTIFY_SOCKET="$T/notify" oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	wait $!
	[ "$(head -n 1 "$T/heard")" = READY=1 ]
	[[ "$(tail -n 1 "$T/heard")" =~ ^MAINPID=[0-9]+$ ]]
}

@test "sd_notify: the socket is where the caller's is, for ids of its own too" {
	args notify READY=1
	configure '.linux.namespaces += [{type: "user"}]' \
		'.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1}]' \
		'.linux.gidMappings = .linux.uidMappings'
	chown 100000:100000 "$B/rootfs"
	/usr/bin/python3 - "$T/notify" > "$T/heard" <<- 'EOF' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(60)
		print(s.recv(100))
	EOF
	until_true [ -S "$T/notify" ]
	NOTIFY_SOCKET="$T/notify" oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	wait $!
	[ "$(cat "$T/heard")" = "b'READY=1'" ]
	[[ "$(oci exec "$ID" /payload ls "$T/notify")" == *notify* ]]
	args env
	[[ "$(NOTIFY_SOCKET="$T/notify" oci run -b "$B" "$ID-2")" == *"NOTIFY_SOCKET=$T/notify/notify"* ]]
	[[ "$(NOTIFY_SOCKET=@name oci run -b "$B" "$ID-2")" == *NOTIFY_SOCKET=/run/notify/notify* ]]
}

@test "a control group with processes is shared, and nobody is killed by the other's end" {
	configure ".linux.cgroupsPath = \"/$ID\""
	detached "$ID-1"
	oci run -d -b "$B" "$ID-2" < /dev/null > "$T/out" 2>&1
	grep -q "container's cgroup is not empty: /sys/fs/cgroup" "$T/out"
	detached "$ID-3"
	[ "$(oci ps --format json "$ID-2" | jq length)" -eq 1 ]
	oci kill --all "$ID-2" KILL
	until_true is "$ID-2" stopped
	oci delete "$ID-2"
	[ "$(status_of "$ID-1")" = running ]
	# The first one did not know.
	oci delete --force "$ID-1"
	[ "$(status_of "$ID-3")" = running ]
	run oci kill --all "$ID-3" TERM
	[ "$status" -eq 1 ]
	[[ "$output" == *"no cgroup of its own"* ]]
	oci delete --force "$ID-3"
	[ -z "$(find /sys/fs/cgroup -name "$ID" -type d 2> /dev/null)" ]
}

@test "a shared control group's container without a pid namespace: its init alone" {
	configure ".linux.cgroupsPath = \"/$ID\"" \
		'.linux.namespaces |= map(select(.type != "pid"))'
	detached "$ID-1"
	detached "$ID-2" 2> /dev/null
	run oci kill --all "$ID-2" KILL
	[ "$status" -eq 1 ]
	[[ "$output" == *"no cgroup of its own"* ]]
	oci delete --force "$ID-2"
	[ "$(status_of "$ID-1")" = running ]
	oci delete --force "$ID-1"
	[ -z "$(find /sys/fs/cgroup -name "$ID" -type d 2> /dev/null)" ]
}

@test "update: limits of a running container" {
	configure '.linux.resources.pids = {"limit": 50}'
	detached "$ID"
	[ "$(oci events --stats "$ID" | jq .data.pids.limit)" -eq 50 ]
	oci update --pids-limit 60 "$ID"
	[ "$(oci events --stats "$ID" | jq .data.pids.limit)" -eq 60 ]
	printf '{"pids":{"limit":70},"memory":{"limit":0},"cpu":{"shares":0}}' | oci update -r - "$ID"
	[ "$(oci events --stats "$ID" | jq .data.pids.limit)" -eq 70 ]
	run oci update --memory lots "$ID"
	[ "$status" -eq 1 ]
	run oci update --resources - "$ID" <<< '{"pids":{"limit":"many"}}'
	[ "$status" -eq 1 ]
	[[ "$output" == *"resources.pids.limit: expected integer, got string"* ]]
	[ "$(oci events --stats "$ID" | jq .data.pids.limit)" -eq 70 ]
}

@test "events: a line every interval, an end with the container" {
	detached "$ID"
	oci events --interval 100ms "$ID" > "$T/events" &
	until_true [ -s "$T/events" ]
	oci kill "$ID" KILL
	wait $!
	[ "$(head -n 1 "$T/events" | jq -r '.type + " " + .id')" = "stats $ID" ]
}

@test "events: a process killed for want of memory" {
	configure '.linux.resources.memory = {"limit": 20971520, "swap": 20971520}'
	detached "$ID"
	oci events --interval 1h "$ID" > "$T/events" &
	events=$!
	# The first may come before somebody listens.
	hog_is_told() {
		run oci exec "$ID" /payload hog 100
		[ "$status" -eq 137 ] || exit 1
		grep -q oom "$T/events"
	}
	until_true hog_is_told
	oci kill "$ID" KILL
	wait $events
	[ "$(jq -r '.type + " " + .id' "$T/events" | sort -u)" = "oom $ID" ]
}
