/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/watchdog.c - who has not moved for long is told
 *
 * A thread that looks every few seconds. Time is counted in looks, not by the clock: while the whole
 * sandbox is stopped nobody looks. Guest code may run, and a task may sleep, as long as they like;
 * what is told is a call that does neither: the host does not answer, or we are wrong.
 *
 * It does nothing to a task: whatever it is in, others would only be in it next.
 */
#define LOG_CATEGORY "watchdog"
#include "sentry/task/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"
#include "sentry/control/container.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"

#define WATCHDOG_STACK (64 * 1024)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool running, closing;
	usec_t interval;
	unsigned locked; /* looks in a row at which tasks_lock was not to be had */
} watchdog = { .lock = PTHREAD_MUTEX_INITIALIZER };

static const char *watchdog_doing(int what)
{
	const struct syscall_row *row = syscall_row(what);

	return what < 0 ? "between two calls" : row ? row->name : "a call";
}

static bool watchdog_moves(struct task *task)
{
	return atomic_load(&task->watch) == TASK_GUEST || task_sleeps(task);
}

static int watchdog_look_at(struct process *process, void *data)
{
	(void)data;
	for (struct task *task = process->tasks; task; task = task->next) {
		unsigned wakeups = atomic_load(&task->wakeups);

		if (!task->ready || watchdog_moves(task) ||
		    task->watchdog_call != task->call_started ||
		    task->watchdog_wakeups != wakeups) {
			task->watchdog_looks = 0;
			task->watchdog_call = task->call_started;
			task->watchdog_wakeups = wakeups;
			continue;
		}
		if (++task->watchdog_looks == WATCHDOG_TELL)
			log_warning("task %d (%.16s) has not moved for %d looks: %s", task->tid,
				    task->name, WATCHDOG_TELL,
				    watchdog_doing(atomic_load(&task->watch)));
	}
	return 0;
}

static struct timespec watchdog_next(void)
{
	usec_t at = clock_now() + watchdog.interval;

	return (struct timespec){ .tv_sec = (time_t)(at / USEC_PER_SEC),
				  .tv_nsec = (long)(at % USEC_PER_SEC) * 1000 };
}

static void watchdog_look(void)
{
	const struct timespec until = watchdog_next();

	if (pthread_mutex_clocklock(&kernel.tasks_lock, CLOCK_MONOTONIC, &until) == ETIMEDOUT) {
		log_error("the kernel's lock is held for %u looks", ++watchdog.locked);
		if (watchdog.locked < WATCHDOG_END)
			return;
		log_error("nothing can go on: the sandbox ends");
		abort();
	}
	watchdog.locked = 0;
	for (struct sandbox_container *c = kernel.containers; c; c = c->next)
		process_each(c, watchdog_look_at, NULL);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static void *watchdog_run(void *data)
{
	(void)data;
	pthread_mutex_lock(&watchdog.lock);
	while (!watchdog.closing) {
		const struct timespec until = watchdog_next();

		if (pthread_cond_timedwait(&watchdog.changed, &watchdog.lock, &until) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&watchdog.lock);
		watchdog_look();
		pthread_mutex_lock(&watchdog.lock);
	}
	pthread_mutex_unlock(&watchdog.lock);
	return NULL;
}

int watchdog_start(usec_t interval, struct coffer_error *err)
{
	pthread_condattr_t attr;
	int r;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&watchdog.changed, &attr);
	pthread_condattr_destroy(&attr);
	watchdog.interval = interval;
	watchdog.closing = false;
	watchdog.locked = 0;
	r = thread_start(&watchdog.thread, WATCHDOG_STACK, watchdog_run, NULL);
	if (r < 0)
		return err_sysn(err, r, "start the watchdog");
	watchdog.running = true;
	return 0;
}

void watchdog_stop(void)
{
	if (!watchdog.running)
		return;
	pthread_mutex_lock(&watchdog.lock);
	watchdog.closing = true;
	pthread_cond_signal(&watchdog.changed);
	pthread_mutex_unlock(&watchdog.lock);
	pthread_join(watchdog.thread, NULL);
	pthread_cond_destroy(&watchdog.changed);
	watchdog.running = false;
}
