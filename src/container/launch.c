/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/launch.c - from a process object to a running process
 *
 *	listen for its streams         (the agent connects during create)
 *	CreateProcess
 *	accept the streams
 *	StartProcess
 *	WaitProcess, left open; the connection is the watcher's from here on
 *	streams that we copy           (input is fed only to what runs)
 *
 * All on one connection, which is an idle one if there is any.  The agent
 * remembers how a process ended, so asking after the start loses nothing.  A
 * program that cannot be run leaves its exit code (126, 127) with the wait.
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

#include "base/io.h"
#include "base/log.h"
#include "container/remote.h"
#include "container/document.h"

#define LAUNCH_STREAM_BUDGET  (3 * USEC_PER_SEC) /* the agent connects before it answers create */
#define LAUNCH_VERDICT_BUDGET USEC_PER_SEC	 /* for the exit code of a failed start */

/* Each has a connection while it runs, and an agent takes 256: some are for other calls. */
#define LAUNCH_EXECS_MAX 200

/* Exit codes of programs that were never run, as shells give them. */
#define LAUNCH_NOT_EXECUTABLE 126
#define LAUNCH_NOT_FOUND      127

struct launch {
	struct coffer_process *p;
	struct coffer_container *c;
	struct agent *agent;
	struct agent_process key;
	char *spec; /* owned */
	int pid;
	uint32_t ports[COFFER_STREAM_COUNT]; /* 0: none */
	int listeners[COFFER_STREAM_COUNT];
	int streams[COFFER_STREAM_COUNT];
};

static int launch_connect(struct launch *l, struct coffer_error *err)
{
	int r = container_agent_get(l->c, &l->agent, err);

	/* Only a container's start can be given up. */
	if (r == 0 && l->p == l->c->init)
		l->agent->ops->set_cancel(l->agent, l->c->cancel_fd);
	return r;
}

static int launch_listen(struct launch *l, struct coffer_error *err)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		uint32_t port = container_port_take();

		if (l->p->config->stdio[i].mode == COFFER_STDIO_NULL)
			continue;
		l->listeners[i] = l->c->sandbox->ops->listen(l->c->sandbox, port, err);
		if (l->listeners[i] < 0)
			return steal_fd(&l->listeners[i]);
		l->ports[i] = port;
	}
	return 0;
}

static int launch_document(struct launch *l, struct coffer_error *err)
{
	l->spec = document_make(l->c, l->p->config, err);
	return l->spec ? 0 : -err->err;
}

static int launch_create(struct launch *l, struct coffer_error *err)
{
	const struct agent_create args = {
		.process = l->key,
		.ports = { l->ports[0], l->ports[1], l->ports[2] },
		.spec = l->spec,
	};

	return l->agent->ops->create(l->agent, &args, err);
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
		l->streams[i] = accept4(l->listeners[i], NULL, NULL, SOCK_CLOEXEC);
		if (l->streams[i] < 0)
			return err_sys(err, "accept stream %d", i);
	}
	return 0;
}

/* Whether the program was found and could be run is the wait's to tell, in its exit code: to @err,
 * and to init's waiters. */
static void launch_verdict(struct launch *l, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(LAUNCH_VERDICT_BUDGET));
	struct coffer_exit status;
	struct agent_exit end;

	if (l->agent->ops->wait_begin(l->agent, &l->key, NULL) < 0 ||
	    l->agent->ops->wait_poll(l->agent, deadline, &end, NULL) < 0)
		return;
	if (end.code == LAUNCH_NOT_FOUND) {
		err->kind = COFFER_ERR_NOT_FOUND;
		err->err = ENOENT;
	} else if (end.code == LAUNCH_NOT_EXECUTABLE) {
		err->err = EACCES;
	}
	if (l->p != l->c->init)
		return;
	status = (struct coffer_exit){ .code = end.code, .exited_at = end.at };
	pthread_mutex_lock(&l->c->lock);
	process_ended(l->p, &status);
	pthread_mutex_unlock(&l->c->lock);
}

