/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/ptimer.c - timers that send a process signals
 *
 *	armed -> (timer.c's thread) ptimer_fire(): is it really due? -> signal -> armed again
 *
 * A timer of a clock of the world sleeps in timer.c. One of processor time is looked at when it
 * may have gone off at the earliest, and less often while its process does nothing. Setting never
 * waits for a callback that runs: that one takes tasks_lock, and then sees that nothing is due.
 * Only who frees a timer waits, without the lock.
 */
#include "sentry/task/ptimer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "sentry/task/internal.h"
#include "sentry/task/timer.h"

#define PTIMER_SECOND	 UINT64_C(1000000000)
#define PTIMER_STEP	 UINT64_C(100000)   /* never goes off more often */
#define PTIMER_CPU_STEP	 UINT64_C(1000000)  /* nor looks more often at processor time */
#define PTIMER_CPU_LAZY	 UINT64_C(50000000) /* while the process sleeps */
#define PTIMER_MAX	 16384
#define PTIMER_ITIMERS	 3

struct ptimer {
	struct timer timer;
	struct ptimer *next;	 /* timer_set.list */
	struct process *process; /* whose timer_set it is in */
	int id;			 /* -1: an itimer or the limit */
	clockid_t clock;
	uint64_t expiry;	 /* of clock; 0: not armed */
	uint64_t interval;
	uint64_t cpu_seen, cpu_step;
	int notify, sig, tid;
	uint64_t value;
	int overrun, last_overrun; /* of the signal sent last, and of the one before */
};

struct timer_set {
	struct ptimer itimers[PTIMER_ITIMERS];
	struct ptimer limit;	/* RLIMIT_CPU */
	struct ptimer *list;
	unsigned count;
	int last_id;
};


static void ptimer_fire(struct timer *timer);

static void ptimer_init(struct ptimer *pt, struct process *process, clockid_t clock, int sig)
{
	*pt = (struct ptimer){ .timer.fn = ptimer_fire, .process = process, .id = -1,
			       .clock = clock, .notify = SIGEV_SIGNAL, .sig = sig };
}

/* tasks_lock held. NULL: no memory */
static struct timer_set *ptimer_set_of(struct process *process)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, PTIMER_CLOCK_USER,
					    CLOCK_PROCESS_CPUTIME_ID };
	static const int signals[] = { SIGALRM, SIGVTALRM, SIGPROF };
	struct timer_set *set = process->timers;

	if (set || process->no_timers)
		return set;
	set = calloc(1, sizeof(*set));
	if (!set)
		return NULL;
	for (int i = 0; i < PTIMER_ITIMERS; i++)
		ptimer_init(&set->itimers[i], process, clocks[i], signals[i]);
	ptimer_init(&set->limit, process, CLOCK_PROCESS_CPUTIME_ID, SIGXCPU);
	set->last_id = -1;
	process->timers = set;
	return set;
}

/* tasks_lock held */
static uint64_t ptimer_now(const struct ptimer *pt)
{
	struct task *task = pt->process->tasks;
	uint64_t now = 0;

	if (!task_clock_is_cpu(pt->clock))
		return clock_nanoseconds(pt->clock);
	if (pt->clock == CLOCK_THREAD_CPUTIME_ID)
		task = task_find(pt->process->container, pt->tid);
	if (task && task->process == pt->process)
		(void)task_clock_locked(task, pt->clock, &now);
	return now;
}

/* Processor time goes at most as fast as there are threads to use it. */
static uint64_t ptimer_cpu_step(struct ptimer *pt, uint64_t now)
{
	uint64_t threads = pt->process->ntasks < kernel.cpus ? pt->process->ntasks : kernel.cpus;
	uint64_t step = pt->expiry > now ? (pt->expiry - now) / (threads ? threads : 1) : 0;

	if (now != pt->cpu_seen)
		pt->cpu_step = PTIMER_CPU_STEP;
	else if (pt->cpu_step < PTIMER_CPU_LAZY)
		pt->cpu_step = pt->cpu_step * 2;
	pt->cpu_seen = now;
	return step < pt->cpu_step ? pt->cpu_step : step;
}

/* When to look next; @soonest: not before. tasks_lock held */
static void ptimer_schedule(struct ptimer *pt, uint64_t now, uint64_t soonest)
{
	uint64_t mono;

	if (!pt->expiry || pt->notify == SIGEV_NONE) {
		(void)timer_arm(&pt->timer, CLOCK_MONOTONIC, 0);
	} else if (!task_clock_is_cpu(pt->clock)) {
		(void)timer_arm(&pt->timer, pt->clock,
				pt->expiry < soonest ? soonest : pt->expiry);
	} else {
		mono = clock_nanoseconds(CLOCK_MONOTONIC);
		(void)timer_arm(&pt->timer, CLOCK_MONOTONIC, mono + ptimer_cpu_step(pt, now));
	}
}

