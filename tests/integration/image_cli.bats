#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# image_cli.bats - commands on images, with a registry and whole runs in real machines
#
# COFFER_BIN: folder of the programs (default: build/bin).  The registry is
# Debian's docker-registry on loopback, with names and passwords.

bats_require_minimum_version 1.5.0

setup_file() {
	local bin
	bin=$(realpath "${COFFER_BIN:-build/bin}")
	command -v docker-registry >/dev/null || skip "there is no docker-registry"
	export COFFER="$bin/coffer" F="$BATS_FILE_TMPDIR"
	export COFFER_RUN="$F/run" COFFER_DATA="$F/data" XDG_CONFIG_HOME="$F/config" HOME="$F"
	export REGISTRY_AUTH_FILE="$F/auth.json"
	export PYTHONPATH="$BATS_TEST_DIRNAME" PYTHONDONTWRITEBYTECODE=1 COFFER_DRIVER=
	python3 -c 'import registry_box as b; print(b.USER + ":" + b.bcrypt(b.PASSWORD))' >"$F/users"
	cat >"$F/registry.yml" <<-END
		version: 0.1
		log: {level: error}
		storage: {filesystem: {rootdirectory: $F/registry}}
		auth: {htpasswd: {realm: here, path: $F/users}}
	END
	# It would take this variable for one of its own.
	env -u REGISTRY_AUTH_FILE python3 - 3>&- >"$F/registry.port" <<-'END'
		import os, subprocess, registry_box
		F = os.environ["F"]
		process, port = registry_box.serve(lambda port: subprocess.Popen(
		    ["docker-registry", "serve", F + "/registry.yml"], stdin=subprocess.DEVNULL,
		    stdout=open(F + "/registry.log", "wb"), stderr=subprocess.STDOUT,
		    env={**os.environ, "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}"}))
		open(F + "/registry.pid", "w").write(str(process.pid))
		print(port)
	END
	export PORT=$(cat "$F/registry.port")
	export NAME="localhost:$PORT/team/box"
	# A root with what it takes to see how it is run.
	mkdir -p "$F/root/bin" "$F/root/etc"
	cp "$(command -v busybox)" "$F/root/bin/"
	for name in sh id pwd cat echo sleep true; do
		ln -s busybox "$F/root/bin/$name"
	done
	printf 'root:x:0:0::/root:/bin/sh\napp:x:77:88::/home/app:/bin/sh\n' >"$F/root/etc/passwd"
	tar -C "$F/root" -cf "$F/root.tar" .
	"$COFFER" import -q -m "from a tar" -c 'ENTRYPOINT ["sh", "-c"]' -c 'CMD ["id -u; pwd; echo $COLOUR"]' \
		-c 'ENV COLOUR=red' -c 'USER app' -c 'WORKDIR /srv' -c 'STOPSIGNAL INT' \
		-c 'LABEL tier=image' "$F/root.tar" "$NAME:1" >"$F/id"
}

teardown_file() {
	for id in $("$COFFER" ps -aq); do
		"$COFFER" rm -f "$id" >/dev/null || true
	done
	[ ! -e "$F/registry.pid" ] || kill "$(cat "$F/registry.pid")"
}

setup() {
	T="$BATS_TEST_TMPDIR"
}

coffer() {
	run --separate-stderr timeout 120 "$COFFER" "$@" 3>&- </dev/null
}

login() {
	echo s3cret | "$COFFER" login -u ann --password-stdin "localhost:$PORT"
}

one_line() {
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ "$stderr" == coffer:\ * ]]
}

@test "an import is listed, by its name, id and as JSON" {
	id=$(cat "$F/id")
	[[ "$id" == sha256:* ]]
	coffer images
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == REPOSITORY*TAG*"IMAGE ID"*CREATED*SIZE ]]
	[[ "$output" == *"$NAME "*" 1 "*"${id:7:12}"*ago*MB* ]]
	[[ "$output" == *"coffer/hello "*" latest "* ]]
	coffer images -q --no-trunc "$NAME"
	[ "$output" = "$id" ]
	coffer image ls --digests "$NAME"
	[[ "${lines[1]}" == *" sha256:"*"${id:7:12}"* ]]
	coffer images --format json "$NAME"
	python3 -c '
