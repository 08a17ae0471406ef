/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/stream.c - bytes between a descriptor of the caller's and a process's stream
 *
 *	stdin  --read--> thread --send--> stream, at end of file: half-close
 *	stream --read--> thread --write--> stdout, stderr
 *
 * A thread a direction: a reader that is slow on one side never holds up the
 * other.  The caller's descriptors are shared with other programs and therefore
 * stay as they are (blocking or not); a write that could block for ever is
 * tried without blocking and waited for in poll(2), where the end of the
 * machine is noticed as well.
 *
 * Output is copied up to its end of file, also after the process has ended,
 * when a silence means that nothing more comes: a program left in the
 * background may keep the stream open.  Input ends with the process.
 *
 * When nobody reads our stdout any more the stream is closed, so that the
 * program gets EPIPE and SIGPIPE as in a local pipeline; SIGPIPE itself is
 * blocked here.
 */
#define LOG_CATEGORY "process"
#include "container/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "container/container.h"

#define STREAM_BUFFER (256u << 10)
#define STREAM_DRAIN  (3 * USEC_PER_SEC) /* silence after the end that means nothing comes */

struct stream {
	struct stream_process process;
	int from, to; /* one is ours, one theirs; both owned */
	bool output;
	bool file;  /* ours is one, or a disk: writing does not block */
	int eof_fd; /* input: eventfd, readable: the end of it is wished for */
	pthread_t thread;
};

/* Wait for bytes. Return: true if a read is due, false if this direction is over */
static bool stream_wait(const struct stream *s)
{
	struct pollfd fds[] = { { .fd = s->from, .events = POLLIN },
				{ .fd = s->process.exit_fd, .events = POLLIN },
				{ .fd = s->eof_fd, .events = POLLIN } };
	usec_t deadline = USEC_INFINITY;

	for (;;) {
		int r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		if (!s->output && fds[1].revents)
			return false;
		if (fds[0].revents)
			return true;
		if (fds[2].revents)
			return false;
		fds[1].fd = -1;
		deadline = deadline_in(clock_budget(STREAM_DRAIN));
	}
}

/*
 * Wait for room at the other end. After the machine's end (input: the
 * process's) only a while. Return: true if there is some
 */
static bool stream_wait_room(const struct stream *s)
{
	struct pollfd fds[] = { { .fd = s->to, .events = POLLOUT },
				{ .fd = s->output ? s->process.gone_fd : s->process.exit_fd,
				  .events = POLLIN } };
	usec_t deadline = USEC_INFINITY;

	for (;;) {
		int r = poll(fds, ARRAY_SIZE(fds), deadline_poll_ms(deadline));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || (!s->output && fds[1].revents))
			return false;
		if (fds[0].revents)
			return true;
		fds[1].fd = -1;
		deadline = deadline_in(STREAM_DRAIN);
	}
}

/* Some of it, without blocking. Return: bytes, or -errno, -EAGAIN among them */
static ssize_t stream_put(const struct stream *s, const char *p, size_t n)
{
	const struct iovec iov = { .iov_base = (void *)p, .iov_len = n };
	ssize_t w;

	if (!s->output) {
		w = send(s->to, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		return w < 0 ? -errno : w;
	}
	w = s->file ? write(s->to, p, n) : pwritev2(s->to, &iov, 1, -1, RWF_NOWAIT);
	if (w >= 0 || s->file || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
		return w < 0 ? -errno : w;
	/* A terminal, mostly: what poll(2) has seen room for does not block if it is little. */
	if (!stream_wait_room(s))
		return -ECANCELED;
	w = write(s->to, p, n < PIPE_BUF ? n : PIPE_BUF);
	return w < 0 ? -errno : w;
}

static bool stream_write(const struct stream *s, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = stream_put(s, p, n);

		if (w == -EINTR)
			continue;
		if (w == -EAGAIN && stream_wait_room(s))
			continue;
		if (w < 0 && s->output && w != -EPIPE)
			log_warning("output of a process is lost: %s", strerror((int)-w));
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static void *stream_thread(void *data)
{
	autofree char *buf = malloc(STREAM_BUFFER);
	struct stream *s = data;

	while (buf && stream_wait(s)) {
		ssize_t n = read(s->from, buf, STREAM_BUFFER);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0 || !stream_write(s, buf, (size_t)n))
			break;
	}
	/* The other end learns of it now, not when the process ends. */
	shutdown(s->output ? s->from : s->to, s->output ? SHUT_RDWR : SHUT_WR);
	if (s->process.arrived)
		s->process.arrived(s->process.data);
	return NULL;
}

static void stream_close(struct stream *s)
{
	close_fd(&s->from);
	close_fd(&s->to);
	close_fd(&s->eof_fd);
	free(s);
}

int stream_start(int ours, int theirs, bool output, const struct stream_process *process,
		struct stream **out, struct coffer_error *err)
{
	autoclose int stream = theirs, own = fcntl(ours, F_DUPFD_CLOEXEC, 3);
	struct stream *s;
	struct stat st;
	int r;

	if (own < 0)
		return err_sys(err, "duplicate descriptor %d", ours);
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_nomem(err);
	s->process = *process;
	s->output = output;
	s->from = output ? steal_fd(&stream) : steal_fd(&own);
	s->to = output ? steal_fd(&own) : steal_fd(&stream);
	s->file = fstat(s->to, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
	s->eof_fd = output ? -1 : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = !output && s->eof_fd < 0 ? -errno : thread_start(&s->thread, 0, stream_thread, s);
	if (r < 0) {
		stream_close(s);
		return err_sysn(err, r, "start a thread for a stream");
	}
	*out = s;
	return 0;
}

void stream_end_input(struct stream *s)
{
	container_signal(s->eof_fd);
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	/* A stream of a machine that is gone has nothing to wait for. */
	pthread_join(s->thread, NULL);
	stream_close(s);
}
