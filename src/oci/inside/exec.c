/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/exec.c - a further process in a container's sentry
 *
 * Callers: main.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "oci/inside/guard.h"
#include "oci/inside/inside.h"
#include "oci/inside/verdict.h"

static int exec_read(int dir, const char *process, struct oci_spec **out, struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(dir, process, OCI_JSON_MAX, &text, &len, err);

	unlinkat(dir, process, 0);
	return r < 0 ? r : oci_spec_parse(text, len, out, err);
}

/* In the words that clients look for. */
static int exec_start(struct inside_process *p, const struct oci_spec *spec,
		      struct coffer_error *err)
{
	const char *name = spec->process->args.n > 0 ? spec->process->args.v[0] : "";
	int r = inside_start(p, spec, err);

	if (r == -ENOENT && !strchr(name, '/'))
		err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
			"exec \"%s\": executable file not found in $PATH", name);
	return r;
}

struct exec {
	struct inside_process process;
	int verdict, sockets, guard; /* owned */
};

static int exec_run(struct exec *e, const char *dir, struct coffer_error *err)
{
	struct inside_process *p = &e->process;
	auto_oci_spec struct oci_spec *spec = NULL;
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[SENTRY_ID_MAX + sizeof(SENTRY_VERDICT_OF)];
	int r;

	if (fd < 0)
		return err_sys(err, "open %s", dir);
	snprintf(name, sizeof(name), SENTRY_VERDICT_OF "%s", p->key.id);
	e->verdict = verdict_connect(fd, name);
	r = exec_read(fd, p->key.id, &spec, err);
	if (r < 0)
		return r;
	e->sockets = p->sockets = openat(fd, SENTRY_SOCKETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->sockets < 0)
		return err_sys(err, "open %s", SENTRY_SOCKETS);
	e->guard = guard_join(e->sockets, p->key.id, err);
	return e->guard < 0 ? e->guard : exec_start(p, spec, err);
}

int inside_exec_main(const char *dir, const char *id, const char *process)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct exec e = { .process = INSIDE_PROCESS_INIT, .verdict = -1, .sockets = -1,
			  .guard = -1 };
	int r;

	e.process.key = (struct agent_process){ .container = id, .id = process };
	r = exec_run(&e, dir, &err);
	verdict_tell(e.verdict, r, &err);
	if (r < 0)
		r = r == -ENOENT ? INSIDE_EXIT_NOT_FOUND : INSIDE_EXIT_NOT_EXECUTABLE;
	else
		r = inside_wait(&e.process);
	inside_free(&e.process);
	close_fd(&e.guard);
	close_fd(&e.sockets);
	close_fd(&e.verdict);
	return r;
}
