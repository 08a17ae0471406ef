/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/start.c - start: let a created container's init execute its program
 *
 * The gate is removed last: whoever kills us before leaves one that nobody
 * answers at, which status.c tells from one where init waits.
 */
#include "oci/handle.h"

#include <errno.h>
#include <unistd.h>

#include "oci/foreground.h"
#include "oci/notify.h"
#include "oci/sentry.h"
#include "oci/sentry_names.h"

static int start_main(const struct oci *oci, const void *opts, int nargs, char *args[],
		      struct coffer_error *err)
{
	autoforeground struct foreground fg = FOREGROUND_INIT;
	autohandle struct handle h = HANDLE_INIT;
	autoclose int verdict = -1;
	int r, gate;

	r = handle_open(oci, args[0], STATE_EXCLUSIVE, STATUS_BIT(STATUS_CREATED), "start", &h,
			err);
	if (r < 0)
		return r;
	gate = engine_gate_connect(h.dir.fd, err);
	if (gate < 0)
		return err_wrap(err, "start container %s", args[0]);
	r = handle_attach(&h, gate, err);
	if (r == 0)
		r = notify_listen(h.dir.fd, &fg.notify, err);
	if (r == 0 && sentry_inside(&h.dir))
		r = verdict = sentry_verdict_listen(&h.dir, SENTRY_VERDICT, err);
	if (r >= 0)
		r = engine_start(h.engine, err);
	if (r < 0)
		return r;
	if (engine_gate_remove(h.dir.fd, err) < 0)
		return err_wrap(err, "start container %s", args[0]);
	/* Left by a create that was killed after its work was done. */
	unlinkat(h.dir.fd, STATE_CREATING, 0);
	if (verdict >= 0) {
		r = sentry_verdict(verdict, &engine_init(h.engine)->child, err);
		if (r < 0)
			return err_wrap(err, "start container %s", args[0]);
	}
	state_dir_unlock(&h.dir);
	notify_wait(fg.notify, &engine_init(h.engine)->child);
	return 0;
}

static const struct opt_row start_rows[] = { OCI_ROW_HELP };

const struct oci_command oci_start = {
	.name = "start",
	.usage = "ID",
	.help = "Start the program of a created container",
	.fn = start_main,
	.rows = start_rows,
	.nrows = ARRAY_SIZE(start_rows),
	.min_args = 1,
	.max_args = 1,
};
