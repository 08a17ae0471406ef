/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/hooks.c - programs of the host's or the container's side, run at points of its life
 *
 *	state --json-c--> memory file --> stdin  hook  stdout, stderr --> memory file --> last line
 *
 * Memory files instead of pipes: neither end ever waits for the other, a hook
 * need not read its input, and a process that it leaves behind can go on
 * writing without anyone there.
 *
 * A failed hook is an error, but for the lists that the specification wants
 * the container to go on after.
 *
 * Deliberately absent: namespaces, users, working directory.  The caller is
 * where the hook shall run: the runtime for prestart, createRuntime, poststart
 * and poststop, the container's init for the others.
 *
 * Callers: container.c, init.c, process.c.
 */
#define LOG_CATEGORY "hooks"
#include "engine/hooks.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/spawn.h"

#define HOOKS_LINE_MAX 256 /* bytes of a hook's last line that are told */

static bool hooks_json_add_text(struct json_object *obj, const char *key, const char *text)
{
	return json_add(obj, key, json_object_new_string(text));
}

static struct json_object *hooks_json_annotations(const struct oci_pairs *pairs)
{
	autojson struct json_object *obj = json_object_new_object();

	for (size_t i = 0; obj && i < pairs->n; i++)
		if (!hooks_json_add_text(obj, pairs->v[i].key, pairs->v[i].value))
			return NULL;
	return steal_ptr(obj);
}

struct json_object *hook_state_json(const struct hook_state *state)
{
	autojson struct json_object *obj = json_object_new_object();

	if (!obj || !hooks_json_add_text(obj, "ociVersion", state->oci_version) ||
	    !hooks_json_add_text(obj, "id", state->id) ||
	    !hooks_json_add_text(obj, "status", state->status) ||
	    (state->pid > 0 && !json_add(obj, "pid", json_object_new_int(state->pid))) ||
	    !hooks_json_add_text(obj, "bundle", state->bundle))
		return NULL;
	if (state->annotations && state->annotations->n > 0 &&
	    !json_add(obj, "annotations", hooks_json_annotations(state->annotations)))
		return NULL;
	return steal_ptr(obj);
}

/* Return: descriptor of a memory file at its start, or negative errno */
static int hooks_write_state(const struct hook_state *state, struct coffer_error *err)
{
	autoclose int fd = memfd_create("state", MFD_CLOEXEC);
	autojson struct json_object *obj = hook_state_json(state);
	const char *text;
	size_t len;
	int r;

	if (!obj)
		return err_nomem(err);
	text = json_object_to_json_string_length(
	    obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (!text)
		return err_nomem(err);
	if (fd < 0)
		return err_sys(err, "memory file for the state");
	r = io_write_full(fd, text, len);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sysn(err, r < 0 ? r : errno, "write the state");
	return steal_fd(&fd);
}

/* ": " and the last line there is in @fd, made printable; or nothing */
static void hooks_last_line(int fd, char line[HOOKS_LINE_MAX + 3])
{
	struct stat st;
	ssize_t n;
	char *start, *p;

	line[0] = '\0';
	if (fstat(fd, &st) < 0)
		return;
	n = pread(fd, line + 2, HOOKS_LINE_MAX,
		  st.st_size > HOOKS_LINE_MAX ? st.st_size - HOOKS_LINE_MAX : 0);
	while (n > 0 && (line[n + 1] == '\n' || line[n + 1] == '\0'))
		n--;
	if (n <= 0) {
		line[0] = '\0';
		return;
	}
	line[n + 2] = '\0';
	p = memrchr(line + 2, '\n', (size_t)n);
	start = p ? p + 1 : line + 2;
	for (p = start; p < line + 2 + n; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	memmove(line + 2, start, (size_t)(p - start) + 1);
	memcpy(line, ": ", 2);
}

static int hooks_wait(const struct oci_hook *hook, struct child *child, int out,
		      struct coffer_error *err)
{
	usec_t budget = hook->timeout.set ? (usec_t)hook->timeout.v * USEC_PER_SEC : USEC_INFINITY;
	char line[HOOKS_LINE_MAX + 3];
	const char *name;
	siginfo_t si;
	int r;

	r = child_wait(child, budget == USEC_INFINITY ? budget : deadline_in(budget), &si);
	if (r == -ETIMEDOUT) {
		/* Not reaped yet, so the group is still its own. */
		kill(-child->pid, SIGKILL);
		child_end(child);
		hooks_last_line(out, line);
		return err_timeout(err, "%s: killed after %" PRId32 " seconds%s", hook->path,
				   hook->timeout.v, line);
	}
	if (r < 0)
		return err_sysn(err, r, "wait for %s", hook->path);
	if (si.si_code == CLD_EXITED && si.si_status == 0)
		return 0;
	hooks_last_line(out, line);
	if (si.si_code == CLD_EXITED)
		return err_internal(err, "%s: exit status %d%s", hook->path, si.si_status, line);
	name = sigdescr_np(si.si_status);
	name = name ? name : "?";
	return err_internal(err, "%s: killed by signal %d (%c%s)%s", hook->path, si.si_status,
			    tolower((unsigned char)name[0]), name + 1, line);
}

static int hooks_run_one(const struct oci_hook *hook, const struct hook_state *state,
			 struct coffer_error *err)
{
	autochild struct child child = CHILD_INIT;
	autoclose int in = -1, out = -1;
	const char *bare[] = { hook->path, NULL };
	struct spawn_fd fds[3];
	struct spawn_args args = {
		.path = hook->path,
		.argv = hook->args.n > 0 ? (const char *const *)hook->args.v : bare,
		.envp = hook->env.n > 0 ? (const char *const *)hook->env.v : state->env,
		.fds = fds,
		.nfds = ARRAY_SIZE(fds),
		.pdeathsig = SIGKILL,
		.new_session = true,
	};
	int r;

	in = hooks_write_state(state, err);
	if (in < 0)
		return in;
	out = memfd_create("output", MFD_CLOEXEC);
	if (out < 0)
		return err_sys(err, "memory file for output");
	/* Two writers, and each may open it again by its name in /dev. */
	if (fcntl(out, F_SETFL, O_APPEND) < 0)
		return err_sys(err, "set output to append");
	fds[0] = (struct spawn_fd){ in, STDIN_FILENO };
	fds[1] = (struct spawn_fd){ out, STDOUT_FILENO };
	fds[2] = (struct spawn_fd){ out, STDERR_FILENO };
	r = spawn_exec(&args, &child, err);
	return r < 0 ? r : hooks_wait(hook, &child, out, err);
}

static bool hooks_may_fail(const char *name)
{
	return strcmp(name, "poststart") == 0 || strcmp(name, "poststop") == 0;
}

int hooks_run(const struct oci_hook_list *list, const char *name, const struct hook_state *state,
	      struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	int r;

	for (size_t i = 0; i < list->n; i++) {
		r = hooks_run_one(&list->v[i], state, &why);
		if (r == 0)
			continue;
		err_wrap(&why, "error running hook %s[%zu]", name, i);
		if (!hooks_may_fail(name)) {
			if (err)
				*err = why;
			return r;
		}
		log_warning("%s", why.message);
		err_clear(&why);
	}
	return 0;
}
