/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/remote.c - a container that another process owns, over its control socket
 *
 * A call is a connection: connect, read the Hello, send the Request, read the
 * Reply.  So calls of many threads need no lock, and one that takes long holds
 * up no other.  What comes from the owner is bounded and checked like any
 * foreign bytes.
 */
#define LOG_CATEGORY "remote"
#include "container/remote.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

static int remote_lost(const struct coffer_container *c, struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET,
		       "container %s: the process it belonged to is gone", c->id);
}

/* The socket is not there: why? */
static int remote_unreachable(const struct coffer_container *c, int r, struct coffer_error *err)
{
	if (r != -ENOENT && r != -ECONNREFUSED)
		return err_wrap(err, "container %s", c->id);
	if (!rundir_is_live(c->remote->dir))
		return remote_lost(c, err);
	return err_set(err, COFFER_ERR_INVALID_STATE, EAGAIN,
		       "container %s: is being created or has just ended", c->id);
}

static int remote_connect(const struct coffer_container *c, struct coffer_error *err)
{
	autoclose int sock =
	    io_unix_connect(c->remote->dir->fd, RUNDIR_CONTROL, SOCK_STREAM, err);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (sock < 0)
		return remote_unreachable(c, sock, err);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_sys(err, "container %s: peer's credentials", c->id);
	if (peer.uid != geteuid() && peer.uid != 0)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPERM,
			       "container %s: its socket is served by user %u", c->id,
			       (unsigned)peer.uid);
	return steal_fd(&sock);
}

static int remote_greet(const struct coffer_container *c, int sock, struct coffer_error *err)
{
	usec_t limit = c->remote->limit < WIRE_PATIENCE ? c->remote->limit : WIRE_PATIENCE;
	ProtobufCMessage *msg;
	Ct__Hello *hello;
	int r;

	r = wire_receive(sock, &ct__hello__descriptor, deadline_in(limit), &msg, NULL, err);
	if (r == -ECONNRESET)
		return remote_lost(c, err);
	if (r < 0)
		return err_wrap(err, "container %s: its owner", c->id);
	hello = (Ct__Hello *)msg;
	if (hello->version != WIRE_VERSION)
		r = err_unsupported(err,
				    "container %s: its owner speaks version %u of the control "
				    "socket, this is %d",
				    c->id, hello->version, WIRE_VERSION);
	ct__hello__free_unpacked(hello, NULL);
	return r;
}

int remote_begin(struct coffer_container *c, Ct__Request *req, struct coffer_error *err)
{
	autoclose int sock = remote_connect(c, err);
	int r;

	if (sock < 0)
		return steal_fd(&sock);
	req->version = WIRE_VERSION;
	/* Sent before the Hello is read: one way for both. */
	r = wire_send(sock, &req->base, NULL);
	if (r == -EMSGSIZE)
		return err_invalid(err, "container %s: request: too large", c->id);
	if (r < 0 && r != -EPIPE && r != -ECONNRESET)
		return err_sysn(err, r, "container %s: send a request", c->id);
	r = remote_greet(c, sock, err);
	return r < 0 ? r : steal_fd(&sock);
}

/* Return: 0 when there is something to read, else negative errno */
static int remote_await(const struct coffer_container *c, int sock, int cancel_fd,
			usec_t deadline, struct coffer_error *err)
{
	struct pollfd fds[] = { { .fd = sock, .events = POLLIN },
				{ .fd = cancel_fd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "poll");
	if (r == 0)
		return err_timeout(err, "container %s: its owner does not answer", c->id);
	if (!fds[0].revents)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
	return 0;
}

int remote_reply(struct coffer_container *c, int sock, int cancel_fd, usec_t deadline,
		 Ct__Reply **out, struct wire_fds *fds, struct coffer_error *err)
{
	autoremote Ct__Reply *reply = NULL;
	size_t wanted = fds ? fds->n : 0;
	ProtobufCMessage *msg = NULL;
	int r;

	if (fds)
		fds->n = 0;
	r = remote_await(c, sock, cancel_fd, deadline, err);
	if (r == 0) {
		r = wire_receive(sock, &ct__reply__descriptor, deadline, &msg, fds, err);
		if (r == -ECONNRESET)
			return remote_lost(c, err);
	}
	if (r < 0)
		return r;
	reply = (Ct__Reply *)msg;
	r = wire_take_error(reply, err);
	if (r == 0 && fds && fds->n != wanted)
		r = err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			    "container %s: %zu descriptors came instead of %zu", c->id, fds->n,
			    wanted);
	if (r == 0 && out)
		*out = steal_ptr(reply);
	return r;
}

int remote_call(struct coffer_container *c, Ct__Request *req, Ct__Reply **out,
		struct wire_fds *fds, struct coffer_error *err)
{
	autoclose int sock = remote_begin(c, req, err);

	if (sock < 0)
		return sock;
	return remote_reply(c, sock, -1, USEC_INFINITY, out, fds, err);
}

