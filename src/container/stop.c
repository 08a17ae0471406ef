/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/stop.c - stop, and the end of a machine whatever the reason
 *
 *	grace      the stop signal for init, and time to end by itself
 *	quiesce    everything inside is killed; what outlives the machine is
 *	           unmounted and on its disks
 *	teardown   nobody enters any more; waiters are told; the machine ends,
 *	           which breaks every connection; who uses it leaves; all is freed
 *
 * Each step is tried whatever became of the one before, and has a limit.  A
 * paused machine is resumed for the first two, if they are needed at all: its
 * monitor can end it as it stands.
 */
#define LOG_CATEGORY "container"
#include "container/container.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "container/calls.h"
#include "container/control.h"
#include "container/record.h"
#include "container/remote.h"

/* Nothing and nobody reaches the machine any more. */
static void stop_close(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	c->closing = true;
	pthread_mutex_unlock(&c->lock);
	container_signal(c->gone_fd);
}

/* With the lock: what still ran was killed with its machine. */
static void stop_settle(struct coffer_process *p)
{
	const struct coffer_exit killed = { .code = CONTAINER_KILLED };

	if (p->phase == PROCESS_RUNNING)
		process_ended(p, &killed);
}

void container_settle(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	stop_settle(c->init);
	for (struct coffer_process *p = c->execs; p; p = p->next)
		stop_settle(p);
	pthread_mutex_unlock(&c->lock);
}

static void stop_await_users(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->users > 0)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

/* What a process holds of the machine. */
struct stop_held {
	struct agent *agent;
	struct stream *stdio[COFFER_STREAM_COUNT];
};

/* With the lock. Return: there was something */
static bool stop_take(struct coffer_process *p, struct stop_held *held)
{
	bool any = p->agent;

	held->agent = steal_ptr(p->agent);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		held->stdio[i] = steal_ptr(p->stdio[i]);
		any |= held->stdio[i] != NULL;
	}
	return any;
}

/* Of the next process that still has something. Return: false, there is none */
static bool stop_take_next(struct coffer_container *c, struct stop_held *held)
{
	bool any;

	pthread_mutex_lock(&c->lock);
	any = stop_take(c->init, held);
	for (struct coffer_process *p = c->execs; p && !any; p = p->next)
		any = stop_take(p, held);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return any;
}

/* Connections to the agent and streams; the watcher is no more. */
static void stop_close_all(struct coffer_container *c)
{
	struct stop_held held;

	while (stop_take_next(c, &held)) {
		if (held.agent)
			agent_close(held.agent);
		for (int i = 0; i < COFFER_STREAM_COUNT; i++)
			stream_free(held.stdio[i]);
	}
	while (c->nagents > 0)
		agent_close(c->agents[--c->nagents]);
}

static void stop_free_machine(struct coffer_container *c)
{
	if (c->sandbox)
		c->sandbox->ops->free(c->sandbox);
	c->sandbox = NULL;
	storage_free(steal_ptr(c->storage));
	rundir_close(c->dir);
	c->dir = NULL;
}

void container_teardown(struct coffer_container *c, enum coffer_state state,
			const struct coffer_error *cause)
{
	if (c->config->keep)
		calls_ask(c);
	stop_close(c);
	control_close(c);
	container_settle(c);
	if (c->sandbox)
		c->sandbox->ops->stop(c->sandbox);
	stop_await_users(c);
	watch_stop(c);
	container_settle(c);
	stop_close_all(c);
	pthread_mutex_lock(&c->lock);
	/* One that has died stays so. */
	if (c->state == COFFER_STATE_ERRORED)
		state = c->state;
	else if (cause)
		c->cause = *cause;
	clock_gettime(CLOCK_REALTIME, &c->finished_at);
	pthread_mutex_unlock(&c->lock);
	record_note(c, state);
	stop_free_machine(c);
	pthread_mutex_lock(&c->lock);
	c->state = state;
	c->closing = false;
	c->busy = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* The stop signal to init, and time for it. */
static void stop_ask(struct coffer_container *c, uint64_t grace)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int sig = spawn_signal_parse(c->config->stop_signal);

	if (coffer_container_state(c) == COFFER_STATE_PAUSED &&
	    coffer_container_resume(c, &err) < 0)
		log_info("stop %s: %s", c->id, err.message);
	if (coffer_container_state(c) != COFFER_STATE_STARTED)
		return;
	if (coffer_process_kill(c->init, sig, &err) < 0 ||
	    coffer_process_wait(c->init, grace, NULL, &err) < 0)
		log_info("stop %s: %s", c->id, err.message);
}

/* What outlives the machine is on its disks. Return: 0, or the first error */
static int stop_quiesce(struct coffer_container *c, struct coffer_error *err)
{
	struct agent *agent = NULL;
	int r = 0;

	if (!storage_outlives(c->storage))
		return 0;
	if (coffer_container_state(c) == COFFER_STATE_PAUSED)
		r = c->sandbox->ops->resume(c->sandbox, err);
	if (r == 0)
		r = container_agent_get(c, &agent, err);
	if (r < 0)
		return r;
	r = storage_unmount(c->storage, agent, err);
	container_agent_put(c, agent, r);
	return r;
}

/* Return: 0, or why it was not in order; it is stopped, or errored, in any case */
static int stop_now(struct coffer_container *c, struct coffer_error *err)
{
	const struct coffer_event event = { .type = COFFER_EVENT_STOP };
	int r;

	stop_close(c);
	r = stop_quiesce(c, err);
	if (r < 0) {
		r = container_wrap(c, "stop", err);
		container_teardown(c, COFFER_STATE_ERRORED, err);
		return r;
	}
	container_teardown(c, COFFER_STATE_STOPPED, NULL);
	pthread_mutex_lock(&c->lock);
	if (c->state == COFFER_STATE_STOPPED)
		events_emit(c, event);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

int coffer_container_stop(struct coffer_container *c, uint64_t grace, struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int r;

	if (c->remote)
		return remote_stop(c, grace, err);
	if (grace > 0)
		stop_ask(c, grace);
	r = container_begin(c, CONTAINER_LIVE | CONTAINER_IN(COFFER_STATE_STOPPED), "stop", err);
	if (r < 0)
		return r;
	if (coffer_container_state(c) == COFFER_STATE_STOPPED) {
		container_end(c);
		return 0;
	}
	r = stop_now(c, &own);
	if (r < 0 && err)
		*err = own;
	return r;
}
