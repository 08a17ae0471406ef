/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/client.c - the sentry's end of the gofer
 *
 *	gofer_call() -> a free channel -> request, descriptors --> gofer
 *	             <------------------- answer, descriptor   <--
 *
 * There are a few channels, so that many threads of the sentry wait for one another only when all are
 * taken. A call is not interrupted by signals to its task: nothing the gofer does waits for anybody.
 *
 * The answer's lengths are checked against what was asked for, although the gofer is trusted: a
 * mistake there would become one here.
 */
#include "sentry/gofer/gofer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "sentry/gofer/wire.h"

struct gofer_channel {
	pthread_mutex_t lock;
	int fd; /* owned; lock */
};

struct gofer {
	int socket; /* owned */
	struct gofer_channel channels[GOFER_CHANNELS];
	_Atomic unsigned turn;
	struct gofer_self self;
};

static const struct jail_call gofer_client_rows[] = {
	JAIL(sendmsg), JAIL(recvmsg), JAIL(close),
};
const struct jail_list gofer_client_calls = JAIL_LIST(gofer_client_rows);

int gofer_attach(int socket, struct gofer **out, struct coffer_error *err)
{
	autoclose int owned = socket;
	int fds[GOFER_CHANNELS];
	size_t nfds = GOFER_CHANNELS;
	struct gofer *gofer;
	char hello;
	ssize_t n;

	n = io_recv_fds(socket, &hello, sizeof(hello), fds, &nfds);
	if (n <= 0)
		return err_sysn(err, n < 0 ? (int)n : -ECONNRESET, "wait for the gofer");
	if (nfds != GOFER_CHANNELS) {
		while (nfds > 0)
			close(fds[--nfds]);
		return err_internal(err, "the gofer has not sent its channels");
	}
	gofer = calloc(1, sizeof(*gofer));
	if (!gofer) {
		while (nfds > 0)
			close(fds[--nfds]);
		return err_nomem(err);
	}
	gofer->socket = steal_fd(&owned);
	gofer->self = gofer_self_of(NULL);
	for (size_t i = 0; i < GOFER_CHANNELS; i++) {
		pthread_mutex_init(&gofer->channels[i].lock, NULL);
		gofer->channels[i].fd = fds[i];
	}
	*out = gofer;
	return 0;
}

struct gofer_self gofer_self_of(const struct gofer *gofer)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	if (gofer)
		return gofer->self;
	getrlimit(RLIMIT_NOFILE, &limit);
	return (struct gofer_self){
		.uid = geteuid(),
		.gid = getegid(),
		.files = limit.rlim_cur < 1u << 20 ? (unsigned)limit.rlim_cur : 1u << 20,
	};
}

void gofer_free(struct gofer *gofer)
{
	if (!gofer)
		return;
	for (size_t i = 0; i < GOFER_CHANNELS; i++) {
		close_fd(&gofer->channels[i].fd);
		pthread_mutex_destroy(&gofer->channels[i].lock);
	}
	close_fd(&gofer->socket);
	free(gofer);
}

int gofer_broken_fd(const struct gofer *gofer)
{
	return gofer->socket;
}

/* Return: a channel whose lock is held */
static struct gofer_channel *gofer_take_channel(struct gofer *gofer)
{
	unsigned turn = atomic_fetch_add_explicit(&gofer->turn, 1, memory_order_relaxed);
	struct gofer_channel *channel;

	for (unsigned i = 0; i < GOFER_CHANNELS; i++) {
		channel = &gofer->channels[i];
		if (pthread_mutex_trylock(&channel->lock) == 0)
			return channel;
	}
	channel = &gofer->channels[turn % GOFER_CHANNELS];
	pthread_mutex_lock(&channel->lock);
	return channel;
}

static int gofer_send(int socket, const struct gofer_call *call)
{
	struct gofer_request request = {
		.op = call->op,
		.name_len = call->name ? (uint32_t)strlen(call->name) : UINT32_MAX,
		.name2_len = call->name2 ? (uint32_t)strlen(call->name2) : UINT32_MAX,
		.data_len = (uint32_t)call->data_len,
		.reply_size = (uint32_t)call->reply_size,
	};
	int fds[2] = { call->fd >= 0 ? call->fd : call->fd2, call->fd2 };
	size_t nfds = (size_t)(call->fd >= 0) + (call->fd2 >= 0);
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct iovec iov[] = {
		{ &request, sizeof(request) },
		{ (void *)call->name, call->name ? request.name_len : 0 },
		{ (void *)call->name2, call->name2 ? request.name2_len : 0 },
		{ (void *)call->data, call->data_len },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };
	ssize_t n;

	memcpy(request.args, call->args, sizeof(request.args));
	if (nfds) {
		struct cmsghdr *cmsg = &control.align;

		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Return: as gofer_call(); -EPIPE: nobody is there */
static long gofer_receive(int socket, const struct gofer_call *call)
{
	struct gofer_answer answer;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov[] = {
		{ &answer, sizeof(answer) },
		{ call->reply, call->reply ? call->reply_size : 0 },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov),
			      .msg_control = &control, .msg_controllen = sizeof(control) };
	int fd = -1;
	ssize_t n;

	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EPIPE;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if ((size_t)n < sizeof(answer) || (size_t)n != sizeof(answer) + answer.data_len) {
		close_fd(&fd);
		return -EPIPE;
	}
	/* The descriptor did not fit in our table */
	if (answer.nfds && fd < 0)
		return -EMFILE;
	return fd >= 0 ? fd : (long)answer.result;
}

/* What cannot be sent has left nothing behind; anything else leaves the channel out of step. */
static bool gofer_is_refused(long r)
{
	return r == -EMSGSIZE || r == -ENOMEM || r == -ENOBUFS || r == -ETOOMANYREFS || r == -EBADF;
}

long gofer_call(struct gofer *gofer, const struct gofer_call *call)
{
	struct gofer_channel *channel;
	long r;

	if (!gofer)
		return -ESRCH;
	if (call->data_len > GOFER_DATA_MAX)
		return -E2BIG;
	if ((call->name && strlen(call->name) > GOFER_NAME_MAX) ||
	    (call->name2 && strlen(call->name2) > GOFER_NAME_MAX))
		return -ENAMETOOLONG;
	channel = gofer_take_channel(gofer);
	r = channel->fd >= 0 ? gofer_send(channel->fd, call) : -EPIPE;
	if (r == 0)
		r = gofer_receive(channel->fd, call);
	else if (!gofer_is_refused(r))
		r = -EPIPE;
	if (r == -EPIPE || r == -ECONNRESET) {
		close_fd(&channel->fd);
		r = -ESRCH;
	}
	pthread_mutex_unlock(&channel->lock);
	return r;
}

int gofer_dial_port(struct gofer *gofer, uint32_t port)
{
	const struct gofer_call call = { .op = GOFER_DIAL, .fd = -1, .fd2 = -1, .args = { port } };

	return (int)gofer_call(gofer, &call);
}
