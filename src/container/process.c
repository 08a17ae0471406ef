/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/process.c - process objects: waiting, signals, terminal, streams
 *
 * The watcher learns of the end (process_ended()); when the output that we
 * copy has arrived as well the process is settled and its end_fd readable for
 * ever.  Waiters look under the container's lock and sleep in poll(2) without
 * it, so a wait costs nobody anything, and one that is called off leaves
 * nothing behind.
 *
 * Who deletes a process puts it into a list of the latest such, freed from its
 * other end: a thread that calls at the same moment finds it ended.
 */
#define LOG_CATEGORY "process"
#include "container/container.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "container/remote.h"
#include "base/spawn.h"

#define PROCESS_DELETED_MAX 64
#define PROCESS_KILL_BUDGET (10 * USEC_PER_SEC) /* from SIGKILL to the end of a process */

int process_new(struct coffer_container *c, const char *id,
		const struct coffer_process_config *config, struct coffer_process **out,
		struct coffer_error *err)
{
	struct coffer_process *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_nomem(err);
	p->container = c;
	p->pid = -1;
	snprintf(p->id, sizeof(p->id), "%s", id);
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		p->streams[i] = -1;
	p->exit_fd = p->remote_fd = -1;
	p->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = p->end_fd < 0 ? err_sys(err, "eventfd") : 0;
	if (r == 0)
		r = config_take_process(config, &p->config, err);
	if (r < 0) {
		process_free(p);
		return r;
	}
	*out = p;
	return 0;
}

static void process_close_streams(struct coffer_process *p)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		close_fd(&p->streams[i]);
}

void process_free(struct coffer_process *p)
{
	if (!p)
		return;
	for (int i = 0; i < COFFER_STREAM_COUNT; i++)
		stream_free(p->stdio[i]);
	process_close_streams(p);
	if (p->agent)
		agent_close(p->agent);
	config_free_process(p->config);
	close_fd(&p->exit_fd);
	close_fd(&p->end_fd);
	free(p);
}

void process_reset(struct coffer_process *p)
{
	process_close_streams(p);
	p->pid = -1;
	p->phase = PROCESS_NEW;
	p->exit = (struct coffer_exit){ 0 };
	p->watched = false;
	close_fd(&p->exit_fd);
	container_reset(p->end_fd);
}

/* ---- the end ---- */

static void process_settle(struct coffer_process *p)
{
	struct coffer_event event = { .type = COFFER_EVENT_EXIT, .exit_code = p->exit.code };

	if (p->phase != PROCESS_ENDED || p->arriving > 0)
		return;
	p->phase = PROCESS_SETTLED;
	memcpy(event.process, p->id, sizeof(p->id));
	event.pid = p->pid;
	events_emit(p->container, event);
	container_signal(p->end_fd);
	pthread_cond_broadcast(&p->container->changed);
}

void process_ended(struct coffer_process *p, const struct coffer_exit *exit)
{
	p->phase = PROCESS_ENDED;
	p->exit = *exit;
	if (p->exit_fd >= 0)
		container_signal(p->exit_fd);
	process_settle(p);
}

void process_arrived(struct coffer_process *p)
{
	p->arriving--;
	process_settle(p);
}

static void process_output_arrived(void *data)
{
	struct coffer_process *p = data;

	pthread_mutex_lock(&p->container->lock);
	process_arrived(p);
	pthread_mutex_unlock(&p->container->lock);
}

static int process_copy_stream(struct coffer_process *p, int i, struct coffer_error *err)
{
	const struct coffer_stdio *how = &p->config->stdio[i];
	bool output = i != COFFER_STDIN;
	const struct stream_process process = {
		.exit_fd = p->exit_fd,
		.gone_fd = p->container->gone_fd,
		.arrived = output ? process_output_arrived : NULL,
		.data = p,
	};
	int theirs = coffer_process_take_stream(p, i);

	struct stream *s;
	int r;

	if (output) {
		pthread_mutex_lock(&p->container->lock);
		p->arriving++;
		pthread_mutex_unlock(&p->container->lock);
	}
	r = stream_start(how->mode == COFFER_STDIO_FD ? how->fd : i, theirs, output, &process, &s,
			err);
	pthread_mutex_lock(&p->container->lock);
	if (r == 0)
		p->stdio[i] = s;
	else if (output)
		process_arrived(p);
	pthread_mutex_unlock(&p->container->lock);
	return r;
}

