/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/io.c - whole reads and writes, small files, unix sockets, descriptor passing
 */
#include "base/io.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define IO_FDS_MAX 64
#define IO_SMALL   (16u << 10) /* there is memory for so much in one piece at any time */

/* @offset: NULL reads where the descriptor is */
static ssize_t io_read_all(int fd, char *buf, size_t n, const uint64_t *offset)
{
	size_t done = 0;

	while (done < n) {
		struct iovec iov = { .iov_base = buf + done, .iov_len = n - done };
		ssize_t r = offset ? preadv2(fd, &iov, 1, (off_t)(*offset + done), 0) :
				     read(fd, buf + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

ssize_t io_read_full(int fd, void *buf, size_t n)
{
	return io_read_all(fd, buf, n, NULL);
}

ssize_t io_read_at(int fd, void *buf, size_t n, uint64_t offset)
{
	return io_read_all(fd, buf, n, &offset);
}

ssize_t io_write_some(int fd, const void *buf, size_t n)
{
	ssize_t r;

	while ((r = write(fd, buf, n)) < 0) {
		if ((errno == ENOMEM || errno == ENOBUFS) && n > IO_SMALL)
			n = IO_SMALL;
		else if (errno != EINTR)
			return -errno;
	}
	return r;
}

int io_write_full(int fd, const void *buf, size_t n)
{
	const char *p = buf;
	ssize_t r;

	while (n > 0) {
		r = io_write_some(fd, p, n);
		if (r < 0)
			return (int)r;
		p += r;
		n -= (size_t)r;
	}
	return 0;
}

static int io_read_rest(int fd, struct buf *b)
{
	uint8_t *p;
	ssize_t n;
	int r;

	for (;;) {
		r = buf_reserve(b, 4096, &p);
		if (r < 0)
			return r == -ENOBUFS ? -EFBIG : r;
		n = read(fd, p, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_commit(b, (size_t)n);
	}
}

int io_read_stream(int fd, const char *what, size_t limit, char **data, size_t *len,
		   struct coffer_error *err)
{
	/* One chunk above the limit, so that exactly @limit bytes still meet EOF. */
	autobuf struct buf b = BUF_INIT(limit + 4096);
	int r = io_read_rest(fd, &b);

	if (r == 0 && b.len > limit)
		r = -EFBIG;
	if (r < 0)
		return err_sysn(err, r, "read %s", what);
	if (len)
		*len = b.len;
	*data = buf_steal_str(&b);
	return *data ? 0 : err_nomem(err);
}

int io_read_file(int dirfd, const char *path, size_t limit, char **data, size_t *len,
		 struct coffer_error *err)
{
	autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, "open %s", path);
	return io_read_stream(fd, path, limit, data, len, err);
}

int io_write_file(int dirfd, const char *path, const char *text, struct coffer_error *err)
{
	autoclose int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(text);
	ssize_t r;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	do {
		r = write(fd, text, n);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "write \"%s\" to %s", text, path);
	if ((size_t)r != n)
		return err_sysn(err, EIO, "write \"%s\" to %s: short write", text, path);
	return 0;
}

static int io_write_aside(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
			  bool sync, struct coffer_error *err)
{
	char aside[512];
	int r;

	if (snprintf(aside, sizeof(aside), "%s.%d.tmp", name, (int)getpid()) >= (int)sizeof(aside))
		return err_sysn(err, ENAMETOOLONG, "write %s", name);
	{
		autoclose int fd = openat(dirfd, aside,
					  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);

		if (fd < 0)
			return err_sys(err, "create %s", aside);
		r = io_write_full(fd, data, len);
		if (r == 0 && sync && fsync(fd) < 0)
			r = -errno;
	}
	if (r == 0 && renameat(dirfd, aside, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, aside, 0);
		return err_sysn(err, r, "write %s", name);
	}
	return 0;
}

int io_replace_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		    struct coffer_error *err)
{
	return io_write_aside(dirfd, name, data, len, mode, true, err);
}

int io_swap_file(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		 struct coffer_error *err)
{
	return io_write_aside(dirfd, name, data, len, mode, false, err);
}

void io_open_standard(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", O_RDWR);
}

int io_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int io_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int io_wait(int fd, short events, usec_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do {
		usec_t left = deadline_left(deadline);
		struct timespec ts = { .tv_sec = (time_t)(left / USEC_PER_SEC),
				       .tv_nsec = (long)(left % USEC_PER_SEC) * 1000 };

		r = ppoll(&p, 1, left == USEC_INFINITY ? NULL : &ts, NULL);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return r == 0 ? 0 : p.revents;
}

/* sun_path holds 108 bytes; longer places are reached through their directory's descriptor. */
static int io_unix_addr(int dirfd, const char *name, struct sockaddr_un *sa, struct coffer_error *err)
{
	int n;

	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (dirfd == AT_FDCWD || name[0] == '/')
		n = snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", name);
	else
		n = snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	if (n >= (int)sizeof(sa->sun_path))
		return err_sysn(err, ENAMETOOLONG, "socket path %s", name);
	return 0;
}

/*
 * What the umask took from a socket's mode comes back.  In a directory of somebody else's the
 * name may lead elsewhere by now, so what is changed is the node that was looked at.
 */
static int io_unix_set_mode(int dirfd, const char *name, mode_t mode)
{
	autoclose int fd = -1;
	char proc[32];
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISSOCK(st.st_mode) && (st.st_mode & 07777) == mode)
		return 0;
	fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return chmod(proc, mode) < 0 ? -errno : 0;
}

int io_unix_listen(int dirfd, const char *name, int type, mode_t mode, struct coffer_error *err)
{
	autoclose int fd = -1;
	struct sockaddr_un sa;
	int r;

	r = io_unix_addr(dirfd, name, &sa, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "socket %s", name);
	/* The node takes the socket's own mode, so nobody gets in between bind and chmod. */
	if (fchmod(fd, mode) < 0)
		return err_sys(err, "chmod socket %s", name);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "bind socket %s", name);
	r = io_unix_set_mode(dirfd, name, mode);
	if (r == 0 && type != SOCK_DGRAM && listen(fd, 128) < 0)
		r = -errno;
	if (r == 0)
		return steal_fd(&fd);
	unlinkat(dirfd, name, 0);
	return err_sysn(err, r, "listen on socket %s", name);
}

int io_unix_connect(int dirfd, const char *name, int type, struct coffer_error *err)
{
	autoclose int fd = -1;
	struct sockaddr_un sa;
	int r;

	r = io_unix_addr(dirfd, name, &sa, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, "socket %s", name);
	do {
		r = connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "connect to %s", name);
	return steal_fd(&fd);
}

ssize_t io_send(int sock, const void *data, size_t n, int flags)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = n };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r;

	do {
		r = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

ssize_t io_recv(int sock, void *data, size_t n, int flags)
{
	struct iovec iov = { .iov_base = data, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r;

	do {
		r = recvmsg(sock, &msg, flags);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int io_send_fds(int sock, const void *data, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t r;

	if (nfds > IO_FDS_MAX)
		return -EMSGSIZE;
	if (nfds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	do {
		r = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	/* The descriptors went with the first byte; the rest may follow plainly. */
	return (size_t)r < n ? io_write_full(sock, (const char *)data + r, n - (size_t)r) : 0;
}

ssize_t io_recv_fds(int sock, void *data, size_t n, int *fds, size_t *nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = data, .iov_len = n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	size_t room = *nfds, got = 0, count;
	bool excess = false;
	ssize_t r;
	int fd;

	*nfds = 0;
	do {
		r = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (got < room) {
				fds[got++] = fd;
			} else {
				close(fd);
				excess = true;
			}
		}
	}
	if (excess || (msg.msg_flags & MSG_CTRUNC)) {
		while (got > 0)
			close(fds[--got]);
		return -EMSGSIZE;
	}
	*nfds = got;
	return r;
}
