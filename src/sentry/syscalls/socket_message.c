/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/socket_message.c - the calls that move data through sockets
 *
 *	iovec, msghdr of the guest -> user_io: pieces of its memory -> the family's send and recv
 *	                           -> control messages: descriptors, credentials, others as bytes
 *
 * Streams go from memory to memory, as much at a time as fits. A packet is one operation: where its
 * memory cannot be had in one piece list, it goes through a buffer. Waiting is here, by poll.
 *
 * Called through socket.c's table.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/socket_calls.h"
#include "sentry/task/task.h"

/* No family takes a longer packet. */
#define SOCKET_PACKET_MAX  (1u << 20)
/* As net.core.optmem_max */
#define SOCKET_CONTROL_MAX 20480u
#define SOCKET_FLAGS_OWN                                                                    \
	(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC | MSG_WAITFORONE | MSG_WAITALL)

/* One send or receive, whatever call it came by. */
struct socket_message {
	struct task *task;
	struct socket *s;
	const struct iovec *iov;
	size_t niov, total;
	struct socket_addr addr;
	struct socket_control control;
	int flags; /* the call's */
};

/* Only the host's sockets have a queue of errors, for which nobody waits. */
static bool socket_message_waits(const struct socket_message *m)
{
	if (m->s->family != AF_UNIX && (m->flags & MSG_ERRQUEUE))
		return false;
	return !(m->flags & MSG_DONTWAIT) && !(m->s->file.flags & O_NONBLOCK);
}

static int socket_message_flags(const struct socket_message *m)
{
	return (m->flags & ~SOCKET_FLAGS_OWN) | (socket_message_waits(m) ? 0 : MSG_DONTWAIT);
}

