/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/watch.c - the thread that looks after a container
 *
 *	waits      each running process has its WaitProcess under way on a
 *	           connection of its own; what comes settles the process
 *	machine    the sandbox's end descriptor
 *	agent      a heartbeat every few seconds, the time of day now and then,
 *	           and the stream of what happens inside, on a connection that is
 *	           made when the container has run for a moment: a program that
 *	           ends at once need not pay for it
 *
 * A machine that ended, an agent that is silent or talks nonsense: the
 * container is dead.  The cause is kept, waiters get 137, and the rest is the
 * same as in a stop.  If somebody else is busy with it, that one will fail soon
 * and tear down; this thread only waits then.
 *
 * A paused machine is expected to be silent.
 */
#define LOG_CATEGORY "watch"
#include "container/container.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "container/watch.h"
#include "sandbox_context.pb-c.h"

#define WATCH_SETTLE (200 * USEC_PER_MSEC) /* of running before it gets a connection of ours */
#define WATCH_BURST  64			   /* events before all else is looked after */

struct watch_limits watch_limits = {
	.heartbeat = 5 * USEC_PER_SEC,
	.silence = 10 * USEC_PER_SEC,
	.time = 30 * USEC_PER_SEC,
};

/* A call made again and again; its answer is a sign of life. */
struct watch_beat {
	struct agent_stream *stream; /* under way; NULL: none */
	usec_t due;		     /* the next */
	usec_t limit;		     /* for the answer */
};

struct watcher {
	struct coffer_container *c;
	int end_fd;
	int connecting;	     /* half a connection, see sandbox.h; -1: none */
	usec_t limit;	     /* for the other half */
	struct agent *agent; /* of this thread's own calls; NULL: not yet */
	struct agent_stream *events;
	bool more; /* of them may be here already */
	struct watch_beat heartbeat, time;
	usec_t connect_at; /* USEC_INFINITY: not before the container is started */
	bool paused;

	struct coffer_process **ps; /* what is waited for now */
	struct pollfd *fds;	    /* the fixed ones, then theirs */
	size_t n, room;
};

enum { WATCH_WAKE, WATCH_END, WATCH_AGENT, WATCH_FIXED };

/* ---- death ---- */

static void watch_describe(struct watcher *w, const struct coffer_error *why,
			   struct coffer_death *death)
{
	struct sandbox *sb = w->c->sandbox;
	struct sandbox_end end = { .exit_code = -1 };
	bool runs = sb->ops->end(sb, &end, NULL) < 0;

	*death = (struct coffer_death){ .size = sizeof(*death), .exit_code = -1, .cause = *why };
	snprintf(death->process, sizeof(death->process), "agent");
	/* What cannot be talked to is of no use; its console is read when it has ended. */
	if (runs) {
		sb->ops->stop(sb);
		sb->ops->end(sb, &end, NULL);
	}
	snprintf(death->console, sizeof(death->console), "%s", end.console);
	if (runs || end.kind == SANDBOX_END_ASKED)
		return;
	death->exit_code = end.exit_code;
	death->signal = end.signal;
	death->oom = end.oom;
	death->cause = end.error;
	if (end.kind == SANDBOX_END_PANIC)
		snprintf(death->process, sizeof(death->process), "kernel");
	if (end.kind == SANDBOX_END_PROCESS)
		snprintf(death->process, sizeof(death->process), "%s", end.process);
}

/* Return: it is ours to tell; else it is being ended on purpose */
static bool watch_note_death(struct coffer_container *c, const struct coffer_death *death)
{
	struct coffer_event event = { .type = COFFER_EVENT_DIE };
	bool first;

	pthread_mutex_lock(&c->lock);
	first = !c->closing;
	if (first) {
		c->closing = true;
		c->death = *death;
		c->cause = death->cause;
		err_wrap(&c->cause, "container %s", c->id);
		event.cause = c->cause;
		c->state = COFFER_STATE_ERRORED;
		events_emit(c, event);
	}
	pthread_mutex_unlock(&c->lock);
	return first;
}

/* Return: false, there is nothing to watch any more */
static bool watch_died(struct watcher *w, const struct coffer_error *why)
{
	struct coffer_container *c = w->c;
	struct coffer_death death;

	watch_describe(w, why, &death);
	log_info("container %s: %s", c->id, death.cause.message);
	if (watch_note_death(c, &death)) {
		container_signal(c->gone_fd);
		c->sandbox->ops->stop(c->sandbox);
	}
	container_settle(c);
	return false;
}