static bool process_copies(const struct coffer_process *p, int i)
{
	return p->config->stdio[i].mode >= COFFER_STDIO_INHERIT;
}

int process_prepare_stdio(struct coffer_process *p, struct coffer_error *err)
{
	bool any = process_copies(p, 0) || process_copies(p, 1) || process_copies(p, 2);

	if (any && p->exit_fd < 0)
		p->exit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return any && p->exit_fd < 0 ? err_sys(err, "eventfd") : 0;
}

int process_stdio(struct coffer_process *p, struct coffer_error *err)
{
	int r = 0;

	for (int i = 0; i < COFFER_STREAM_COUNT && r == 0; i++)
		if (process_copies(p, i))
			r = process_copy_stream(p, i, err);
	return r;
}

/* ---- waiting ---- */

/* With the lock. Return: 0 with *@status filled, -ETIMEDOUT when it runs, other negative errno */
static int process_look(struct coffer_process *p, struct coffer_exit *status,
			struct coffer_error *err)
{
	switch (p->phase) {
	case PROCESS_NEW:
		if (p->container->state == COFFER_STATE_ERRORED)
			return container_refuse(p->container, "wait", err);
		return err_state(err, "wait: process %s has not been started", p->id);
	case PROCESS_SETTLED:
		if (status)
			*status = p->exit;
		return 0;
	default:
		return err_timeout(err, "wait: process %s still runs", p->id);
	}
}

int coffer_process_wait_or(struct coffer_process *p, uint64_t timeout, int cancel_fd,
			   struct coffer_exit *status, struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = p->end_fd, .events = POLLIN },
				{ .fd = cancel_fd, .events = POLLIN } };
	usec_t deadline = deadline_in(timeout);
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_container *c = p->container;

	if (c->remote)
		return remote_process_wait_or(p, timeout, cancel_fd, status, err);
	for (bool late = false;;) {
		int r;

		pthread_mutex_lock(&c->lock);
		r = process_look(p, status, &own);
		pthread_mutex_unlock(&c->lock);
		if (r != -ETIMEDOUT || late) {
			if (r < 0 && err)
				*err = own;
			return r;
		}
		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
		if (r < 0 && errno != EINTR)
			return err_sys(err, "poll");
		if (r > 0 && !fds[0].revents)
			return err_set(err, COFFER_ERR_CANCELLED, 0, "wait: given up");
		late = r == 0;
	}
}

int coffer_process_wait(struct coffer_process *p, uint64_t timeout, struct coffer_exit *status,
			struct coffer_error *err)
{
	return coffer_process_wait_or(p, timeout, -1, status, err);
}

static enum process_phase process_phase(struct coffer_process *p)
{
	enum process_phase phase;

	pthread_mutex_lock(&p->container->lock);
	phase = p->phase;
	pthread_mutex_unlock(&p->container->lock);
	return phase;
}

int coffer_process_wait_fd(struct coffer_process *p)
{
	if (p->container->remote)
		return remote_process_wait_fd(p);
	return process_phase(p) >= PROCESS_RUNNING ? p->end_fd : -1;
}

const char *coffer_process_id(const struct coffer_process *p)
{
	return p->id;
}

int coffer_process_pid(struct coffer_process *p)
{
	int pid;

	pthread_mutex_lock(&p->container->lock);
	pid = p->pid;
	pthread_mutex_unlock(&p->container->lock);
	return pid;
}

int coffer_process_take_stream(struct coffer_process *p, enum coffer_stream stream)
{
	int fd;

	if ((unsigned)stream >= COFFER_STREAM_COUNT)
		return -1;
	pthread_mutex_lock(&p->container->lock);
	fd = steal_fd(&p->streams[stream]);
	pthread_mutex_unlock(&p->container->lock);
	return fd;
}

/* ---- calls of the agent ---- */

/* A request about a process: its name, what it takes, and the agent's call. */
struct process_request {
	const char *what;
	int sig;
	uint16_t rows, columns;
	int (*call)(struct agent *agent, const struct agent_process *key,
		    const struct process_request *req, struct coffer_error *err);
};

static int process_call_kill(struct agent *agent, const struct agent_process *key,
			     const struct process_request *req, struct coffer_error *err)
{
	return agent->ops->kill(agent, key, req->sig, err);
}

