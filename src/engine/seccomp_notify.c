/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_notify.c - handing a filter's listener to the agent that answers for it
 *
 *	container's process: seccomp(2) gives a listener; tells its number (sync.h)
 *	parent:              takes the listener out of it, connects to the agent's socket,
 *	                     one message: the container process state, and the descriptor
 *	parent -> process:   go on; whatever is asked from now on the agent answers
 *
 * Between the filter and that answer the process makes no call but write(2),
 * for which SCMP_ACT_NOTIFY is refused, and read(2), which the agent may answer.
 *
 * Caller: container.c.
 */
#include "engine/seccomp_notify.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"

#define NOTIFY_BUDGET_SECONDS 10 /* for an agent that does not read */

static struct json_object *notify_fds(void)
{
	struct json_object *names = json_object_new_array();
	struct json_object *name = json_object_new_string("seccompFd");

	if (names && name && json_object_array_add(names, name) == 0)
		return names;
	json_object_put(name);
	json_object_put(names);
	return NULL;
}

static struct json_object *notify_json(const struct oci_seccomp *spec,
				       const struct hook_state *state, pid_t pid)
{
	autojson struct json_object *obj = json_object_new_object();

	if (!obj || !json_add(obj, "ociVersion", json_object_new_string(state->oci_version)) ||
	    !json_add(obj, "fds", notify_fds()) || !json_add(obj, "pid", json_object_new_int(pid)))
		return NULL;
	if (spec->listener_metadata &&
	    !json_add(obj, "metadata", json_object_new_string(spec->listener_metadata)))
		return NULL;
	return json_add(obj, "state", hook_state_json(state)) ? steal_ptr(obj) : NULL;
}

int seccomp_notify_send(const struct oci_seccomp *spec, const struct hook_state *state, pid_t pid,
			int listener, struct coffer_error *err)
{
	autojson struct json_object *obj = notify_json(spec, state, pid);
	const struct timeval budget = { .tv_sec = NOTIFY_BUDGET_SECONDS };
	autoclose int sock = -1;
	const char *text;
	size_t len;
	int r;

	text = obj ? json_object_to_json_string_length(
			 obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len)
		   : NULL;
	if (!text)
		return err_nomem(err);
	sock = io_unix_connect(AT_FDCWD, spec->listener_path, SOCK_STREAM, err);
	if (sock < 0)
		return err_wrap(err, "linux.seccomp.listenerPath");
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &budget, sizeof(budget)) < 0)
		return err_sys(err, "limit the waiting time");
	r = io_send_fds(sock, text, len, &listener, 1);
	return r < 0
		   ? err_sysn(err, r, "linux.seccomp.listenerPath: send to %s", spec->listener_path)
		   : 0;
}
