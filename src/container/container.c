/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/container.c - the container's state machine
 *
 *	create: run directory, root file system opened, sandbox started
 *	        | while it boots: image made, if the root is a directory
 *	        agent up, connected, root mounted
 *	start:  process_launch() of init (launch.c)
 *	stop:   the sandbox is ended as a whole; nothing in it outlives it, so
 *	        nothing has to be unmounted or written back first
 *
 * Each step that fails gives back everything and stores its error.  What kind
 * of sandbox it is, is the maker's business; the tests bring their own.
 */
#define LOG_CATEGORY "container"
#include "container/container.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "container/relay.h"
#include "sandbox/vm.h"

#define CONTAINER_PORT_MIN UINT32_C(0x10000000) /* below: ports of the user's own */
#define CONTAINER_KILLED   137 /* exit code of what a stop ends: 128 + SIGKILL */

static const char *const container_states[] = {
	[COFFER_STATE_INITIALIZED] = "initialized", [COFFER_STATE_CREATED] = "created",
	[COFFER_STATE_STARTED] = "started",	    [COFFER_STATE_PAUSED] = "paused",
	[COFFER_STATE_STOPPED] = "stopped",
	[COFFER_STATE_ERRORED] = "errored",
};
_Static_assert(ARRAY_SIZE(container_states) == COFFER_STATE_COUNT, "a name for each state");

const char *coffer_state_str(enum coffer_state state)
{
	return (unsigned)state < COFFER_STATE_COUNT ? container_states[state] : "unknown";
}

int container_random_id(char id[static COFFER_ID_MAX + 1], struct coffer_error *err)
{
	unsigned char raw[6];

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return err_sys(err, "getrandom");
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(id + 2 * i, 3, "%02x", raw[i]);
	return 0;
}

int container_new(const char *id, const struct coffer_container_config *config, sandbox_maker maker,
		  struct coffer_container **out, struct coffer_error *err)
{
	struct coffer_container *c;
	int r;

	*out = NULL;
	if (id && !rundir_id_is_valid(id))
		return err_invalid(err,
				   "name %s: must be 1 to 64 of a-z A-Z 0-9 _ . -, "
				   "the first one a letter or digit",
				   id);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(err);
	c->maker = maker;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	c->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->gone_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = c->cancel_fd < 0 || c->gone_fd < 0 ? err_sys(err, "eventfd") : 0;
	if (r == 0 && id)
		memcpy(c->id, id, strlen(id) + 1);
	else if (r == 0)
		r = container_random_id(c->id, err);
	if (r == 0)
		r = config_take_container(config, &c->config, err);
	if (r == 0)
		r = process_new(c, c->id, config->process, &c->init, err);
	if (r < 0) {
		coffer_container_free(c);
		return r;
	}
	*out = c;
	return 0;
}

int coffer_container_new(const char *id, const struct coffer_container_config *config,
			 struct coffer_container **out, struct coffer_error *err)
{
	return container_new(id, config, sandbox_vm_new, out, err);
}

static void container_signal(int event_fd)
{
	const uint64_t one = 1;
	/* A counter that is full is as readable as one that is not. */
	ssize_t n = write(event_fd, &one, sizeof(one));

	(void)n;
}

/* End the sandbox and give everything back; processes that still ran end with @code or @why. */
static void container_teardown(struct coffer_container *c, int code, const struct coffer_error *why)
{
	/* First, so that no waiter takes the end of the machine for an accident. */
	process_settle(c->init, code, why);
	for (struct coffer_process *p = c->execs; p; p = p->next)
		process_settle(p, code, why);
	container_signal(c->gone_fd);
	if (c->sandbox)
		c->sandbox->ops->stop(c->sandbox);
	while (c->users > 0)
		pthread_cond_wait(&c->changed, &c->lock);
	if (c->agent)
		agent_close(c->agent);
	c->agent = NULL;
	if (c->sandbox)
		c->sandbox->ops->free(c->sandbox);
	c->sandbox = NULL;
	storage_free(steal_ptr(c->storage));
	rundir_remove(c->dir);
	c->dir = NULL;
}

static void container_fail(struct coffer_container *c, const struct coffer_error *why)
{
	container_teardown(c, 0, why);
	c->state = COFFER_STATE_ERRORED;
	c->cause = *why;
}

/* The error of a call in the wrong state: the stored cause, or which state it is. */
static int container_refuse(const struct coffer_container *c, const char *what,
			    struct coffer_error *err)
{
	if (c->state == COFFER_STATE_ERRORED) {
		if (err)
			*err = c->cause;
		return -c->cause.err;
	}
	return err_state(err, "%s: container %s is %s", what, c->id, coffer_state_str(c->state));
}

