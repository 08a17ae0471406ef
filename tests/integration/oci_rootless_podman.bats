#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# podman of an ordinary user, with coffer-oci as its runtime. $COFFER_TEST_SANDBOX is its --sandbox.

bats_require_minimum_version 1.5.0
load oci
load rootless

setup_file() {
	command -v podman > /dev/null || skip "podman is not installed"
	command -v newuidmap > /dev/null || skip "newuidmap is not installed"
	command -v busybox > /dev/null || skip "busybox is not installed"
	oci_setup
	rootless_setup
	export T B USER_ID RANGE
	cat > "$T/containers.conf" <<-EOF
		[containers]
		default_ulimits = ["nofile=1000:1000", "nproc=1000:1000"]
		netns = "none"
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "coffer"
		runtime_supports_json = ["coffer"]
		[engine.runtimes]
		coffer = ["$T/coffer-oci"]
	EOF
	cat > "$T/storage.conf" <<-EOF
		[storage]
		driver = "vfs"
		runroot = "$T/xdg/containers"
		graphroot = "$T/home/graph"
	EOF
	mkdir -p "$T/home/.config/containers" "$T/root/bin" "$T/root/etc"
	echo '{"default":[{"type":"insecureAcceptAnything"}]}' > "$T/home/.config/containers/policy.json"
	chown -R "$USER_ID:$USER_ID" "$T/home"
	cp "$(command -v busybox)" "$T/root/bin/busybox"
	for applet in cat echo id ls sh sleep stty; do
		ln -s busybox "$T/root/bin/$applet"
	done
	echo 'root:x:0:0:root:/:/bin/sh' > "$T/root/etc/passwd"
	echo 'root:x:0:' > "$T/root/etc/group"
	tar -C "$T/root" -cf "$T/image.tar" .
	pod import -q "$T/image.tar" image || skip "podman does not work for an ordinary user here"
}

teardown_file() {
	[ -n "${T:-}" ] || return 0
	pod rm -a -f -t 0 > /dev/null 2>&1 || true
	# Ends the process that keeps podman's user namespace.
	pod system migrate > /dev/null 2>&1 || true
	rm -rf "$T"
}

# podman itself says what it thinks of mounts that are not shared; that is not ours.  It wants a
# directory that its user may enter.
pod() (
	cd /
	as_user env CONTAINERS_CONF="$T/containers.conf" CONTAINERS_STORAGE_CONF="$T/storage.conf" \
		podman --log-level error ${COFFER_TEST_SANDBOX:+--runtime-flag} \
		${COFFER_TEST_SANDBOX:+sandbox=$COFFER_TEST_SANDBOX} "$@"
)

# podman cleans up after a container's end by itself, too.
none_left() {
	[ -z "$(pod ps -a -q)" ]
}

@test "run: output and exit status" {
	[ "$(pod run --rm image echo hello)" = hello ]
	run pod run --rm image sh -c 'exit 3'
	[ "$status" -eq 3 ]
	until_true none_left
}

@test "run: root inside is the user outside, others are of its range" {
	run pod run --rm image cat /proc/self/uid_map
	[ -n "${COFFER_TEST_SANDBOX-}" ] || [ "$(tr -s ' ' <<< "$output")" = " 0 $USER_ID 1
 1 $RANGE 65536" ]
	[[ "$(pod run --rm image id)" == "uid=0(root) gid=0(root)"* ]]
	[[ "$(pod run --rm --user 7:8 image id)" == "uid=7 gid=8"* ]] ||
		[[ "$(pod run --rm --user 7:8 image id)" == "uid=7(7) gid=8(8)"* ]]
}

@test "run --userns keep-id" {
	[ -z "${COFFER_TEST_SANDBOX-}" ] || skip "root inside has to be the caller"
	[[ "$(pod run --rm --userns keep-id image id -u)" == "$USER_ID" ]]
}

@test "run -t" {
	run pod run --rm -t image sh -c 'stty -a && ls /dev/pts/0'
	[ "$status" -eq 0 ]
	[[ "$output" == *speed*"/dev/pts/0"* ]]
	[ -n "${COFFER_TEST_SANDBOX-}" ] || pod run --rm -t image ls /dev/console
}

@test "run -v, --read-only, --tmpfs, --cap-drop" {
	mkdir -p "$T/home/shared"
	echo shared > "$T/home/shared/file"
	chown -R "$USER_ID:$USER_ID" "$T/home/shared"
	[ "$(pod run --rm -v "$T/home/shared:/v:ro" image cat /v/file)" = shared ]
	run pod run --rm -v "$T/home/shared:/v:ro" image sh -c 'echo x > /v/file'
	[ "$status" -ne 0 ]
	[ "$(cat "$T/home/shared/file")" = shared ]
	pod run --rm --read-only --tmpfs /t image sh -c '! echo x > /new 2> /dev/null && echo x > /t/new'
	pod run --rm --cap-drop all image cat /proc/self/status | grep -q '^CapEff:.*0000000000000000$'
}

@test "a container in the background: exec, logs, stop" {
	pod run -d --name back image sh -c 'trap "exit 0" TERM; echo started; while :; do sleep 0.1; done'
	[ "$(pod exec back echo in)" = in ]
	[[ "$(pod exec --user 5 back id -u)" == 5 ]]
	until_true logged started
	pod stop -t 60 back > /dev/null
	[ "$(pod inspect -f '{{.State.ExitCode}}' back)" -eq 0 ]
	pod start back > /dev/null
	pod kill back > /dev/null
	pod rm -f -t 0 back > /dev/null
	until_true none_left
}

logged() {
	pod logs back | grep -q "$1"
}
