/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/kill.c - kill: a signal to init, or to every process of the container
 *
 * Without the lock: a command that hangs in a hook while it holds it is what
 * one may want to end.  The signal goes by pidfd, so there is nothing to race.
 */
#include "oci/handle.h"
#include "oci/sentry.h"

struct kill_opts {
	bool help, all;
};

#define OCI_OPTS struct kill_opts

/* Those in a sentry are the sentry's to signal; SIGKILL of what stands for them ends them all. */
static int kill_send(const struct oci *oci, const struct handle *h, bool all, int sig,
		     struct coffer_error *err)
{
	bool started = h->status == STATUS_RUNNING || h->status == STATUS_PAUSED;

	if (all && sig != SIGKILL && started && sentry_inside(&h->dir))
		return sentry_signal(oci, &h->state, sig, err);
	return all ? engine_kill_all(h->engine, sig, err) : engine_kill(h->engine, sig, err);
}

static int kill_main(const struct oci *oci, const void *data, int nargs, char *args[],
		     struct coffer_error *err)
{
	const char *name = nargs > 1 ? args[1] : "TERM";
	const struct kill_opts *opts = data;
	autohandle struct handle h = HANDLE_INIT;
	int sig = spawn_signal_parse(name), r;

	if (sig < 0)
		return err_invalid(err, "unknown signal \"%s\"", name);
	/* All of nothing is fine: a container without a pid namespace may have left some. */
	r = handle_open(oci, args[0], STATE_UNLOCKED,
			STATUS_LIVE | (opts->all ? STATUS_BIT(STATUS_STOPPED) : 0), "kill", &h,
			err);
	if (r == 0)
		r = handle_attach(&h, -1, err);
	if (r < 0)
		return r;
	r = kill_send(oci, &h, opts->all, sig, err);
	if (r == -ESRCH)
		return err_state(err, "cannot kill container %s: container not running", args[0]);
	return r == -ENOENT && opts->all && h.status == STATUS_STOPPED ? 0 : r;
}

static const struct opt_row kill_rows[] = {
	OCI_FLAG("all", 'a', all, "Signal every process of the container"),
	OCI_ROW_HELP,
};

const struct oci_command oci_kill = {
	.name = "kill",
	.usage = "[OPTION...] ID [SIGNAL]",
	.help = "Send a signal (default: TERM) to a container's init",
	.fn = kill_main,
	.rows = kill_rows,
	.nrows = ARRAY_SIZE(kill_rows),
	.min_args = 1,
	.max_args = 2,
};
