/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/job.c - terminals and sessions: who controls, who is in the foreground, hangup
 *
 * All of it is tasks_lock's: session->tty, tty->session, tty->pgrp. A terminal that controls a
 * session is held by it. As a session has one terminal for all its processes, TIOCNOTTY of one
 * that does not lead it changes nothing.
 */
#include "sentry/tty/pty.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"

static struct session *job_session(const struct task *task)
{
	return task->process->pgrp ? task->process->pgrp->session : NULL;
}

static bool job_leads(const struct task *task)
{
	const struct session *session = job_session(task);

	return session && session->id == task->process->pid;
}

bool tty_controls(const struct tty *tty, const struct task *task)
{
	const struct session *session = job_session(task);

	return session && session->tty == tty;
}

static void job_set_pgrp(struct tty *tty, struct pgrp *pgrp)
{
	struct pgrp *old = tty->pgrp;

	tty->pgrp = pgrp ? pgrp_get(pgrp) : NULL;
	if (old)
		pgrp_put(old);
}

/* They have nothing to do with each other any more. tasks_lock held. */
static void job_part(struct tty *tty)
{
	struct session *session = tty->session;

	if (!session)
		return;
	tty->session = NULL;
	job_set_pgrp(tty, NULL);
	session->tty = NULL;
	session_put(session);
	tty_put(tty);
}

void tty_associate(struct tty *tty, struct process *process)
{
	struct session *session = process->pgrp->session;

	if (session->tty == tty)
		return;
	if (session->tty)
		job_part(session->tty);
	job_part(tty);
	session->tty = tty_get(tty);
	tty->session = session_get(session);
	job_set_pgrp(tty, process->pgrp);
}

void tty_become_controlling(struct tty *tty, struct task *task)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	if (job_leads(task) && !job_session(task)->tty && !tty->session)
		tty_associate(tty, task->process);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

struct tty *tty_of_task(struct task *task)
{
	struct session *session;
	struct tty *tty;

	pthread_mutex_lock(&kernel.tasks_lock);
	session = job_session(task);
	tty = session && session->tty ? tty_get(session->tty) : NULL;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return tty;
}

int tty_foreground(const struct tty *tty)
{
	return tty->pgrp ? tty->pgrp->id : 0;
}

void tty_signal(struct tty *tty, int sig)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	if (tty->pgrp)
		signal_pgrp_send(tty->pgrp, sig, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static int job_check(const struct tty *tty, struct task *task, int sig)
{
	struct pgrp *pgrp = task->process->pgrp;

	if (!tty_controls(tty, task) || !tty->pgrp || tty->pgrp == pgrp)
		return 0;
	if (signal_unheard(task, sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (signal_pgrp_orphaned(pgrp, NULL))
		return -EIO;
	signal_pgrp_send(pgrp, sig, NULL);
	task_interrupt(task); /* the call is made again, whoever takes the signal */
	return -ERESTARTSYS;
}

int tty_check_change(struct tty *tty, int sig)
{
	struct task *task = task_current;
	int r;

	if (!task)
		return 0;
	pthread_mutex_lock(&kernel.tasks_lock);
	r = job_check(tty, task, sig);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

/* --- the end --- */

static int job_hangup_leader(struct process *process, void *data)
{
	const struct session *session = data;

	if (process->pid != session->id || process->zombie)
		return 0;
	signal_process_send(process, SIGHUP, NULL);
	signal_process_send(process, SIGCONT, NULL);
	return 1;
}

void tty_hangup(struct tty *tty)
{
	pthread_mutex_lock(&tty->lock);
	tty->hangups++;
	ldisc_flush_input(&tty->ldisc);
	pthread_mutex_unlock(&tty->lock);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (tty->session && tty->pgrp && tty->pgrp->processes) {
		struct sandbox_container *container = tty->pgrp->processes->container;

		process_each(container, job_hangup_leader, tty->session);
	}
	job_part(tty);
	pthread_mutex_unlock(&kernel.tasks_lock);
	tty_wake(tty);
}

void tty_disassociate(struct session *session)
{
	struct tty *tty = session->tty;

	if (!tty)
		return;
	if (tty->pgrp) {
		signal_pgrp_send(tty->pgrp, SIGHUP, NULL);
		signal_pgrp_send(tty->pgrp, SIGCONT, NULL);
	}
	job_part(tty);
}

/* --- ioctl --- */

/* tasks_lock held in what follows. */

static int job_acquire(struct tty_file *tf, struct task *task, uint64_t steal)
{
	struct session *session = job_session(task);

	if (job_leads(task) && tf->tty->session == session)
		return 0;
	if (tf->master || !job_leads(task) || session->tty)
		return -EPERM;
	if (!cred_capable(task->cred, CAP_SYS_ADMIN) &&
	    (tf->tty->session || !file_readable(&tf->file)))
		return -EPERM;
	if (tf->tty->session && steal != 1)
		return -EPERM;
	tty_associate(tf->tty, task->process);
	return 0;
}

static int job_release(struct tty_file *tf, struct task *task)
{
	if (!tty_controls(tf->tty, task))
		return -ENOTTY;
	if (job_leads(task))
		tty_disassociate(job_session(task));
	return 0;
}

/* The master may ask without belonging to the session. */
static int job_id(const struct tty_file *tf, const struct task *task, uint32_t cmd, int *id)
{
	const struct tty *tty = tf->tty;

	if (!tf->master && !tty_controls(tty, task))
		return -ENOTTY;
	if (cmd == TIOCGSID && !tty->session)
		return -ENOTTY;
	*id = cmd == TIOCGSID ? tty->session->id : tty_foreground(tty);
	return 0;
}

static int job_set_foreground(struct tty_file *tf, struct task *task, int id)
{
	struct pgrp *pgrp;
	int r = job_check(tf->tty, task, SIGTTOU);

	if (r < 0)
		return r == -EIO ? -ENOTTY : r;
	if (!tty_controls(tf->tty, task))
		return -ENOTTY;
	if (id < 0)
		return -EINVAL;
	pgrp = pgrp_find(task->process->container, id);
	if (!pgrp)
		return -ESRCH;
	if (pgrp->session != job_session(task))
		return -EPERM;
	job_set_pgrp(tf->tty, pgrp);
	return 0;
}

long tty_ioctl_job(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	int id = 0, r;

	if (cmd == TIOCSPGRP) {
		r = user_read(task->mm, &id, arg, sizeof(id));
		if (r < 0)
			return r;
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	switch (cmd) {
	case TIOCSCTTY:
		r = job_acquire(tf, task, arg);
		break;
	case TIOCNOTTY:
		r = job_release(tf, task);
		break;
	case TIOCSPGRP:
		r = job_set_foreground(tf, task, id);
		break;
	default: /* TIOCGPGRP, TIOCGSID */
		r = job_id(tf, task, cmd, &id);
		break;
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r == 0 && (cmd == TIOCGPGRP || cmd == TIOCGSID))
		r = user_write(task->mm, arg, &id, sizeof(id));
	return r;
}
