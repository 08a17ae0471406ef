# SPDX-License-Identifier: Apache-2.0
# An ordinary user with a range of ids, made for a test: commands run with copies of /etc/passwd
# and its like, seen by them alone.

USER_ID=61234
RANGE=700000
# podman's locks are in shared memory that bears the user's number, and one that starts clears them.
[ -z "${COFFER_TEST_SANDBOX-}" ] || USER_ID=61235

# rootless_setup: after oci_setup; the user may write to $T/home, $T/run and $T/xdg
rootless_setup() {
	mkdir -p "$T/home" "$T/run" "$T/xdg" "$T/etc"
	for file in passwd group subuid subgid; do
		[ -e "/etc/$file" ] || skip "there is no /etc/$file"
		cp "/etc/$file" "$T/etc/$file"
	done
	echo "ordinary:x:$USER_ID:$USER_ID::$T/home:/bin/sh" >> "$T/etc/passwd"
	echo "ordinary:x:$USER_ID:" >> "$T/etc/group"
	echo "ordinary:$RANGE:65536" >> "$T/etc/subuid"
	echo "ordinary:$RANGE:65536" >> "$T/etc/subgid"
	cp "$COFFER_OCI" "$T/coffer-oci"
	if [ -n "${COFFER_TEST_SANDBOX-}" ]; then
		cp "${COFFER_OCI%/*}/coffer-oci-sentry" "${COFFER_OCI%/*}/coffer-sentry" "$T"
	fi
	chown -R "$USER_ID:$USER_ID" "$T/home" "$T/run" "$T/xdg"
	as_user true || skip "an ordinary user cannot be played here"
	as_user unshare -U true || skip "ordinary users may make no user namespaces"
}

# as_user COMMAND...: with nothing of root's but the descriptors
as_user() {
	# shellcheck disable=SC2016
	unshare -m --propagation private sh -eu -c '
		etc=$1; user=$2; home=$3; xdg=$4; path=$5; shift 5
		for file in passwd group subuid subgid; do
			mount --bind "$etc/$file" "/etc/$file"
		done
		exec setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all \
			env -i HOME="$home" PATH="$path" XDG_RUNTIME_DIR="$xdg" "$@"
	' sh "$T/etc" "$USER_ID" "$T/home" "$T/xdg" "${USER_PATH:-/usr/bin:/bin:/usr/sbin:/sbin}" "$@"
}
