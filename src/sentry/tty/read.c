/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/read.c - reading from a terminal: lines, VMIN and VTIME
 *
 * A read that has to wait leaves behind how many bytes it needs, and a timer for VTIME; poll says
 * that there is something as soon as that is so, and the read is tried again. Two readers at once
 * share this, as they share the bytes.
 */
#include "sentry/tty/pty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "base/cleanup.h"

#define READ_CHUNK 256
#define READ_TENTH UINT64_C(100000000) /* nanoseconds: what VTIME counts in */

static unsigned read_min(const struct tty *tty)
{
	return tty->ldisc.termios.cc[VMIN];
}

static unsigned read_time(const struct tty *tty)
{
	return tty->ldisc.termios.cc[VTIME];
}

static bool read_canonical(const struct tty *tty)
{
	return tty->ldisc.termios.lflag & ICANON;
}

bool tty_readable(const struct tty *tty)
{
	size_t need = 1;

	if (tty->expired)
		return true;
	if (!read_canonical(tty)) {
		if (tty->need)
			need = tty->need;
		else if (!read_time(tty) && read_min(tty))
			need = read_min(tty);
	}
	return ldisc_readable(&tty->ldisc) >= need;
}

static void read_arm(struct tty *tty)
{
	(void)timer_arm(&tty->timer, CLOCK_MONOTONIC,
			clock_nanoseconds(CLOCK_MONOTONIC) + read_time(tty) * READ_TENTH);
}

void tty_timer_again(struct tty *tty)
{
	if (tty->need && tty->timer.when && read_time(tty) && read_min(tty))
		read_arm(tty);
}

void tty_timer_fire(struct timer *timer)
{
	struct tty *tty = container_of(timer, struct tty, timer);

	pthread_mutex_lock(&tty->lock);
	tty->expired = tty->need != 0;
	pthread_mutex_unlock(&tty->lock);
	waitq_wake(&tty->wait, POLLIN | POLLRDNORM);
}

/* Nobody waits any more. */
static void read_settle(struct tty *tty)
{
	if (tty->timer.when)
		(void)timer_arm(&tty->timer, CLOCK_MONOTONIC, 0);
	tty->need = 0;
	tty->expired = false;
}

/* Whether a read of @len bytes has to wait; then what for is left behind. */
static bool read_waits(struct tty *tty, size_t len)
{
	size_t have = ldisc_readable(&tty->ldisc);
	unsigned min = read_min(tty), time = read_time(tty);
	size_t need = min < len ? min : len;

	if (read_canonical(tty))
		return !have;
	if (have >= need && (have || !time))
		return false;
	if (tty->expired)
		return false;
	/* The first byte is waited for without end, but when none is asked for. */
	if (time && !tty->timer.when && (have || !min))
		read_arm(tty);
	tty->need = have || !time ? (unsigned)need : 1;
	if (!tty->need)
		tty->need = 1;
	return true;
}

static long read_take(struct tty *tty, struct user_io *io)
{
	uint8_t buf[READ_CHUNK];
	long done = 0;
	bool end = false;

	while (io->left && !end) {
		size_t n = io->left < sizeof(buf) ? io->left : sizeof(buf);

		n = ldisc_read(&tty->ldisc, buf, n, &end);
		if (!n)
			break;
		user_io_put(io, buf, n);
		done += (long)n;
	}
	return done;
}

long tty_slave_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct tty_file *tf = tty_file(file);
	struct tty *tty = tf->tty;
	long done;
	int r;

	(void)offset;
	r = tty_check_change(tty, SIGTTIN);
	if (r < 0)
		return r;
	pthread_mutex_lock(&tty->lock);
	if (tf->hangups != tty->hangups || !io->left) {
		done = 0;
	} else if (file->flags & O_NONBLOCK) {
		bool none = ldisc_readable(&tty->ldisc) == 0;

		/* With VMIN 0 and VTIME 0 nothing is an answer. */
		if (none && (read_canonical(tty) || read_min(tty) || read_time(tty)))
			done = -EAGAIN;
		else
			done = read_take(tty, io);
	} else if (read_waits(tty, io->left)) {
		done = -EAGAIN;
	} else {
		done = read_take(tty, io);
		read_settle(tty);
	}
	pthread_mutex_unlock(&tty->lock);
	if (done >= 0)
		tty_type(tty); /* there is room again */
	return done;
}
