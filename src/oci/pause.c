/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/pause.c - pause and resume: the freezer of the container's cgroup
 */
#include "oci/handle.h"
#include "oci/sentry.h"

static int pause_change(const struct oci *oci, const char *id, unsigned allowed, const char *what,
			int (*change)(struct engine_container *c, struct coffer_error *err),
			struct coffer_error *err)
{
	autohandle struct handle h = HANDLE_INIT;
	int r = handle_open(oci, id, STATE_EXCLUSIVE, allowed, what, &h, err);

	if (r == 0 && sentry_inside(&h.dir) && h.status != STATUS_CREATED)
		return sentry_freeze(oci, &h.dir, &h.state, change == engine_pause, err);
	if (r == 0)
		r = handle_attach(&h, -1, err);
	return r < 0 ? r : change(h.engine, err);
}

static int pause_main(const struct oci *oci, const void *opts, int nargs, char *args[],
		      struct coffer_error *err)
{
	return pause_change(oci, args[0],
			    STATUS_BIT(STATUS_CREATED) | STATUS_BIT(STATUS_RUNNING), "pause",
			    engine_pause, err);
}

static int pause_resume(const struct oci *oci, const void *opts, int nargs, char *args[],
			struct coffer_error *err)
{
	return pause_change(oci, args[0], STATUS_BIT(STATUS_PAUSED), "resume", engine_resume, err);
}

static const struct opt_row pause_rows[] = { OCI_ROW_HELP };

const struct oci_command oci_pause = {
	.name = "pause",
	.usage = "ID",
	.help = "Suspend every process of a container",
	.fn = pause_main,
	.rows = pause_rows,
	.nrows = ARRAY_SIZE(pause_rows),
	.min_args = 1,
	.max_args = 1,
};

const struct oci_command oci_resume = {
	.name = "resume",
	.usage = "ID",
	.help = "Let the processes of a paused container go on",
	.fn = pause_resume,
	.rows = pause_rows,
	.nrows = ARRAY_SIZE(pause_rows),
	.min_args = 1,
	.max_args = 1,
};
