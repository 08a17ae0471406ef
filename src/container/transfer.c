/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/transfer.c - archives between us and the agent of our own machine
 *
 *	listen on a fresh port
 *	ArchiveGet, ArchivePut   (a thread: its answer comes when all is over; with Freeze
 *	                          before and Thaw after it, whoever gives up)
 *	accept the agent's connection, which carries the archive
 *
 * The thread owns nothing but its connection to the agent and its end of the
 * verdict socket, so a transfer outlives whoever opened it, may be handed to
 * another process, and holds neither lock nor container.  When nobody has the
 * other end of that socket any more, the call is cancelled.
 *
 * Callers: copy.c through the table; control.c for handles of others.
 */
#define LOG_CATEGORY "transfer"
#include "container/transfer.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "container/dial.h"
#include "container/relay.h"

#define TRANSFER_CONNECT_BUDGET (15 * USEC_PER_SEC)
#define TRANSFER_FREEZE_BUDGET	(15 * USEC_PER_SEC) /* more than the agent's own */
#define TRANSFER_STACK		((size_t)256 << 10)

struct transfer_call {
	struct agent *agent; /* owned */
	struct agent *thaw;  /* owned; one that nobody calls off. NULL: there is no need */
	int verdict_fd;	     /* owned */
	struct transfer_request request;
	char container[COFFER_ID_MAX + 1];
	uint32_t port;
	char path[];
};

static void transfer_call_free(struct transfer_call *call)
{
	agent_close(call->agent);
	if (call->thaw)
		agent_close(call->thaw);
	close(call->verdict_fd);
	free(call);
}

static int transfer_get(struct transfer_call *call, uint64_t *count, struct coffer_error *err)
{
	static const Ax__ArchiveGetRequest__View views[TRANSFER_KIND_COUNT] = {
		[TRANSFER_ROOT] = AX__ARCHIVE_GET_REQUEST__VIEW__ROOT,
		[TRANSFER_LAYER] = AX__ARCHIVE_GET_REQUEST__VIEW__LAYER,
	};
	Ax__ArchiveGetRequest req = AX__ARCHIVE_GET_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;
	int r;

	req.container_id = call->container;
	req.path = call->path;
	req.follow = call->request.follow;
	req.vsock_port = call->port;
	req.view = views[call->request.kind];
	r = agent_call(call->agent, AGENT_EXTRAS, "ArchiveGet", &req.base, USEC_INFINITY, &reply,
		       err);
	if (r == 0)
		*count = ((Ax__ArchiveGetResponse *)reply)->bytes;
	return r;
}

static void transfer_thaw(struct transfer_call *call)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	Ax__ThawRequest req = AX__THAW_REQUEST__INIT;

	req.container_id = call->container;
	if (agent_call(call->thaw, AGENT_EXTRAS, "Thaw", &req.base, AGENT_CALL_BUDGET, NULL, &err) <
	    0)
		log_warning("continue container %s: %s", call->container, err.message);
}

static int transfer_get_still(struct transfer_call *call, uint64_t *count, struct coffer_error *err)
{
	Ax__FreezeRequest req = AX__FREEZE_REQUEST__INIT;
	int r;

	if (!call->request.pause)
		return transfer_get(call, count, err);
	req.container_id = call->container;
	r = agent_call(call->agent, AGENT_EXTRAS, "Freeze", &req.base, TRANSFER_FREEZE_BUDGET, NULL,
		       err);
	if (r == 0)
		r = transfer_get(call, count, err);
	/* A freeze that was called off goes on by itself. */
	transfer_thaw(call);
	return r;
}

static int transfer_put(struct transfer_call *call, uint64_t *count, struct coffer_error *err)
{
	Ax__ArchivePutRequest req = AX__ARCHIVE_PUT_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;
	int r;

	req.container_id = call->container;
	req.path = call->path;
	req.vsock_port = call->port;
	req.keep_types = call->request.keep_types;
	req.keep_owners = call->request.keep_owners;
	r = agent_call(call->agent, AGENT_EXTRAS, "ArchivePut", &req.base, USEC_INFINITY, &reply,
		       err);
	if (r == 0)
		*count = ((Ax__ArchivePutResponse *)reply)->entries;
	return r;
}

