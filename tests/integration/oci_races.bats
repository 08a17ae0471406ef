#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: two commands on one container at once, and commands that are killed half-way.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
	args wait
}

teardown() {
	oci_teardown
}

# both COMMAND... -- COMMAND...: at the same time; their exit codes in $first and $second
both() {
	local one=()
	while [ "$1" != -- ]; do
		one+=("$1")
		shift
	done
	shift
	first=0 second=0
	oci "${one[@]}" < /dev/null > /dev/null 2> "$T/first" &
	oci "$@" < /dev/null > /dev/null 2> "$T/second" || second=$?
	wait $! || first=$?
}

@test "of many creates one wins" {
	for round in 1 2 3; do
		pids=() won=0
		for i in 1 2 3 4; do
			oci create -b "$B" "$ID" < /dev/null > /dev/null 2> "$T/err$i" &
			pids+=($!)
		done
		for i in 1 2 3 4; do
			if wait "${pids[$((i - 1))]}"; then
				won=$((won + 1))
			else
				grep -q 'already exists' "$T/err$i"
			fi
		done
		[ "$won" -eq 1 ]
		[ "$(status_of "$ID")" = created ]
		oci delete "$ID"
		gone "$ID"
	done
}

@test "start and delete: in one order or the other" {
	for round in 1 2 3 4 5 6; do
		oci create -b "$B" "$ID" < /dev/null > /dev/null
		both start "$ID" -- delete --force "$ID"
		[ "$second" -eq 0 ]
		[ "$first" -eq 0 ] || grep -q 'does not exist' "$T/first"
		gone "$ID"
	done
}

@test "two starts: one succeeds" {
	for round in 1 2 3; do
		oci create -b "$B" "$ID" < /dev/null > /dev/null
		both start "$ID" -- start "$ID"
		[ $((first + second)) -eq 1 ]
		cat "$T/first" "$T/second" | grep -q 'a running container'
		oci delete -f "$ID"
	done
}

@test "create and delete --force" {
	for round in 1 2 3 4 5 6; do
		both create -b "$B" "$ID" -- delete --force "$ID"
		[ "$second" -eq 0 ]
		oci delete --force "$ID"
		gone "$ID"
	done
}

@test "deletes of one container, many at once" {
	detached "$ID"
	for i in 1 2 3 4; do
		oci delete --force "$ID" 2> "$T/err$i" &
	done
	wait
	cat "$T"/err?
	[ -z "$(cat "$T"/err?)" ]
	gone "$ID"
}

@test "exec and kill while it is deleted" {
	for round in 1 2 3; do
		detached "$ID"
		both exec "$ID" /payload wait -- delete --force "$ID"
		[ "$second" -eq 0 ]
		[ "$first" -ne 0 ]
		gone "$ID"
	done
}

@test "readers never see half a state" {
	detached "other-$ID"
	(while [ ! -e "$T/stop" ]; do
		oci list -f json > "$T/list.$BASHPID" 2>> "$T/listerr" && jq . "$T/list.$BASHPID" > /dev/null || touch "$T/bad"
	done) &
	for round in 1 2 3 4 5 6 7 8; do
		oci create -b "$B" "$ID" < /dev/null > /dev/null
		oci start "$ID"
		oci delete --force "$ID"
	done
	touch "$T/stop"
	wait
	[ ! -e "$T/bad" ]
	! grep -v 'does not exist' "$T/listerr"
}

# Whenever a command is killed, delete --force leaves nothing.
@test "SIGKILL at any moment" {
	configure '.hooks = {"createRuntime": [{"path": "/bin/true"}], "poststart": [{"path": "/bin/true"}]}'
	for round in $(seq 1 "${OCI_KILL_ROUNDS:-12}"); do
		for c in create run "run -d" start "delete -f"; do
			if [[ "$c" == start || "$c" == delete* ]]; then
				oci create -b "$B" "$ID" < /dev/null > /dev/null
				c="$c $ID"
			else
				c="$c -b $B $ID"
			fi
			"$COFFER_OCI" --root "$T/run" $c < /dev/null > /dev/null 2>&1 &
			sleep "0.0$(printf '%02d' $((RANDOM % 25)))"
			kill -KILL $! 2> /dev/null || true
			wait $! 2> /dev/null || true
			run oci delete --force "$ID"
			echo "$c: $status $output"
			[ "$status" -eq 0 ]
			[ -z "$output" ]
			until_true gone "$ID"
		done
	done
}

@test "an exec that is stopped from inside before it is a program" {
	args stopper
	oci run -d -b "$B" "$ID" < /dev/null > /dev/null
	# One that came through is stopped afterwards: nobody waits for it.
	caught() {
		run oci exec -d "$ID" /payload echo < /dev/null
		[ "$status" -ne 0 ]
	}
	until_true caught
	echo "$output"
	[[ "$output" == *"stopped from inside"* ]]
	oci delete --force "$ID"
	gone "$ID"
}

@test "a directory that was only half made" {
	mkdir -p "$T/run/$ID"
	run oci state "$ID"
	[ "$status" -eq 1 ]
	[[ "$output" == *"does not exist"* ]]
	oci delete --force "$ID"
	gone "$ID"
	mkdir -p "$T/run/$ID/notify"
	touch "$T/run/$ID/lock" "$T/run/$ID/creating" "$T/run/$ID/state.json.7.tmp"
	run oci start "$ID"
	[ "$status" -eq 1 ]
	oci delete --force "$ID"
	gone "$ID"
	# Without --force it was an error, but it is gone, too.
	mkdir -p "$T/run/$ID"
	run oci delete "$ID"
	[ "$status" -eq 1 ]
	gone "$ID"
}
