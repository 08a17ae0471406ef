/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/pause.c - the machine stands still, and goes on
 *
 * Pausing first keeps others from entering, then gives the calls under way a
 * moment: an exec in the middle would run into its time limit.  Those that
 * take longer (copies, forwards) stand still with the machine.
 */
#define LOG_CATEGORY "container"
#include "container/container.h"

#include "base/clock.h"
#include "container/record.h"
#include "container/remote.h"

#define PAUSE_SETTLE (2 * USEC_PER_SEC)

static void pause_set_state(struct coffer_container *c, enum coffer_state state)
{
	pthread_mutex_lock(&c->lock);
	if (c->state != COFFER_STATE_ERRORED)
		c->state = state;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	watch_wake(c);
	record_note(c, state);
}

static void pause_emit(struct coffer_container *c, enum coffer_event_type type)
{
	const struct coffer_event event = { .type = type };

	pthread_mutex_lock(&c->lock);
	events_emit(c, event);
	pthread_mutex_unlock(&c->lock);
}

static void pause_await_users(struct coffer_container *c)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PAUSE_SETTLE / USEC_PER_SEC;
	pthread_mutex_lock(&c->lock);
	/* Relays are one for ever. */
	while (c->users > (c->relays ? 1 : 0))
		if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0)
			break;
	pthread_mutex_unlock(&c->lock);
}

int coffer_container_pause(struct coffer_container *c, struct coffer_error *err)
{
	int r;

	if (c->remote)
		return remote_pause(c, err);
	r = container_begin(c, CONTAINER_IN_STARTED, "pause", err);
	if (r < 0)
		return r;
	pause_set_state(c, COFFER_STATE_PAUSED);
	pause_await_users(c);
	r = c->sandbox->ops->pause(c->sandbox, err);
	if (r < 0) {
		pause_set_state(c, COFFER_STATE_STARTED);
		err_wrap(err, "pause container %s", c->id);
	} else {
		pause_emit(c, COFFER_EVENT_PAUSE);
	}
	container_end(c);
	return r;
}

int coffer_container_resume(struct coffer_container *c, struct coffer_error *err)
{
	int r;

	if (c->remote)
		return remote_resume(c, err);
	r = container_begin(c, CONTAINER_IN(COFFER_STATE_PAUSED), "resume", err);
	if (r < 0)
		return r;
	r = c->sandbox->ops->resume(c->sandbox, err);
	if (r < 0) {
		err_wrap(err, "resume container %s", c->id);
	} else {
		pause_set_state(c, COFFER_STATE_STARTED);
		pause_emit(c, COFFER_EVENT_RESUME);
	}
	container_end(c);
	return r;
}
