# SPDX-License-Identifier: Apache-2.0
# What the tests of coffer-oci have in common: a bundle with nothing but the payload in it, a state
# directory of its own, and a look at what is left.

oci_setup() {
	[ "$(id -u)" -eq 0 ] || skip "containers on the host take root here"
	command -v jq > /dev/null || skip "jq is not installed"
	T=$(mktemp -d /tmp/coffer-oci-XXXXXX)
	chmod 755 "$T"
	B="$T/bundle"
	mkdir -p "$B/rootfs"
	cp "$COFFER_PAYLOAD" "$B/rootfs/payload"
	chmod 755 "$B/rootfs/payload"
	(cd "$B" && "$COFFER_OCI" spec)
	configure '.process.terminal = false | .root.readonly = false'
	ID="oci-$$-$BATS_TEST_NUMBER"
}

oci_teardown() {
	[ -n "$T" ] || return 0
	"$COFFER_OCI" --root "$T/run" delete --force --regex . > /dev/null 2>&1 || true
	rm -rf "$T"
}

oci() {
	"$COFFER_OCI" --root "$T/run" "$@"
}

# configure JQ-FILTER...: change config.json
configure() {
	local filter
	for filter; do
		jq "$filter" "$B/config.json" > "$T/config" && mv "$T/config" "$B/config.json"
	done
}

# args WORD...: process.args is the payload with these
args() {
	configure ".process.args = $(printf '%s\n' /payload "$@" | jq -R . | jq -sc .)"
}

# status ID
status_of() {
	oci state "$1" | jq -r .status
}

# until_true COMMAND...: at most a minute
until_true() {
	for _ in $(seq 1200); do
		"$@" && return 0
		sleep 0.05
	done
	echo "never true: $*"
	return 1
}

is() {
	[ "$(status_of "$1" 2> /dev/null)" = "$2" ]
}

# detached ID: a container that runs until it is killed, silent
detached() {
	args wait
	oci run -d -b "$B" "$1" < /dev/null > /dev/null
}

# Nothing of container ID is left: directory, cgroup, process, mount
gone() {
	[ ! -e "$T/run/$1" ] &&
		[ -z "$(find /sys/fs/cgroup -name "$1" -type d 2> /dev/null)" ] &&
		! grep -qs "/$1\$" /proc/[0-9]*/cgroup &&
		! grep -q "$T" /proc/self/mountinfo
}
