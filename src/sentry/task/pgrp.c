/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pgrp.c - process groups and sessions
 *
 * A group is found by its number as long as it has a member, zombies included; so is a session as
 * long as one of its groups has. References (terminals hold some) only keep the memory.
 *
 * All with tasks_lock held but process_pgid().
 */
#include <stdlib.h>

#include "sentry/control/container.h"
#include "sentry/task/internal.h"

struct session *session_get(struct session *session)
{
	session->refs++;
	return session;
}

void session_put(struct session *session)
{
	if (session && !--session->refs)
		free(session);
}

struct pgrp *pgrp_get(struct pgrp *pgrp)
{
	pgrp->refs++;
	return pgrp;
}

void pgrp_put(struct pgrp *pgrp)
{
	if (!pgrp || --pgrp->refs)
		return;
	session_put(pgrp->session);
	free(pgrp);
}

/* Its last member has left */
static void pgrp_forget(struct pgrp *pgrp, struct pid_table *pids)
{
	struct session *session = pgrp->session;

	pid_get(pids, pgrp->id)->pgrp = NULL;
	pid_drop_unused(pids, pgrp->id);
	if (--session->npgrps)
		return;
	pid_get(pids, session->id)->session = NULL;
	pid_drop_unused(pids, session->id);
}

void pgrp_leave(struct process *process)
{
	struct pgrp *pgrp = process->pgrp;

	if (!pgrp)
		return;
	if (process->pgrp_prev)
		process->pgrp_prev->pgrp_next = process->pgrp_next;
	else
		pgrp->processes = process->pgrp_next;
	if (process->pgrp_next)
		process->pgrp_next->pgrp_prev = process->pgrp_prev;
	process->pgrp_prev = process->pgrp_next = NULL;
	process->pgrp = NULL;
	if (!pgrp->processes)
		pgrp_forget(pgrp, process->container->pids);
	pgrp_put(pgrp);
}

void pgrp_enter(struct process *process, struct pgrp *pgrp)
{
	if (process->pgrp == pgrp)
		return;
	pgrp_get(pgrp); /* before the old one is left, which may hold the session */
	pgrp_leave(process);
	process->pgrp = pgrp;
	process->pgrp_next = pgrp->processes;
	if (pgrp->processes)
		pgrp->processes->pgrp_prev = process;
	pgrp->processes = process;
}

int pgrp_begin(struct process *process, struct session *session)
{
	struct pgrp *pgrp = calloc(1, sizeof(*pgrp));

	if (!pgrp)
		return -ENOMEM;
	pgrp->id = process->pid;
	pgrp->session = session_get(session);
	session->npgrps++;
	pid_get(process->container->pids, pgrp->id)->pgrp = pgrp;
	pgrp_enter(process, pgrp);
	return 0;
}

int session_begin(struct process *process)
{
	struct session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return -ENOMEM;
	session->id = process->pid;
	session_get(session);
	r = pgrp_begin(process, session);
	if (!r)
		pid_get(process->container->pids, session->id)->session = session;
	session_put(session);
	return r;
}

int process_pgid(struct process *process)
{
	int id;

	pthread_mutex_lock(&kernel.tasks_lock);
	id = process->pgrp ? process->pgrp->id : 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return id;
}
