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

stopped() {
	is "$ID" stopped
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
	until_true stopped
}

@test "re-entry: a program that is /proc/self/exe" {
	hostile_loader
	all_capabilities
	configure '.process.args = ["/proc/self/exe"]'
	reenter
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
	until_true stopped
	if grep -q nobody "$T/out"; then
		cmp "$COFFER_OCI" "$T/before"
	else
		untouched "Read-only file system"
	fi
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
	run -0 oci exec --user 1 "$ID" /payload id
	[ "${lines[0]}" = "uid 1 1 1" ]
	run ! oci exec --user 1x "$ID" /payload id
	run ! oci exec --user : "$ID" /payload id
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

@test "cgroups outside of the hierarchy are refused" {
	local path
	args exit
	for path in /../../escape a/../../b ..; do
		configure ".linux.cgroupsPath = \"$path\""
		run oci run -b "$B" "$ID"
		[ "$status" -eq 1 ]
	done
}