/* Its machine is given back by whoever is busy with it, else by us. Return: by us */
static bool watch_claim(struct coffer_container *c)
{
	bool ours;

	pthread_mutex_lock(&c->lock);
	while (c->busy && !c->watch.quit)
		pthread_cond_wait(&c->changed, &c->lock);
	ours = !c->watch.quit;
	if (ours)
		c->busy = true;
	pthread_mutex_unlock(&c->lock);
	return ours;
}

/* ---- processes ---- */

/* With the lock. Return: false without memory for all of them */
static bool watch_collect(struct watcher *w)
{
	struct coffer_container *c = w->c;

	w->n = 0;
	for (struct coffer_process *p = c->init; p; p = p == c->init ? c->execs : p->next) {
		if (p->phase != PROCESS_RUNNING || !p->agent)
			continue;
		if (w->n == w->room)
			return false;
		w->ps[w->n++] = p;
	}
	return true;
}

static bool watch_grow(struct watcher *w)
{
	size_t room = w->room ? 2 * w->room : 8;
	struct coffer_process **ps = reallocarray(w->ps, room, sizeof(*ps));
	struct pollfd *fds;

	if (!ps)
		return false;
	w->ps = ps;
	fds = reallocarray(w->fds, WATCH_FIXED + room, sizeof(*fds));
	if (!fds)
		return false;
	w->fds = fds;
	w->room = room;
	return true;
}

/* Its wait has something to say. Return: false: not what an agent says; *@err */
static bool watch_process(struct watcher *w, struct coffer_process *p, struct coffer_error *err)
{
	struct coffer_container *c = w->c;
	struct coffer_exit status;
	struct agent_exit end;
	int r = p->agent->ops->wait_poll(p->agent, 0, &end, err);

	p->watched = true;
	if (r == -ETIMEDOUT)
		return true;
	if (r < 0)
		return false;
	status = (struct coffer_exit){ .code = end.code, .exited_at = end.at };
	container_agent_put(c, p->agent, 0);
	pthread_mutex_lock(&c->lock);
	p->agent = NULL;
	if (p->phase == PROCESS_RUNNING)
		process_ended(p, &status);
	/* From here on it may be deleted. */
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return true;
}

static bool watch_processes(struct watcher *w, struct coffer_error *err)
{
	for (size_t i = 0; i < w->n; i++)
		if ((!w->ps[i]->watched || w->fds[WATCH_FIXED + i].revents) &&
		    !watch_process(w, w->ps[i], err))
			return false;
	return true;
}

/* ---- the agent ---- */

static void watch_beat_end(struct watcher *w, struct watch_beat *beat)
{
	if (beat->stream)
		w->agent->ops->stream_end(w->agent, beat->stream);
	beat->stream = NULL;
}

static int watch_send(struct watcher *w, enum agent_service service, const char *method,
		      const ProtobufCMessage *msg, struct agent_stream **out,
		      struct coffer_error *err)
{
	const struct agent_request request = { service, method, msg };

	return w->agent->ops->stream_begin(w->agent, &request, USEC_INFINITY, out, err);
}

static int watch_send_heartbeat(struct watcher *w, struct coffer_error *err)
{
	Ax__HeartbeatRequest msg = AX__HEARTBEAT_REQUEST__INIT;

	w->heartbeat.due = deadline_in(watch_limits.heartbeat);
	return watch_send(w, AGENT_EXTRAS, "Heartbeat", &msg.base, &w->heartbeat.stream, err);
}

static int watch_send_time(struct watcher *w, struct coffer_error *err)
{
	Sc__SetTimeRequest msg = SC__SET_TIME_REQUEST__INIT;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	msg.sec = now.tv_sec;
	msg.usec = (int32_t)(now.tv_nsec / 1000);
	w->time.due = deadline_in(watch_limits.time);
	return watch_send(w, AGENT_CONTRACT, "SetTime", &msg.base, &w->time.stream, err);
}

/*
 * What has come of it. Return: 0; negative errno if that means that the agent
 * is gone, or never was one
 */
static int watch_beat_look(struct watcher *w, struct watch_beat *beat, struct coffer_error *err)
{
	autoreply ProtobufCMessage *reply = NULL;
	int r;

	if (!beat->stream)
		return 0;
	r = w->agent->ops->stream_next(w->agent, beat->stream, 0, &reply, err);
	if (r == -ETIMEDOUT && deadline_left(beat->limit) > 0)
		return 0;
	if (r == -ETIMEDOUT)
		return err_timeout(err, "the agent does not answer any more");
	watch_beat_end(w, beat);
	/* Whatever else it answers, it is alive. */
	return r < 0 && err->kind == COFFER_ERR_INTERRUPTED ? r : 0;
}

