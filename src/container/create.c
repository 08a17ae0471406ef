/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/create.c - create and start
 *
 *	create: run directory, root file system opened, sandbox started
 *	        | while it boots: image made, if the root is a directory
 *	        agent up, connected, root mounted, watcher started
 *	start:  process_launch() of init (launch.c)
 *
 * Whatever step fails, container_teardown() gives back everything and stores
 * the error.
 */
#define LOG_CATEGORY "container"
#include "container/container.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "container/control.h"
#include "container/record.h"
#include "container/relay.h"
#include "container/remote.h"

static int create_sandbox(struct coffer_container *c, struct coffer_error *err)
{
	struct sandbox_config cfg = {
		.dir = c->dir,
		.cpus = c->config->cpus,
		.memory = c->config->memory,
		.machine = c->config->machine,
		.strace = c->config->strace,
		.trace = c->config->trace,
		.kernel = c->config->kernel,
		.initrd = c->config->initrd,
		.archive_fd = -1,
		.cancel_fd = c->cancel_fd,
	};
	int r = storage_attach(c->storage, &cfg, err);

	return r < 0 ? r : c->maker(&cfg, &c->sandbox, err);
}

static int create_dir(struct coffer_container *c, struct coffer_error *err)
{
	int r = -ENOENT;

	/* One that is kept is its own directory's heir. */
	if (c->config->keep && coffer_container_state(c) == COFFER_STATE_STOPPED)
		r = rundir_open(c->config->run_dir, c->id, true, &c->dir, err);
	if (r == -ENOENT)
		r = rundir_create(c->config->run_dir, c->id, &c->dir, err);
	return r < 0 ? r : control_open(c, err);
}

static int create_storage(struct coffer_container *c, struct coffer_error *err)
{
	return storage_open(c->id, c->config, &c->storage, err);
}

static int create_boot(struct coffer_container *c, struct coffer_error *err)
{
	return c->sandbox->ops->boot(c->sandbox, err);
}

static int create_fill(struct coffer_container *c, struct coffer_error *err)
{
	return storage_fill(c->storage, c->cancel_fd, err);
}

static int create_ready(struct coffer_container *c, struct coffer_error *err)
{
	return c->sandbox->ops->ready(c->sandbox, err);
}

static int create_connect(struct coffer_container *c, struct coffer_error *err)
{
	struct agent *agent;
	int r = container_agent_open(c, &agent, err);

	if (r == 0)
		container_agent_put(c, agent, 0);
	return r;
}

static int create_mount(struct coffer_container *c, struct coffer_error *err)
{
	struct agent *agent;
	int r = container_agent_get(c, &agent, err);

	if (r < 0)
		return r;
	agent->ops->set_cancel(agent, c->cancel_fd);
	r = storage_mount(c->storage, agent, err);
	agent->ops->set_cancel(agent, -1);
	container_agent_put(c, agent, r);
	return r;
}

/* Each ends at its mark. */
static const struct {
	int (*fn)(struct coffer_container *c, struct coffer_error *err);
	enum timing_mark mark;
} create_stages[] = {
	{ create_dir, TIMING_STORAGE },	   { create_storage, TIMING_STORAGE },
	{ create_sandbox, TIMING_SPAWN },  { create_boot, TIMING_SPAWN },
	{ create_fill, TIMING_FILL },	   { create_ready, TIMING_READY },
	{ create_connect, TIMING_CONNECT }, { create_mount, TIMING_MOUNT },
	{ watch_start, TIMING_MOUNT },
};

static void create_note_timing(struct coffer_container *c)
{
	struct coffer_timing *t = &c->timing.public;
	struct sandbox_info info = { 0 };

	if (c->sandbox)
		c->sandbox->ops->info(c->sandbox, &info);
	pthread_mutex_lock(&c->lock);
	t->machine_spawned = info.spawned;
	t->machine_running = info.running;
	t->agent_ready = info.ready;
	t->guest_kernel = info.guest_kernel;
	t->guest_agent = info.guest_agent;
	pthread_mutex_unlock(&c->lock);
}

