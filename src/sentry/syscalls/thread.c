/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/thread.c - what is of one thread: its number, futexes, scheduling, segments
 *
 * Scheduling parameters are kept, checked and told; the host schedules as it likes.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/process.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/futex.h"
#include "sentry/task/task.h"
#include "sentry/trap/layout.h"

/* Its header of the host does not go with the C library's. */
struct thread_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

#define THREAD_ATTR_MIN	  48 /* what its first version had */
#define THREAD_ATTR_RESET 1  /* THREAD_ATTR_RESET */
#define THREAD_SLICE	4000000 /* nanoseconds of a round robin turn that are told */
#define THREAD_RT_MAX	99
#define THREAD_DEADLINE 6
#define THREAD_CPUS_MAX 1024

static long thread_gettid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->tid;
}

static long thread_set_tid_address(struct task *task, const uint64_t args[6])
{
	task->clear_tid = args[0];
	return task->tid;
}

static long thread_set_robust_list(struct task *task, const uint64_t args[6])
{
	if (args[1] != 24)
		return -EINVAL;
	task->robust_list = args[0];
	return 0;
}

/* tasks_lock held: another task, which the caller may look into */
static long thread_peek(struct task *task, int tid, struct task **out)
{
	struct task *other = tid ? task_find(task->process->container, tid) : task;

	if (!other)
		return -ESRCH;
	*out = other;
	return process_may_look(task, other->process) ? 0 : -EPERM;
}

static long thread_get_robust_list(struct task *task, const uint64_t args[6])
{
	struct task *other;
	uint64_t head = 0, len = 24;
	long r;

	pthread_mutex_lock(&kernel.tasks_lock);
	r = thread_peek(task, (int)args[0], &other);
	if (!r)
		head = other->robust_list;
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r)
		return r;
	return user_write(task->mm, args[2], &len, sizeof(len)) ||
			       user_write(task->mm, args[1], &head, sizeof(head)) ?
		       -EFAULT :
		       0;
}

static long thread_restart_syscall(struct task *task, const uint64_t args[6])
{
	long (*restart)(struct task *task) = task->restart;

	(void)args;
	task->restart = NULL;
	return restart ? restart(task) : -EINTR;
}

/* With registers: they are task->regs, and go back to the guest. */
static long thread_arch_prctl(struct task *task, const uint64_t args[6])
{
	struct trap_regs *regs = &task->regs;

	switch ((int)args[0]) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (args[1] >= GUEST_END)
			return -EPERM;
		*((int)args[0] == ARCH_SET_FS ? &regs->fs_base : &regs->gs_base) = args[1];
		task->regs_changed = true;
		return 0;
	case ARCH_GET_FS:
		return user_write(task->mm, args[1], &regs->fs_base, sizeof(regs->fs_base));
	case ARCH_GET_GS:
		return user_write(task->mm, args[1], &regs->gs_base, sizeof(regs->gs_base));
	case ARCH_GET_CPUID:
		return 1;
	default:
		return -EINVAL;
	}
}

static long thread_getcpu(struct task *task, const uint64_t args[6])
{
	uint32_t cpu = (uint32_t)sched_getcpu() % (kernel.cpus ? kernel.cpus : 1), node = 0;

	if ((args[0] && user_write(task->mm, args[0], &cpu, sizeof(cpu))) ||
	    (args[1] && user_write(task->mm, args[1], &node, sizeof(node))))
		return -EFAULT;
	return 0;
}

/* Nothing that it could do is offered: barriers across processes would cost a call of the host that
 * nothing else needs, and who asks first has another way. */
static long thread_membarrier(struct task *task, const uint64_t args[6])
{
	(void)task;
	return (int)args[0] == MEMBARRIER_CMD_QUERY && !(uint32_t)args[1] ? 0 : -EINVAL;
}

static long thread_rseq(struct task *task, const uint64_t args[6])
{
	(void)task;
	(void)args;
	return -ENOSYS;
}

/* --- scheduling --- */

/* tasks_lock held: another task, whose scheduling the caller may change */
static long thread_may_change(struct task *task, struct task *other)
{
	const struct cred *us = task->cred, *them = other->cred;

	if (other == task || !them || cred_capable(us, CAP_SYS_NICE))
		return 0;
	if (us->euid != them->uid && us->euid != them->euid)
		return -EPERM;
	return them->cap_permitted & ~us->cap_permitted ? -EPERM : 0;
}