static int launch_start(struct launch *l, struct coffer_error *err)
{
	int r = l->agent->ops->start(l->agent, &l->key, &l->pid, err);

	if (r == 0 || err->kind == COFFER_ERR_INTERRUPTED || err->kind == COFFER_ERR_CANCELLED)
		return r;
	launch_verdict(l, err);
	return -err->err;
}

static int launch_wait(struct launch *l, struct coffer_error *err)
{
	struct coffer_process *p = l->p;
	int r;

	l->agent->ops->set_cancel(l->agent, -1);
	r = l->agent->ops->wait_begin(l->agent, &l->key, err);
	if (r == 0)
		r = process_prepare_stdio(p, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&l->c->lock);
	/* Until launch_stdio() is through; else a quick end is told before its output. */
	p->arriving = 1;
	p->pid = l->pid;
	p->agent = steal_ptr(l->agent);
	memcpy(p->streams, l->streams, sizeof(p->streams));
	memset(l->streams, 0xff, sizeof(l->streams));
	p->phase = PROCESS_RUNNING;
	pthread_mutex_unlock(&l->c->lock);
	return 0;
}

static int launch_stdio(struct launch *l, struct coffer_error *err)
{
	int r = process_stdio(l->p, err);

	pthread_mutex_lock(&l->c->lock);
	process_arrived(l->p);
	pthread_mutex_unlock(&l->c->lock);
	watch_wake(l->c);
	return r;
}

static void launch_end(struct launch *l, int result)
{
	for (int i = 0; i < COFFER_STREAM_COUNT; i++) {
		close_fd(&l->streams[i]);
		if (l->listeners[i] < 0)
			continue;
		close_fd(&l->listeners[i]);
		l->c->sandbox->ops->unlisten(l->c->sandbox, l->ports[i]);
	}
	if (l->agent)
		l->agent->ops->set_cancel(l->agent, -1);
	container_agent_put(l->c, l->agent, result);
	free(l->spec);
}

/* Each ends at its mark. */
static const struct {
	int (*fn)(struct launch *l, struct coffer_error *err);
	enum timing_mark mark;
} launch_stages[] = {
	{ launch_connect, TIMING_LISTEN },	  { launch_listen, TIMING_LISTEN },
	{ launch_document, TIMING_DOCUMENT },	  { launch_create, TIMING_CREATE_PROCESS },
	{ launch_accept, TIMING_STREAMS },	  { launch_start, TIMING_START_PROCESS },
	{ launch_wait, TIMING_WAIT },		  { launch_stdio, TIMING_WAIT },
};

int process_launch(struct coffer_process *p, struct coffer_error *err)
{
	struct coffer_container *c = p->container;
	struct launch l = { .p = p,
			    .c = c,
			    .key = { .container = c->id, .id = p->id },
			    .pid = -1,
			    .listeners = { -1, -1, -1 },
			    .streams = { -1, -1, -1 } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(launch_stages); i++) {
		if (p == c->init)
			r = container_check_cancel(c, err);
		if (r == 0)
			r = launch_stages[i].fn(&l, err);
		if (p == c->init)
			container_mark(c, launch_stages[i].mark);
	}
	launch_end(&l, r);
	return r;
}

/* ---- exec ---- */

/* With the lock. Both ids name the process to the agent; an exec may not pass for the container's
 * init. */
static int launch_reserve(struct coffer_process *p, struct coffer_error *err)
{
	struct coffer_container *c = p->container;
	bool taken = strcmp(p->id, c->id) == 0;
	unsigned running = 0;

	for (struct coffer_process *other = c->execs; other && !taken; other = other->next) {
		taken = strcmp(p->id, other->id) == 0;
		running += other->phase <= PROCESS_RUNNING;
	}
	if (!taken && running >= LAUNCH_EXECS_MAX)
		return err_set(err, COFFER_ERR_INTERNAL, EAGAIN,
			       "exec: %u processes run already, and no more can be waited for",
			       running);
	if (taken)
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "process name %s: is taken",
			       p->id);
	p->phase = PROCESS_LAUNCHING;
	p->serial = ++c->serial;
	p->next = c->execs;
	c->execs = p;
	return 0;
}