void remote_hand_over(const void *full, size_t size, void *out)
{
	size_t known;

	memcpy(&known, out, sizeof(known));
	if (known < size)
		size = known;
	memset(out, 0, known);
	memcpy(out, full, size);
	memcpy(out, &size, sizeof(size));
}

static int remote_new(const char *run_dir, const char *id, struct coffer_container **out,
		      struct coffer_error *err)
{
	struct coffer_container *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_nomem(err);
	/* What others poll beside descriptors of their own never happens here. */
	c->cancel_fd = c->gone_fd = c->watch.wake_fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	c->remote = calloc(1, sizeof(*c->remote));
	r = c->remote ? rundir_open(run_dir, id, false, &c->remote->dir, err) : err_nomem(err);
	if (r < 0) {
		remote_free(c);
		return r;
	}
	memcpy(c->id, c->remote->dir->id, sizeof(c->id));
	*out = c;
	return 0;
}

int remote_open(const char *run_dir, const char *id, usec_t limit, struct coffer_container **out,
		struct coffer_error *err)
{
	struct coffer_container *c;
	int r;

	*out = NULL;
	r = remote_new(run_dir, id, &c, err);
	if (r < 0)
		return r;
	c->remote->limit = limit;
	r = remote_init(c, err);
	if (r < 0)
		remote_free(c);
	else
		*out = c;
	return r;
}

int coffer_container_open(const char *run_dir, const char *id, struct coffer_container **out,
			  struct coffer_error *err)
{
	return remote_open(run_dir, id, USEC_INFINITY, out, err);
}

void remote_free(struct coffer_container *c)
{
	while (c->execs) {
		struct coffer_process *p = c->execs;

		c->execs = p->next;
		remote_process_free(p);
	}
	remote_process_free(c->init);
	if (c->remote)
		rundir_close(c->remote->dir);
	free(c->remote);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int remote_refuse(const struct coffer_container *c, const char *what, struct coffer_error *err)
{
	return err_unsupported(err, "%s: container %s belongs to another process", what, c->id);
}

enum coffer_state remote_state(struct coffer_container *c)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Ct__Request req = CT__REQUEST__INIT;
	autoremote Ct__Reply *reply = NULL;

	req.method = CT__METHOD__STATE;
	if (remote_call(c, &req, &reply, NULL, &err) == 0 && reply->number < COFFER_STATE_COUNT)
		return (enum coffer_state)reply->number;
	log_debug("state: %s", err.message);
	/* Whoever owned it, it is no more. */
	return COFFER_STATE_STOPPED;
}

static int remote_plain(struct coffer_container *c, Ct__Method method, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = method;
	return remote_call(c, &req, NULL, NULL, err);
}

int remote_pause(struct coffer_container *c, struct coffer_error *err)
{
	return remote_plain(c, CT__METHOD__PAUSE, err);
}

int remote_resume(struct coffer_container *c, struct coffer_error *err)
{
	return remote_plain(c, CT__METHOD__RESUME, err);
}

int remote_stop(struct coffer_container *c, uint64_t grace, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__STOP;
	req.usec = grace;
	return remote_call(c, &req, NULL, NULL, err);
}

int remote_stop_within(struct coffer_container *c, usec_t limit, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	autoclose int sock = -1;

	req.method = CT__METHOD__STOP;
	sock = remote_begin(c, &req, err);
	return sock < 0 ? sock : remote_reply(c, sock, -1, deadline_in(limit), NULL, NULL, err);
}

int remote_kill_all(struct coffer_container *c, int sig, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__KILL_ALL;
	req.number = (uint64_t)(int64_t)sig;
	return remote_call(c, &req, NULL, NULL, err);
}

int remote_update(struct coffer_container *c, const struct coffer_resources *resources,
		  struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__UPDATE;
	req.data.data = (uint8_t *)resources;
	req.data.len = sizeof(*resources);
	return remote_call(c, &req, NULL, NULL, err);
}

/* A call that is answered with a struct: into @full, which is ours. */
static int remote_ask_struct(struct coffer_container *c, Ct__Request *req, void *full, size_t size,
			     struct coffer_error *err)
{
	autoremote Ct__Reply *reply = NULL;
	int r = remote_call(c, req, &reply, NULL, err);

	return r < 0 ? r : wire_take_struct(&reply->data, full, size, true, err);
}

#define REMOTE_TERMINATE(text) ((text)[sizeof(text) - 1] = '\0')

static void remote_clean_error(struct coffer_error *err)
{
	REMOTE_TERMINATE(err->message);
	if ((unsigned)err->kind >= COFFER_ERR_KIND_COUNT)
		err->kind = COFFER_ERR_INTERNAL;
}

int remote_death(struct coffer_container *c, struct coffer_death *out, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	struct coffer_death full;
	int r;

	req.method = CT__METHOD__DEATH;
	r = remote_ask_struct(c, &req, &full, sizeof(full), err);
	if (r < 0)
		return r;
	REMOTE_TERMINATE(full.process);
	REMOTE_TERMINATE(full.console);
	remote_clean_error(&full.cause);
	remote_hand_over(&full, sizeof(full), out);
	return 0;
}