/* Past expiries are counted, the next one is set. Return: how many there were */
static uint64_t ptimer_forward(struct ptimer *pt, uint64_t now)
{
	uint64_t n = 1;

	if (!pt->interval) {
		pt->expiry = 0;
		return n;
	}
	n += (now - pt->expiry) / pt->interval;
	pt->expiry += n * pt->interval;
	return n;
}

/* Whose the signal is; NULL: the process's */
static struct task *ptimer_target(const struct ptimer *pt)
{
	struct task *task = pt->notify & SIGEV_THREAD_ID ?
				    task_find(pt->process->container, pt->tid) :
				    NULL;

	return task && task->process == pt->process ? task : NULL;
}

static void ptimer_signal_queued(struct ptimer *pt, uint64_t overrun)
{
	struct process *process = pt->process;
	struct task *task = ptimer_target(pt);
	struct signal_info info = { .signo = pt->sig, .code = SI_TIMER };
	struct {
		int32_t id, overrun;
		uint64_t value;
	} fields = { pt->id, (int32_t)(overrun > INT32_MAX ? INT32_MAX : overrun), pt->value };

	if (signal_timer_merge(process, task, pt->sig, pt->id, (uint64_t)fields.overrun + 1,
			       &pt->overrun))
		return;
	pt->last_overrun = pt->overrun; /* that one was delivered */
	pt->overrun = fields.overrun;
	memcpy(info.fields, &fields, sizeof(fields));
	if (task)
		(void)signal_task_send(task, pt->sig, &info);
	else
		(void)signal_process_send(process, pt->sig, &info);
}

/* RLIMIT_CPU: a signal each second from the soft limit on, the end at the hard one */
static void ptimer_limit_reached(struct process *process, uint64_t now)
{
	const struct rlimit *limit = &process->limits[RLIMIT_CPU];
	bool hard = limit->rlim_max != RLIM_INFINITY && now / PTIMER_SECOND >= limit->rlim_max;

	signal_process_send(process, hard ? SIGKILL : SIGXCPU, NULL);
}