static void create_reset(struct coffer_container *c)
{
	container_reset(c->gone_fd);
	pthread_mutex_lock(&c->lock);
	c->timing = (struct timing){ .nstages = 0 };
	c->created_at = c->started_at = c->finished_at = (struct timespec){ 0 };
	c->oom_kills = 0;
	process_reset(c->init);
	pthread_mutex_unlock(&c->lock);
	container_mark(c, TIMING_BEGIN);
}

/* The next state, unless the machine has died meanwhile. */
static int create_commit(struct coffer_container *c, enum coffer_state state,
			 struct coffer_event event, struct timespec *at, struct coffer_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->death.size > 0) {
		*err = c->cause;
		r = -c->cause.err;
	} else {
		c->state = state;
		clock_gettime(CLOCK_REALTIME, at);
		events_emit(c, event);
	}
	pthread_mutex_unlock(&c->lock);
	if (r == 0)
		record_note(c, state);
	return r;
}

/* What failed says so in *@own. Return: its code */
static int create_failed(struct coffer_container *c, const char *verb, struct coffer_error *own,
			 struct coffer_error *err)
{
	bool died;
	int r;

	pthread_mutex_lock(&c->lock);
	died = c->death.size > 0;
	if (died)
		*own = c->cause;
	pthread_mutex_unlock(&c->lock);
	if (!died && own->kind == COFFER_ERR_INTERRUPTED && c->sandbox)
		c->sandbox->ops->explain(c->sandbox, own);
	if (own->kind == COFFER_ERR_CANCELLED)
		container_reset(c->cancel_fd);
	r = container_wrap(c, verb, own);
	container_teardown(c, COFFER_STATE_ERRORED, own);
	if (err)
		*err = *own;
	return r;
}

int coffer_container_create(struct coffer_container *c, struct coffer_error *err)
{
	const struct coffer_event event = { .type = COFFER_EVENT_CREATE };
	struct coffer_error own = COFFER_ERROR_INIT;
	int r;

	if (c->remote)
		return remote_refuse(c, "create", err);
	r = container_begin(
	    c, CONTAINER_IN(COFFER_STATE_INITIALIZED) | CONTAINER_IN(COFFER_STATE_STOPPED),
	    "create", err);
	if (r < 0)
		return r;
	create_reset(c);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(create_stages); i++) {
		r = create_stages[i].fn(c, &own);
		container_mark(c, create_stages[i].mark);
	}
	create_note_timing(c);
	container_mark(c, TIMING_CREATED);
	if (r == 0)
		r = create_commit(c, COFFER_STATE_CREATED, event, &c->created_at, &own);
	if (r < 0)
		return create_failed(c, "create", &own, err);
	container_end(c);
	return 0;
}

int coffer_container_start(struct coffer_container *c, struct coffer_error *err)
{
	struct coffer_event event = { .type = COFFER_EVENT_START };
	struct coffer_error own = COFFER_ERROR_INIT;
	int r;

	if (c->remote)
		return remote_refuse(c, "start", err);
	r = container_begin(c, CONTAINER_IN(COFFER_STATE_CREATED), "start", err);
	if (r < 0)
		return r;
	container_mark(c, TIMING_START);
	r = relay_start_configured(c, &own);
	if (r == 0)
		r = process_launch(c->init, &own);
	container_mark(c, TIMING_STARTED);
	if (r == 0) {
		event.pid = c->init->pid;
		memcpy(event.process, c->id, sizeof(c->id));
		r = create_commit(c, COFFER_STATE_STARTED, event, &c->started_at, &own);
	}
	container_reset(c->cancel_fd);
	if (r < 0)
		return create_failed(c, "start", &own, err);
	watch_wake(c);
	container_end(c);
	return 0;
}