static int watch_beat(struct watcher *w, struct watch_beat *beat,
		      int (*send)(struct watcher *w, struct coffer_error *err),
		      struct coffer_error *err)
{
	int r = watch_beat_look(w, beat, err);

	if (r == 0 && !beat->stream && !w->paused && deadline_left(beat->due) == 0) {
		beat->limit = deadline_in(clock_budget(watch_limits.silence));
		r = send(w, err);
		if (r == 0)
			r = watch_beat_look(w, beat, err);
	}
	return r;
}

static void watch_take_event(struct watcher *w, const Ax__Event *msg)
{
	struct coffer_container *c = w->c;
	struct coffer_event event = { .type = COFFER_EVENT_OOM, .count = msg->oom_kills };

	if (msg->type != AX__EVENT__TYPE__OOM || strcmp(msg->container_id, c->id) != 0)
		return;
	pthread_mutex_lock(&c->lock);
	c->oom_kills = msg->oom_kills;
	events_emit(c, event);
	pthread_mutex_unlock(&c->lock);
}

static void watch_drop_events(struct watcher *w)
{
	if (w->events)
		w->agent->ops->stream_end(w->agent, w->events);
	w->events = NULL;
}

/* An agent that has none, or had to drop us, is no less alive. */
static int watch_events(struct watcher *w, struct coffer_error *err)
{
	int r = 0;

	w->more = false;
	for (int i = 0; w->events && r == 0 && i < WATCH_BURST; i++) {
		ProtobufCMessage *reply = NULL;

		r = w->agent->ops->stream_next(w->agent, w->events, 0, &reply, err);
		if (reply)
			watch_take_event(w, (const Ax__Event *)reply);
		agent_reply_free(reply);
		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0 || !reply)
			watch_drop_events(w);
	}
	w->more = w->events && r == 0;
	return r < 0 && err->kind == COFFER_ERR_INTERRUPTED ? r : 0;
}

static int watch_subscribe(struct watcher *w, struct coffer_error *err)
{
	Ax__EventsRequest msg = AX__EVENTS_REQUEST__INIT;

	return watch_send(w, AGENT_EXTRAS, "Events", &msg.base, &w->events, err);
}

static int watch_connect(struct watcher *w, struct coffer_error *err)
{
	struct sandbox *sb = w->c->sandbox;

	w->connect_at = USEC_INFINITY;
	w->limit = deadline_in(clock_budget(watch_limits.silence));
	w->connecting = sb->ops->connect_begin(sb, err);
	return w->connecting < 0 ? w->connecting : 0;
}

static int watch_connected(struct watcher *w, struct coffer_error *err)
{
	struct sandbox *sb = w->c->sandbox;
	int r = sb->ops->connect_end(sb, steal_fd(&w->connecting), &w->agent, err);

	w->time.due = deadline_in(watch_limits.time);
	return r < 0 ? r : watch_subscribe(w, err);
}

/* Its turn, readable or due. */
static int watch_agent(struct watcher *w, struct coffer_error *err)
{
	int r = 0;

	if (w->paused)
		return 0;
	if (w->agent) {
		r = watch_events(w, err);
		if (r == 0)
			r = watch_beat(w, &w->heartbeat, watch_send_heartbeat, err);
		return r < 0 ? r : watch_beat(w, &w->time, watch_send_time, err);
	}
	if (w->connecting >= 0 && w->fds[WATCH_AGENT].revents)
		return watch_connected(w, err);
	if (w->connecting >= 0 && deadline_left(w->limit) == 0)
		return err_timeout(err, "the agent takes no connection any more");
	return w->connecting < 0 && deadline_left(w->connect_at) == 0 ? watch_connect(w, err) : r;
}

/* ---- the loop ---- */

/* With the lock. */
static void watch_note_state(struct watcher *w)
{
	bool paused = w->c->state == COFFER_STATE_PAUSED;

	if (w->c->state == COFFER_STATE_STARTED && !w->agent && w->connecting < 0 &&
	    w->connect_at == USEC_INFINITY)
		w->connect_at = deadline_in(WATCH_SETTLE);
	if (paused && !w->paused) {
		watch_beat_end(w, &w->heartbeat);
		watch_beat_end(w, &w->time);
	}
	if (!paused && w->paused) {
		w->time.due = 0;
		w->heartbeat.due = w->limit = deadline_in(clock_budget(watch_limits.silence));
	}
	w->paused = paused;
}