static int process_call_foreground(struct agent *agent, const struct agent_process *key,
				   const struct process_request *req, struct coffer_error *err)
{
	Ax__SignalRequest msg = AX__SIGNAL_REQUEST__INIT;

	msg.container_id = (char *)key->container;
	msg.id = (char *)key->id;
	msg.signal = req->sig;
	msg.mode = AX__SIGNAL_REQUEST__MODE__FOREGROUND;
	return agent_call(agent, AGENT_EXTRAS, "Signal", &msg.base, AGENT_CALL_BUDGET, NULL, err);
}

static int process_call_resize(struct agent *agent, const struct agent_process *key,
			       const struct process_request *req, struct coffer_error *err)
{
	return agent->ops->resize(agent, key, req->rows, req->columns, err);
}

static int process_call_close_stdin(struct agent *agent, const struct agent_process *key,
				    const struct process_request *req, struct coffer_error *err)
{
	return agent->ops->close_stdin(agent, key, err);
}

/* After the end of the process there is nothing to do, and that is fine. */
static int process_request(struct coffer_process *p, const struct process_request *req,
			   struct coffer_error *err)
{
	struct coffer_container *c = p->container;
	const struct agent_process key = { .container = c->id, .id = p->id };
	enum process_phase phase;
	struct agent *agent;
	int r = container_enter(c, CONTAINER_IN_STARTED, req->what, err);

	if (r < 0)
		return r;
	phase = process_phase(p);
	if (phase < PROCESS_RUNNING)
		r = err_state(err, "%s: process %s has not been started", req->what, p->id);
	if (phase == PROCESS_RUNNING) {
		r = container_agent_get(c, &agent, err);
		if (r == 0) {
			r = req->call(agent, &key, req, err);
			container_agent_put(c, agent, r);
		}
		/* It may have ended, and been deleted, while the call was under way. */
		if (r < 0 && process_phase(p) > PROCESS_RUNNING)
			r = 0;
		if (r < 0)
			r = err_wrap(err, "%s process %s", req->what, p->id);
	}
	container_leave(c);
	return r;
}

static int process_check_signal(int sig, struct coffer_error *err)
{
	return sig >= 1 && sig <= SIGRTMAX ? 0
					   : err_invalid(err, "kill: signal %d: there is none", sig);
}

int coffer_process_kill(struct coffer_process *p, int sig, struct coffer_error *err)
{
	const struct process_request req = { .what = "kill",
					     .sig = sig,
					     .call = process_call_kill };
	int r = process_check_signal(sig, err);

	if (p->container->remote)
		return remote_process_kill(p, sig, err);
	return r < 0 ? r : process_request(p, &req, err);
}

int coffer_process_kill_foreground(struct coffer_process *p, int sig, struct coffer_error *err)
{
	const struct process_request req = { .what = "kill the foreground of",
					     .sig = sig,
					     .call = process_call_foreground };
	int r = process_check_signal(sig, err);

	if (p->container->remote)
		return remote_process_kill_foreground(p, sig, err);
	if (r == 0 && !p->config->terminal)
		r = err_unsupported(err, "kill the foreground: process %s has no terminal", p->id);
	return r < 0 ? r : process_request(p, &req, err);
}

int coffer_container_kill_all(struct coffer_container *c, int sig, struct coffer_error *err)
{
	Ax__SignalRequest msg = AX__SIGNAL_REQUEST__INIT;
	int r = process_check_signal(sig, err);

	if (c->remote)
		return remote_kill_all(c, sig, err);
	if (r == 0)
		r = container_enter(c, CONTAINER_IN_STARTED, "kill all of", err);
	if (r < 0)
		return r;
	msg.container_id = c->id;
	msg.signal = sig;
	msg.mode = AX__SIGNAL_REQUEST__MODE__ALL;
	r = container_call(c, AGENT_EXTRAS, "Signal", &msg.base, AGENT_CALL_BUDGET, NULL, err);
	if (r < 0)
		err_wrap(err, "kill all of container %s", c->id);
	container_leave(c);
	return r;
}

int coffer_signal_parse(const char *text, struct coffer_error *err)
{
	int sig = text ? spawn_signal_parse(text) : -EINVAL;

	return sig >= 1 && sig <= SIGRTMAX
		   ? sig
		   : err_invalid(err, "signal %s: there is none", text ? text : "");
}

int coffer_process_resize(struct coffer_process *p, uint16_t rows, uint16_t columns,
			  struct coffer_error *err)
{
	const struct process_request req = {
		.what = "resize", .rows = rows, .columns = columns, .call = process_call_resize
	};

