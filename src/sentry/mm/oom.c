/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/oom.c - when guests want more memory than there is
 *
 *	the memory file is full, or	the thread that met it kills the largest process and waits
 *	the host says so		for what that gives back
 *	a container is above its limit	a timer sees it, and kills the largest process in there
 *
 * The memory file is as large as the sandbox may be (memfile.c), so that the first case is exact.
 * Where the host does not let us bound it, the timer looks at the sandbox, too.
 *
 * Called by whoever could not get a page; with tasks_lock held it only waits.
 */
#include "sentry/mm/oom.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define LOG_CATEGORY "mm"
#include "base/io.h"
#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/mm/space.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"

#define OOM_GONE_USEC	 (30 * USEC_PER_MSEC)	/* the least that the last one gets to be gone */
#define OOM_STUCK_USEC	 (2000 * USEC_PER_MSEC) /* it does not go */
#define OOM_WAIT_USEC	 (10 * USEC_PER_MSEC)
#define OOM_PERIOD_NSEC	 UINT64_C(100000000)

static struct {
	_Atomic usec_t last;	/* when somebody was killed */
	struct process *victim; /* who; tasks_lock, a reference */
	_Atomic bool watching;
	struct timer timer;
} oom;

struct oom_search {
	struct process *largest;
	uint64_t largest_size;
	uint64_t sum;
};

static int oom_look(struct process *process, void *data)
{
	struct oom_search *search = data;
	struct mm *mm = process->tasks ? process->tasks->mm : NULL;
	uint64_t size;

	if (process->exiting || process->zombie || !mm)
		return 0;
	size = usage_memory(mm);
	search->sum += size;
	if (!search->largest || size > search->largest_size) {
		search->largest = process;
		search->largest_size = size;
	}
	return 0;
}

static bool oom_kill(struct oom_search *search, const char *why)
{
	struct process *victim = search->largest;

	if (!victim)
		return false;
	log_warning("container %s: process %d (%lu KiB) is killed: %s", victim->container->id,
		    victim->pid, search->largest_size / 1024, why);
	atomic_fetch_add(&victim->container->oom_kills, 1);
	signal_process_send(victim, SIGKILL, NULL);
	waitq_wake(&victim->container->events, POLLIN);
	atomic_store(&oom.last, clock_now());
	if (oom.victim)
		process_put(oom.victim);
	oom.victim = process_get(victim);
	return true;
}

/* Return: whether it is above its limit, and somebody in there was killed */
static bool oom_check_container(struct sandbox_container *c)
{
	struct oom_search search = { .largest = NULL };

	process_each(c, oom_look, &search);
	return search.sum > c->memory_max &&
	       oom_kill(&search, "the container is above its limit");
}

/* Who keeps to a limit does not pay for who does not, and was too quick for the timer. */
static bool oom_kill_any(void)
{
	struct oom_search search = { .largest = NULL };

	for (struct sandbox_container *c = kernel.containers; c; c = c->next)
		if (c->memory_max && oom_check_container(c))
			return true;
	for (struct sandbox_container *c = kernel.containers; c; c = c->next)
		process_each(c, oom_look, &search);
	return oom_kill(&search, "no memory is left");
}

static usec_t oom_since(void)
{
	return clock_now() - atomic_load(&oom.last);
}

/* Whether the last one is still about to give its memory back. tasks_lock held. */
static bool oom_recent(void)
{
	usec_t since = oom_since();

	if (!oom.victim || since >= OOM_STUCK_USEC)
		return false;
	return since < OOM_GONE_USEC || !oom.victim->zombie;
}

/* Return: false: there is nobody to kill */
static bool oom_act(void)
{
	bool killed;

	/* The caller may hold it; else whoever does is soon through, and we come back. */
	if (oom_since() < OOM_GONE_USEC || pthread_mutex_trylock(&kernel.tasks_lock))
		return true;
	killed = oom_recent() || oom_kill_any();
	pthread_mutex_unlock(&kernel.tasks_lock);
	return killed;
}

bool oom_relieve(void)
{
	if (!oom_act())
		return false;
	io_wait(-1, 0, deadline_in(OOM_WAIT_USEC));
	return true;
}

/* --- limits that only looking can keep --- */

uint64_t mm_oom_usage(struct sandbox_container *container)
{
	struct oom_search search = { .largest = NULL };

	pthread_mutex_lock(&kernel.tasks_lock);
	process_each(container, oom_look, &search);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return search.sum;
}

static void oom_check(struct timer *timer)
{
	struct memfile_usage usage;

	memfile_usage(kernel.memory, &usage);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (kernel.memory_max && usage.resident > kernel.memory_max && !oom_recent())
		oom_kill_any();
	for (struct sandbox_container *c = kernel.containers; c; c = c->next) {
		/* No container has more than all of them together. */
		if (c->memory_max && usage.resident > c->memory_max && !oom_recent())
			oom_check_container(c);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	timer_arm(timer, CLOCK_MONOTONIC, clock_nanoseconds(CLOCK_MONOTONIC) + OOM_PERIOD_NSEC);
}

void mm_oom_watch(void)
{
	if (atomic_exchange(&oom.watching, true))
		return;
	oom.timer.fn = oom_check;
	timer_arm(&oom.timer, CLOCK_MONOTONIC,
		  clock_nanoseconds(CLOCK_MONOTONIC) + OOM_PERIOD_NSEC);
}

void oom_begin(void)
{
	if (kernel.memory_max && !memfile_bounded(kernel.memory))
		mm_oom_watch();
}
