# SPDX-License-Identifier: Apache-2.0
#
# sandbox.bash - the same tests with either sandbox
#
# COFFER_SANDBOX, which coffer reads itself, says what containers run in.

# needs_machine WHY: skip where containers have no machine
needs_machine() {
	[ "${COFFER_SANDBOX:-vm}" = vm ] || skip "$1"
}

# wall OWNER: the two processes each of which is the end of the owner's sandbox, parent and child
wall() {
	local parent
	parent=$(pgrep -P "$1")
	echo "$parent" "$(pgrep -P "$parent" -x "$(wall_name)")"
}

# The child's name.
wall_name() {
	case "${COFFER_SANDBOX:-vm}" in
	sentry) echo coffer-gofer ;;
	*) echo qemu-system-x86 ;;
	esac
}
