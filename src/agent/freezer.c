/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/freezer.c - a container's processes stopped as they stand, and continued
 *
 *	RUNNING --cgroup.freeze 1--> FREEZING --cgroup.events "frozen 1"--> FROZEN
 *	   ^------thaw, time-out, kill-----'-----------------thaw, kill-------'
 *
 * A process that waits for a device can't be stopped before that answers, so
 * the end of FREEZING is waited for on the loop, and not for ever: half frozen
 * is worse than running.  engine_pause() would stand still meanwhile.
 *
 * What is frozen can be killed: the kernel sees to that.
 *
 * Callers: extras.c, process.c (nothing is started in a frozen container),
 * container.c.
 */
#include "agent/freezer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define FREEZER_BUDGET	   (10 * USEC_PER_SEC)
#define FREEZER_EVENTS_MAX 256

struct freezer {
	struct container *container; /* borrowed */
	struct grpc_call *call;	     /* FREEZING; NULL once the client gave up, and when FROZEN */
	int dir;		     /* owned; of the cgroup */
	int events;		     /* owned; its cgroup.events; -1 when FROZEN */
	struct loop_source *source, *timer;
};

bool freezer_is_frozen(const struct container *c)
{
	return c->freezer != NULL;
}

/* FREEZING is over. */
static void freezer_stop_waiting(struct freezer *f)
{
	loop_remove(steal_ptr(f->source));
	loop_remove(steal_ptr(f->timer));
	close_fd(&f->events);
}

static void freezer_free(struct freezer *f)
{
	f->container->freezer = NULL;
	freezer_stop_waiting(f);
	close_fd(&f->dir);
	free(f);
}

static void freezer_give_up(struct freezer *f, const struct coffer_error *err)
{
	io_write_file(f->dir, "cgroup.freeze", "0", NULL);
	if (f->call)
		grpc_call_fail(f->call, err);
	freezer_free(f);
}

void freezer_forget(struct container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (!c->freezer)
		return;
	err_state(&err, "container %s is thawed or deleted", c->id);
	freezer_give_up(c->freezer, &err);
}

/* Return: 1 when it has taken effect, 0 not yet, negative errno */
static int freezer_has_frozen(const struct freezer *f)
{
	char text[FREEZER_EVENTS_MAX];
	ssize_t n = pread(f->events, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return strstr(text, "frozen 1\n") != NULL;
}

/* Return: true when it is over, either way */
static bool freezer_look(struct freezer *f)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = freezer_has_frozen(f);

	if (r < 0) {
		err_sysn(&err, r, "freeze container %s", f->container->id);
		freezer_give_up(f, &err);
	} else if (r > 0) {
		freezer_stop_waiting(f);
		if (f->call)
			rpc_answer(steal_ptr(f->call), 0, NULL);
	}
	return r != 0;
}

static void freezer_events_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	freezer_look(data);
}

static void freezer_timer_handler(struct loop_source *timer, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct freezer *f = data;

	err_timeout(&err, "freeze container %s: something in it can't be stopped",
		    f->container->id);
	freezer_give_up(f, &err);
}

static void freezer_cancelled(struct grpc_call *call, void *data)
{
	struct freezer *f = data;

	/* It goes on all the same: the next one finds it done, or thaws. */
	f->call = NULL;
}

static int freezer_open(struct freezer *f, struct coffer_error *err)
{
	const char *dir = f->container->engine ? engine_freezer(f->container->engine) : NULL;

	if (!dir)
		return err_unsupported(err, "container %s has no cgroup of its own",
				       f->container->id);
	f->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->dir < 0)
		return err_sys(err, "open %s", dir);
	f->events = openat(f->dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return f->events < 0 ? err_sys(err, "open %s/cgroup.events", dir) : 0;
}

static int freezer_begin(struct freezer *f, struct coffer_error *err)
{
	struct loop *loop = f->container->agent->loop;
	int r = freezer_open(f, err);

	if (r == 0)
		r = loop_add_fd(loop, f->events, EPOLLPRI, freezer_events_handler, f, &f->source,
				err);
	if (r == 0)
		r = loop_add_timer(loop, freezer_timer_handler, f, &f->timer, err);
	if (r == 0 && (r = loop_arm(f->timer, clock_budget(FREEZER_BUDGET), 0)) < 0)
		err_sysn(err, r, "timer");
	if (r == 0)
		r = io_write_file(f->dir, "cgroup.freeze", "1", err);
	return r;
}

static int freezer_new(struct container *c, struct coffer_error *err)
{
	struct freezer *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return err_nomem(err);
	*f = (struct freezer){ .container = c, .dir = -1, .events = -1 };
	c->freezer = f;
	r = freezer_begin(f, err);
	if (r < 0)
		freezer_free(f);
	return r;
}

static int freezer_find(const struct agent *agent, const char *id, struct container **out,
			struct coffer_error *err)
{
	const struct process *init;
	int r = extras_find(agent, id, out, err);

	if (r < 0)
		return r;
	init = container_process(*out, id);
	if (!init || init->state != PROCESS_RUNNING)
		return err_state(err, "container %s is not running", id);
	if ((*out)->freezer && (*out)->freezer->events >= 0)
		return err_state(err, "container %s is just being frozen", id);
	return 0;
}

void extras_freeze(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__FreezeRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct container *c = NULL;
	int r = freezer_find(data, req->container_id, &c, &err);

	if (r == 0 && !c->freezer)
		r = freezer_new(c, &err);
	if (r < 0 || c->freezer->events < 0) {
		rpc_answer(call, r, &err);
		return;
	}
	c->freezer->call = call;
	grpc_call_on_cancel(call, freezer_cancelled, c->freezer);
	freezer_look(c->freezer);
}

void extras_thaw(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Ax__ThawRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct container *c = NULL;
	int r = extras_find(data, req->container_id, &c, &err);

	if (r == 0)
		freezer_forget(c);
	rpc_answer(call, r, &err);
}
