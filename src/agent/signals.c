/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/signals.c - a signal to more than one process
 *
 *	PROCESS     as KillProcess
 *	ALL         every process of the container's control group; SIGKILL in one
 *	            stroke, any other while the group is frozen, so that nobody forks
 *	            his way out
 *	FOREGROUND  the process group that the process's terminal has in front, as
 *	            its keys would
 *
 * An init that the kernel spares gets what it would have got anywhere else, in
 * each mode: process_kill() sees to it.
 *
 * Callers: extras.c.
 */
#include "agent/signals.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "agent/freezer.h"

static int signals_find_process(const struct agent *agent, const Ax__SignalRequest *req,
				struct process **out, struct coffer_error *err)
{
	struct container *c = NULL;
	int r = extras_find(agent, req->container_id, &c, err);

	if (r < 0)
		return r;
	*out = container_process(c, req->id);
	return *out ? 0
		    : err_state(err, "container %s has no process %.*s", c->id, PROCESS_ID_MAX,
				req->id);
}

static int signals_process(const struct agent *agent, const Ax__SignalRequest *req,
			   struct coffer_error *err)
{
	struct process *p = NULL;
	int r = signals_find_process(agent, req, &p, err);

	return r < 0 ? r : process_kill(p, req->signal, err);
}

static int signals_all(const struct agent *agent, const Ax__SignalRequest *req,
		       struct coffer_error *err)
{
	struct process *init;
	struct container *c = NULL;
	int r = extras_find(agent, req->container_id, &c, err);

	if (r < 0)
		return r;
	init = container_process(c, c->id);
	if (!init || init->state == PROCESS_CREATING || init->state == PROCESS_CREATED)
		return err_state(err, "container %s has not been started", c->id);
	/* What outlived it without a pid namespace is in the group all the same. */
	r = engine_kill_all(c->engine, req->signal, err);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && req->signal == SIGKILL)
		freezer_forget(c);
	return r < 0 ? r : process_kill_spared(init, req->signal, err);
}

static int signals_foreground(const struct agent *agent, const Ax__SignalRequest *req,
			      struct coffer_error *err)
{
	struct process *p = NULL;
	pid_t group = 0;
	int r = signals_find_process(agent, req, &p, err);

	if (r < 0)
		return r;
	if (p->state == PROCESS_STOPPED)
		return 0;
	if (p->state != PROCESS_RUNNING)
		return err_state(err, "process %s has not been started", p->id);
	if (!p->spec->process->terminal)
		return err_state(err, "process %s has no terminal", p->id);
	/* The master tells of the other side, in our numbers. 0: a group that is gone */
	if (ioctl(p->proc->ptmx, TIOCGPGRP, &group) < 0)
		return err_sys(err, "ask for the foreground of process %s", p->id);
	if (group <= 1)
		return process_kill(p, req->signal, err);
	if (kill(-group, req->signal) < 0 && errno != ESRCH)
		return err_sys(err, "signal %d", req->signal);
	return group == p->pid ? process_kill_spared(p, req->signal, err) : 0;
}

/* Modes that are not known are refused. */
static int (*const signals_modes[])(const struct agent *agent, const Ax__SignalRequest *req,
				    struct coffer_error *err) = {
	[AX__SIGNAL_REQUEST__MODE__PROCESS] = signals_process,
	[AX__SIGNAL_REQUEST__MODE__ALL] = signals_all,
	[AX__SIGNAL_REQUEST__MODE__FOREGROUND] = signals_foreground,
};

void extras_signal(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__SignalRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	if (req->signal < 0 || req->signal > SIGRTMAX)
		r = err_invalid(&err, "signal %d: want 0 to %d", req->signal, SIGRTMAX);
	else if ((unsigned)req->mode >= ARRAY_SIZE(signals_modes))
		r = err_invalid(&err, "mode %d is not known", (int)req->mode);
	else
		r = signals_modes[req->mode](data, req, &err);
	rpc_answer(call, r, &err);
}
