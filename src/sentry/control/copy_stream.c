/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/copy_stream.c - CopyIn and CopyOut: a file as a stream of messages
 *
 *	in    message --> file --> the next message is asked for
 *	out   file --> a few messages a turn of the loop, as long as the client takes them
 *
 * What the contract had before Copy. Neither keeps more than a message.
 *
 * Called on the control loop.
 */
#include "sentry/control/copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define COPY_QUEUED_MAX (128u << 10)
#define COPY_BURST	8 /* messages before others have their turn */

struct copy_stream {
	struct copy_stream *next, **link; /* in copy_streams */
	const struct control_container *container;
	struct grpc_call *call;
	struct file *file; /* a reference */
	char *path;	   /* owned */
	struct loop_source *timer; /* out: the next turn */
};

static struct copy_stream *copy_streams;

static void copy_stream_free(struct copy_stream *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	loop_remove(s->timer);
	file_put(s->file);
	free(s->path);
	free(s);
}

static void copy_stream_cancelled(struct grpc_call *call, void *data)
{
	copy_stream_free(data);
}

/* @r: 0, or what @what failed with */
static void copy_stream_end(struct copy_stream *s, int r, const char *what)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct grpc_call *call = s->call;

	if (r < 0)
		err_sysn(&err, r, "%s %.200s", what, s->path);
	copy_stream_free(s);
	grpc_call_finish(call, r < 0 ? GRPC_INTERNAL : GRPC_OK, r < 0 ? err.message : NULL);
}

/* @file is taken over in any case. */
static struct copy_stream *copy_stream_new(const struct control *control, struct grpc_call *call,
					   struct file *file, const char *path)
{
	struct copy_stream *s = calloc(1, sizeof(*s));

	if (s)
		s->path = strdup(path);
	if (!s || !s->path) {
		free(s);
		file_put(file);
		grpc_call_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return NULL;
	}
	s->call = call;
	s->file = file;
	s->container = copy_container(control, path);
	s->link = &copy_streams;
	s->next = copy_streams;
	if (s->next)
		s->next->link = &s->next;
	copy_streams = s;
	grpc_call_on_cancel(call, copy_stream_cancelled, s);
	return s;
}

void copy_stop(const struct control_container *container)
{
	for (struct copy_stream *s = copy_streams, *next; s; s = next) {
		next = s->next;
		if (s->container == container)
			copy_stream_end(s, -ESRCH, "the container is gone:");
	}
}

/* ---- in ---- */

static RPC_METHOD(copy_stream_message)
{
	const Scc__CopyInChunk *chunk = (const void *)msg;
	Scc__CopyInResponse reply = SCC__COPY_IN_RESPONSE__INIT;
	struct copy_stream *s = data;
	int r = 0;

	if (!chunk) {
		copy_stream_free(s);
		grpc_call_reply(call, &reply.base);
		return;
	}
	if (chunk->content_case == SCC__COPY_IN_CHUNK__CONTENT_DATA)
		r = copy_write(s->file, chunk->data.data, chunk->data.len);
	if (r < 0)
		copy_stream_end(s, r, "write");
	else
		grpc_call_receive(call, copy_stream_message, s);
}

RPC_METHOD(rpc_copy_in)
{
	const Scc__CopyInChunk *first = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	const Scc__CopyInInit *init = first->init;
	struct file *file = NULL;
	struct copy_stream *s;
	int r = 0;

	if (first->content_case != SCC__COPY_IN_CHUNK__CONTENT_INIT) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "the first message is not init");
		return;
	}
	if (init->create_parents)
		r = rpc_parents(init->path, &err);
	if (r == 0)
		r = copy_create(init->path, init->mode, &file, &err);
	if (r < 0) {
		copy_refuse(call, 0, &err);
		return;
	}
	s = copy_stream_new(data, call, file, init->path);
	if (s)
		grpc_call_receive(call, copy_stream_message, s);
}

/* ---- out ---- */

static void copy_stream_drained(struct grpc_call *call, void *data)
{
	const struct copy_stream *s = data;

	loop_arm(s->timer, 0, 0);
}

static void copy_stream_turn(struct loop_source *timer, void *data)
{
	static uint8_t bytes[COPY_CHUNK];
	Scc__CopyOutChunk chunk = SCC__COPY_OUT_CHUNK__INIT;
	struct copy_stream *s = data;
	long n = 1;
	int r = 0;

	chunk.content_case = SCC__COPY_OUT_CHUNK__CONTENT_DATA;
	for (int i = 0; i < COPY_BURST && grpc_call_queued(s->call) < COPY_QUEUED_MAX; i++) {
		n = file_read_kernel(s->file, bytes, sizeof(bytes), -1);
		if (n <= 0)
			break;
		chunk.data = (ProtobufCBinaryData){ .data = bytes, .len = (size_t)n };
		r = grpc_call_send(s->call, &chunk.base);
		if (r < 0)
			break;
	}
	if (n <= 0 || r < 0)
		copy_stream_end(s, n < 0 ? (int)n : r, "read");
	else if (grpc_call_queued(s->call))
		grpc_call_on_drained(s->call, copy_stream_drained, s);
	else
		loop_arm(timer, 0, 0);
}

static int copy_stream_begin(struct copy_stream *s, struct loop *loop, uint64_t size,
			     struct coffer_error *err)
{
	Scc__CopyOutChunk chunk = SCC__COPY_OUT_CHUNK__INIT;
	Scc__CopyOutInit init = SCC__COPY_OUT_INIT__INIT;
	int r = loop_add_timer(loop, copy_stream_turn, s, &s->timer, err);

	if (r < 0)
		return r;
	init.total_size = size;
	chunk.content_case = SCC__COPY_OUT_CHUNK__CONTENT_INIT;
	chunk.init = &init;
	r = grpc_call_send(s->call, &chunk.base);
	return r < 0 ? r : loop_arm(s->timer, 0, 0);
}

static int copy_stream_find(const char *path, struct file **out, uint64_t *size,
			    struct coffer_error *err)
{
	struct vfs_path at = { NULL, NULL };
	struct stat st = { 0 };
	int r = copy_find(path, &at, &st, err);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode))
		r = err_invalid(err, "%.200s: not a regular file", path);
	else
		r = copy_open(&at, path, out, err);
	*size = (uint64_t)st.st_size;
	path_put(&at);
	return r;
}

RPC_METHOD(rpc_copy_out)
{
	const Scc__CopyOutRequest *req = (const void *)msg;
	const struct control *control = data;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct file *file = NULL;
	struct copy_stream *s;
	uint64_t size = 0;
	int r = copy_stream_find(req->path, &file, &size, &err);

	if (r < 0) {
		copy_refuse(call, r, &err);
		return;
	}
	s = copy_stream_new(control, call, file, req->path);
	if (!s)
		return;
	r = copy_stream_begin(s, control->loop, size, &err);
	if (r < 0)
		copy_stream_end(s, r, "copy");
}
