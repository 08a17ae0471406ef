/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/timerfd.c - a timer that is read
 *
 * Only the first expiry since the last read needs the timer thread; how many there were by now is
 * counted when somebody asks. So a short interval that nobody reads costs nothing.
 *
 * That the host's clock was set (TFD_TIMER_CANCEL_ON_SET) is seen when the descriptor is read or
 * polled, by how far the clocks have moved apart; who sleeps meanwhile is not woken by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/task/timer.h"
#include "sentry/vfs/anon.h"

#define TIMERFD_SECOND UINT64_C(1000000000)
#define TIMERFD_MAX    ((uint64_t)INT64_MAX)
#define TIMERFD_STEP   10000000 /* nanoseconds that no adjustment of the clock's speed explains */

struct timerfd {
	struct file file;
	pthread_mutex_t lock;
	struct waitq readers;
	struct timer timer;
	clockid_t clock;     /* const */
	clockid_t arm_clock; /* that next is of; relative times do not follow a clock that is set */
	uint64_t next;	     /* first expiry that is not counted; 0: none */
	uint64_t interval;   /* 0: once */
	uint64_t ticks;
	bool watch_clock;    /* TFD_TIMER_CANCEL_ON_SET */
	int64_t apart;	     /* realtime less monotonic when last looked at, at: */
	uint64_t apart_at;
};

static void timerfd_look_clock(struct timerfd *t)
{
	t->apart_at = clock_nanoseconds(CLOCK_MONOTONIC);
	t->apart = (int64_t)(clock_nanoseconds(CLOCK_REALTIME) - t->apart_at);
}

/* A clock that only runs faster or slower moves by less than a thousandth. */
static bool timerfd_clock_set(struct timerfd *t)
{
	int64_t before = t->apart;
	uint64_t since = t->apart_at;
	int64_t moved;

	if (!t->watch_clock)
		return false;
	timerfd_look_clock(t);
	moved = t->apart > before ? t->apart - before : before - t->apart;
	return (uint64_t)moved > TIMERFD_STEP + (t->apart_at - since) / 1000;
}

/* What has expired by now. */
static void timerfd_count(struct timerfd *t)
{
	uint64_t now;
	uint64_t n = 1;

	if (!t->next)
		return;
	now = clock_nanoseconds(t->arm_clock);
	if (now < t->next)
		return;
	if (t->interval)
		n += (now - t->next) / t->interval;
	t->ticks += n;
	t->next = t->interval ? t->next + n * t->interval : 0;
}

static void timerfd_expired(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	bool wake;

	pthread_mutex_lock(&t->lock);
	timerfd_count(t);
	wake = t->ticks;
	if (!wake && t->next)
		timer_arm(&t->timer, t->arm_clock, t->next);
	pthread_mutex_unlock(&t->lock);
	if (wake)
		waitq_wake(&t->readers, POLLIN | POLLRDNORM);
}

static long timerfd_take(struct timerfd *t, uint64_t *ticks)
{
	int r;

	if (timerfd_clock_set(t)) {
		t->ticks = 0;
		return -ECANCELED;
	}
	timerfd_count(t);
	if (!t->ticks)
		return -EAGAIN;
	if (t->next) {
		r = timer_arm(&t->timer, t->arm_clock, t->next);
		if (r)
			return r;
	}
	*ticks = t->ticks;
	t->ticks = 0;
	return 0;
}

static long timerfd_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct timerfd *t = container_of(file, struct timerfd, file);
	uint64_t ticks;
	long r;

	if (io->left < sizeof(ticks))
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	r = timerfd_take(t, &ticks);
	pthread_mutex_unlock(&t->lock);
	if (r)
		return r;
	return user_io_put(io, &ticks, sizeof(ticks)) == sizeof(ticks) ? (long)sizeof(ticks) : -EFAULT;
}

static uint32_t timerfd_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct timerfd *t = container_of(file, struct timerfd, file);
	bool ready;

	if (wait)
		wait_on(wait, &t->readers, mask);
	pthread_mutex_lock(&t->lock);
	timerfd_count(t);
	ready = t->ticks;
	pthread_mutex_unlock(&t->lock);
	return ready ? mask & (POLLIN | POLLRDNORM) : 0;
}

