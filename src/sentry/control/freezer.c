/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/freezer.c - Freeze and Thaw: a container's tasks stopped as they stand, and
 * continued
 *
 *	frozen is set, every task interrupted --> they park before guest code runs again --> answer
 *
 * Nobody inside can tell: no signal is sent, no parent is told, and calls that were cut short are
 * taken up again. One container, or with an empty id all: that is how a sandbox is paused.
 *
 * Whether all have parked is looked at by a timer of the loop, and not for ever: half frozen is
 * worse than running. A task that sleeps where only its end disturbs it (the parent of a vfork)
 * is as good as parked: what it waits for is frozen, too. What is frozen can be killed.
 *
 * Called by rpc_extras.c, on the control loop.
 */
#include "sentry/control/freezer.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#define FREEZER_STEP   (1 * USEC_PER_MSEC)
#define FREEZER_BUDGET (5 * USEC_PER_SEC)
#define FREEZER_SLEEP  20 /* looks after which who still sleeps is not going to wake up */

struct freezer {
	struct control *control; /* borrowed */
	struct grpc_call *call;	 /* NULL once the client gave up */
	char *id;		 /* owned; "": all */
	usec_t deadline;
	unsigned looks;
	bool running; /* of the last look: somebody has not parked */
	struct loop_source *timer;
};

static void freezer_free(struct freezer *f)
{
	loop_remove(f->timer);
	free(f->id);
	free(f);
}

static int freezer_look_process(struct process *process, void *data)
{
	struct freezer *f = data;

	for (struct task *t = process->tasks; t; t = t->next) {
		if (t->stopped || (t->sleeping && f->looks > FREEZER_SLEEP))
			continue;
		/* Also who was made since. */
		task_interrupt(t);
		f->running = true;
	}
	return 0;
}

static bool freezer_means(const char *id, const struct control_container *c)
{
	return c->kernel && (!*id || strcmp(id, c->id) == 0);
}

/* Return: whether all have parked */
static bool freezer_look(struct freezer *f)
{
	f->running = false;
	f->looks++;
	pthread_mutex_lock(&kernel.tasks_lock);
	for (struct control_container *c = f->control->containers; c; c = c->next)
		if (freezer_means(f->id, c) && c->kernel->frozen)
			process_each(c->kernel, freezer_look_process, f);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return !f->running;
}

static void freezer_set(struct control *control, const char *id, bool frozen)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	for (struct control_container *c = control->containers; c; c = c->next)
		if (freezer_means(id, c) && c->kernel->frozen != frozen)
			signal_container_freeze(c->kernel, frozen);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static void freezer_timer_handler(struct loop_source *timer, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct freezer *f = data;
	int r = 0;

	if (!freezer_look(f)) {
		if (deadline_left(f->deadline))
			return;
		freezer_set(f->control, f->id, false);
		r = err_timeout(&err, "freeze: something inside cannot be stopped");
	}
	if (f->call)
		rpc_answer(f->call, r, &err);
	freezer_free(f);
}

/* It goes on all the same: the next one finds it done, or thaws. */
static void freezer_cancelled(struct grpc_call *call, void *data)
{
	struct freezer *f = data;

	f->call = NULL;
}

static int freezer_check(const struct control *control, const char *id, struct coffer_error *err)
{
	const struct control_container *c;
	const struct control_process *init;

	if (!*id)
		return 0;
	c = control_container_find(control, id);
	if (!c)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
			       CONTROL_ID_MAX, id);
	init = control_process_find(c, id);
	return init && init->state == CONTROL_RUNNING
		       ? 0 : err_state(err, "container %s is not running", id);
}

static int freezer_begin(struct control *control, const char *id, struct grpc_call *call,
			 struct coffer_error *err)
{
	struct freezer *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_nomem(err);
	*f = (struct freezer){ .control = control, .call = call, .id = strdup(id),
			       .deadline = deadline_in(clock_budget(FREEZER_BUDGET)) };
	r = f->id ? loop_add_timer(control->loop, freezer_timer_handler, f, &f->timer, err)
		  : err_nomem(err);
	if (r == 0 && (r = loop_arm(f->timer, FREEZER_STEP, FREEZER_STEP)) < 0)
		err_sysn(err, r, "timer");
	if (r < 0) {
		freezer_free(f);
		return r;
	}
	freezer_set(control, id, true);
	grpc_call_on_cancel(call, freezer_cancelled, f);
	return 0;
}

RPC_METHOD(extras_freeze)
{
	const Ax__FreezeRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = freezer_check(data, req->container_id, &err);

	if (r == 0)
		r = freezer_begin(data, req->container_id, call, &err);
	if (r < 0)
		rpc_answer(call, r, &err);
}

RPC_METHOD(extras_thaw)
{
	const Ax__ThawRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = freezer_check(data, req->container_id, &err);

	/* One that has ended meanwhile has nothing to continue. */
	if (r == -EBUSY)
		r = 0;
	if (r == 0)
		freezer_set(data, req->container_id, false);
	rpc_answer(call, r, &err);
}