static struct task *thread_of(struct task *task, int tid)
{
	return tid ? task_find(task->process->container, tid) : task;
}

static bool thread_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int thread_nice_limit(const struct task *task)
{
	uint64_t limit = task_limit(task, RLIMIT_NICE);

	return 20 - (int)(limit > 40 ? 40 : limit);
}

static long thread_sched_permitted(struct task *task, struct task *other,
				   const struct task_sched *new)
{
	const struct task_sched *old = &other->sched;
	long r = thread_may_change(task, other);

	if (r || cred_capable(task->cred, CAP_SYS_NICE))
		return r;
	if (thread_realtime(new->policy)) {
		uint64_t limit = task_limit(other, RLIMIT_RTPRIO);

		if ((new->policy != old->policy && !limit) ||
		    (new->priority > old->priority && (uint64_t)new->priority > limit))
			return -EPERM;
	} else if (new->nice < old->nice && new->nice < thread_nice_limit(other)) {
		return -EPERM;
	}
	return old->reset_on_fork && !new->reset_on_fork ? -EPERM : 0;
}

static long thread_sched_check(const struct task_sched *new)
{
	if (new->policy != SCHED_OTHER && !thread_realtime(new->policy) &&
	    new->policy != SCHED_BATCH && new->policy != SCHED_IDLE)
		return -EINVAL;
	if (thread_realtime(new->policy) ? new->priority < 1 || new->priority > THREAD_RT_MAX :
					   new->priority != 0)
		return -EINVAL;
	return 0;
}

