/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/transfer.c - a call of the library that takes long: seen, and ended by Ctrl-C
 *
 * Signals are not caught but read from a descriptor, which is the one that the
 * library looks at: so it ends in order, and leaves what a later one goes on
 * with.
 */
#include "cli/transfer.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"

static const int transfer_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

int transfer_begin(struct transfer *t, bool quiet, struct coffer_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(transfer_signals); i++) {
		struct sigaction sa;

		/* Once it is blocked the kernel no longer minds that nobody wants it. */
		if (sigaction(transfer_signals[i], NULL, &sa) == 0 && sa.sa_handler != SIG_IGN)
			sigaddset(&set, transfer_signals[i]);
	}
	pthread_sigmask(SIG_BLOCK, &set, &t->before);
	t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signal_fd < 0) {
		int r = err_sys(err, "signalfd");

		pthread_sigmask(SIG_SETMASK, &t->before, NULL);
		return r;
	}
	t->how.cancel_fd = t->signal_fd;
	if (!quiet) {
		bars_begin(&t->bars, STDERR_FILENO);
		t->how.progress = bars_tell;
		t->how.data = &t->bars;
	}
	return 0;
}

/* Return: the signal that came, or 0 */
static int transfer_stop(struct transfer *t)
{
	struct signalfd_siginfo si = { 0 };

	if (t->signal_fd < 0)
		return 0;
	if (t->how.progress)
		bars_end(&t->bars);
	if (read(t->signal_fd, &si, sizeof(si)) != sizeof(si))
		si.ssi_signo = 0;
	close_fd(&t->signal_fd);
	t->how.cancel_fd = -1;
	pthread_sigmask(SIG_SETMASK, &t->before, NULL);
	return (int)si.ssi_signo;
}

int transfer_end(struct transfer *t, int r, int failed, const struct coffer_error *err)
{
	int caught = transfer_stop(t);

	/* Also when it came too late to end anything: whoever sent it wants no more. */
	if (caught && (r >= 0 || err->kind == COFFER_ERR_CANCELLED))
		return CLI_EXIT_SIGNAL + caught;
	if (r >= 0)
		return CLI_EXIT_OK;
	cli_fail(err);
	return failed;
}