import json, sys
o = json.loads(sys.argv[1])
assert o["Repository"] == sys.argv[2] and o["Tag"] == "1" and o["ID"] == sys.argv[3][7:19], o' \
		"$output" "$NAME" "$id"
	coffer images "localhost:$PORT/te"
	[ "${#lines[@]}" -eq 1 ]
}

@test "history and inspect tell how it was made and is run" {
	coffer history "$NAME:1"
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == IMAGE*"CREATED BY"*COMMENT ]]
	[[ "$output" == *"from a tar"* ]]
	coffer inspect "$NAME:1"
	python3 -c '
import json, sys
o = json.loads(sys.argv[1])[0]
c = o["Config"]
assert o["Id"] == sys.argv[2] and c["User"] == "app" and c["Entrypoint"] == ["sh", "-c"], o
assert c["Env"] == ["COLOUR=red"] and c["Labels"] == {"tier": "image"}, c' "$output" "$(cat "$F/id")"
	coffer image inspect "$(cut -c 8-15 "$F/id")"
	[ "$status" -eq 0 ]
	coffer inspect --type container "$NAME:1"
	[ "$status" -eq 1 ]
	one_line
}

@test "what an image says holds where nothing else is said" {
	coffer run "$NAME:1"
	[ "$status" -eq 0 ]
	[ "$output" = $'77\n/srv\nred' ]
	[ "$stderr" = "root: built" ]
	coffer run -u 5 -w /tmp -e COLOUR=blue "$NAME:1" 'id -u; pwd; echo $COLOUR; exit 4'
	[ "$status" -eq 4 ]
	[ "$output" = $'5\n/tmp\nblue' ]
	coffer run --entrypoint echo "$NAME:1" -n several words
	[ "$output" = "several words" ]
}

@test "the built-in image: a greeting, or what it is given" {
	coffer run coffer/hello
	[ "$status" -eq 0 ]
	[[ "${lines[0]}" == Hello* ]]
	coffer run --pull always --entrypoint sh coffer/hello -c 'echo $0' 
	[ "$output" = sh ]
}

@test "a registry that wants a password: refused, logged in, logged out" {
	coffer push "$NAME:1"
	[ "$status" -eq 1 ]
	[[ "${stderr_lines[-1]}" == "coffer: "*"localhost:$PORT"* ]]
	coffer login -u ann -p wrong "localhost:$PORT"
	[ "$status" -eq 1 ]
	[[ "${stderr_lines[0]}" == *"--password-stdin"* ]]
	[ ! -s "$REGISTRY_AUTH_FILE" ] || ! grep -q "localhost:$PORT" "$REGISTRY_AUTH_FILE"
	coffer login -u ann "localhost:$PORT"
	[ "$status" -eq 1 ]
	login
	[ "$(stat -c %a "$REGISTRY_AUTH_FILE")" = 600 ]
	coffer push "$NAME:1"
	[ "$status" -eq 0 ]
	[ "$output" = "$NAME:1" ]
	coffer logout "localhost:$PORT"
	[ "$status" -eq 0 ]
	coffer logout "localhost:$PORT"
	[ "$status" -eq 1 ]
	coffer pull "$NAME:2"
	[ "$status" -eq 1 ]
	login
}

