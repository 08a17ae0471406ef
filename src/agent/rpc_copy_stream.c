/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_copy_stream.c - CopyIn and CopyOut: a file as a stream of messages
 *
 * What the contract had before Copy.  Data goes through a pipe to the job:
 *
 *	message --> pipe --> job --> file
 *	   `--what the pipe did not take--> held, and no further message is asked for
 *
 * so that the client is held back by the file system, and at most one message
 * is kept of it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guestfile.h"
#include "agent/job.h"
#include "agent/rpc.h"
#include "agent/transfer.h"
#include "base/buf.h"
#include "base/io.h"

#define COPY_FILE_MODE	 0644
#define COPY_PIPE_SIZE	 (1 << 20)
#define COPY_HELD_MAX	 (4u << 20)
#define COPY_CHUNK	 (60u << 10) /* one packet of a job */

/* ---- in ---- */

/* The agent's end of the pipe. */
struct copy_feed {
	struct grpc_call *call;
	struct job_call *job;
	struct loop_source *source; /* while it is full */
	struct loop *loop;
	int fd; /* owned */
	struct buf held;
};

static void copy_feed_free(void *data)
{
	struct copy_feed *feed = data;

	loop_remove(feed->source);
	close_fd(&feed->fd);
	buf_free(&feed->held);
	free(feed);
}

static void copy_feed_message(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

/* Return: bytes that the pipe took. A job that is gone has answered, or is about to */
static size_t copy_feed_write(struct copy_feed *feed, const uint8_t *p, size_t n)
{
	ssize_t w;

	do
		w = write(feed->fd, p, n);
	while (w < 0 && errno == EINTR);
	return w < 0 ? 0 : (size_t)w;
}

static void copy_feed_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct copy_feed *feed = data;

	if (events & EPOLLERR) {
		loop_remove(steal_ptr(feed->source));
		return;
	}
	buf_consume(&feed->held,
		    copy_feed_write(feed, buf_data(&feed->held), feed->held.len));
	if (feed->held.len)
		return;
	buf_free(&feed->held);
	loop_remove(steal_ptr(feed->source));
	grpc_call_receive(feed->call, copy_feed_message, feed);
}

static void copy_feed_message(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Scc__CopyInChunk *chunk = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct copy_feed *feed = data;
	size_t n = 0, done = 0;
	int r;

	if (!chunk) {
		close_fd(&feed->fd);
		return;
	}
	if (chunk->content_case == SCC__COPY_IN_CHUNK__CONTENT_DATA)
		n = chunk->data.len;
	if (n)
		done = copy_feed_write(feed, chunk->data.data, n);
	if (done == n) {
		grpc_call_receive(call, copy_feed_message, feed);
		return;
	}
	r = buf_append(&feed->held, chunk->data.data + done, n - done);
	if (r < 0)
		err_sysn(&err, r, "keep a message");
	else
		r = loop_add_fd(feed->loop, feed->fd, EPOLLOUT, copy_feed_handler, feed,
				&feed->source, &err);
	if (r < 0)
		job_give_up(feed->job, &err);
}

static int copy_in_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Scc__CopyInInit *init = arg;
	const struct guestfile_create how = {
		.create = true,
		.parents = init->create_parents,
		.mode = init->mode ? init->mode & 07777 : COPY_FILE_MODE,
		.flags = O_TRUNC,
	};
	Scc__CopyInResponse reply = SCC__COPY_IN_RESPONSE__INIT;
	autoclose int fd = guestfile_write(&job->gp, &how, err);
	int r;

	if (fd < 0)
		return fd;
	r = transfer_all(job->data, fd, UINT64_MAX, err);
	if (r < 0)
		return err_wrap(err, "copy to %.200s", init->path);
	return job_say(job, &reply.base, err);
}

static int copy_feed_new(struct agent *agent, struct grpc_call *call, struct copy_feed **out,
			 int *theirs, struct coffer_error *err)
{
	struct copy_feed *feed = calloc(1, sizeof(*feed));
	int p[2];

	if (!feed)
		return err_nomem(err);
	if (pipe2(p, O_CLOEXEC) < 0) {
		free(feed);
		return err_sys(err, "pipe");
	}
	*feed = (struct copy_feed){ .call = call,
				    .loop = agent->loop,
				    .fd = p[1],
				    .held = BUF_INIT(COPY_HELD_MAX) };
	*theirs = p[0];
	fcntl(feed->fd, F_SETPIPE_SZ, COPY_PIPE_SIZE);
	io_set_nonblock(feed->fd, true);
	*out = feed;
	return 0;
}

void rpc_copy_in(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Scc__CopyInChunk *first = (const void *)msg;
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct copy_feed *feed = NULL;
	autoclose int theirs = -1;
	struct job_args args;
	struct job_call *job;

	if (first->content_case != SCC__COPY_IN_CHUNK__CONTENT_INIT) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "the first message is not init");
		return;
	}
	if (guestplace_of_path(data, first->init->path, &place, &err) < 0 ||
	    copy_feed_new(data, call, &feed, &theirs, &err) < 0) {
		job_refuse(call, true, &err);
		return;
	}
	args = (struct job_args){ .fn = copy_in_job,
				  .arg = first->init,
				  .place = &place,
				  .reply = &scc__copy_in_response__descriptor,
				  .contract = true,
				  .data = theirs,
				  .ended = copy_feed_free,
				  .ended_data = feed };
	job = job_answer(data, call, &args);
	if (!job)
		return;
	feed->job = job;
	grpc_call_receive(call, copy_feed_message, feed);
}

/* ---- out ---- */

static int copy_out_say(struct job *job, Scc__CopyOutChunk *chunk,
			Scc__CopyOutChunk__ContentCase which, struct coffer_error *err)
{
	chunk->content_case = which;
	return job_say(job, &chunk->base, err);
}

static int copy_out_data(struct job *job, int fd, struct coffer_error *err)
{
	static uint8_t data[COPY_CHUNK];
	Scc__CopyOutChunk chunk = SCC__COPY_OUT_CHUNK__INIT;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = io_read_full(fd, data, sizeof(data))) != 0) {
		if (n < 0)
			return err_sysn(err, (int)n, "read");
		chunk.data = (ProtobufCBinaryData){ .data = data, .len = (size_t)n };
		r = copy_out_say(job, &chunk, SCC__COPY_OUT_CHUNK__CONTENT_DATA, err);
	}
	return r;
}

static int copy_out_job(struct job *job, const void *arg, struct coffer_error *err)
{
	Scc__CopyOutChunk chunk = SCC__COPY_OUT_CHUNK__INIT;
	Scc__CopyOutInit init = SCC__COPY_OUT_INIT__INIT;
	autoclose int node = -1, fd = -1;
	struct stat st;
	int r;

	node = guestfile_find(&job->gp, 0, &st, err);
	if (node < 0)
		return node == -ENOENT ? job_mark(node, err) : node;
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "%.200s: not a regular file", job->gp.path);
	fd = guestfile_reopen(node, O_RDONLY, job->gp.path, err);
	if (fd < 0)
		return fd;
	init.total_size = (uint64_t)st.st_size;
	chunk.init = &init;
	r = copy_out_say(job, &chunk, SCC__COPY_OUT_CHUNK__CONTENT_INIT, err);
	if (r == 0)
		r = copy_out_data(job, fd, err);
	return r < 0 ? err_wrap(err, "copy %.200s", job->gp.path) : 0;
}

void rpc_copy_out(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Scc__CopyOutRequest *req = (const void *)msg;
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct job_args args = { .fn = copy_out_job,
				       .place = &place,
				       .reply = &scc__copy_out_chunk__descriptor,
				       .contract = true,
				       .data = -1 };

	if (guestplace_of_path(data, req->path, &place, &err) < 0)
		job_refuse(call, true, &err);
	else
		job_answer(data, call, &args);
}