static void ptimer_fire(struct timer *timer)
{
	struct ptimer *pt = container_of(timer, struct ptimer, timer);
	struct process *process = pt->process;
	uint64_t now, n;

	pthread_mutex_lock(&kernel.tasks_lock);
	now = ptimer_now(pt);
	if (pt->expiry && pt->expiry <= now) {
		n = ptimer_forward(pt, now);
		if (pt == &process->timers->limit)
			ptimer_limit_reached(process, now);
		else if (pt->id >= 0)
			ptimer_signal_queued(pt, n - 1);
		else
			signal_process_send(process, pt->sig, NULL);
	}
	ptimer_schedule(pt, now, now + PTIMER_STEP);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* tasks_lock held */
static void ptimer_tell(struct ptimer *pt, uint64_t now, struct ptimer_spec *out)
{
	*out = (struct ptimer_spec){ .interval = pt->interval };
	if (!pt->expiry)
		return;
	if (pt->notify == SIGEV_NONE && pt->expiry <= now)
		(void)ptimer_forward(pt, now);
	if (pt->expiry)
		out->value = pt->expiry > now ? pt->expiry - now : 1;
}

/* tasks_lock held */
static void ptimer_change(struct ptimer *pt, const struct ptimer_spec *new, bool absolute,
			  struct ptimer_spec *old)
{
	uint64_t now = ptimer_now(pt);

	ptimer_tell(pt, now, old);
	if (!new)
		return;
	pt->interval = new->interval;
	pt->expiry = new->value;
	if (new->value && !absolute)
		pt->expiry = new->value > INT64_MAX - now ? INT64_MAX : now + new->value;
	pt->overrun = pt->last_overrun = 0;
	ptimer_schedule(pt, now, 0);
}

int ptimer_itimer(struct task *task, int which, const struct ptimer_spec *new,
		  struct ptimer_spec *old)
{
	struct timer_set *set;

	if (which < 0 || which >= PTIMER_ITIMERS)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	*old = (struct ptimer_spec){ 0 };
	set = task->process->timers;
	if (!set && new)
		set = ptimer_set_of(task->process);
	if (set)
		ptimer_change(&set->itimers[which], new, false, old);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return set || !new ? 0 : -ENOMEM;
}

void cpu_limit_changed(struct process *process)
{
	const struct rlimit *limit = &process->limits[RLIMIT_CPU];
	struct timer_set *set = process->timers;
	struct ptimer_spec spec = { .interval = PTIMER_SECOND }, old;

	if (!set && limit->rlim_cur != RLIM_INFINITY)
		set = ptimer_set_of(process);
	if (!set)
		return;
	if (limit->rlim_cur < INT64_MAX / PTIMER_SECOND)
		spec.value = limit->rlim_cur ? limit->rlim_cur * PTIMER_SECOND : 1;
	ptimer_change(&set->limit, &spec, true, &old);
}

static struct ptimer **ptimer_find(struct process *process, int id)
{
	struct ptimer **at;

	if (!process->timers)
		return NULL;
	for (at = &process->timers->list; *at; at = &(*at)->next)
		if ((*at)->id == id)
			return at;
	return NULL;
}

static int ptimer_insert(struct process *process, struct ptimer *pt)
{
	struct timer_set *set = ptimer_set_of(process);

	if (!set)
		return -ENOMEM;
	if (set->count >= PTIMER_MAX || set->count >= process->limits[RLIMIT_SIGPENDING].rlim_cur)
		return -EAGAIN;
	do
		set->last_id = set->last_id == INT32_MAX ? 0 : set->last_id + 1;
	while (ptimer_find(process, set->last_id));
	pt->id = set->last_id;
	pt->next = set->list;
	set->list = pt;
	set->count++;
	return pt->id;
}

int ptimer_create(struct task *task, clockid_t clock, int notify, int sig, const uint64_t *value,
		  int tid)
{
	struct process *process = task->process;
	struct ptimer *pt = malloc(sizeof(*pt));
	int r = 0;

	if (!pt)
		return -ENOMEM;
	ptimer_init(pt, process, clock, sig);
	pt->notify = notify;
	pt->tid = tid;
	pthread_mutex_lock(&kernel.tasks_lock);
	if (notify & SIGEV_THREAD_ID) {
		const struct task *target = task_find(process->container, tid);

		if (!target || target->process != process)
			r = -EINVAL;
	} else if (clock == CLOCK_THREAD_CPUTIME_ID) {
		pt->tid = task->tid;
	}
	if (!r)
		r = ptimer_insert(process, pt);
	pt->value = value ? *value : (uint64_t)pt->id;
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r < 0)
		free(pt);
	return r;
}

int ptimer_delete(struct task *task, int id)
{
	struct ptimer **at, *pt = NULL;

	pthread_mutex_lock(&kernel.tasks_lock);
	at = ptimer_find(task->process, id);
	if (at) {
		pt = *at;
		*at = pt->next;
		task->process->timers->count--;
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (!pt)
		return -EINVAL;
	timer_cancel(&pt->timer);
	free(pt);
	return 0;
}

int ptimer_overrun(struct task *task, int id)
{
	struct ptimer **at;
	int r = -EINVAL, sum;

	pthread_mutex_lock(&kernel.tasks_lock);
	at = ptimer_find(task->process, id);
	/* It is about the signal that was delivered last */
	if (at)
		r = signal_timer_merge((*at)->process, ptimer_target(*at), (*at)->sig, id, 0, &sum) ?
			    (*at)->last_overrun :
			    (*at)->overrun;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

int ptimer_set(struct task *task, int id, const struct ptimer_spec *new, bool absolute,
	       struct ptimer_spec *old)
{
	struct ptimer **at;

	pthread_mutex_lock(&kernel.tasks_lock);
	at = ptimer_find(task->process, id);
	if (at)
		ptimer_change(*at, new, absolute, old);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return at ? 0 : -EINVAL;
}

static void ptimer_free_list(struct ptimer *list)
{
	while (list) {
		struct ptimer *next = list->next;

		timer_cancel(&list->timer);
		free(list);
		list = next;
	}
}

void timer_set_exec(struct process *process)
{
	struct ptimer *list = NULL;

	pthread_mutex_lock(&kernel.tasks_lock);
	if (process->timers) {
		list = steal_ptr(process->timers->list);
		process->timers->count = 0;
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	ptimer_free_list(list);
}

void timer_set_free(struct process *process)
{
	struct timer_set *set;

	pthread_mutex_lock(&kernel.tasks_lock);
	process->no_timers = true;
	set = steal_ptr(process->timers);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (!set)
		return;
	for (int i = 0; i < PTIMER_ITIMERS; i++)
		timer_cancel(&set->itimers[i].timer);
	timer_cancel(&set->limit.timer);
	ptimer_free_list(set->list);
	free(set);
}
