/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/run.c - run: create, start, and unless --detach, wait and delete
 *
 * The exit code is the program's, 128+n when signal n has ended it.
 */
#include "oci/run.h"

#include <sys/prctl.h>

#include "base/log.h"
#include "oci/console.h"
#include "oci/foreground.h"
#include "oci/notify.h"
#include "oci/sentry.h"
#include "oci/sentry_names.h"

#define OCI_OPTS struct creation_opts

static int run_start(struct creation *c, struct foreground *fg, struct coffer_error *err)
{
	int r = creation_make(c, err);
	autoclose int verdict = -1;

	if (r == 0)
		r = notify_listen(c->dir.fd, &fg->notify, err);
	if (r == 0 && !c->detach && c->spec->process->terminal)
		r = foreground_terminal(fg, engine_init(c->engine)->ptmx, err);
	if (r == 0 && c->oci->sentry)
		r = verdict = sentry_verdict_listen(&c->dir, SENTRY_VERDICT, err);
	if (r >= 0 && !c->make)
		r = engine_start(c->engine, err);
	if (r == 0 && verdict >= 0)
		r = sentry_verdict(verdict, &engine_init(c->engine)->child, err);
	return r < 0 ? r : creation_complete(c, err);
}

static int run_detached(struct creation *c, const struct foreground *fg)
{
	const struct child *init = &engine_init(c->engine)->child;

	state_dir_unlock(&c->dir);
	notify_wait(fg->notify, init);
	creation_keep(c);
	return 0;
}

/* Another command may have deleted it since init ended. */
static void run_delete(struct creation *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (state_dir_relock(&c->dir, c->id, &err) < 0)
		creation_keep(c);
	else if (creation_delete(c, &err) < 0)
		log_warning("%s", err.message);
}

static int run_attached(struct creation *c, struct foreground *fg, struct coffer_error *err)
{
	int code;

	/* Others may work on it while we wait. */
	state_dir_unlock(&c->dir);
	code = foreground_wait(fg, &engine_init(c->engine)->child, err);
	if (c->opts->keep)
		creation_keep(c);
	else
		run_delete(c);
	return code;
}

int run_container(struct creation *c, struct coffer_error *err)
{
	autoforeground struct foreground fg = FOREGROUND_INIT;
	int r;

	if (!c->opts->no_subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warning("become the reaper of orphans failed");
	r = c->detach ? 0 : foreground_begin(&fg, err);
	if (r == 0)
		r = run_start(c, &fg, err);
	if (r < 0)
		return r;
	return c->detach ? run_detached(c, &fg) : run_attached(c, &fg, err);
}

static int run_main(const struct oci *oci, const void *opts, int nargs, char *args[],
		    struct coffer_error *err)
{
	autocreation struct creation c = CREATION_INIT;

	c.oci = oci;
	c.opts = opts;
	c.id = args[0];
	c.detach = c.opts->detach;
	return run_container(&c, err);
}

static const struct opt_row run_rows[] = {
	OCI_FLAG("detach", 'd', detach, "Do not wait for it to end"),
	OCI_FLAG("keep", 0, keep, "Do not delete it when it has ended"),
	CREATION_ROWS,
};

const struct oci_command oci_run = {
	.name = "run",
	.usage = "[OPTION...] ID",
	.help = "Create and start a container",
	.fn = run_main,
	.rows = run_rows,
	.nrows = ARRAY_SIZE(run_rows),
	.min_args = 1,
	.max_args = 1,
	.enters = true,
};
