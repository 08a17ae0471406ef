/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/worker.c - calls that may block for long, in a forked child
 *
 *	handler --fork--> child: fn(), writes its struct coffer_error, exits
 *	loop    <--pipe-- error object, or end of file when the child died
 *
 * For what waits on a device: sync, unmounting a dirty file system, a disk
 * that appears late.  A stuck disk then costs one child and one call, not the
 * agent.  A fork of this small program is a millisecond even under emulation;
 * the mounts of the start path are bounded reads and stay in the loop.
 *
 * The child is reaped by reaper.c like any orphan.
 */
#include "agent/worker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/spawn.h"

#define WORKER_PIPE 3 /* the child's descriptor, all others above the standard three closed */

struct worker {
	struct grpc_call *call; /* NULL once the client gave up */
	const ProtobufCMessage *reply;
	struct loop_source *source;
	int fd; /* owned; read end */
};

static void worker_free(struct worker *w)
{
	loop_remove(w->source);
	close_fd(&w->fd);
	free(w);
}

static void worker_cancelled(struct grpc_call *call, void *data)
{
	struct worker *w = data;

	w->call = NULL;
}

static void worker_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct worker *w = data;

	/* The object is far below PIPE_BUF, so it comes whole or not at all. */
	if (io_read_full(fd, &err, sizeof(err)) != (ssize_t)sizeof(err))
		err_internal(&err, "worker died");
	if (w->call && err.kind != COFFER_ERR_NONE)
		grpc_call_fail(w->call, &err);
	else if (w->call)
		grpc_call_reply(w->call, w->reply);
	worker_free(w);
}

static void worker_child(int fd, worker_fn fn, const void *arg)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	/* A connection that the agent closes meanwhile must end: keep none of its descriptors. */
	if (dup2(fd, WORKER_PIPE) == WORKER_PIPE) {
		close_range(WORKER_PIPE + 1, ~0U, 0);
		fd = WORKER_PIPE;
	}
	fn(arg, &err);
	io_write_full(fd, &err, sizeof(err));
	_exit(0);
}

static int worker_start(struct agent *agent, struct worker *w, worker_fn fn, const void *arg,
			struct coffer_error *err)
{
	struct child child = CHILD_INIT;
	autoclose int wr = -1;
	int p[2], r;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	w->fd = p[0];
	wr = p[1];
	r = loop_add_fd(agent->loop, w->fd, EPOLLIN, worker_handler, w, &w->source, err);
	if (r == 0)
		r = spawn_fork(0, &child, err);
	if (r == 0)
		worker_child(wr, fn, arg);
	close_fd(&child.pidfd);
	return r < 0 ? r : 0;
}

void worker_answer(struct agent *agent, struct grpc_call *call, worker_fn fn, const void *arg,
		   const ProtobufCMessage *reply)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w) {
		err_nomem(&err);
		grpc_call_fail(call, &err);
		return;
	}
	*w = (struct worker){ .call = call, .reply = reply, .fd = -1 };
	r = worker_start(agent, w, fn, arg, &err);
	if (r < 0) {
		worker_free(w);
		grpc_call_fail(call, &err);
		return;
	}
	grpc_call_on_cancel(call, worker_cancelled, w);
}
