/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/container.c - the container object: who may do what when, and calls of the agent
 *
 * Connections to the agent are kept for the next call: making one costs as
 * much as a call, and an exec needs one until its process has ended.  One that
 * failed in any other way than by the agent's answer is not used again.
 *
 * What kind of sandbox it is, is the maker's business; the tests bring their
 * own.
 */
#define LOG_CATEGORY "container"
#include "container/container.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "container/control.h"
#include "container/remote.h"
#include "sandbox/kind.h"

#define CONTAINER_PORT_MIN UINT32_C(0x10000000) /* below: ports of the user's own */

static const char *const container_states[] = {
	[COFFER_STATE_INITIALIZED] = "initialized", [COFFER_STATE_CREATED] = "created",
	[COFFER_STATE_STARTED] = "started",	    [COFFER_STATE_PAUSED] = "paused",
	[COFFER_STATE_STOPPED] = "stopped",	    [COFFER_STATE_ERRORED] = "errored",
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

static int container_set_id(struct coffer_container *c, const char *id, struct coffer_error *err)
{
	if (!id)
		return container_random_id(c->id, err);
	if (!rundir_id_is_valid(id))
		return err_invalid(err,
				   "name %s: must be 1 to 64 of a-z A-Z 0-9 _ . -, "
				   "the first one a letter or digit",
				   id);
	snprintf(c->id, sizeof(c->id), "%s", id);
	return 0;
}

static int container_make_eventfds(struct coffer_container *c, struct coffer_error *err)
{
	int *const fds[] = { &c->cancel_fd, &c->gone_fd, &c->watch.wake_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		*fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (*fds[i] < 0)
			return err_sys(err, "eventfd");
	}
	return 0;
}

int container_new(const char *id, const struct coffer_container_config *config, sandbox_maker maker,
		  struct coffer_container **out, struct coffer_error *err)
{
	struct coffer_container *c = calloc(1, sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return err_nomem(err);
	c->maker = maker;
	c->cancel_fd = c->gone_fd = c->watch.wake_fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	r = container_set_id(c, id, err);
	if (r == 0)
		r = container_make_eventfds(c, err);
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
	const struct sandbox_kind *kind = sandbox_kind_find(config->sandbox);

	/* One that is unknown is told of by the check of the configuration. */
	return container_new(id, config, kind ? kind->make : NULL, out, err);
}

static void container_free_processes(struct coffer_process *list)
{
	while (list) {
		struct coffer_process *p = list;

		list = p->next;
		process_free(p);
	}
}

void coffer_container_free(struct coffer_container *c)
{
	if (!c)
		return;
	if (c->remote) {
		remote_free(c);
		return;
	}
	if (c->init) {
		coffer_container_cancel(c);
		coffer_container_stop(c, 0, NULL);
		/* One that has died may not have been given back yet. */
		if (container_begin(c, ~0u, "free", NULL) == 0)
			container_teardown(c, COFFER_STATE_STOPPED, NULL);
	}
	control_free(c);
	events_close(c);
	container_free_processes(c->execs);
	container_free_processes(c->deleted);
	process_free(c->init);
	json_object_put(c->calls);
	config_free_container(c->config);
	close_fd(&c->cancel_fd);
	close_fd(&c->gone_fd);
	close_fd(&c->watch.wake_fd);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void container_signal(int event_fd)
{
	const uint64_t one = 1;
	/* A counter that is full is as readable as one that is not. */
	ssize_t n = write(event_fd, &one, sizeof(one));

	(void)n;
}

void container_reset(int event_fd)
{
	uint64_t n;

	if (read(event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warning("read an eventfd: %s", strerror(errno));
}

/* ---- who may do what when ---- */

int container_refuse(const struct coffer_container *c, const char *what, struct coffer_error *err)
{
	if (c->state == COFFER_STATE_ERRORED) {
		if (err)
			*err = c->cause;
		return -c->cause.err;
	}
	return err_state(err, "%s: container %s is %s", what, c->id,
			 c->closing ? "being stopped" : coffer_state_str(c->state));
}

int container_enter(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if ((CONTAINER_IN(c->state) & states) && !c->closing)
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

int container_begin(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	while (c->busy)
		pthread_cond_wait(&c->changed, &c->lock);
	if (CONTAINER_IN(c->state) & states)
		c->busy = true;
	else
		r = container_refuse(c, what, err);
	pthread_mutex_unlock(&c->lock);
	return r;
}

void container_end(struct coffer_container *c)
{
	pthread_mutex_lock(&c->lock);
	c->busy = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

int container_check_cancel(const struct coffer_container *c, struct coffer_error *err)
{
	struct pollfd pfd = { .fd = c->cancel_fd, .events = POLLIN };

	if (poll(&pfd, 1, 0) <= 0)
		return 0;
	return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
}

void coffer_container_cancel(struct coffer_container *c)
{
	int saved_errno = errno;

	container_signal(c->cancel_fd);
	errno = saved_errno;
}

int container_wrap(const struct coffer_container *c, const char *verb, struct coffer_error *err)
{
	char prefix[32 + COFFER_ID_MAX];
	int n = snprintf(prefix, sizeof(prefix), "%s container %s: ", verb, c->id);

	if (strncmp(err->message, prefix, (size_t)n) == 0)
		return -err->err;
	return err_wrap(err, "%s container %s", verb, c->id);
}

/* ---- calls of the agent ---- */

int container_agent_open(struct coffer_container *c, struct agent **out, struct coffer_error *err)
{
	int fd = c->sandbox->ops->connect_begin(c->sandbox, err);

	return fd < 0 ? fd : c->sandbox->ops->connect_end(c->sandbox, fd, out, err);
}

int container_agent_get(struct coffer_container *c, struct agent **out, struct coffer_error *err)
{
	*out = NULL;
	pthread_mutex_lock(&c->lock);
	if (c->nagents > 0)
		*out = c->agents[--c->nagents];
	pthread_mutex_unlock(&c->lock);
	return *out ? 0 : container_agent_open(c, out, err);
}

void container_agent_put(struct coffer_container *c, struct agent *agent, int result)
{
	/* The agent's own answers leave a connection as it was. */
	bool good = result != -ECONNRESET && result != -EPIPE && result != -ETIMEDOUT &&
		    result != -ECANCELED && result != -EPROTO && result != -EIO;

	if (!agent)
		return;
	pthread_mutex_lock(&c->lock);
	if (good && !c->closing && c->nagents < CONTAINER_AGENTS_MAX) {
		c->agents[c->nagents++] = agent;
		agent = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (agent)
		agent_close(agent);
}

int container_call(struct coffer_container *c, enum agent_service service, const char *method,
		   const ProtobufCMessage *msg, usec_t budget, ProtobufCMessage **reply,
		   struct coffer_error *err)
{
	struct agent *agent;
	int r = container_agent_get(c, &agent, err);

	if (r < 0)
		return r;
	r = agent_call(agent, service, method, msg, budget, reply, err);
	container_agent_put(c, agent, r);
	return r;
}

uint32_t container_port_take(void)
{
	uint32_t n;

	/* A program inside can dial what is listened on; streams are of one process only. */
	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = (uint32_t)clock_now();
	return CONTAINER_PORT_MIN + n % (UINT32_MAX - CONTAINER_PORT_MIN);
}

/* ---- what is known of it ---- */

const char *coffer_container_id(const struct coffer_container *c)
{
	return c->id;
}

enum coffer_state coffer_container_state(struct coffer_container *c)
{
	enum coffer_state state;

	if (c->remote)
		return remote_state(c);
	pthread_mutex_lock(&c->lock);
	state = c->state;
	pthread_mutex_unlock(&c->lock);
	return state;
}

struct coffer_process *coffer_container_process(struct coffer_container *c)
{
	return c->init;
}

int coffer_container_death(struct coffer_container *c, struct coffer_death *out,
			   struct coffer_error *err)
{
	size_t size = out->size;
	int r = 0;

	if (c->remote)
		return remote_death(c, out, err);
	if (size < sizeof(size))
		return err_invalid(err, "death: its size is not set");
	pthread_mutex_lock(&c->lock);
	if (c->death.size == 0) {
		r = err_set(err, COFFER_ERR_EMPTY, 0, "container %s has not died", c->id);
	} else {
		memset(out, 0, size);
		memcpy(out, &c->death, size < sizeof(c->death) ? size : sizeof(c->death));
		out->size = size < sizeof(c->death) ? size : sizeof(c->death);
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}
