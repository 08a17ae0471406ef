/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/splice.c - bytes from one open file to another
 *
 *	file --read--> page --commit--> pipe --take--> page --write--> file
 *
 * Pages go from pipe to pipe as they are, and tee(2) shares them. No pipe is locked while the other
 * file is asked: room is reserved before, and a page that could not be written goes back to the
 * front. Between two files there is a buffer; what was read from a file with an offset and could
 * not be written is read again, so nothing is lost.
 */
#include "sentry/vfs/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/open.h"
#include "sentry/vfs/pipe.h"

#define SPLICE_BUFFER (128u << 10)

static void splice_sigpipe(struct task *task)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	signal_task_send(task, SIGPIPE, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* Before the next piece: 0 go on; else the call is over. A long way is left for a signal. */
static bool splice_interrupted(const struct task *task, long done)
{
	return done && task->interrupted;
}

static void splice_moved(struct splice_end *end, long n)
{
	if (end->offset >= 0)
		end->offset += n;
}

static void splice_changed(const struct splice_end *out, long done)
{
	if (done > 0 && out->file->dentry)
		vfs_notify_path(out->file->dentry, IN_MODIFY);
}

/* All of @buf, waiting for room as often as it takes. Return: bytes, also fewer than @len after an
 * error; negative errno when it was none */
static long splice_write(struct task *task, struct splice_end *out, const char *buf, size_t len)
{
	long done = 0;
	long n = 0;

	while ((size_t)done < len) {
		n = file_write_kernel(out->file, buf + done, len - (size_t)done, out->offset);
		if (n == -EAGAIN) {
			n = file_wait(task, out->file, POLLOUT | POLLWRNORM, USEC_INFINITY);
			if (n < 0)
				break;
			continue;
		}
		if (n == -EPIPE)
			splice_sigpipe(task);
		if (n <= 0)
			break;
		splice_moved(out, n);
		done += n;
	}
	return done ? done : n;
}

long splice_copy(struct task *task, struct splice_end *in, struct splice_end *out, size_t len)
{
	size_t size = len < SPLICE_BUFFER ? len : SPLICE_BUFFER;
	autofree char *buf = malloc(size ? size : 1);
	long done = 0;
	long n = 0;

	if (!buf)
		return -ENOMEM;
	while ((size_t)done < len && !splice_interrupted(task, done)) {
		size_t want = len - (size_t)done < size ? len - (size_t)done : size;
		long got = file_read_kernel(in->file, buf, want, in->offset);

		n = got > 0 ? splice_write(task, out, buf, (size_t)got) : got;
		if (n <= 0)
			break;
		splice_moved(in, n);
		done += n;
		if (n < got)
			break;
	}
	splice_changed(out, done);
	return done ? done : n;
}

/* --- with pipes --- */

/* @r is -EAGAIN of @file: sleep, unless something was done already, or nobody wants to. Return: 0 try
 * again */
static int splice_wait(struct task *task, struct file *file, uint32_t mask, long done, bool nonblock)
{
	struct wait wait;
	int r = 0;

	if (done || nonblock || file->flags & O_NONBLOCK)
		return -EAGAIN;
	wait_begin(&wait, task);
	wait_reset(&wait);
	if (!file_poll(file, mask | POLLERR | POLLHUP, &wait))
		r = wait_sleep(&wait, USEC_INFINITY);
	wait_end(&wait);
	return r;
}

/* Room in a pipe for one piece. */
static int splice_reserve(struct task *task, struct file *pipe, long done, bool nonblock)
{
	int r;

	do {
		r = pipe_reserve(pipe);
		if (r != -EAGAIN)
			break;
		r = splice_wait(task, pipe, POLLOUT, done, nonblock);
	} while (!r);
	if (r == -EPIPE)
		splice_sigpipe(task);
	return r;
}

/* The next piece of a pipe. Return: bytes, 0: the end */
static long splice_take(struct task *task, struct file *pipe, long done, bool nonblock,
			struct pipe_piece *piece)
{
	long n;

	do {
		n = pipe_take(pipe, piece);
		if (n != -EAGAIN)
			break;
		n = splice_wait(task, pipe, POLLIN, done, nonblock);
	} while (!n);
	return n;
}

static void splice_piece_skip(struct pipe_piece *piece, long n)
{
	piece->offset = (uint16_t)(piece->offset + n);
	piece->len = (uint16_t)(piece->len - n);
}

/* One write of at most @max bytes of the next piece, which is in nobody's way while @out is waited for.
 * Return: bytes, 0: the end or no more now, or negative errno */
static long splice_write_piece(struct task *task, struct file *pipe, struct splice_end *out,
			       size_t max, long done, bool nonblock)
{
	struct pipe_piece piece;
	long n;

	for (;;) {
		n = splice_take(task, pipe, done, nonblock, &piece);
		if (n <= 0)
			return n;
		n = file_write_kernel(out->file, piece.page->data + piece.offset,
				      max < piece.len ? max : piece.len, out->offset);
		if (n > 0)
			splice_piece_skip(&piece, n);
		pipe_taken(pipe, &piece);
		if (n != -EAGAIN)
			return n;
		n = file_wait(task, out->file, POLLOUT | POLLWRNORM, USEC_INFINITY);
		if (n < 0)
			return n;
	}
}

long splice_from_pipe(struct task *task, struct file *pipe, struct splice_end *out, size_t len,
		      bool nonblock)
{
	long done = 0;
	long n = 0;

	while ((size_t)done < len && !splice_interrupted(task, done)) {
		n = splice_write_piece(task, pipe, out, len - (size_t)done, done, nonblock);
		if (n == -EPIPE)
			splice_sigpipe(task);
		if (n <= 0)
			break;
		splice_moved(out, n);
		done += n;
	}
	splice_changed(out, done);
	return done ? done : n;
}

long splice_to_pipe(struct task *task, struct splice_end *in, struct file *pipe, size_t len,
		    bool nonblock)
{
	long done = 0;
	long n = 0;

	while ((size_t)done < len && !splice_interrupted(task, done)) {
		struct pipe_piece piece = { 0 };
		size_t want = len - (size_t)done < PIPE_PAGE ? len - (size_t)done : PIPE_PAGE;

		n = splice_reserve(task, pipe, done, nonblock);
		if (n)
			break;
		piece.page = pipe_page_new();
		n = piece.page ? file_read_kernel(in->file, piece.page->data, want, in->offset) :
				 -ENOMEM;
		piece.len = n > 0 ? (uint16_t)n : 0;
		pipe_commit(pipe, &piece);
		if (n == -EAGAIN) {
			n = splice_wait(task, in->file, POLLIN, done, false);
			if (n)
				break;
			continue;
		}
		if (n <= 0)
			break;
		splice_moved(in, n);
		done += n;
	}
	return done ? done : n;
}

/* At most @want bytes of @piece, which is shortened, as one of its own. */
static struct pipe_piece splice_piece_split(struct pipe_piece *piece, size_t want)
{
	struct pipe_piece first = *piece;

	first.len = (uint16_t)(want < piece->len ? want : piece->len);
	first.open = false;
	atomic_fetch_add(&piece->page->refs, 1);
	splice_piece_skip(piece, first.len);
	return first;
}

long splice_pipes(struct task *task, struct file *in, struct file *out, size_t len,
		  bool nonblock)
{
	long done = 0;
	long n = 0;

	while ((size_t)done < len && !splice_interrupted(task, done)) {
		struct pipe_piece piece;
		struct pipe_piece first = { 0 };

		n = splice_reserve(task, out, done, nonblock);
		if (n)
			break;
		n = pipe_take(in, &piece);
		if (n > 0) {
			first = splice_piece_split(&piece, len - (size_t)done);
			done += first.len;
		}
		pipe_commit(out, &first);
		if (n > 0)
			pipe_taken(in, &piece);
		else if (n == -EAGAIN)
			n = splice_wait(task, in, POLLIN, done, nonblock);
		else
			break;
		if (n < 0)
			break;
	}
	return done ? done : n;
}

long splice_tee(struct task *task, struct file *in, struct file *out, size_t len, bool nonblock)
{
	long done = 0;
	long n = 0;

	for (unsigned at = 0; (size_t)done < len; at++) {
		struct pipe_piece piece;
		struct pipe_piece first;

		do {
			n = pipe_peek(in, at, &piece);
			if (n != -EAGAIN)
				break;
			n = splice_wait(task, in, POLLIN, done, nonblock);
		} while (!n);
		if (n <= 0)
			break;
		n = splice_reserve(task, out, done, nonblock);
		if (n) {
			pipe_page_put(piece.page);
			break;
		}
		first = splice_piece_split(&piece, len - (size_t)done);
		pipe_page_put(piece.page);
		done += first.len;
		pipe_commit(out, &first);
	}
	return done ? done : n;
}