int container_check_started(struct coffer_container *c, const char *what, struct coffer_error *err)
{
	return c->state == COFFER_STATE_STARTED ? 0 : container_refuse(c, what, err);
}

int container_check_cancel(const struct coffer_container *c, struct coffer_error *err)
{
	struct pollfd pfd = { .fd = c->cancel_fd, .events = POLLIN };

	if (poll(&pfd, 1, 0) <= 0)
		return 0;
	return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
}

static void container_reset(int event_fd)
{
	uint64_t n;

	if (read(event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warning("read an eventfd: %s", strerror(errno));
}

int container_enter(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (CONTAINER_IN(c->state) & states)
		c->users++;
	else
		r = container_refuse(c, what, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

void container_leave(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	c->users--;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

int container_agent_open(struct coffer_container *c, struct agent **out, struct coffer_error *err)
{
	int fd = c->sandbox->ops->connect_begin(c->sandbox, err);

	return fd < 0 ? fd : c->sandbox->ops->connect_end(c->sandbox, fd, out, err);
}

uint32_t container_port_take(void)
{
	uint32_t n;

	/* A program inside can dial what is listened on; streams are of one process only. */
	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = (uint32_t)clock_now();
	return CONTAINER_PORT_MIN + n % (UINT32_MAX - CONTAINER_PORT_MIN);
}

/* "start container c1: ..."; the agent words its own errors so already. */
static int container_wrap(const struct coffer_container *c, const char *verb,
			  struct coffer_error *err)
{
	char prefix[32 + COFFER_ID_MAX];
	int n = snprintf(prefix, sizeof(prefix), "%s container %s: ", verb, c->id);

	if (strncmp(err->message, prefix, (size_t)n) == 0)
		return -err->err;
	return err_wrap(err, "%s container %s", verb, c->id);
}

static int container_make_sandbox(struct coffer_container *c, struct coffer_error *err)
{
	struct sandbox_config cfg = {
		.dir = c->dir,
		.cpus = c->config->cpus,
		.memory = c->config->memory,
		.machine = c->config->machine,
		.kernel = c->config->kernel,
		.initrd = c->config->initrd,
		.archive_fd = -1,
		.cancel_fd = c->cancel_fd,
	};
	int r = storage_attach(c->storage, &cfg, err);

	return r < 0 ? r : c->maker(&cfg, &c->sandbox, err);
}

/* From nothing to a machine whose agent is up. On failure the caller tears down. */
static int container_boot(struct coffer_container *c, struct coffer_error *err)
{
	int r;

	r = rundir_create(c->config->run_dir, c->id, &c->dir, err);
	if (r == 0)
		r = storage_open(c->id, c->config, &c->storage, err);
	if (r == 0)
		r = container_make_sandbox(c, err);
	if (r == 0)
		r = c->sandbox->ops->boot(c->sandbox, err);
	if (r == 0)
		r = storage_fill(c->storage, c->cancel_fd, err);
	c->timing.rootfs_ready = clock_now();
	return r < 0 ? r : c->sandbox->ops->ready(c->sandbox, err);
}

/* From there to a root file system in its place. */
static int container_furnish(struct coffer_container *c, struct coffer_error *err)
{
	const struct sandbox_ops *ops = c->sandbox->ops;
	int r, fd;

	fd = ops->connect_begin(c->sandbox, err);
	r = fd < 0 ? fd : ops->connect_end(c->sandbox, fd, &c->agent, err);
	if (r == 0)
		c->agent->ops->set_cancel(c->agent, c->cancel_fd);
	if (r == 0)
		r = storage_mount(c->storage, c->agent, err);
	if (r < 0 && err->kind == COFFER_ERR_INTERRUPTED)
		ops->explain(c->sandbox, err);
	return r;
}

static void container_note_timing(struct coffer_container *c)
{
	struct sandbox_info info;

	if (!c->sandbox)
		return;
	c->sandbox->ops->info(c->sandbox, &info);
	c->timing.machine_spawned = info.spawned;
	c->timing.machine_running = info.running;
	c->timing.agent_ready = info.ready;
	c->timing.guest_kernel = info.guest_kernel;
	c->timing.guest_agent = info.guest_agent;
}

int coffer_container_create(struct coffer_container *c, struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->state != COFFER_STATE_INITIALIZED && c->state != COFFER_STATE_STOPPED) {
		r = container_refuse(c, "create", err);
		pthread_mutex_unlock(&c->lock);
		return r;
	}
	c->timing = (struct coffer_timing){ .create_called = clock_now() };
	container_reset(c->gone_fd);
	process_reset(c->init);
	r = container_boot(c, &own);
	if (r == 0)
		r = container_furnish(c, &own);
	container_note_timing(c);
	if (r < 0) {
		if (own.kind == COFFER_ERR_CANCELLED)
			container_reset(c->cancel_fd);
		r = container_wrap(c, "create", &own);
		container_fail(c, &own);
		if (err)
			*err = own;
	} else {
		c->timing.created = clock_now();
		c->state = COFFER_STATE_CREATED;
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int coffer_container_start(struct coffer_container *c, struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->state != COFFER_STATE_CREATED) {
		r = container_refuse(c, "start", err);
		pthread_mutex_unlock(&c->lock);
		return r;
	}
	c->timing.start_called = clock_now();
	if (relay_start_configured(c, &own) < 0 || process_launch(c->init, &own) < 0) {
		if (own.kind == COFFER_ERR_INTERRUPTED)
			c->sandbox->ops->explain(c->sandbox, &own);
		r = container_wrap(c, "start", &own);
		container_fail(c, &own);
		if (err)
			*err = own;
	} else {
		c->timing.started = clock_now();
		c->state = COFFER_STATE_STARTED;
		c->agent->ops->set_cancel(c->agent, -1);
	}
	container_reset(c->cancel_fd);
	pthread_mutex_unlock(&c->lock);
	return r;
}

/* SIGTERM to init, and time for it; without the lock, so that others can get in. */
static void container_ask_to_end(struct coffer_container *c, uint64_t grace)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (coffer_process_kill(c->init, SIGTERM, &err) < 0 ||
	    coffer_process_wait(c->init, grace, NULL, &err) < 0)
		log_info("stop %s: %s", c->id, err.message);
}

int coffer_container_stop(struct coffer_container *c, uint64_t grace, struct coffer_error *err)
{
	int r = 0;

	if (grace > 0 && coffer_container_state(c) == COFFER_STATE_STARTED)
		container_ask_to_end(c, grace);
	pthread_mutex_lock(&c->lock);
	switch (c->state) {
	case COFFER_STATE_CREATED:
	case COFFER_STATE_STARTED:
		r = storage_unmount(c->storage, c->agent, err);
		container_teardown(c, CONTAINER_KILLED, NULL);
		c->state = COFFER_STATE_STOPPED;
		break;
	case COFFER_STATE_STOPPED:
		break;
	default:
		r = container_refuse(c, "stop", err);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

void container_lost(struct coffer_container *c, struct coffer_process *p)
{
	struct coffer_error own = COFFER_ERROR_INIT;

	pthread_mutex_lock(&c->lock);
	/* Looked at again: it may have been stopped and created anew since. */
	if (c->state == COFFER_STATE_STARTED && process_is_broken(p, &own)) {
		c->sandbox->ops->explain(c->sandbox, &own);
		err_wrap(&own, "container %s", c->id);
		container_fail(c, &own);
	}
	pthread_mutex_unlock(&c->lock);
}

void coffer_container_cancel(struct coffer_container *c)
{
	int saved_errno = errno;

	container_signal(c->cancel_fd);
	errno = saved_errno;
}

void coffer_container_free(struct coffer_container *c)
{
	if (!c)
		return;
	if (c->init)
		container_teardown(c, CONTAINER_KILLED, NULL);
	while (c->execs) {
		struct coffer_process *p = c->execs;

		c->execs = p->next;
		process_free(p);
	}
	process_free(c->init);
	config_free_container(c->config);
	close_fd(&c->cancel_fd);
	close_fd(&c->gone_fd);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

const char *coffer_container_id(const struct coffer_container *c)
{
	return c->id;
}

enum coffer_state coffer_container_state(struct coffer_container *c)
{
	enum coffer_state state;

	pthread_mutex_lock(&c->lock);
	state = c->state;
	pthread_mutex_unlock(&c->lock);
	return state;
}

struct coffer_process *coffer_container_process(struct coffer_container *c)
{
	return c->init;
}

void coffer_container_timing(struct coffer_container *c, struct coffer_timing *timing)
{
	size_t size = timing->size;

	pthread_mutex_lock(&c->lock);
	c->timing.size = size < sizeof(c->timing) ? size : sizeof(c->timing);
	memset(timing, 0, size);
	memcpy(timing, &c->timing, c->timing.size);
	pthread_mutex_unlock(&c->lock);
}