static int (*const transfer_calls[])(struct transfer_call *call, uint64_t *count,
				     struct coffer_error *err) = {
	[TRANSFER_GET] = transfer_get,
	[TRANSFER_PUT] = transfer_put,
	[TRANSFER_ROOT] = transfer_get_still,
	[TRANSFER_LAYER] = transfer_get_still,
};

static void *transfer_thread(void *data)
{
	struct transfer_call *call = data;
	struct transfer_verdict verdict = { .error = COFFER_ERROR_INIT };

	transfer_calls[call->request.kind](call, &verdict.count, &verdict.error);
	/* Nobody may be interested any more. */
	if (send(call->verdict_fd, &verdict, sizeof(verdict), MSG_NOSIGNAL) < 0)
		log_debug("verdict: %s", strerror(errno));
	transfer_call_free(call);
	return NULL;
}

/* The call under way, and @verdict_fd set to the end where its verdict comes. */
static int transfer_call_start(struct coffer_container *c, const struct transfer_request *request,
			       uint32_t port, int *verdict_fd, struct coffer_error *err)
{
	size_t len = strlen(request->path) + 1;
	struct transfer_call *call = calloc(1, sizeof(*call) + len);
	autoagent struct agent *agent = NULL, *thaw = NULL;
	int sv[2] = { -1, -1 }, r;

	if (!call)
		return err_nomem(err);
	call->verdict_fd = -1;
	r = container_agent_open(c, &agent, err);
	if (r == 0 && request->pause)
		r = container_agent_open(c, &thaw, err);
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		r = err_sys(err, "socketpair");
	if (r < 0) {
		free(call);
		return r;
	}
	call->request = *request;
	call->request.path = memcpy(call->path, request->path, len);
	memcpy(call->container, c->id, sizeof(call->container));
	call->port = port;
	call->agent = steal_ptr(agent);
	call->thaw = steal_ptr(thaw);
	call->verdict_fd = sv[1];
	/* Readable for us it is only when the other end is closed. */
	call->agent->ops->set_cancel(call->agent, call->verdict_fd);
	r = thread_start(NULL, TRANSFER_STACK, transfer_thread, call);
	if (r < 0) {
		transfer_call_free(call);
		close(sv[0]);
		return err_sysn(err, r, "start a thread");
	}
	*verdict_fd = sv[0];
	return 0;
}

/* The agent answered instead of connecting. */
static int transfer_refused(int verdict_fd, struct coffer_error *err)
{
	struct transfer_verdict verdict;

	if (io_read_full(verdict_fd, &verdict, sizeof(verdict)) != sizeof(verdict))
		return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "the agent went away");
	if (verdict.error.kind == COFFER_ERR_NONE)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			       "the agent says it is done, but never connected");
	/* As everything that is read from a socket. */
	verdict.error.message[sizeof(verdict.error.message) - 1] = '\0';
	if (err)
		*err = verdict.error;
	return verdict.error.err > 0 ? -verdict.error.err : -EIO;
}

static int transfer_accept(struct coffer_container *c, int listen_fd, int cancel_fd,
			   struct transfer *t, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(TRANSFER_CONNECT_BUDGET));
	struct pollfd fds[] = {
		{ .fd = listen_fd, .events = POLLIN },
		{ .fd = t->verdict_fd, .events = POLLIN },
		{ .fd = cancel_fd, .events = POLLIN },
		{ .fd = c->gone_fd, .events = POLLIN },
	};
	int r;

	do
		r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "poll");
	if (r == 0)
		return err_timeout(err, "the agent did not connect");
	if (fds[2].revents)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
	if (fds[0].revents) {
		t->data_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		return t->data_fd < 0 ? err_sys(err, "accept") : 0;
	}
	if (fds[1].revents)
		return transfer_refused(t->verdict_fd, err);
	return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "the machine ends");
}

