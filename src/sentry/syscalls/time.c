/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/time.c - clocks, sleeping, timers
 *
 * Nobody inside sets a clock. Most reads of clocks never come here: the vdso answers them.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ptimer.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"
#include "sentry/vfs/facts.h"

#define TIME_SECOND    UINT64_C(1000000000)
#define TIME_SECONDS_MAX (INT64_MAX / (int64_t)TIME_SECOND)
#define TIME_CPU_STEP  UINT64_C(1000000)

static struct timespec time_spec(uint64_t nanoseconds)
{
	return (struct timespec){ (time_t)(nanoseconds / TIME_SECOND),
				  (long)(nanoseconds % TIME_SECOND) };
}

static uint64_t time_add(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* A time of the guest in nanoseconds, cut at what fits. Return: 0 or -EINVAL */
static int time_nanoseconds(const struct timespec *ts, uint64_t *out)
{
	if (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= (long)TIME_SECOND)
		return -EINVAL;
	*out = ts->tv_sec >= TIME_SECONDS_MAX ?
		       INT64_MAX :
		       (uint64_t)ts->tv_sec * TIME_SECOND + (uint64_t)ts->tv_nsec;
	return 0;
}

static int time_read(struct task *task, uint64_t addr, uint64_t *out)
{
	struct timespec ts;

	if (user_read(task->mm, &ts, addr, sizeof(ts)))
		return -EFAULT;
	return time_nanoseconds(&ts, out);
}

/* --- clocks --- */

static long time_clock_gettime(struct task *task, const uint64_t args[6])
{
	struct timespec ts;
	uint64_t now;
	int r = task_clock(task, (clockid_t)args[0], &now);

	if (r)
		return r;
	ts = time_spec(now);
	return user_write(task->mm, args[1], &ts, sizeof(ts));
}

static long time_clock_getres(struct task *task, const uint64_t args[6])
{
	clockid_t clock = (clockid_t)args[0];
	struct timespec ts = { .tv_nsec = 1 };
	uint64_t now;
	int r = task_clock(task, clock, &now);

	if (r)
		return r;
	if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
		ts.tv_nsec = facts_tick();
	return args[1] ? user_write(task->mm, args[1], &ts, sizeof(ts)) : 0;
}

static long time_clock_settime(struct task *task, const uint64_t args[6])
{
	uint64_t now;
	int r = time_read(task, args[1], &now);

	if (r)
		return r;
	return (clockid_t)args[0] == CLOCK_REALTIME ? -EPERM : -EINVAL;
}

static long time_gettimeofday(struct task *task, const uint64_t args[6])
{
	struct timezone zone = { 0 };
	struct timeval tv;

	gettimeofday(&tv, NULL);
	if ((args[0] && user_write(task->mm, args[0], &tv, sizeof(tv))) ||
	    (args[1] && user_write(task->mm, args[1], &zone, sizeof(zone))))
		return -EFAULT;
	return 0;
}

static long time_time(struct task *task, const uint64_t args[6])
{
	int64_t now = time(NULL);

	if (args[0] && user_write(task->mm, args[0], &now, sizeof(now)))
		return -EFAULT;
	return now;
}

static long time_refuse(struct task *task, const uint64_t args[6])
{
	(void)task;
	(void)args;
	return -EPERM;
}

/* --- sleeping --- */

/* Sleep until @until of @clock. Return: 0 or -ERESTARTSYS */
static int time_sleep(struct task *task, clockid_t clock, uint64_t until)
{
	struct wait wait;
	int r = 0;

	wait_begin(&wait, task);
	for (;;) {
		uint64_t now, left;
		usec_t usec;

		wait_reset(&wait);
		r = task_clock(task, clock, &now);
		if (r || now >= until)
			break;
		left = until - now;
		if (task_clock_is_cpu(clock) && left < TIME_CPU_STEP)
			left = TIME_CPU_STEP;
		usec = left / 1000 + (left % 1000 != 0);
		r = wait_sleep(&wait, deadline_in(usec));
		if (r && r != -ETIMEDOUT)
			break;
	}
	wait_end(&wait);
	return r;
}

/* task->restart_args: clock, until, where the rest goes */
static long time_sleep_restart(struct task *task)
{
	clockid_t clock = (clockid_t)task->restart_args[0];
	uint64_t until = task->restart_args[1], rest = task->restart_args[2], now;
	int r = time_sleep(task, clock, until);

	if (r != -ERESTARTSYS)
		return r;
	if (rest && !task_clock(task, clock, &now)) {
		struct timespec ts = time_spec(until > now ? until - now : 0);

		if (user_write(task->mm, rest, &ts, sizeof(ts)))
			return -EFAULT;
	}
	task->restart = time_sleep_restart;
	return -ERESTART_RESTARTBLOCK;
}

static long time_sleep_for(struct task *task, clockid_t clock, uint64_t request, uint64_t rest)
{
	uint64_t now, length;
	int r = time_read(task, request, &length);

	if (!r)
		r = task_clock(task, clock, &now);
	if (r)
		return r;
	task->restart_args[0] = (uint64_t)clock;
	task->restart_args[1] = time_add(now, length);
	task->restart_args[2] = rest;
	return time_sleep_restart(task);
}

static long time_nanosleep(struct task *task, const uint64_t args[6])
{
	return time_sleep_for(task, CLOCK_MONOTONIC, args[0], args[1]);
}

static long time_clock_nanosleep(struct task *task, const uint64_t args[6])
{
	clockid_t clock = (clockid_t)args[0];
	uint64_t until;
	int r;

	switch (clock) {
	case CLOCK_THREAD_CPUTIME_ID:
		return -EINVAL;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return -EPERM;
	default:
		break;
	}
	if (!((int)args[1] & TIMER_ABSTIME)) {
		/* How long it takes has nothing to do with what time it is */
		if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
			clock = CLOCK_MONOTONIC;
		return time_sleep_for(task, clock, args[2], args[3]);
	}
	r = time_read(task, args[2], &until);
	if (r)
		return r;
	r = time_sleep(task, clock, until);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

/* --- interval timers --- */

static uint64_t time_of_val(const struct timeval *tv)
{
	struct timespec ts = { tv->tv_sec, tv->tv_usec * 1000 };
	uint64_t nanoseconds = 0;

	(void)time_nanoseconds(&ts, &nanoseconds);
	return nanoseconds;
}

static struct timeval time_val(uint64_t nanoseconds)
{
	uint64_t usec = nanoseconds / 1000 + (nanoseconds % 1000 != 0);

	return (struct timeval){ (time_t)(usec / 1000000), (suseconds_t)(usec % 1000000) };
}

static bool time_val_valid(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && tv->tv_usec >= 0 && tv->tv_usec < 1000000;
}

static long time_setitimer(struct task *task, const uint64_t args[6])
{
	struct ptimer_spec new = { 0 }, old;
	struct itimerval value;
	int r;

	if (args[1]) {
		if (user_read(task->mm, &value, args[1], sizeof(value)))
			return -EFAULT;
		if (!time_val_valid(&value.it_value) || !time_val_valid(&value.it_interval))
			return -EINVAL;
		new.interval = time_of_val(&value.it_interval);
		new.value = time_of_val(&value.it_value);
	}
	r = ptimer_itimer(task, (int)args[0], &new, &old);
	if (r || !args[2])
		return r;
	value = (struct itimerval){ time_val(old.interval), time_val(old.value) };
	return user_write(task->mm, args[2], &value, sizeof(value));
}

static long time_getitimer(struct task *task, const uint64_t args[6])
{
	struct itimerval value;
	struct ptimer_spec old;
	int r = ptimer_itimer(task, (int)args[0], NULL, &old);

	if (r)
		return r;
	value = (struct itimerval){ time_val(old.interval), time_val(old.value) };
	return user_write(task->mm, args[1], &value, sizeof(value));
}

static long time_alarm(struct task *task, const uint64_t args[6])
{
	struct ptimer_spec new = { .value = (uint32_t)args[0] * TIME_SECOND }, old;
	int r = ptimer_itimer(task, ITIMER_REAL, &new, &old);
	uint64_t seconds = old.value / TIME_SECOND, rest = old.value % TIME_SECOND;

	if (r)
		return 0;
	/* As Linux rounds: never 0 for an alarm that is set */
	return (long)(seconds + (rest >= TIME_SECOND / 2 || (!seconds && rest)));
}

/* --- timer_create and on --- */

/* struct sigevent as a guest has it */
struct time_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t rest[11];
};

static long time_timer_create(struct task *task, const uint64_t args[6])
{
	struct time_sigevent event = { .signo = SIGALRM, .notify = SIGEV_SIGNAL };
	clockid_t clock = (clockid_t)args[0];
	uint64_t now;
	int id, r = task_clock(task, clock, &now);

	if (r)
		return r;
	if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE ||
	    clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_TAI)
		return -EOPNOTSUPP;
	if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
		return -EPERM;
	if (args[1] && user_read(task->mm, &event, args[1], sizeof(event)))
		return -EFAULT;
	if (event.notify != SIGEV_SIGNAL && event.notify != SIGEV_NONE &&
	    event.notify != SIGEV_THREAD && event.notify != SIGEV_THREAD_ID)
		return -EINVAL;
	if (event.notify != SIGEV_NONE && (event.signo < 1 || event.signo > SIGNAL_MAX))
		return -EINVAL;
	id = ptimer_create(task, clock, event.notify, event.signo, args[1] ? &event.value : NULL,
			   event.tid);
	if (id < 0)
		return id;
	if (!user_write(task->mm, args[2], &id, sizeof(id)))
		return 0;
	ptimer_delete(task, id);
	return -EFAULT;
}

