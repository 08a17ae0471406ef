/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/reaper.c - SIGCHLD: the agent's own children and orphans
 *
 * A dead child is looked at first (WNOWAIT).  A process of the table reaps
 * itself, through its pidfd, and tells its waiters; everything else - orphans
 * that PID 1 inherits, workers - is simply reaped.
 *
 * This cannot take a child away from the engine: the engine waits for its
 * helpers before it returns, and signals are only looked at between handlers.
 */
#include "agent/reaper.h"

#include <signal.h>
#include <sys/wait.h>

#include "agent/container.h"

void reaper_reap(struct agent *agent)
{
	siginfo_t si;

	for (;;) {
		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || si.si_pid == 0)
			return;
		if (container_reap(agent, si.si_pid))
			continue;
		waitid(P_PID, (id_t)si.si_pid, &si, WEXITED | WNOHANG);
	}
}

static void reaper_handler(struct loop_source *src, const struct signalfd_siginfo *info, void *data)
{
	reaper_reap(data);
}

int reaper_init(struct agent *agent, struct coffer_error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return loop_add_signals(agent->loop, &set, reaper_handler, agent, NULL, err);
}