/* Where the machine has it. */
static int transfer_place(struct coffer_container *c, struct transfer_request *request,
			  struct coffer_error *err)
{
	if (request->kind == TRANSFER_ROOT)
		request->path = storage_root(c->storage);
	if (request->kind != TRANSFER_LAYER)
		return 0;
	request->path = storage_written(c->storage);
	return request->path ? 0 : err_unsupported(err, "it has no layer of its own");
}

static int transfer_open_entered(struct coffer_container *c, const struct transfer_request *request,
				 int cancel_fd, struct transfer *out, struct coffer_error *err)
{
	struct transfer_request placed = *request;
	autotransfer struct transfer t = TRANSFER_INIT;
	uint32_t port = container_port_take();
	autoclose int listen_fd = c->sandbox->ops->listen(c->sandbox, port, err);
	int r;

	if (listen_fd < 0)
		return listen_fd;
	r = transfer_place(c, &placed, err);
	if (r == 0)
		r = transfer_call_start(c, &placed, port, &t.verdict_fd, err);
	if (r == 0)
		r = transfer_accept(c, listen_fd, cancel_fd, &t, err);
	c->sandbox->ops->unlisten(c->sandbox, port);
	if (r < 0)
		return r;
	out->data_fd = steal_fd(&t.data_fd);
	out->verdict_fd = steal_fd(&t.verdict_fd);
	return 0;
}

static int transfer_open(struct coffer_container *c, const struct transfer_request *request,
			 int cancel_fd, struct transfer *out, struct coffer_error *err)
{
	int r = container_enter(c, CONTAINER_IN_STARTED, "copy", err);

	if (r < 0)
		return r;
	r = transfer_open_entered(c, request, cancel_fd, out, err);
	container_leave(c);
	return r;
}

/* What the guest says of a path has to fit. */
static int transfer_take_stat(const Ax__ArchiveStatResponse *reply, struct coffer_path_stat *out,
			      struct coffer_error *err)
{
	const char *name = reply->name ? reply->name : "";
	const char *link = reply->link_target ? reply->link_target : "";

	if (strlen(name) >= sizeof(out->name) || strlen(link) >= sizeof(out->link_target))
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "the agent's answer is too long");
	*out = (struct coffer_path_stat){
		.size = sizeof(*out),
		.bytes = reply->size,
		.mode = reply->mode,
	};
	if (reply->mtime)
		out->mtime = (struct timespec){ .tv_sec = reply->mtime->seconds,
						.tv_nsec = reply->mtime->nanos };
	memcpy(out->name, name, strlen(name) + 1);
	memcpy(out->link_target, link, strlen(link) + 1);
	return 0;
}

static int transfer_stat(struct coffer_container *c, const char *path, bool follow,
			 struct coffer_path_stat *out, struct coffer_error *err)
{
	Ax__ArchiveStatRequest req = AX__ARCHIVE_STAT_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;
	autoagent struct agent *agent = NULL;
	int r = container_enter(c, CONTAINER_IN_STARTED, "stat", err);

	if (r < 0)
		return r;
	r = container_agent_open(c, &agent, err);
	container_leave(c);
	if (r < 0)
		return r;
	req.container_id = c->id;
	req.path = (char *)path;
	req.follow = follow;
	agent->ops->set_cancel(agent, c->gone_fd);
	r = agent_call(agent, AGENT_EXTRAS, "ArchiveStat", &req.base, AGENT_CALL_BUDGET, &reply,
		       err);
	return r < 0 ? r : transfer_take_stat((Ax__ArchiveStatResponse *)reply, out, err);
}

const struct transfer_ops transfer_local = {
	.open = transfer_open,
	.stat = transfer_stat,
	.dial = dial_guest,
	.listen = dial_listen,
	.unlisten = dial_unlisten,
	.connect = dial_connect,
	.relay_add = relay_add,
	.relay_remove = relay_remove,
};
