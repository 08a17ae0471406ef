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

static int exec_run(struct inside_process *p, const char *dir, struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int sockets = -1, guard = -1;
	int r;

	if (fd < 0)
		return err_sys(err, "open %s", dir);
	r = exec_read(fd, p->key.id, &spec, err);
	if (r < 0)
		return r;
	sockets = openat(fd, SENTRY_SOCKETS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sockets < 0)
		return err_sys(err, "open %s", SENTRY_SOCKETS);
	guard = guard_join(sockets, p->key.id, err);
	if (guard < 0)
		return guard;
	p->sockets = sockets;
	r = exec_start(p, spec, err);
	return r < 0 ? r : inside_wait(p);
}

int inside_exec_main(const char *dir, const char *id, const char *process)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct inside_process p = INSIDE_PROCESS_INIT;
	int code;

	p.key = (struct agent_process){ .container = id, .id = process };
	code = exec_run(&p, dir, &err);
	inside_free(&p);
	if (code >= 0)
		return code;
	fprintf(stderr, "exec failed: %s\n", err.message);
	return code == -ENOENT ? INSIDE_EXIT_NOT_FOUND : INSIDE_EXIT_NOT_EXECUTABLE;
}