static void launch_unreserve(struct coffer_process *p)
{
	struct coffer_container *c = p->container;
	struct coffer_process **at = &c->execs;

	pthread_mutex_lock(&c->lock);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	pthread_mutex_unlock(&c->lock);
}

/* Else the agent would keep the name, and the process if it runs. One that does not answer now
 * would not answer this. */
static void launch_undo(struct coffer_process *p, int failure)
{
	struct coffer_container *c = p->container;
	const struct agent_process key = { .container = c->id, .id = p->id };
	struct agent *agent;

	if (failure == -ETIMEDOUT || failure == -ECONNRESET)
		return;
	if (container_agent_get(c, &agent, NULL) < 0)
		return;
	agent->ops->kill(agent, &key, SIGKILL, NULL);
	container_agent_put(c, agent, agent->ops->remove(agent, &key, NULL));
}

static void launch_announce(struct coffer_process *p)
{
	struct coffer_event event = { .type = COFFER_EVENT_EXEC };

	memcpy(event.process, p->id, sizeof(p->id));
	pthread_mutex_lock(&p->container->lock);
	event.pid = p->pid;
	events_emit(p->container, event);
	pthread_mutex_unlock(&p->container->lock);
}

/* Entered, its id reserved. On failure it is freed. */
static int launch_exec(struct coffer_process *p, struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = process_launch(p, &own);

	if (r == 0) {
		launch_announce(p);
		return 0;
	}
	if (own.kind == COFFER_ERR_INTERRUPTED)
		p->container->sandbox->ops->explain(p->container->sandbox, &own);
	if (err)
		*err = own;
	if (p->phase >= PROCESS_RUNNING) {
		coffer_process_delete(p, true, NULL);
		return r;
	}
	launch_undo(p, r);
	launch_unreserve(p);
	process_free(p);
	return r;
}

static int launch_make(struct coffer_container *c, const char *id,
		       const struct coffer_process_config *config, struct coffer_process **out,
		       struct coffer_error *err)
{
	char name[COFFER_ID_MAX + 1];
	int r = 0;

	if (id && !rundir_id_is_valid(id))
		return err_invalid(err, "process name %s: must be 1 to 64 of a-z A-Z 0-9 _ . -",
				   id);
	if (!id)
		r = container_random_id(name, err);
	return r < 0 ? r : process_new(c, id ? id : name, config, out, err);
}

int coffer_container_exec(struct coffer_container *c, const char *id,
			  const struct coffer_process_config *config, struct coffer_process **out,
			  struct coffer_error *err)
{
	struct coffer_process *p = NULL;
	int r;

	if (c->remote)
		return remote_exec(c, id, config, out, err);
	*out = NULL;
	r = container_enter(c, CONTAINER_IN_STARTED, "exec", err);
	if (r < 0)
		return r;
	r = launch_make(c, id, config, &p, err);
	if (r == 0) {
		pthread_mutex_lock(&c->lock);
		r = launch_reserve(p, err);
		pthread_mutex_unlock(&c->lock);
		if (r < 0)
			process_free(p);
		else
			r = launch_exec(p, err);
	}
	if (r == 0)
		*out = p;
	container_leave(c);
	return r;
}

int coffer_container_find_process(struct coffer_container *c, const char *id,
				  struct coffer_process **out, struct coffer_error *err)
{
	struct coffer_process *p = c->init;

	if (c->remote)
		return remote_find_process(c, id, out, err);
	*out = NULL;
	pthread_mutex_lock(&c->lock);
	if (strcmp(id, c->id) != 0)
		for (p = c->execs; p; p = p->next)
			if (p->phase >= PROCESS_RUNNING && strcmp(p->id, id) == 0)
				break;
	pthread_mutex_unlock(&c->lock);
	*out = p;
	return p ? 0
		 : err_set(err, COFFER_ERR_NOT_FOUND, 0, "process %s: container %s has none", id,
			   c->id);
}