	if (p->container->remote)
		return remote_process_resize(p, rows, columns, err);
	if (!p->config->terminal)
		return err_unsupported(err, "resize: process %s has no terminal", p->id);
	return process_request(p, &req, err);
}

/* With the lock. Ours stops reading, which ends the stream after what it has read. */
static bool process_end_input(struct coffer_process *p)
{
	struct stream *s = p->stdio[COFFER_STDIN];

	if (s)
		stream_end_input(s);
	return s != NULL;
}

int coffer_process_close_stdin(struct coffer_process *p, struct coffer_error *err)
{
	const struct process_request req = { .what = "close stdin of",
					     .call = process_call_close_stdin };
	bool ours;

	if (p->container->remote)
		return remote_process_close_stdin(p, err);
	pthread_mutex_lock(&p->container->lock);
	ours = process_end_input(p);
	pthread_mutex_unlock(&p->container->lock);
	return ours ? 0 : process_request(p, &req, err);
}

/* ---- deletion ---- */

static void process_unlink(struct coffer_process **list, struct coffer_process *p)
{
	for (; *list; list = &(*list)->next)
		if (*list == p) {
			*list = p->next;
			return;
		}
}

/* With the lock. Out of the execs; the one that has been deleted longest is freed. */
static void process_bury(struct coffer_container *c, struct coffer_process *p)
{
	struct coffer_process **last = &c->deleted;

	process_unlink(&c->execs, p);
	p->next = c->deleted;
	c->deleted = p;
	for (int i = 0; *last && i < PROCESS_DELETED_MAX; i++)
		last = &(*last)->next;
	p->deleted = true;
	process_free(steal_ptr(*last));
}

/* With the lock. Return: 0 go on, 1 another does or has done it, negative errno */
static int process_claim(struct coffer_process *p, bool force, struct coffer_error *err)
{
	if (p == p->container->init)
		return err_state(err, "delete: process %s is init, which the container's stop "
				      "deletes", p->id);
	if (!force && p->phase <= PROCESS_RUNNING)
		return err_state(err, "delete: process %s still runs", p->id);
	if (p->deleting || p->deleted)
		return 1;
	p->deleting = true;
	return 0;
}

/* With the lock: until a deletion by another thread is over. */
static void process_await_burial(struct coffer_process *p)
{
	while (p->deleting)
		pthread_cond_wait(&p->container->changed, &p->container->lock);
}

static int process_force_end(struct coffer_process *p, struct coffer_error *err)
{
	int r = 0;

	if (process_phase(p) == PROCESS_RUNNING)
		r = coffer_process_kill(p, SIGKILL, err);
	return r < 0 ? r : coffer_process_wait(p, clock_budget(PROCESS_KILL_BUDGET), NULL, err);
}

/* The agent keeps how it ended until told. A machine that has ended keeps nothing. */
static int process_forget(struct coffer_process *p)
{
	struct coffer_container *c = p->container;
	const struct agent_process key = { .container = c->id, .id = p->id };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct agent *agent;
	int r = container_enter(c, CONTAINER_IN_STARTED, "delete", NULL);

	if (r < 0)
		return 0;
	r = container_agent_get(c, &agent, &err);
	if (r == 0) {
		r = agent->ops->remove(agent, &key, &err);
		container_agent_put(c, agent, r);
	}
	container_leave(c);
	if (r < 0)
		log_info("delete process %s: %s", p->id, err.message);
	return r;
}

int coffer_process_delete(struct coffer_process *p, bool force, struct coffer_error *err)
{
	struct coffer_container *c = p->container;
	int r;

	if (c->remote)
		return remote_process_delete(p, force, err);
	pthread_mutex_lock(&c->lock);
	r = process_claim(p, force, err);
	if (r > 0)
		process_await_burial(p);
	pthread_mutex_unlock(&c->lock);
	if (r != 0)
		return r > 0 ? 0 : r;
	r = process_force_end(p, err);
	if (r == 0)
		process_forget(p);
	pthread_mutex_lock(&c->lock);
	/* Its connection is the watcher's, or the teardown's, to close. */
	while (r == 0 && p->agent)
		pthread_cond_wait(&c->changed, &c->lock);
	p->deleting = false;
	if (r == 0)
		process_bury(c, p);
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return r;
}
