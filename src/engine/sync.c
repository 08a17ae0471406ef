/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/sync.c - messages between a container's process and its parent
 *
 * See sync.h for who says what when.  Nothing here allocates: half of the
 * callers are children of a raw clone3(2).
 */
#include "engine/sync.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SYNC_SHORT offsetof(struct sync_msg, err)

struct sync_head {
	int32_t type, pid;
};

_Static_assert(sizeof(struct sync_head) == SYNC_SHORT, "the head of struct sync_msg");

int sync_send(int sock, enum sync_type type, int32_t pid, int fd)
{
	struct sync_head m = { (int32_t)type, pid };

	return io_send_fds(sock, &m, sizeof(m), &fd, fd >= 0 ? 1 : 0);
}

void sync_send_error(int sock, const struct coffer_error *e)
{
	struct sync_msg m = { .type = SYNC_ERROR, .err = *e };

	if (m.err.kind == COFFER_ERR_NONE)
		err_internal(&m.err, "failed without a reason");
	/* write(2), because a seccomp filter that is loaded by now rarely forbids that one. */
	if (write(sock, &m, sizeof(m)) < 0)
		return;
}

int sync_recv(int sock, struct sync_msg *msg, int *fd)
{
	size_t nfds = 1;
	ssize_t n;

	*fd = -1;
	memset(msg, 0, SYNC_SHORT);
	n = io_recv_fds(sock, msg, sizeof(*msg), fd, &nfds);
	/* It has left with words of ours unread; its own are still there. */
	if (n == -ECONNRESET) {
		nfds = 1;
		n = io_recv_fds(sock, msg, sizeof(*msg), fd, &nfds);
	}
	if (n <= 0)
		return (int)n;
	if (n != SYNC_SHORT && n != sizeof(*msg))
		return -EBADMSG;
	if ((msg->type == SYNC_ERROR) != (n == sizeof(*msg)))
		return -EBADMSG;
	msg->err.message[sizeof(msg->err.message) - 1] = '\0';
	return msg->type > 0 ? msg->type : -EBADMSG;
}

int sync_ask(int sock, enum sync_type type, int fd, struct coffer_error *err)
{
	autoclose int got = -1;
	struct sync_msg m;
	int r;

	r = sync_send(sock, type, 0, fd);
	if (r < 0)
		return err_sysn(err, r, "report to parent");
	r = sync_recv(sock, &m, &got);
	if (r == 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "parent went away");
	if (r < 0)
		return err_sysn(err, r, "wait for parent");
	return r == SYNC_CONTINUE ? 0 : err_internal(err, "unexpected message %d from parent", r);
}

/* Return: type of the answer, or negative errno */
static int sync_read_answer(int sock, struct coffer_error *err)
{
	struct sync_head m;
	ssize_t n;

	do {
		n = read(sock, &m, sizeof(m));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "wait for parent");
	if (n != sizeof(m))
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "parent went away");
	return m.type;
}

int sync_pass_listener(int sock, int listener, struct coffer_error *err)
{
	struct sync_head m = { SYNC_LISTENER, listener };
	int r;

	if (write(sock, &m, sizeof(m)) < 0)
		return err_sys(err, "report the filter's listener to parent");
	r = sync_read_answer(sock, err);
	if (r == SYNC_LISTENER) {
		r = sync_send(sock, SYNC_LISTENER, 0, listener);
		if (r < 0)
			return err_sysn(err, r, "send the filter's listener to parent");
		r = sync_read_answer(sock, err);
	}
	if (r < 0)
		return r;
	return r == SYNC_CONTINUE ? 0 : err_internal(err, "unexpected message %d from parent", r);
}