static void timerfd_release(struct file *file)
{
	struct timerfd *t = container_of(file, struct timerfd, file);

	timer_cancel(&t->timer);
	file_free_common(file);
	waitq_destroy(&t->readers);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct file_ops timerfd_ops = {
	.name = "anon_inode:[timerfd]",
	.read = timerfd_read,
	.poll = timerfd_poll,
	.seek = anon_seek,
	.release = timerfd_release,
};

/* --- calls --- */

static uint64_t timerfd_nanoseconds(const struct timespec *ts)
{
	if ((uint64_t)ts->tv_sec >= TIMERFD_MAX / TIMERFD_SECOND)
		return TIMERFD_MAX;
	return (uint64_t)ts->tv_sec * TIMERFD_SECOND + (uint64_t)ts->tv_nsec;
}

static struct timespec timerfd_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / TIMERFD_SECOND),
				  .tv_nsec = (long)(ns % TIMERFD_SECOND) };
}

static bool timerfd_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && (uint64_t)ts->tv_nsec < TIMERFD_SECOND;
}

int timerfd_open(clockid_t clock, uint32_t flags, struct file **out)
{
	struct timerfd *t;

	/* Nothing sleeps so deep that it would have to be woken: the alarm clocks are the others. */
	if (clock == CLOCK_REALTIME_ALARM)
		clock = CLOCK_REALTIME;
	if (clock == CLOCK_BOOTTIME_ALARM)
		clock = CLOCK_BOOTTIME;
	if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	file_init(&t->file, &timerfd_ops, O_RDWR | (flags & O_NONBLOCK), NULL, NULL);
	pthread_mutex_init(&t->lock, NULL);
	waitq_init(&t->readers);
	t->timer.fn = timerfd_expired;
	t->clock = t->arm_clock = clock;
	*out = &t->file;
	return 0;
}

static void timerfd_left(struct timerfd *t, struct itimerspec *out)
{
	uint64_t now;
	uint64_t left = 0;

	timerfd_count(t);
	if (t->next) {
		now = clock_nanoseconds(t->arm_clock);
		left = t->next > now ? t->next - now : 1;
	}
	out->it_value = timerfd_timespec(left);
	out->it_interval = timerfd_timespec(t->interval);
}

static int timerfd_arm(struct timerfd *t, int flags, const struct itimerspec *value)
{
	uint64_t when = timerfd_nanoseconds(&value->it_value);
	bool absolute = flags & TFD_TIMER_ABSTIME;

	t->arm_clock = !absolute && t->clock == CLOCK_REALTIME ? CLOCK_MONOTONIC : t->clock;
	if (when && !absolute) {
		when += clock_nanoseconds(t->arm_clock);
		when = when > TIMERFD_MAX ? TIMERFD_MAX : when;
	}
	t->next = when;
	t->interval = timerfd_nanoseconds(&value->it_interval);
	t->ticks = 0;
	t->watch_clock = absolute && flags & TFD_TIMER_CANCEL_ON_SET && t->clock == CLOCK_REALTIME;
	if (t->watch_clock)
		timerfd_look_clock(t);
	return timer_arm(&t->timer, t->arm_clock, when);
}

int timerfd_set(struct file *file, int flags, const struct itimerspec *value,
		struct itimerspec *old)
{
	struct timerfd *t = container_of(file, struct timerfd, file);
	int r;

	if (file->ops != &timerfd_ops || flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) ||
	    !timerfd_valid(&value->it_value) || !timerfd_valid(&value->it_interval))
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	timerfd_left(t, old);
	r = timerfd_arm(t, flags, value);
	pthread_mutex_unlock(&t->lock);
	return r;
}

int timerfd_get(struct file *file, struct itimerspec *out)
{
	struct timerfd *t = container_of(file, struct timerfd, file);

	if (file->ops != &timerfd_ops)
		return -EINVAL;
	pthread_mutex_lock(&t->lock);
	timerfd_left(t, out);
	pthread_mutex_unlock(&t->lock);
	return 0;
}
