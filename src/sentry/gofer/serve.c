/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/serve.c - a channel of the gofer: requests in, answers out
 *
 * One thread a channel, one request at a time. The sentry may have been taken over by its guest, so
 * a request is checked as if it came from there: lengths against what arrived, names to be one
 * component. What is malformed ends the channel.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/gofer/wire.h"

static const struct jail_call serve_rows[] = {
	JAIL(recvmsg), JAIL(sendmsg), JAIL(close),
	/* a thread's buffers, its beginning behind the filter, its end */
	JAIL_IF(mmap, 2, PROT_EXEC, 0), JAIL(futex),
	JAIL(munmap), JAIL(madvise), JAIL(rt_sigprocmask), JAIL(exit), JAIL(exit_group),
};
const struct jail_list gofer_serve_calls = JAIL_LIST(serve_rows);

/* A channel's memory; what is not used is never touched. */
struct serve_buffers {
	char request[GOFER_REQUEST_MAX];
	char name[GOFER_NAME_MAX + 1], name2[GOFER_NAME_MAX + 1];
	char data[GOFER_DATA_MAX + 1];
	char reply[GOFER_DATA_MAX] __attribute__((aligned(8)));
};

static ssize_t serve_receive(int channel, struct serve_buffers *b, int fds[2])
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { b->request, sizeof(b->request) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	ssize_t n;

	do
		n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0)); /* at most two fit */
	}
	return msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -1 : n;
}

/* Return: whether a string of @len (UINT32_MAX: none) was at *@at, copied and terminated */
static bool serve_take(const char **at, const char *end, uint32_t len, char *dst, size_t size,
		       const char **out)
{
	*out = NULL;
	if (len == UINT32_MAX)
		return true;
	if (len >= size || len > (size_t)(end - *at) || memchr(*at, '\0', len))
		return false;
	memcpy(dst, *at, len);
	dst[len] = '\0';
	*at += len;
	*out = dst;
	return true;
}

static bool serve_parse(struct serve_buffers *b, size_t n, int fd, int fd2, struct gofer_work *work)
{
	const struct gofer_request *q = (const struct gofer_request *)(const void *)b->request;
	const char *at = b->request + sizeof(*q), *end = b->request + n;

	if (n < sizeof(*q))
		return false;
	*work = (struct gofer_work){
		.request = q,
		.fd = fd,
		.fd2 = fd2,
		.result_fd = -1,
		.reply = b->reply,
		.reply_size = q->reply_size < sizeof(b->reply) ? q->reply_size : sizeof(b->reply),
	};
	if (!serve_take(&at, end, q->name_len, b->name, sizeof(b->name), &work->name) ||
	    !serve_take(&at, end, q->name2_len, b->name2, sizeof(b->name2), &work->name2))
		return false;
	if (q->data_len != (size_t)(end - at) || q->data_len > GOFER_DATA_MAX)
		return false;
	memcpy(b->data, at, q->data_len);
	b->data[q->data_len] = '\0';
	work->data = b->data;
	work->data_len = q->data_len;
	return true;
}

static ssize_t serve_answer(int channel, long result, const struct gofer_work *work)
{
	struct gofer_answer answer = { .result = result,
				       .data_len = (uint32_t)work->reply_len,
				       .nfds = work->result_fd >= 0 };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = { { &answer, sizeof(answer) }, { work->reply, work->reply_len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
	ssize_t n;

	if (work->result_fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &work->result_fd, sizeof(int));
	}
	do
		n = sendmsg(channel, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Return: 1 there may be another one, 0 the channel is closed, -1 what came is no request */
static int serve_one(int channel, struct serve_buffers *b)
{
	struct gofer_work work = { .result_fd = -1 };
	int fds[2] = { -1, -1 };
	ssize_t n = serve_receive(channel, b, fds);
	autoclose int fd = fds[0], fd2 = fds[1];
	long r;

	if (n == 0)
		return 0;
	if (n < 0 || !serve_parse(b, (size_t)n, fd, fd2, &work))
		return -1;
	r = gofer_perform(&work);
	if (r < 0) {
		work.reply_len = 0;
		close_fd(&work.result_fd);
	}
	r = serve_answer(channel, r, &work);
	close_fd(&work.result_fd);
	return r >= 0;
}

bool gofer_serve(int channel)
{
	autoclose int owned = channel;
	autofree struct serve_buffers *b = malloc(sizeof(*b));
	int r = b ? 1 : -1;

	while (r > 0)
		r = serve_one(owned, b);
	return r == 0;
}
