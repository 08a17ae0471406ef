/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/launch.c - from a process object to a running process
 *
 *	listen for its streams         (the agent connects during create)
 *	CreateProcess
 *	accept the streams
 *	StartProcess
 *	WaitProcess, left open on a connection of its own
 *
 * The agent remembers how a process ended, so asking after the start loses
 * nothing, and the program gets going before the guest has a further
 * connection to make.  A program that cannot be run leaves its exit code (126,
 * 127) with the wait.
 */
#define LOG_CATEGORY "process"
#include "container/container.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "container/document.h"

#define LAUNCH_STREAM_BUDGET  (3 * USEC_PER_SEC) /* the agent connects before it answers create */
#define LAUNCH_VERDICT_BUDGET USEC_PER_SEC	 /* for the exit code of a failed start */

struct launch {
	struct coffer_process *p;
	struct sandbox *sandbox;
	uint32_t ports[COFFER_STREAM_COUNT]; /* 0: none */
	int listeners[COFFER_STREAM_COUNT];
};

static int launch_listen(struct launch *l, struct coffer_error *err)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		uint32_t port = container_port_take();

		if (l->p->config->stdio[i].mode == COFFER_STDIO_NULL)
			continue;
		l->listeners[i] = l->sandbox->ops->listen(l->sandbox, port, err);
		if (l->listeners[i] < 0)
			return steal_fd(&l->listeners[i]);
		l->ports[i] = port;
	}
	return 0;
}

static int launch_create(struct launch *l, struct coffer_error *err)
{
	struct coffer_container *c = l->p->container;
	autofree char *spec = document_make(c->id, c->config, l->p->config, c->storage, err);
	struct agent_create args = {
		.process = { .container = c->id, .id = l->p->id },
		.ports = { l->ports[0], l->ports[1], l->ports[2] },
		.spec = spec,
	};

	if (!spec)
		return err ? -err->err : -ENOMEM;
	return c->agent->ops->create(c->agent, &args, err);
}

static int launch_accept(struct launch *l, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(LAUNCH_STREAM_BUDGET));

	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		int r;

		if (l->listeners[i] < 0)
			continue;
		r = io_wait(l->listeners[i], POLLIN, deadline);
		if (r == 0)
			return err_timeout(err, "the agent did not connect stream %d", i);
		if (r < 0)
			return err_sysn(err, r, "wait for stream %d", i);
		l->p->streams[i] = accept4(l->listeners[i], NULL, NULL, SOCK_CLOEXEC);
		if (l->p->streams[i] < 0)
			return err_sys(err, "accept stream %d", i);
	}
	return 0;
}

static int launch_wait(struct launch *l, struct coffer_error *err)
{
	const struct agent_process key = { .container = l->p->container->id, .id = l->p->id };
	autoagent struct agent *agent = NULL;
	int r, fd;

	fd = l->sandbox->ops->connect_begin(l->sandbox, err);
	if (fd < 0)
		return fd;
	r = l->sandbox->ops->connect_end(l->sandbox, fd, &agent, err);
	if (r == 0)
		r = agent->ops->wait_begin(agent, &key, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->p->lock);
	l->p->waiter = steal_ptr(agent);
	l->p->phase = PROCESS_RUNNING;
	pthread_mutex_unlock(&l->p->lock);
	return 0;
}

/* Whether the program was found and could be run is the wait's to tell, in its exit code. */
static void launch_verdict(struct launch *l)
{
	usec_t deadline = deadline_in(clock_budget(LAUNCH_VERDICT_BUDGET));
	struct coffer_process *p = l->p;
	struct agent_exit end;

	if (launch_wait(l, NULL) < 0)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->waiter->ops->wait_poll(p->waiter, deadline, &end, NULL) == 0) {
		p->phase = PROCESS_ENDED;
		p->exit = (struct coffer_exit){ .code = end.code, .exited_at = end.at };
	}
	pthread_mutex_unlock(&p->lock);
}

static int launch_start(struct launch *l, struct coffer_error *err)
{
	struct coffer_container *c = l->p->container;
	const struct agent_process key = { .container = c->id, .id = l->p->id };
	int r = c->agent->ops->start(c->agent, &key, &l->p->pid, err);

	if (r < 0 && err && err->kind != COFFER_ERR_INTERRUPTED)
		launch_verdict(l);
	return r;
}

static void launch_end(struct launch *l)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		if (l->listeners[i] < 0)
			continue;
		close_fd(&l->listeners[i]);
		l->sandbox->ops->unlisten(l->sandbox, l->ports[i]);
	}
}

static int (*const launch_stages[])(struct launch *l, struct coffer_error *err) = {
	launch_listen, launch_create, launch_accept, launch_start, launch_wait,
};

int process_launch(struct coffer_process *p, struct coffer_error *err)
{
	struct launch l = { .p = p,
			    .sandbox = p->container->sandbox,
			    .listeners = { -1, -1, -1 } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(launch_stages); i++) {
		/* Only a container's start can be given up. */
		if (p == p->container->init)
			r = container_check_cancel(p->container, err);
		if (r == 0)
			r = launch_stages[i](&l, err);
	}
	launch_end(&l);
	return r;
}

/* Both ids name the process to the agent; an exec may not pass for the container's init. */
static int launch_exec_id(struct coffer_container *c, const char *id,
			  char out[static COFFER_ID_MAX + 1], struct coffer_error *err)
{
	bool taken;

	if (!id)
		return container_random_id(out, err);
	if (!rundir_id_is_valid(id))
		return err_invalid(err, "process name %s: must be 1 to 64 of a-z A-Z 0-9 _ . -",
				   id);
	taken = strcmp(id, c->id) == 0;
	for (struct coffer_process *p = c->execs; p && !taken; p = p->next)
		taken = strcmp(p->id, id) == 0;
	if (taken)
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "process name %s: is taken", id);
	snprintf(out, COFFER_ID_MAX + 1, "%s", id);
	return 0;
}

/* Else the agent would keep the name, and the process if it runs. One that does not answer now
 * would not answer this. */
static void launch_undo(struct coffer_process *p, int failure)
{
	struct coffer_container *c = p->container;
	const struct agent_process key = { .container = c->id, .id = p->id };

	if (failure == -ETIMEDOUT || failure == -ECONNRESET)
		return;
	c->agent->ops->kill(c->agent, &key, SIGKILL, NULL);
	c->agent->ops->remove(c->agent, &key, NULL);
}

int coffer_container_exec(struct coffer_container *c, const char *id,
			  const struct coffer_process_config *config, struct coffer_process **out,
			  struct coffer_error *err)
{
	char name[COFFER_ID_MAX + 1];
	struct coffer_process *p = NULL;
	int r;

	*out = NULL;
	pthread_mutex_lock(&c->lock);
	r = container_check_started(c, "exec", err);
	if (r == 0)
		r = launch_exec_id(c, id, name, err);
	if (r == 0)
		r = process_new(c, name, config, &p, err);
	if (r == 0)
		r = process_launch(p, err);
	if (r == 0) {
		p->next = c->execs;
		c->execs = p;
		*out = p;
	} else if (p) {
		launch_undo(p, r);
		process_free(p);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}
