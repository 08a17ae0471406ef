/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/signals.c - signals sent to us are meant for the program in the container
 *
 * They are blocked everywhere and taken by one thread: before the program runs
 * they make the start give up, afterwards they are forwarded.  A machine that
 * does not answer to one that asks for the end is ended.  Stop signals (Ctrl-Z
 * without a terminal of its own) keep their usual effect on us.
 */
#define LOG_CATEGORY "cli"
#include "cli/signals.h"

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "cli/cli.h"
#include "base/tty.h"

static const int signals_forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM };

/* Wakes the thread for its end; nobody else has a use for it with us. */
#define SIGNALS_STOP SIGURG

static bool signals_is_ignored(int sig)
{
	struct sigaction sa;

	return sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
}

void signals_block(struct signals *s)
{
	sigemptyset(&s->set);
	for (size_t i = 0; i < ARRAY_SIZE(signals_forwarded); i++) {
		/* nohup(1) asked for the program to outlive its terminal. */
		if (signals_forwarded[i] == SIGHUP && signals_is_ignored(SIGHUP))
			continue;
		sigaddset(&s->set, signals_forwarded[i]);
	}
	if (s->terminal)
		sigaddset(&s->set, SIGWINCH);
	sigaddset(&s->set, SIGNALS_STOP);
	pthread_sigmask(SIG_BLOCK, &s->set, NULL);
	/* Both are errors of a write(2), to be told like any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void signals_resize(struct signals *s, struct coffer_process *process)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	uint16_t rows, columns;

	tty_size(STDIN_FILENO, &rows, &columns);
	if (rows > 0 && columns > 0 && coffer_process_resize(process, rows, columns, &err) < 0)
		log_debug("resize: %s", err.message);
}

static void signals_handle(struct signals *s, int sig)
{
	struct coffer_process *process = s->process;
	struct coffer_error err = COFFER_ERROR_INIT;

	if (sig == SIGWINCH) {
		if (atomic_load(&s->started))
			signals_resize(s, process);
		return;
	}
	if (!atomic_load(&s->started) && s->container) {
		atomic_store(&s->caught, sig);
		coffer_container_cancel(s->container);
		/* It may have got past its last look meanwhile; then the kill below counts. */
	}
	if (coffer_process_kill(process, sig, &err) == 0)
		return;
	log_debug("forward SIG%s: %s", sigabbrev_np(sig), err.message);
	if (err.kind == COFFER_ERR_TIMEOUT && sig != SIGUSR1 && sig != SIGUSR2) {
		/* Else nothing short of SIGKILL would end us. */
		cli_fail(&err);
		if (s->container)
			coffer_container_stop(s->container, 0, NULL);
	}
}

static void *signals_thread(void *data)
{
	struct signals *s = data;
	int sig;

	for (;;) {
		if (sigwait(&s->set, &sig) != 0)
			continue;
		if (atomic_load(&s->stopping))
			return NULL;
		if (sig != SIGNALS_STOP)
			signals_handle(s, sig);
	}
}

int signals_start(struct signals *s, struct coffer_error *err)
{
	int r = pthread_create(&s->thread, NULL, signals_thread, s);

	return r == 0 ? 0 : err_sysn(err, r, "start a thread");
}

void signals_stop(struct signals *s)
{
	atomic_store(&s->stopping, true);
	pthread_kill(s->thread, SIGNALS_STOP);
	pthread_join(s->thread, NULL);
}