@test "away and back: tag, push, rmi, prune, pull, run" {
	login
	"$COFFER" tag "$NAME:1" "$NAME:two"
	coffer push -q "$NAME:two"
	[ "$status" -eq 0 ]
	[ "$output" = "$NAME:two" ]
	[ -z "$stderr" ]
	coffer rmi "$NAME:1" "$NAME:two" nope
	[ "$status" -eq 1 ]
	[ "$output" = "$NAME:1"$'\n'"$NAME:two" ]
	one_line
	coffer run --pull never "$NAME:1" true
	[ "$status" -eq 125 ]
	one_line
	coffer image prune </dev/null
	[ "$status" -eq 1 ]
	coffer image prune -f
	[ "$status" -eq 0 ]
	[[ "$output" == *"Total reclaimed space: "* ]]
	coffer pull "$NAME:1"
	[ "$status" -eq 0 ]
	[ "$output" = "$NAME:1" ]
	[[ "$stderr" == "digest: sha256:"*": done, "* ]]
	[[ "$stderr" != *$'\033'* ]]
	coffer images -q --no-trunc "$NAME"
	[ "$output" = "$(cat "$F/id")" ]
	coffer pull -q "$NAME:1"
	[ "$output" = "$NAME:1" ]
	[ -z "$stderr" ]
	# One that is not here is fetched; in the background it is the owner's, too.
	"$COFFER" rmi "$NAME:1"
	coffer run -d --name box "$NAME:1" 'echo up; sleep 1000'
	[ "$status" -eq 0 ]
	[ "$output" = box ]
	[[ "$stderr" == *": done, "* ]]
	[[ "$("$COFFER" ps)" == *"$NAME:1"* ]]
	coffer image check
	[ "$status" -eq 0 ]
	[ "$output" = "No faults" ]
}

@test "a container in the background is made of an image, and becomes one" {
	"$COFFER" ps -q | grep -qx box || "$COFFER" run -d --name box "$NAME:1" 'sleep 1000'
	"$COFFER" inspect box | python3 -c '
import json, sys
o = json.load(sys.stdin)[0]
assert o["Image"] == sys.argv[1] and o["Config"]["Labels"] == {"tier": "image"}, o
assert o["Config"]["StopSignal"] == "INT", o' "$(cat "$F/id")"
	"$COFFER" exec -u 0 box 'sh' -c 'echo new >/newfile'
	coffer commit -q -a "A. N. Other" -m "by hand" -c 'CMD ["cat /newfile"]' box made:1
	[ "$status" -eq 0 ]
	[[ "$output" == sha256:* ]]
	# Its image is in use, with or without a name.
	"$COFFER" rmi "$NAME:1"
	"$COFFER" image prune -f >/dev/null
	[ "$("$COFFER" exec -u 0 box cat /bin/busybox | cksum)" = "$(cksum <"$F/root/bin/busybox")" ]
	coffer export -o "$T/root.tar" box
	[ "$status" -eq 0 ]
	tar tf "$T/root.tar" | grep -q 'newfile$'
	[ -z "$(find "$T" -name 'root.tar.*')" ]
	"$COFFER" rm -f box
	coffer run made:1
	[ "$output" = new ]
	[[ "$("$COFFER" history made:1)" == *"by hand"* ]]
	[[ "$("$COFFER" inspect made:1)" == *"A. N. Other"* ]]
	coffer bundle -q made:1 "$T/bundle"
	[ "$status" -eq 0 ]
	[ "$(cat "$T/bundle/rootfs/newfile")" = new ]
	grep -q COLOUR=red "$T/bundle/config.json"
}

@test "archives: saved, loaded, whole or not there" {
	"$COFFER" images -q "$NAME" | grep -q . || { login && "$COFFER" pull -q "$NAME:1"; }
	for format in docker-archive oci-archive oci-dir; do
		coffer save -q --format $format -o "$T/$format" "$NAME:1"
		[ "$status" -eq 0 ]
		"$COFFER" rmi "$NAME:1"
		coffer load -q -i "$T/$format"
		[ "$status" -eq 0 ]
		[ "$output" = "Loaded image: $NAME:1" ]
	done
	"$COFFER" save "$NAME:1" | gzip | "$COFFER" load
	# What cannot be written leaves what was there.
	echo before >"$T/kept"
	coffer save -o "$T/kept" no-such-image
	[ "$status" -eq 1 ]
	[ "$(cat "$T/kept")" = before ]
	coffer save -o /dev/full "$NAME:1"
	[ "$status" -eq 1 ]
	head -c 100000 "$T/oci-archive" >"$T/cut"
	coffer load -q -i "$T/cut"
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	coffer image check
	[ "$status" -eq 0 ]
}

@test "on a terminal: bars, Ctrl-C, and passwords that are not shown" {
	run python3 "$BATS_TEST_DIRNAME/image_terminal.py" "$COFFER" "localhost:$PORT" 3>&-
	echo "$output"
	[[ "$output" == *"all good" ]]
	coffer image check
	[ "$status" -eq 0 ]
}