static int time_write_spec(struct task *task, uint64_t addr, const struct ptimer_spec *spec)
{
	struct itimerspec its = { time_spec(spec->interval), time_spec(spec->value) };

	return user_write(task->mm, addr, &its, sizeof(its));
}

static long time_timer_settime(struct task *task, const uint64_t args[6])
{
	struct ptimer_spec new, old;
	struct itimerspec its;
	int r;

	if (!args[2])
		return -EINVAL;
	if (user_read(task->mm, &its, args[2], sizeof(its)))
		return -EFAULT;
	if (time_nanoseconds(&its.it_value, &new.value) ||
	    time_nanoseconds(&its.it_interval, &new.interval))
		return -EINVAL;
	r = ptimer_set(task, (int)args[0], &new, (int)args[1] & TIMER_ABSTIME, &old);
	return r || !args[3] ? r : time_write_spec(task, args[3], &old);
}

static long time_timer_gettime(struct task *task, const uint64_t args[6])
{
	struct ptimer_spec old;
	int r = ptimer_set(task, (int)args[0], NULL, false, &old);

	return r ? r : time_write_spec(task, args[1], &old);
}

static long time_timer_getoverrun(struct task *task, const uint64_t args[6])
{
	return ptimer_overrun(task, (int)args[0]);
}