static void socket_signal_pipe(struct task *task)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	signal_task_send(task, SIGPIPE, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* Between the guest's memory and a buffer. */
static int socket_copy(const struct socket_message *m, char *buf, size_t len, enum user_dir dir)
{
	struct mm *mm = m->task->mm;
	int r = 0;

	for (size_t i = 0; i < m->niov && len && !r; i++) {
		uint64_t at = (uint64_t)(uintptr_t)m->iov[i].iov_base;
		size_t n = m->iov[i].iov_len < len ? m->iov[i].iov_len : len;

		r = dir == USER_FROM_GUEST ? user_read(mm, buf, at, n) : user_write(mm, at, buf, n);
		buf += n;
		len -= n;
	}
	return r;
}

/* --- sending --- */

static long socket_send_io(struct socket_message *m, struct user_io *io)
{
	return m->s->ops->send(m->s, m->task, io, m->addr.len ? &m->addr : NULL, &m->control,
			       socket_message_flags(m));
}

static long socket_send_bounced(struct socket_message *m)
{
	struct user_io io;
	autofree char *buf = NULL;
	long n;
	int r;

	if (m->total > SOCKET_PACKET_MAX)
		return -EMSGSIZE;
	buf = malloc(m->total);
	if (!buf)
		return -ENOMEM;
	r = socket_copy(m, buf, m->total, USER_FROM_GUEST);
	if (r)
		return r;
	user_io_kernel(&io, buf, m->total);
	n = socket_send_io(m, &io);
	user_io_end(&io);
	return n;
}

/* What is there from @done on, once. */
static long socket_send_once(struct socket_message *m, size_t done)
{
	struct user_io io;
	long n;
	int r = user_io_begin(&io, m->task->mm, m->iov, m->niov, done, m->total - done,
			      USER_FROM_GUEST);

	if (r)
		return r;
	if (m->s->type != SOCK_STREAM && io.left < m->total) {
		user_io_end(&io);
		return socket_send_bounced(m);
	}
	n = socket_send_io(m, &io);
	user_io_end(&io);
	return n;
}

static long socket_send(struct socket_message *m)
{
	usec_t deadline = SOCKET_DEADLINE_NEW;
	size_t done = 0;
	long n;

	do {
		n = socket_send_once(m, done);
		if (n == -EAGAIN && socket_message_waits(m)) {
			n = socket_call_wait(m->task, m->s, POLLOUT, m->s->send_timeout, &deadline);
			if (!n)
				continue;
		}
		if (n < 0)
			break;
		done += (size_t)n;
	} while (m->s->type == SOCK_STREAM && done < m->total);
	if (n == -EPIPE && !done && !(m->flags & MSG_NOSIGNAL) && m->s->type == SOCK_STREAM)
		socket_signal_pipe(m->task);
	return done ? (long)done : n;
}

/* --- receiving --- */

static long socket_recv_io(struct socket_message *m, struct user_io *io, int *out_flags)
{
	return m->s->ops->recv(m->s, m->task, io, &m->addr, &m->control,
			       socket_message_flags(m), out_flags);
}

static long socket_recv_bounced(struct socket_message *m, int *out_flags)
{
	size_t size = m->total < SOCKET_PACKET_MAX ? m->total : SOCKET_PACKET_MAX;
	autofree char *buf = malloc(size);
	struct user_io io;
	long n;
	int r;

	if (!buf)
		return -ENOMEM;
	user_io_kernel(&io, buf, size);
	n = socket_recv_io(m, &io, out_flags);
	size -= io.left;
	user_io_end(&io);
	if (n <= 0)
		return n;
	r = socket_copy(m, buf, size < (size_t)n ? size : (size_t)n, USER_TO_GUEST);
	return r ? r : n;
}

static long socket_recv_once(struct socket_message *m, size_t done, int *out_flags)
{
	struct user_io io;
	long n;
	int r = user_io_begin(&io, m->task->mm, m->iov, m->niov, done, m->total - done,
			      USER_TO_GUEST);

	if (r)
		return r;
	if (m->s->type != SOCK_STREAM && io.left < m->total) {
		user_io_end(&io);
		return socket_recv_bounced(m, out_flags);
	}
	n = socket_recv_io(m, &io, out_flags);
	r = user_io_end(&io);
	return r && n > 0 ? r : n;
}

static long socket_recv(struct socket_message *m, int *out_flags)
{
	bool all = (m->flags & MSG_WAITALL) && m->s->type == SOCK_STREAM && !(m->flags & MSG_PEEK);
	usec_t deadline = SOCKET_DEADLINE_NEW;
	size_t done = 0;
	long n;

	for (;;) {
		n = socket_recv_once(m, done, out_flags);
		if (n == -EAGAIN && socket_message_waits(m)) {
			n = socket_call_wait(m->task, m->s, POLLIN, m->s->receive_timeout,
					     &deadline);
			if (!n)
				continue;
		}
		if (n <= 0)
			break;
		done += (size_t)n;
		/* Descriptors end a message. */
		if (!all || done >= m->total || m->control.nfiles)
			break;
	}
	return done ? (long)done : n;
}

/* --- sendto, recvfrom --- */

static int socket_message_one(struct socket_message *m, struct task *task, const uint64_t args[6],
			      struct iovec *iov, struct file **file)
{
	int r = socket_call_get(task, (int)args[0], file, &m->s);

	m->task = task;
	m->flags = (int)args[3];
	m->iov = iov;
	m->niov = 1;
	m->total = args[2] < MAX_RW_COUNT ? (size_t)args[2] : MAX_RW_COUNT;
	iov->iov_base = (void *)(uintptr_t)args[1]; /* NOLINT: the guest's, never used as ours */
	iov->iov_len = m->total;
	return r;
}

long socket_call_sendto(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket_message m = { 0 };
	struct iovec iov;
	int r = socket_message_one(&m, task, args, &iov, &file);

	if (!r && args[4])
		r = socket_call_read_addr(task, args[4], args[5], &m.addr);
	return r ? r : socket_send(&m);
}

long socket_call_recvfrom(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket_message m = { 0 };
	struct iovec iov;
	int out_flags = 0;
	long n = socket_message_one(&m, task, args, &iov, &file);

	if (n)
		return n;
	n = socket_recv(&m, &out_flags);
	socket_control_free(&m.control);
	if (n >= 0 && args[4]) {
		int r = socket_call_write_addr(task, args[4], args[5], &m.addr);

		if (r)
			return r;
	}
	return n;
}

/* --- sendmsg, recvmsg --- */

static int socket_message_header(struct socket_message *m, uint64_t at, struct msghdr *header,
				 struct iovec **iov)
{
	struct mm *mm = m->task->mm;
	int r = user_read(mm, header, at, sizeof(*header));

	if (r)
		return r;
	if (header->msg_iovlen > IOV_MAX)
		return -EMSGSIZE;
	if ((int)header->msg_namelen < 0)
		return -EINVAL;
	r = user_iovec(mm, (uint64_t)(uintptr_t)header->msg_iov, header->msg_iovlen, iov, &m->total);
	m->iov = *iov;
	m->niov = header->msg_iovlen;
	return r;
}

static int socket_message_control(struct socket_message *m, const struct msghdr *header)
{
	autofree void *bytes = NULL;
	int r;

	if (!header->msg_control || !header->msg_controllen)
		return 0;
	if (header->msg_controllen > SOCKET_CONTROL_MAX)
		return -ENOBUFS;
	bytes = malloc(header->msg_controllen);
	if (!bytes)
		return -ENOMEM;
	r = user_read(m->task->mm, bytes, (uint64_t)(uintptr_t)header->msg_control,
		      header->msg_controllen);
	return r ? r : socket_control_parse(m->task, bytes, header->msg_controllen, &m->control);
}

static long socket_sendmsg(struct task *task, struct socket *s, uint64_t at, int flags)
{
	struct socket_message m = { .task = task, .s = s, .flags = flags };
	autofree struct iovec *iov = NULL;
	struct msghdr header;
	long r = socket_message_header(&m, at, &header, &iov);

	if (!r && header.msg_name) {
		socklen_t len = header.msg_namelen;

		if (len > sizeof(m.addr.addr))
			len = sizeof(m.addr.addr);
		r = socket_call_read_addr(task, (uint64_t)(uintptr_t)header.msg_name, len, &m.addr);
	}
	if (!r)
		r = socket_message_control(&m, &header);
	if (!r)
		r = socket_send(&m);
	socket_control_free(&m.control);
	return r;
}

/* Where the next control message goes, and how much room there is. */
struct socket_cmsg_out {
	struct task *task;
	uint64_t at;
	size_t room;
	int *flags; /* MSG_CTRUNC when something did not fit */
};

static int socket_put_cmsg(struct socket_cmsg_out *out, int level, int type, const void *data,
			   size_t len)
{
	struct cmsghdr header = { .cmsg_level = level, .cmsg_type = type };
	size_t space;
	int r;

	if (out->room < sizeof(header)) {
		*out->flags |= MSG_CTRUNC;
		return 0;
	}
	if (CMSG_LEN(len) > out->room) {
		*out->flags |= MSG_CTRUNC;
		len = out->room - sizeof(header);
	}
	header.cmsg_len = CMSG_LEN(len);
	space = CMSG_SPACE(len) < out->room ? CMSG_SPACE(len) : out->room;
	r = user_write(out->task->mm, out->at, &header, sizeof(header));
	if (!r)
		r = user_write(out->task->mm, out->at + sizeof(header), data, len);
	out->at += space;
	out->room -= space;
	return r;
}

/* As many as there is room for get numbers; the others are closed. */
static int socket_put_files(struct socket_cmsg_out *out, struct socket_control *control,
			    bool cloexec)
{
	unsigned room = 0, n = 0;
	autofree int *fds = NULL;
	int r = 0;

	if (out->room > sizeof(struct cmsghdr))
		room = (unsigned)((out->room - sizeof(struct cmsghdr)) / sizeof(int));
	fds = calloc(control->nfiles, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	while (n < control->nfiles && n < room) {
		int fd = fd_install(out->task, file_get(control->files[n]), cloexec, 0);

		if (fd < 0)
			break;
		fds[n++] = fd;
	}
	if (n < control->nfiles)
		*out->flags |= MSG_CTRUNC;
	if (n)
		r = socket_put_cmsg(out, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(*fds));
	for (unsigned i = 0; r && i < n; i++)
		fd_close(out->task, fds[i]);
	return r;
}

static int socket_put_control(struct socket_cmsg_out *out, struct socket_control *control,
			      bool cloexec)
{
	int r = 0;

	if (control->has_cred)
		r = socket_put_cmsg(out, SOL_SOCKET, SCM_CREDENTIALS, &control->cred,
				    sizeof(control->cred));
	if (!r && control->nfiles)
		r = socket_put_files(out, control, cloexec);
	if (!r && control->raw_len) {
		size_t n = control->raw_len < out->room ? control->raw_len : out->room;

		r = user_write(out->task->mm, out->at, control->raw, n);
		out->at += n;
		out->room -= n;
	}
	if (control->truncated)
		*out->flags |= MSG_CTRUNC;
	return r;
}

static int socket_message_finish(struct socket_message *m, uint64_t at, const struct msghdr *header,
				 int out_flags)
{
	struct socket_cmsg_out out = {
		.task = m->task,
		.at = (uint64_t)(uintptr_t)header->msg_control,
		.room = header->msg_control ? header->msg_controllen : 0,
		.flags = &out_flags,
	};
	struct mm *mm = m->task->mm;
	uint32_t len = m->addr.len;
	size_t n;
	int r = socket_put_control(&out, &m->control, m->flags & MSG_CMSG_CLOEXEC);

	if (!r && header->msg_name) {
		n = len < header->msg_namelen ? len : header->msg_namelen;
		r = user_write(mm, (uint64_t)(uintptr_t)header->msg_name, &m->addr.addr, n);
		if (!r)
			r = user_write(mm, at + offsetof(struct msghdr, msg_namelen), &len,
				       sizeof(len));
	}
	out_flags |= m->flags & MSG_CMSG_CLOEXEC;
	n = header->msg_control ? out.at - (uint64_t)(uintptr_t)header->msg_control : 0;
	if (!r)
		r = user_write(mm, at + offsetof(struct msghdr, msg_flags), &out_flags,
			       sizeof(out_flags));
	if (!r)
		r = user_write(mm, at + offsetof(struct msghdr, msg_controllen), &n, sizeof(n));
	return r;
}

static long socket_recvmsg(struct task *task, struct socket *s, uint64_t at, int flags)
{
	struct socket_message m = { .task = task, .s = s, .flags = flags };
	autofree struct iovec *iov = NULL;
	struct msghdr header;
	int out_flags = 0;
	long n = socket_message_header(&m, at, &header, &iov);

	if (n)
		return n;
	if (header.msg_control)
		m.control.raw_room = header.msg_controllen < SOCKET_CONTROL_MAX ?
					     header.msg_controllen : SOCKET_CONTROL_MAX;
	n = socket_recv(&m, &out_flags);
	if (n >= 0) {
		int r = socket_message_finish(&m, at, &header, out_flags);

		n = r ? r : n;
	}
	socket_control_free(&m.control);
	return n;
}

long socket_call_sendmsg(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	return r ? r : socket_sendmsg(task, s, args[1], (int)args[2]);
}

long socket_call_recvmsg(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = NULL;
	struct socket *s;
	int r = socket_call_get(task, (int)args[0], &file, &s);

	return r ? r : socket_recvmsg(task, s, args[1], (int)args[2]);
}

/* --- many at once --- */

static long socket_mmsg_done(struct task *task, uint64_t at, long n)
{
	uint32_t len = (uint32_t)n;

	return user_write(task->mm, at + offsetof(struct mmsghdr, msg_len), &len, sizeof(len));
}

long socket_call_sendmmsg(struct task *task, const uint64_t args[6])
{
	unsigned max = (unsigned)args[2] < IOV_MAX ? (unsigned)args[2] : IOV_MAX, i;
	autofile struct file *file = NULL;
	struct socket *s;
	long r = socket_call_get(task, (int)args[0], &file, &s);

	if (r)
		return r;
	for (i = 0; i < max && r >= 0; i++) {
		uint64_t at = args[1] + i * sizeof(struct mmsghdr);

		r = socket_sendmsg(task, s, at, (int)args[3]);
		if (r >= 0)
			r = socket_mmsg_done(task, at, r);
		if (r < 0)
			break;
	}
	return i ? (long)i : r;
}

static int socket_mmsg_deadline(struct task *task, uint64_t at, usec_t *deadline)
{
	struct timespec timeout;
	int r;

	*deadline = USEC_INFINITY;
	if (!at)
		return 0;
	r = user_read(task->mm, &timeout, at, sizeof(timeout));
	if (r)
		return r;
	if (timeout.tv_sec < 0 || timeout.tv_nsec < 0 || timeout.tv_nsec >= 1000000000)
		return -EINVAL;
	if (timeout.tv_sec < INT32_MAX)
		*deadline = deadline_in((usec_t)timeout.tv_sec * USEC_PER_SEC +
					(usec_t)timeout.tv_nsec / 1000);
	return 0;
}

/* As Linux, the time is looked at between messages only. */
long socket_call_recvmmsg(struct task *task, const uint64_t args[6])
{
	unsigned max = (unsigned)args[2] < IOV_MAX ? (unsigned)args[2] : IOV_MAX, i;
	int flags = (int)args[3];
	autofile struct file *file = NULL;
	struct socket *s;
	usec_t deadline;
	long r = socket_mmsg_deadline(task, args[4], &deadline);

	if (!r)
		r = socket_call_get(task, (int)args[0], &file, &s);
	if (r)
		return r;
	for (i = 0; i < max; i++) {
		uint64_t at = args[1] + i * sizeof(struct mmsghdr);

		if (i && deadline != USEC_INFINITY && clock_now() >= deadline)
			break;
		r = socket_recvmsg(task, s, at, flags & ~MSG_WAITFORONE);
		if (r >= 0)
			r = socket_mmsg_done(task, at, r);
		if (r < 0)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	return i ? (long)i : r;
}