static usec_t watch_beat_deadline(const struct watch_beat *beat)
{
	return beat->stream ? beat->limit : beat->due;
}

static usec_t watch_deadline(const struct watcher *w)
{
	usec_t a = watch_beat_deadline(&w->heartbeat), b = watch_beat_deadline(&w->time);

	if (w->paused)
		return USEC_INFINITY;
	if (!w->agent)
		return w->connecting >= 0 ? w->limit : w->connect_at;
	return a < b ? a : b;
}

static void watch_poll(struct watcher *w)
{
	struct coffer_container *c = w->c;
	int agent = w->agent ? w->agent->ops->fd(w->agent) : w->connecting;
	usec_t deadline = w->more && !w->paused ? 0 : watch_deadline(w);

	w->fds[WATCH_WAKE] = (struct pollfd){ .fd = c->watch.wake_fd, .events = POLLIN };
	w->fds[WATCH_END] = (struct pollfd){ .fd = w->end_fd, .events = POLLIN };
	w->fds[WATCH_AGENT] = (struct pollfd){ .fd = agent, .events = POLLIN };
	if (!w->agent && c->sandbox->ops->connect_events)
		w->fds[WATCH_AGENT].events = c->sandbox->ops->connect_events;
	for (size_t i = 0; i < w->n; i++) {
		struct agent *a = w->ps[i]->agent;

		w->fds[WATCH_FIXED + i] = (struct pollfd){ .fd = a->ops->fd(a), .events = POLLIN };
		if (!w->ps[i]->watched)
			deadline = 0;
	}
	if (poll(w->fds, WATCH_FIXED + w->n, deadline_poll_ms(deadline)) < 0)
		for (size_t i = 0; i < WATCH_FIXED + w->n; i++)
			w->fds[i].revents = 0;
	if (w->fds[WATCH_WAKE].revents)
		container_reset(c->watch.wake_fd);
}

/* Return: go on */
static bool watch_step(struct watcher *w)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c = w->c;
	bool quit, all;

	pthread_mutex_lock(&c->lock);
	quit = c->watch.quit;
	watch_note_state(w);
	all = watch_collect(w);
	pthread_mutex_unlock(&c->lock);
	if (quit)
		return false;
	if (!all && !watch_grow(w)) {
		err_nomem(&err);
		return watch_died(w, &err);
	}
	if (!all)
		return true;
	watch_poll(w);
	if (w->fds[WATCH_END].revents) {
		err_set(&err, COFFER_ERR_INTERRUPTED, 0, "the machine has ended");
		return watch_died(w, &err);
	}
	if (!watch_processes(w, &err) || watch_agent(w, &err) < 0)
		return watch_died(w, &err);
	return true;
}

static void watch_release(struct watcher *w)
{
	if (w->agent) {
		watch_drop_events(w);
		watch_beat_end(w, &w->heartbeat);
		watch_beat_end(w, &w->time);
		agent_close(w->agent);
	}
	close_fd(&w->connecting);
	close_fd(&w->end_fd);
	free(w->ps);
	free(w->fds);
}

static void *watch_thread(void *data)
{
	struct watcher *w = data;
	struct coffer_container *c = w->c;

	while (watch_step(w))
		;
	watch_release(w);
	free(w);
	if (watch_claim(c))
		container_teardown(c, COFFER_STATE_ERRORED, NULL);
	return NULL;
}

int watch_start(struct coffer_container *c, struct coffer_error *err)
{
	struct watcher *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_nomem(err);
	w->c = c;
	w->connecting = -1;
	w->connect_at = USEC_INFINITY;
	w->end_fd = c->sandbox->ops->end_fd(c->sandbox, err);
	r = w->end_fd;
	if (r >= 0 && !watch_grow(w))
		r = err_nomem(err);
	c->watch.quit = false;
	container_reset(c->watch.wake_fd);
	if (r >= 0) {
		r = thread_start(&c->watch.thread, 0, watch_thread, w);
		if (r < 0)
			r = err_sysn(err, r, "start a thread to watch");
	}
	if (r < 0) {
		watch_release(w);
		free(w);
		return r;
	}
	c->watch.joinable = true;
	return 0;
}

void watch_wake(struct coffer_container *c)
{
	container_signal(c->watch.wake_fd);
}

void watch_stop(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	c->watch.quit = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	watch_wake(c);
	if (!c->watch.joinable)
		return;
	c->watch.joinable = false;
	if (pthread_equal(pthread_self(), c->watch.thread))
		pthread_detach(c->watch.thread);
	else
		pthread_join(c->watch.thread, NULL);
}
