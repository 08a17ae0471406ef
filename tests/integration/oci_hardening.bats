#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# coffer-oci: attacks on the runtime itself that have worked on others; see docs/hardening.md.
# A copy of the program is attacked, so that one that succeeds does no harm.

bats_require_minimum_version 1.5.0
load oci

setup() {
	oci_setup
	cp "$COFFER_OCI" "$T/coffer-oci"
	COFFER_OCI="$T/coffer-oci"
}

teardown() {
	oci_teardown
}

# all_capabilities: whatever the runtime's own process has, too
all_capabilities() {
	local set caps='["CAP_SYS_ADMIN","CAP_SYS_PTRACE","CAP_SYS_CHROOT","CAP_DAC_OVERRIDE",
		"CAP_DAC_READ_SEARCH","CAP_MKNOD","CAP_CHOWN","CAP_FOWNER","CAP_SETUID","CAP_SETGID"]'
	for set in bounding effective permitted; do
		configure ".process.capabilities.$set = $caps"
	done
}

user_namespace() {
	configure '.linux.namespaces += [{"type": "user"}]' \
		'.linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}]' \
		'.linux.gidMappings = .linux.uidMappings'
	chown -R 100000:100000 "$B/rootfs"
}

# hostile_loader: whoever executes the runtime's file in the container starts the image's loader
hostile_loader() {
	local loader
	loader=$(LC_ALL=C readelf -l "$COFFER_OCI" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
	[ -n "$loader" ]
	mkdir -p "$B/rootfs/$(dirname "$loader")"
	cp "$COFFER_REENTER" "$B/rootfs/$loader"
}

# untouched REASON: the attack ended with that errno's words, and the program is what it was
untouched() {
	cat "$T/out"
	cmp "$COFFER_OCI" "$T/before"
	grep -q "^write: $1\$" "$T/out"
	grep -q "^again: $1\$" "$T/out"
	! grep -Eq '^(write|again|setattr|remount|clone|bind|move): ok' "$T/out"
}

reenter() {
	cp "$COFFER_OCI" "$T/before"
	oci run -d -b "$B" "$ID" < /dev/null > "$T/out" 2>&1
	# Not by its status: whoever asks for that runs the file that is to be written to.
	until_true grep -q '^again:' "$T/out"
}

@test "re-entry: a program that is /proc/self/exe" {
	hostile_loader
	all_capabilities
	configure '.process.args = ["/proc/self/exe"]'
	reenter
	untouched "Read-only file system"
}

@test "re-entry: where the kernel lets no program change its file" {
	hostile_loader
	all_capabilities
	configure '.process.args = ["/proc/self/exe"]'
	export LD_PRELOAD="$COFFER_REFUSE" ASAN_OPTIONS=verify_asan_link_order=0
	reenter
	unset LD_PRELOAD
	untouched "Read-only file system"
}

@test "re-entry: a script whose interpreter is /proc/self/exe" {
	hostile_loader
	printf '#!/proc/self/exe\n' > "$B/rootfs/script"
	chmod 755 "$B/rootfs/script"
	configure '.process.args = ["/script"]'
	reenter
	untouched "Read-only file system"
}

@test "re-entry: with a user namespace of its own, root of it" {
	hostile_loader
	all_capabilities
	user_namespace
	chmod 777 "$COFFER_OCI" # or its mode alone would protect it
	ln -s /proc/self/exe "$B/rootfs/link"
	configure '.process.args = ["/link"]'
	reenter
	untouched "Read-only file system"
}

@test "re-entry: by an exec" {
	hostile_loader
	all_capabilities
	detached "$ID"
	cp "$COFFER_OCI" "$T/before"
	oci exec -d "$ID" /proc/self/exe < /dev/null > "$T/out" 2>&1
	until_true grep -q '^again:' "$T/out"
	untouched "Read-only file system"
}

@test "re-entry: /proc/PID/exe of an exec on its way in" {
	all_capabilities
	args spy 8
	cp "$COFFER_OCI" "$T/before"
	oci run -d -b "$B" "$ID" < /dev/null > "$T/out" 2>&1
	until_true grep -q ready "$T/out"
	for _ in $(seq 40); do
		oci exec "$ID" /payload exit > /dev/null 2>&1 || break
	done
	until_true grep -Eq '^(again:|nobody)' "$T/out"
	if grep -q nobody "$T/out"; then
		cmp "$COFFER_OCI" "$T/before"
	else
		untouched "Read-only file system"
	fi
}

# watched ID COMMAND...: what COMMAND brings into a container that looks for it, again and again
watched() {
	local id=$1 seconds came
	shift
	# A busy machine may not bring anything in before it has looked long enough.
	for seconds in 3 30 300; do
		came=
		: > "$T/said"
		args spy $seconds
		oci run -d -b "$B" "$id" < /dev/null > "$T/out" 2>&1
		until_true grep -q ready "$T/out"
		while is "$id" running && ! grep -q ^write: "$T/out"; do
			! "$@" > "$T/said" 2>&1 || came=1
		done
		until_true is "$id" stopped
		cat "$T/said" "$T/out"
		[ "$(cat "$T/out")" = $'ready\nnobody' ]
		[ -z "$came" ] || return 0
		oci delete "$id"
	done
	return 1
}

# Root inside is root outside: no change of user on the way makes the kernel forbid it by itself.
root_is_root() {
	all_capabilities
	configure '.linux.namespaces += [{"type": "user"}]' \
		'.linux.uidMappings = [{"containerID": 0, "hostID": 0, "size": 65536}]' \
		'.linux.gidMappings = .linux.uidMappings'
}

@test "an exec on its way in is not traced by a user namespace's root" {
	root_is_root
	watched "$ID" oci exec "$ID" /payload exit
	# Among all processes of the machine it can be seen sooner.
	configure '.linux.namespaces |= map(select(.type != "pid"))' \
		'.mounts |= map(if .type == "proc" then
			{destination: "/proc", source: "/proc", type: "none", options: ["rbind"]}
			else . end)'
	watched "$ID-machine" oci exec "$ID-machine" /payload exit
}