int remote_stats(struct coffer_container *c, unsigned categories, struct coffer_stats *out,
		 struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	struct coffer_stats full;
	int r;

	req.method = CT__METHOD__STATS;
	req.number = categories;
	r = remote_ask_struct(c, &req, &full, sizeof(full), err);
	if (r < 0)
		return r;
	if (full.ndisks > COFFER_STATS_DEVICES || full.ninterfaces > COFFER_STATS_DEVICES)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "statistics: malformed");
	for (unsigned i = 0; i < full.ninterfaces; i++)
		REMOTE_TERMINATE(full.interfaces[i].name);
	remote_hand_over(&full, sizeof(full), out);
	return 0;
}

void remote_timing(struct coffer_container *c, struct coffer_timing *timing)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Ct__Request req = CT__REQUEST__INIT;
	struct coffer_timing full;

	req.method = CT__METHOD__TIMING;
	if (remote_ask_struct(c, &req, &full, sizeof(full), &err) < 0) {
		log_debug("timing: %s", err.message);
		full = (struct coffer_timing){ 0 };
	}
	remote_hand_over(&full, sizeof(full), timing);
}

size_t remote_phases(struct coffer_container *c, struct coffer_phase out[COFFER_PHASES_MAX])
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Ct__Request req = CT__REQUEST__INIT;
	autoremote Ct__Reply *reply = NULL;
	size_t n = 0;

	req.method = CT__METHOD__PHASES;
	if (remote_call(c, &req, &reply, NULL, &err) < 0) {
		log_debug("phases: %s", err.message);
		return 0;
	}
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < reply->n_phases && n < COFFER_PHASES_MAX; i++) {
		const Ct__Phase *phase = reply->phases[i];
		const char *name;

		if (wire_take_text(&phase->name, "phase", &name, NULL) < 0 || !name)
			continue;
		snprintf(c->remote->names[n], sizeof(c->remote->names[n]), "%s", name);
		out[n] = (struct coffer_phase){ .name = c->remote->names[n],
						.begin = phase->begin,
						.duration = phase->duration };
		n++;
	}
	pthread_mutex_unlock(&c->lock);
	return n;
}

static int remote_ask_text(struct coffer_container *c, Ct__Request *req, usec_t limit, char **out,
			   struct coffer_error *err)
{
	autoclose int sock = remote_begin(c, req, err);
	autoremote Ct__Reply *reply = NULL;
	const char *text = NULL;
	int r;

	r = sock < 0 ? sock : remote_reply(c, sock, -1, deadline_in(limit), &reply, NULL, err);
	if (r == 0)
		r = wire_take_text(&reply->text, "answer", &text, err);
	if (r < 0)
		return r;
	*out = strdup(text ? text : "");
	return *out ? 0 : err_nomem(err);
}

int remote_inspect(struct coffer_container *c, char **json, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = CT__METHOD__INSPECT;
	return remote_ask_text(c, &req, c->remote->limit, json, err);
}

int remote_events(struct coffer_container *c, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;
	autoclose int sock = -1;
	int r;

	req.method = CT__METHOD__EVENTS;
	sock = remote_begin(c, &req, err);
	if (sock < 0)
		return steal_fd(&sock);
	r = remote_reply(c, sock, -1, USEC_INFINITY, NULL, NULL, err);
	return r < 0 ? r : steal_fd(&sock);
}

int remote_events_next(struct coffer_container *c, int sock, uint64_t timeout,
		       struct coffer_event *out, struct coffer_error *err)
{
	autoremote Ct__Reply *reply = NULL;
	struct coffer_event full = { 0 };
	int r;

	r = remote_reply(c, sock, -1, deadline_in(timeout), &reply, NULL, err);
	if (r == 0)
		r = wire_take_struct(&reply->data, &full, sizeof(full), true, err);
	if (r < 0)
		return r;
	if ((unsigned)full.type >= COFFER_EVENT_COUNT)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "event: malformed");
	REMOTE_TERMINATE(full.process);
	remote_clean_error(&full.cause);
	remote_hand_over(&full, sizeof(full), out);
	return 0;
}

static int remote_on_path(struct coffer_container *c, Ct__Method method, const char *path,
			  Ct__Reply **reply, struct coffer_error *err)
{
	Ct__Request req = CT__REQUEST__INIT;

	req.method = method;
	req.path = wire_text(path);
	return remote_call(c, &req, reply, NULL, err);
}

int remote_fs_freeze(struct coffer_container *c, const char *path, struct coffer_error *err)
{
	return remote_on_path(c, CT__METHOD__FREEZE, path, NULL, err);
}

int remote_fs_thaw(struct coffer_container *c, const char *path, struct coffer_error *err)
{
	return remote_on_path(c, CT__METHOD__THAW, path, NULL, err);
}

int remote_fs_trim(struct coffer_container *c, const char *path, uint64_t *bytes,
		   struct coffer_error *err)
{
	autoremote Ct__Reply *reply = NULL;
	int r = remote_on_path(c, CT__METHOD__TRIM, path, &reply, err);

	if (r == 0 && bytes)
		*bytes = reply->number;
	return r;
}