static long time_timer_delete(struct task *task, const uint64_t args[6])
{
	return ptimer_delete(task, (int)args[0]);
}

#define NOT_SET "clocks are not set from inside"

static const struct syscall_row time_rows[] = {
	{ SYS_clock_gettime, "clock_gettime", time_clock_gettime, { ARG_INT, ARG_HEX } },
	{ SYS_clock_getres, "clock_getres", time_clock_getres, { ARG_INT, ARG_HEX } },
	{ SYS_clock_settime, "clock_settime", time_clock_settime, { ARG_INT, ARG_TIMESPEC },
	  SYSCALL_NONE, NOT_SET },
	{ SYS_clock_adjtime, "clock_adjtime", time_refuse, { ARG_INT, ARG_HEX }, SYSCALL_NONE,
	  NOT_SET },
	{ SYS_adjtimex, "adjtimex", time_refuse, { ARG_HEX }, SYSCALL_NONE, NOT_SET },
	{ SYS_settimeofday, "settimeofday", time_refuse, { ARG_HEX, ARG_HEX }, SYSCALL_NONE,
	  NOT_SET },
	{ SYS_gettimeofday, "gettimeofday", time_gettimeofday, { ARG_HEX, ARG_HEX } },
	{ SYS_time, "time", time_time, { ARG_HEX } },
	{ SYS_nanosleep, "nanosleep", time_nanosleep, { ARG_TIMESPEC, ARG_HEX } },
	{ SYS_clock_nanosleep, "clock_nanosleep", time_clock_nanosleep,
	  { ARG_INT, ARG_HEX, ARG_TIMESPEC, ARG_HEX } },
	{ SYS_getitimer, "getitimer", time_getitimer, { ARG_INT, ARG_HEX } },
	{ SYS_setitimer, "setitimer", time_setitimer, { ARG_INT, ARG_HEX, ARG_HEX } },
	{ SYS_alarm, "alarm", time_alarm, { ARG_UINT } },
	{ SYS_timer_create, "timer_create", time_timer_create, { ARG_INT, ARG_HEX, ARG_HEX },
	  SYSCALL_PART, "not of CLOCK_TAI" },
	{ SYS_timer_settime, "timer_settime", time_timer_settime,
	  { ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_timer_gettime, "timer_gettime", time_timer_gettime, { ARG_INT, ARG_HEX } },
	{ SYS_timer_getoverrun, "timer_getoverrun", time_timer_getoverrun, { ARG_INT } },
	{ SYS_timer_delete, "timer_delete", time_timer_delete, { ARG_INT } },
};

const struct syscall_family syscalls_time = SYSCALL_FAMILY("Time", time_rows);