join_and_exit() {
	local pid
	pid=$(oci state "$ID" | jq .pid)
	jq ".linux.namespaces |= map(if .type == \"pid\" or .type == \"user\"
			then .path = \"/proc/$pid/ns/\" + .type else . end) |
		.process.args = [\"/payload\", \"exit\"] | .root.path = \"$B/rootfs\"" \
		"$B/config.json" > "$T/second/config.json"
	oci run -b "$T/second" "$ID-second" < /dev/null
}

@test "a container that joins another's namespaces is not traced by that one's root" {
	root_is_root
	mkdir "$T/second"
	watched "$ID" join_and_exit
}

@test "re-entry: an ordinary user's program is copied into sealed memory" {
	command -v setpriv > /dev/null || skip "setpriv is not installed"
	hostile_loader
	configure '.process.args = ["/proc/self/exe"]' \
		'.linux.namespaces += [{"type": "user"}]' \
		'.linux.uidMappings = [{"containerID": 0, "hostID": 65534, "size": 1}]' \
		'.linux.gidMappings = .linux.uidMappings' \
		'.mounts |= map(select(.type != "cgroup"))' 'del(.linux.resources)'
	chown -R 65534:65534 "$T"
	cp -p "$COFFER_OCI" "$T/before"
	setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_RUNTIME_DIR="$T" \
		"$COFFER_OCI" --root "$T/run" run -d -b "$B" "$ID" < /dev/null > "$T/out" 2>&1
	until_true grep -q '^again:' "$T/out"
	untouched "Operation not permitted"
}

@test "descriptors of the caller are not the container's" {
	args fds
	run -0 oci run -b "$B" "$ID" 7< / 8< /etc/passwd
	[ "$output" = "$(printf '0\n1\n2')" ]
	detached "$ID"
	run -0 oci exec "$ID" /payload fds 7< / 8< /etc/passwd
	[ "$output" = "$(printf '0\n1\n2')" ]
}

@test "no working directory through a descriptor" {
	local fd
	args cwd
	for fd in $(seq 3 16); do
		configure ".process.cwd = \"/proc/self/fd/$fd\""
		run oci run -b "$B" "$ID" 7< /
		[ "$status" -ne 0 ]
		[[ "$output" != *"/"$'\n'* ]]
	done
	configure '.process.cwd = "/"'
	detached "$ID"
	for fd in $(seq 3 16); do
		run oci exec --cwd "/proc/self/fd/$fd" "$ID" /payload ls . 7< /
		[ "$status" -ne 0 ]
		[[ "$output" != *vmlinuz* && "$output" != *usr* ]]
	done
}

@test "capabilities of an exec are not inheritable" {
	detached "$ID"
	run -0 oci exec --cap CAP_NET_RAW "$ID" /payload status CapInh CapPrm
	[[ "${lines[0]}" == *0000000000000000 ]]
	[[ "${lines[1]}" != *0000000000000000 ]]
}

@test "a user's number is a user" {
	detached "$ID"
	local bad
	run -0 oci exec --user 1 "$ID" /payload id
	[ "${lines[0]}" = "uid 1 1 1" ]
	run -0 oci exec --user 1:2 --additional-gids 3 "$ID" /payload id
	[ "$(sed -n 1,3p <<< "$output")" = $'uid 1 1 1\ngid 2 2 2\ngroups 3' ]
	# 2^32 would be root, the number before it "as it is"
	for bad in "" 1x -1 " " 0x 4294967295 4294967296 99999999999999999999; do
		run ! oci exec --user "$bad" "$ID" /payload id
		run ! oci exec --user "$bad:1" "$ID" /payload id
		run ! oci exec --user "1:$bad" "$ID" /payload id
		run ! oci exec --additional-gids "$bad" "$ID" /payload id
	done
}

@test "the caller's /dev/null stays the caller's" {
	mknod "$T/null" c 1 3
	chmod 666 "$T/null"
	configure '.process.user = {"uid": 1000, "gid": 1000}'
	args id
	oci run -b "$B" "$ID" < "$T/null" > "$T/null" 2> "$T/null"
	[ "$(stat -c '%u:%g %a' "$T/null")" = "0:0 666" ]
	args wait
	oci run -d -b "$B" "$ID" < "$T/null" > "$T/null" 2> "$T/null"
	[ "$(stat -c '%u:%g %a' "$T/null")" = "0:0 666" ]
}

# with_null COMMAND...: with a null device that is not the machine's
with_null() {
	# shellcheck disable=SC2016
	unshare -m --propagation private sh -euc '
		mount --bind "$1" /dev/null
		shift
		exec "$@"
	' sh "$T/null" "$@"
}

@test "the host's null device is not changed from inside" {
	mknod "$T/null" c 1 3
	chmod 666 "$T/null"
	touch "$T/before"
	printf hidden > "$B/rootfs/secret"
	printf hidden > "$B/rootfs/other"
	all_capabilities
	configure '.linux.maskedPaths = ["/secret", "/other"]'
	args take /secret /other
	run -0 with_null "$COFFER_OCI" --root "$T/run" run -b "$B" "$ID"
	[ "$(grep -c 'Read-only file system' <<< "$output")" -eq 4 ]
	[ "$(stat -c '%u:%g %a' "$T/null")" = "0:0 666" ]
	args cat /secret /other
	[ -z "$(with_null "$COFFER_OCI" --root "$T/run" run -b "$B" "$ID")" ]
	args write /secret text
	with_null "$COFFER_OCI" --root "$T/run" run -b "$B" "$ID"
	# As a descriptor it was given; the container's own may be taken.
	args take /proc/self/fd/0 /proc/self/fd/2
	run -0 with_null "$COFFER_OCI" --root "$T/run" run -b "$B" "$ID" < "$T/null" 2> "$T/null"
	[ "$(stat -c '%u:%g %a' "$T/null")" = "0:0 666" ]
	args wait
	with_null "$COFFER_OCI" --root "$T/run" run -d -b "$B" "$ID" \
		< "$T/null" > "$T/null" 2> "$T/null"
	oci exec "$ID" /payload take /proc/self/fd/0 /proc/self/fd/1 < "$T/null" > "$T/null"
	[ "$(stat -c '%u:%g %a' "$T/null")" = "0:0 666" ]
	# Only what is one takes its place.
	local dev
	dev="/proc/$(oci state "$ID" | jq .pid)/root/dev"
	rm "$dev/null"
	printf text > "$dev/null"
	run ! oci exec "$ID" /payload echo hi < "$T/null"
	[[ "$output" == *"/dev/null of the container is something else"* ]]
	[ "$(oci exec "$ID" /payload echo hi < "$T/before")" = hi ]
}

@test "the caller's groups are not the container's" {
	command -v setpriv > /dev/null || skip "setpriv is not installed"
	args id
	run -0 setpriv --groups 4,27 "$COFFER_OCI" --root "$T/run" run -b "$B" "$ID"
	[ "${lines[2]}" = groups ]
	detached "$ID"
	run -0 setpriv --groups 4,27 "$COFFER_OCI" --root "$T/run" exec "$ID" /payload id
	[ "${lines[2]}" = groups ]
}

@test "cgroups outside of the hierarchy are refused" {
	local path
	args exit
	for path in /../../escape a/../../b ..; do
		configure ".linux.cgroupsPath = \"$path\""
		run oci run -b "$B" "$ID"
		[ "$status" -eq 1 ]
	done
}
