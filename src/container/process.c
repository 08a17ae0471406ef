/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/process.c - process objects: waiting, signals, terminal, streams
 *
 * A wait has the agent connection `waiter` to itself.  Waiters look under the
 * process's lock and sleep in poll(2) without it; whoever finds the answer
 * stores it and shuts the connection down, which makes its descriptor readable
 * for ever and so wakes the others.  The connection object stays until the
 * process is reset or freed, so the descriptor is never somebody else's.
 */
#define LOG_CATEGORY "process"
#include "container/container.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

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
	pthread_mutex_init(&p->lock, NULL);
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
	process_close_streams(p);
	if (p->waiter)
		agent_close(p->waiter);
	config_free_process(p->config);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void process_reset(struct coffer_process *p)
{
	process_close_streams(p);
	p->pid = -1;
	pthread_mutex_lock(&p->lock);
	if (p->waiter)
		agent_close(p->waiter);
	p->waiter = NULL;
	p->phase = PROCESS_NEW;
	p->exit = (struct coffer_exit){ 0 };
	err_clear(&p->lost);
	pthread_mutex_unlock(&p->lock);
}

/* With the process's lock. Every sleeper wakes up. */
static void process_wake(struct coffer_process *p)
{
	if (p->waiter)
		shutdown(p->waiter->ops->fd(p->waiter), SHUT_RDWR);
}

void process_settle(struct coffer_process *p, int code, const struct coffer_error *why)
{
	process_close_streams(p);
	pthread_mutex_lock(&p->lock);
	if (p->phase == PROCESS_RUNNING || (p->phase == PROCESS_NEW && why)) {
		p->phase = why ? PROCESS_LOST : PROCESS_ENDED;
		p->exit = (struct coffer_exit){ .code = code };
		if (why)
			p->lost = *why;
		process_wake(p);
	}
	pthread_mutex_unlock(&p->lock);
}

bool process_has_ended(struct coffer_process *p)
{
	bool ended;

	pthread_mutex_lock(&p->lock);
	ended = p->phase == PROCESS_ENDED;
	pthread_mutex_unlock(&p->lock);
	return ended;
}

/*
 * One look, with the process's lock.
 * Return: 0 with *@status filled, -ETIMEDOUT when it runs, other negative errno
 */
static int process_look(struct coffer_process *p, struct coffer_exit *status, bool *broken,
			struct coffer_error *err)
{
	struct agent_exit end;
	int r;

	switch (p->phase) {
	case PROCESS_NEW:
		return err_state(err, "wait: process %s has not been started", p->id);
	case PROCESS_LOST:
		if (err)
			*err = p->lost;
		return -p->lost.err;
	case PROCESS_ENDED:
		break;
	case PROCESS_RUNNING:
		/* What broke the wait is said once only; the container asks a second time. */
		r = -p->lost.err;
		if (r == 0)
			r = p->waiter->ops->wait_poll(p->waiter, 0, &end, &p->lost);
		*broken = r < 0 && r != -ETIMEDOUT;
		if (*broken && err)
			*err = p->lost;
		if (r == -ETIMEDOUT)
			err_clear(&p->lost);
		if (r < 0)
			return r;
		p->phase = PROCESS_ENDED;
		p->exit = (struct coffer_exit){ .code = end.code, .exited_at = end.at };
		process_wake(p);
	}
	if (status)
		*status = p->exit;
	return 0;
}

bool process_is_broken(struct coffer_process *p, struct coffer_error *why)
{
	bool broken = false;

	pthread_mutex_lock(&p->lock);
	process_look(p, NULL, &broken, why);
	pthread_mutex_unlock(&p->lock);
	return broken;
}

int coffer_process_wait(struct coffer_process *p, uint64_t timeout, struct coffer_exit *status,
			struct coffer_error *err)
{
	usec_t deadline = deadline_in(timeout);
	struct coffer_error own = COFFER_ERROR_INIT;

	for (;;) {
		struct pollfd pfd = { .fd = -1, .events = POLLIN };
		bool broken = false;
		int r;

		pthread_mutex_lock(&p->lock);
		r = process_look(p, status, &broken, &own);
		if (p->phase == PROCESS_RUNNING)
			pfd.fd = p->waiter->ops->fd(p->waiter);
		pthread_mutex_unlock(&p->lock);
		if (broken) {
			/* Settles this process: the next look tells how. */
			container_lost(p->container, p);
			continue;
		}
		if (r != -ETIMEDOUT || pfd.fd < 0) {
			if (r < 0 && err)
				*err = own;
			return r;
		}
		if (poll(&pfd, 1, deadline_poll_ms(deadline)) == 0)
			return err_timeout(err, "wait: process %s still runs", p->id);
	}
}

int coffer_process_wait_fd(struct coffer_process *p)
{
	int fd;

	pthread_mutex_lock(&p->lock);
	fd = p->waiter ? p->waiter->ops->fd(p->waiter) : -1;
	pthread_mutex_unlock(&p->lock);
	return fd;
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
	int r;

	pthread_mutex_lock(&c->lock);
	r = container_check_started(c, req->what, err);
	if (r == 0 && p->pid < 0)
		r = err_state(err, "%s: process %s has not been started", req->what, p->id);
	if (r == 0 && !process_has_ended(p)) {
		r = req->call(c->agent, &key, req, err);
		if (r < 0)
			r = err_wrap(err, "%s process %s", req->what, p->id);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int coffer_process_kill(struct coffer_process *p, int sig, struct coffer_error *err)
{
	const struct process_request req = { .what = "kill",
					     .sig = sig,
					     .call = process_call_kill };

	if (sig < 1 || sig > SIGRTMAX)
		return err_invalid(err, "kill: signal %d: there is none", sig);
	return process_request(p, &req, err);
}

int coffer_process_resize(struct coffer_process *p, uint16_t rows, uint16_t columns,
			  struct coffer_error *err)
{
	const struct process_request req = {
		.what = "resize", .rows = rows, .columns = columns, .call = process_call_resize
	};

	if (!p->config->terminal)
		return err_unsupported(err, "resize: process %s has no terminal", p->id);
	return process_request(p, &req, err);
}

int coffer_process_close_stdin(struct coffer_process *p, struct coffer_error *err)
{
	const struct process_request req = { .what = "close stdin of",
					     .call = process_call_close_stdin };

	return process_request(p, &req, err);
}