/* @policy -1: as it is; @nice NULL: as it is */
static long thread_sched_set(struct task *task, int tid, int policy, int priority, const int *nice,
			     bool reset)
{
	struct task_sched new;
	struct task *other;
	long r;

	if (tid < 0)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	other = thread_of(task, tid);
	r = other ? 0 : -ESRCH;
	if (!r) {
		new = other->sched;
		new.priority = priority;
		if (policy >= 0) {
			new.policy = policy;
			new.reset_on_fork = reset;
		}
		if (nice)
			new.nice = *nice;
		r = thread_sched_check(&new);
	}
	if (!r)
		r = thread_sched_permitted(task, other, &new);
	if (!r)
		other->sched = new;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long thread_sched_get(struct task *task, int tid, struct task_sched *out)
{
	struct task *other;

	if (tid < 0)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	other = thread_of(task, tid);
	if (other)
		*out = other->sched;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return other ? 0 : -ESRCH;
}

static long thread_sched_setscheduler(struct task *task, const uint64_t args[6])
{
	int policy = (int)args[1], priority;

	if (policy < 0 || !args[2])
		return -EINVAL;
	if (user_read(task->mm, &priority, args[2], sizeof(priority)))
		return -EFAULT;
	return thread_sched_set(task, (int)args[0], policy & ~SCHED_RESET_ON_FORK, priority, NULL,
				policy & SCHED_RESET_ON_FORK);
}

static long thread_sched_getscheduler(struct task *task, const uint64_t args[6])
{
	struct task_sched sched;
	long r = thread_sched_get(task, (int)args[0], &sched);

	return r ? r : sched.policy | (sched.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

static long thread_sched_setparam(struct task *task, const uint64_t args[6])
{
	int priority;

	if (!args[1])
		return -EINVAL;
	if (user_read(task->mm, &priority, args[1], sizeof(priority)))
		return -EFAULT;
	return thread_sched_set(task, (int)args[0], -1, priority, NULL, false);
}

static long thread_sched_getparam(struct task *task, const uint64_t args[6])
{
	struct task_sched sched;
	long r = args[1] ? thread_sched_get(task, (int)args[0], &sched) : -EINVAL;

	return r ? r : user_write(task->mm, args[1], &sched.priority, sizeof(sched.priority));
}

static long thread_sched_setattr(struct task *task, const uint64_t args[6])
{
	struct thread_attr attr = { 0 };
	uint32_t size;
	int r;

	if (!args[1] || (uint32_t)args[2])
		return -EINVAL;
	if (user_read(task->mm, &size, args[1], sizeof(size)))
		return -EFAULT;
	if (!size)
		size = THREAD_ATTR_MIN;
	if (size < THREAD_ATTR_MIN || size > PAGE_SIZE)
		return -E2BIG;
	r = user_read_struct(task->mm, &attr, sizeof(attr), args[1], size);
	if (r)
		return r;
	if ((int)attr.policy < 0 || (attr.flags & ~(uint64_t)THREAD_ATTR_RESET))
		return -EINVAL;
	if (attr.policy == THREAD_DEADLINE)
		return -EPERM;
	if (attr.nice < -20 || attr.nice > 19)
		attr.nice = attr.nice < 0 ? -20 : 19;
	return thread_sched_set(task, (int)args[0], (int)attr.policy,
				(int)attr.priority, &attr.nice, attr.flags);
}

static long thread_sched_getattr(struct task *task, const uint64_t args[6])
{
	struct thread_attr attr = { .size = sizeof(attr) };
	uint32_t size = (uint32_t)args[2];
	struct task_sched sched;
	long r;

	if (!args[1] || size < THREAD_ATTR_MIN || size > PAGE_SIZE || (uint32_t)args[3])
		return -EINVAL;
	r = thread_sched_get(task, (int)args[0], &sched);
	if (r)
		return r;
	if (size > sizeof(attr))
		size = sizeof(attr);
	attr.size = size;
	attr.policy = (uint32_t)sched.policy;
	attr.priority = (uint32_t)sched.priority;
	attr.nice = thread_realtime(sched.policy) ? 0 : sched.nice;
	attr.flags = sched.reset_on_fork ? THREAD_ATTR_RESET : 0;
	return user_write(task->mm, args[1], &attr, size);
}

static long thread_sched_priority_max(struct task *task, const uint64_t args[6])
{
	int policy = (int)args[0];

	(void)task;
	if (thread_realtime(policy))
		return THREAD_RT_MAX;
	return policy >= 0 && policy <= THREAD_DEADLINE && policy != 4 ? 0 : -EINVAL;
}

static long thread_sched_priority_min(struct task *task, const uint64_t args[6])
{
	long max = thread_sched_priority_max(task, args);

	return max > 0 ? 1 : max;
}

static long thread_sched_rr_interval(struct task *task, const uint64_t args[6])
{
	struct task_sched sched;
	struct timespec ts = { 0 };
	long r = thread_sched_get(task, (int)args[0], &sched);

	if (r)
		return r;
	ts.tv_nsec = sched.policy == SCHED_FIFO ? 0 : THREAD_SLICE;
	return user_write(task->mm, args[1], &ts, sizeof(ts));
}

static long thread_sched_yield(struct task *task, const uint64_t args[6])
{
	(void)task;
	(void)args;
	sched_yield();
	return 0;
}

static uint64_t thread_all_cpus(void)
{
	return kernel.cpus >= 64 ? UINT64_MAX : (UINT64_C(1) << (kernel.cpus ? kernel.cpus : 1)) - 1;
}

static long thread_setaffinity(struct task *task, const uint64_t args[6])
{
	uint64_t len = (uint32_t)args[1], mask = 0;
	struct task *other;
	long r;

	if (user_read(task->mm, &mask, args[2], len < sizeof(mask) ? (size_t)len : sizeof(mask)))
		return -EFAULT;
	mask &= thread_all_cpus();
	pthread_mutex_lock(&kernel.tasks_lock);
	other = thread_of(task, (int)args[0]);
	r = other ? thread_may_change(task, other) : -ESRCH;
	if (!r && !mask)
		r = -EINVAL;
	if (!r)
		other->sched.affinity = mask;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long thread_getaffinity(struct task *task, const uint64_t args[6])
{
	uint64_t len = (uint32_t)args[1], mask[THREAD_CPUS_MAX / 64] = { 0 };
	size_t words = (kernel.cpus + 63) / 64;
	struct task_sched sched;
	long r;

	words = !words ? 1 : words > ARRAY_SIZE(mask) ? ARRAY_SIZE(mask) : words;
	if (len % 8 || len * 8 < kernel.cpus)
		return -EINVAL;
	r = (int)args[0] < 0 ? -ESRCH : thread_sched_get(task, (int)args[0], &sched);
	if (r)
		return r;
	for (unsigned i = 64; i < kernel.cpus && i < THREAD_CPUS_MAX; i++)
		mask[i / 64] |= UINT64_C(1) << i % 64;
	mask[0] = sched.affinity ? sched.affinity : thread_all_cpus();
	if (len > words * 8)
		len = words * 8;
	r = user_write(task->mm, args[2], mask, (size_t)len);
	return r ? r : (long)len;
}

/* --- priorities --- */

/* What getpriority(2) and ioprio_get(2) look at: one task, or all of a group or user. */
enum thread_who { THREAD_TASK, THREAD_PGRP, THREAD_USER };

struct thread_each {
	struct task *caller;
	enum thread_who who;
	int id; /* never 0 */
	/* Return: 0 go on, negative errno to stop */
	long (*fn)(struct thread_each *each, struct task *task);
	int value, best;
	bool any;
	long result;
};

static void thread_each_one(struct thread_each *each, struct task *task)
{
	long r = each->fn(each, task);

	each->any = true;
	if (r)
		each->result = r;
}

static int thread_each_process(struct process *process, void *data)
{
	struct thread_each *each = data;

	if (each->who == THREAD_PGRP && (!process->pgrp || process->pgrp->id != each->id))
		return 0;
	for (struct task *t = process->tasks; t; t = t->next)
		if (each->who == THREAD_PGRP || (t->cred && t->cred->uid == (uint32_t)each->id))
			thread_each_one(each, t);
	return 0;
}

static long thread_each_run(struct thread_each *each)
{
	struct task *task = each->caller;

	pthread_mutex_lock(&kernel.tasks_lock);
	if (each->who == THREAD_TASK) {
		struct task *other = thread_of(task, each->id);

		if (other)
			thread_each_one(each, other);
	} else {
		if (!each->id)
			each->id = each->who == THREAD_PGRP ? task->process->pgrp->id :
							      (int)task->cred->uid;
		process_each(task->process->container, thread_each_process, each);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	return each->any ? each->result : -ESRCH;
}

static long thread_nice_get(struct thread_each *each, struct task *task)
{
	if (!each->any || task->sched.nice < each->best)
		each->best = task->sched.nice;
	return 0;
}

static long thread_nice_set(struct thread_each *each, struct task *task)
{
	if (thread_may_change(each->caller, task))
		return -EPERM;
	if (each->value < task->sched.nice && each->value < thread_nice_limit(task) &&
	    !cred_capable(each->caller->cred, CAP_SYS_NICE))
		return -EACCES;
	task->sched.nice = each->value;
	return 0;
}

static long thread_getpriority(struct task *task, const uint64_t args[6])
{
	struct thread_each each = { .caller = task, .who = (enum thread_who)args[0],
				    .id = (int)args[1], .fn = thread_nice_get };
	long r = args[0] > PRIO_USER ? -EINVAL : thread_each_run(&each);

	return r ? r : 20 - each.best;
}

static long thread_setpriority(struct task *task, const uint64_t args[6])
{
	int nice = (int)args[2];
	struct thread_each each = { .caller = task, .who = (enum thread_who)args[0],
				    .id = (int)args[1], .fn = thread_nice_set };

	each.value = nice < -20 ? -20 : nice > 19 ? 19 : nice;
	return args[0] > PRIO_USER ? -EINVAL : thread_each_run(&each);
}

static long thread_io_get(struct thread_each *each, struct task *task)
{
	if (!each->any || task->sched.ioprio < each->best)
		each->best = task->sched.ioprio;
	return 0;
}

static long thread_io_set(struct thread_each *each, struct task *task)
{
	if (thread_may_change(each->caller, task))
		return -EPERM;
	task->sched.ioprio = each->value;
	return 0;
}

static long thread_ioprio_get(struct task *task, const uint64_t args[6])
{
	struct thread_each each = { .caller = task, .who = (enum thread_who)(args[0] - 1),
				    .id = (int)args[1], .fn = thread_io_get };
	long r = args[0] - 1 > THREAD_USER ? -EINVAL : thread_each_run(&each);

	return r ? r : each.best;
}

static long thread_ioprio_set(struct task *task, const uint64_t args[6])
{
	struct thread_each each = { .caller = task, .who = (enum thread_who)(args[0] - 1),
				    .id = (int)args[1], .fn = thread_io_set,
				    .value = (int)args[2] };
	int class = IOPRIO_PRIO_CLASS(each.value);

	if (args[0] - 1 > THREAD_USER || class > IOPRIO_CLASS_IDLE ||
	    (class == IOPRIO_CLASS_NONE && IOPRIO_PRIO_DATA(each.value)))
		return -EINVAL;
	if (class == IOPRIO_CLASS_RT && !cred_capable(task->cred, CAP_SYS_ADMIN) &&
	    !cred_capable(task->cred, CAP_SYS_NICE))
		return -EPERM;
	return thread_each_run(&each);
}

static const struct syscall_row thread_rows[] = {
	{ SYS_gettid, "gettid", thread_gettid },
	{ SYS_set_tid_address, "set_tid_address", thread_set_tid_address, { ARG_HEX } },
	{ SYS_futex, "futex", futex_call,
	  { ARG_HEX, ARG_HEX, ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX }, SYSCALL_PART,
	  "no requeueing to PI futexes, no inherited priorities" },
	{ SYS_futex_waitv, "futex_waitv", futex_waitv,
	  { ARG_HEX, ARG_UINT, ARG_HEX, ARG_HEX, ARG_INT } },
	{ SYS_set_robust_list, "set_robust_list", thread_set_robust_list, { ARG_HEX, ARG_UINT } },
	{ SYS_get_robust_list, "get_robust_list", thread_get_robust_list,
	  { ARG_INT, ARG_HEX, ARG_HEX } },
	{ SYS_restart_syscall, "restart_syscall", thread_restart_syscall },
	{ SYS_arch_prctl, "arch_prctl", thread_arch_prctl, { ARG_HEX, ARG_HEX }, SYSCALL_PART,
	  "FS and GS" },
	{ SYS_getcpu, "getcpu", thread_getcpu, { ARG_HEX, ARG_HEX } },
	{ SYS_rseq, "rseq", thread_rseq, { ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX }, SYSCALL_NONE,
	  "answers ENOSYS, which C libraries take for an older kernel" },
	{ SYS_membarrier, "membarrier", thread_membarrier, { ARG_INT, ARG_HEX }, SYSCALL_NONE,
	  "says that it has no command" },
	{ SYS_sched_setscheduler, "sched_setscheduler", thread_sched_setscheduler,
	  { ARG_INT, ARG_INT, ARG_HEX } },
	{ SYS_sched_getscheduler, "sched_getscheduler", thread_sched_getscheduler, { ARG_INT } },
	{ SYS_sched_setparam, "sched_setparam", thread_sched_setparam, { ARG_INT, ARG_HEX } },
	{ SYS_sched_getparam, "sched_getparam", thread_sched_getparam, { ARG_INT, ARG_HEX } },
	{ SYS_sched_setattr, "sched_setattr", thread_sched_setattr,
	  { ARG_INT, ARG_HEX, ARG_HEX } },
	{ SYS_sched_getattr, "sched_getattr", thread_sched_getattr,
	  { ARG_INT, ARG_HEX, ARG_UINT, ARG_HEX } },
	{ SYS_sched_get_priority_max, "sched_get_priority_max", thread_sched_priority_max,
	  { ARG_INT } },
	{ SYS_sched_get_priority_min, "sched_get_priority_min", thread_sched_priority_min,
	  { ARG_INT } },
	{ SYS_sched_rr_get_interval, "sched_rr_get_interval", thread_sched_rr_interval,
	  { ARG_INT, ARG_HEX } },
	{ SYS_sched_yield, "sched_yield", thread_sched_yield },
	{ SYS_sched_setaffinity, "sched_setaffinity", thread_setaffinity,
	  { ARG_INT, ARG_UINT, ARG_HEX } },
	{ SYS_sched_getaffinity, "sched_getaffinity", thread_getaffinity,
	  { ARG_INT, ARG_UINT, ARG_HEX } },
	{ SYS_getpriority, "getpriority", thread_getpriority, { ARG_INT, ARG_INT } },
	{ SYS_setpriority, "setpriority", thread_setpriority, { ARG_INT, ARG_INT, ARG_INT } },
	{ SYS_ioprio_get, "ioprio_get", thread_ioprio_get, { ARG_INT, ARG_INT } },
	{ SYS_ioprio_set, "ioprio_set", thread_ioprio_set, { ARG_INT, ARG_INT, ARG_HEX } },
};

const struct syscall_family syscalls_thread = SYSCALL_FAMILY("Threads", thread_rows);
