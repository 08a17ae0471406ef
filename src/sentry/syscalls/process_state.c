/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/process_state.c - what a process is told about itself, and sets: limits, times,
 * prctl(2)
 *
 * Rows are in process.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/times.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/process.h"
#include "sentry/task/internal.h"
#include "sentry/vfs/file.h"

#define STATE_TICK 10000 /* microseconds of a clock tick, USER_HZ 100 */

/* --- limits --- */

/* tasks_lock held. Return: 0 or -EPERM */
static int state_limit_permitted(const struct task *task, const struct process *process)
{
	const struct cred *us = task->cred, *them;

	if (process == task->process || !process->tasks || !process->tasks->cred ||
	    cred_capable(us, CAP_SYS_RESOURCE))
		return 0;
	them = process->tasks->cred;
	return us->uid == them->uid && us->uid == them->euid && us->uid == them->suid &&
			       us->gid == them->gid && us->gid == them->egid &&
			       us->gid == them->sgid ?
		       0 :
		       -EPERM;
}

static int state_limit_check(const struct task *task, int resource, const struct rlimit *old,
			     const struct rlimit *new)
{
	if (new->rlim_cur > new->rlim_max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && new->rlim_max > FD_MAX)
		return -EPERM;
	if (new->rlim_max > old->rlim_max && !cred_capable(task->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	return 0;
}

static long state_limit(struct task *task, int pid, unsigned resource, const struct rlimit *new,
			struct rlimit *old)
{
	struct process *process;
	long r;

	if (resource >= RLIM_NLIMITS)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	process = pid ? process_find(task->process->container, pid) : task->process;
	r = process ? state_limit_permitted(task, process) : -ESRCH;
	if (!r) {
		*old = process->limits[resource];
		r = new ? state_limit_check(task, (int)resource, old, new) : 0;
	}
	if (!r && new) {
		process->limits[resource] = *new;
		if (resource == RLIMIT_CPU)
			cpu_limit_changed(process);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

long process_prlimit64(struct task *task, const uint64_t args[6])
{
	struct rlimit new, old;
	long r;

	if (args[2] && user_read(task->mm, &new, args[2], sizeof(new)))
		return -EFAULT;
	r = state_limit(task, (int)args[0], (unsigned)args[1], args[2] ? &new : NULL, &old);
	if (r || !args[3])
		return r;
	return user_write(task->mm, args[3], &old, sizeof(old));
}

long process_getrlimit(struct task *task, const uint64_t args[6])
{
	struct rlimit old;
	long r = state_limit(task, 0, (unsigned)args[0], NULL, &old);

	return r ? r : user_write(task->mm, args[1], &old, sizeof(old));
}

long process_setrlimit(struct task *task, const uint64_t args[6])
{
	struct rlimit new, old;

	if (user_read(task->mm, &new, args[1], sizeof(new)))
		return -EFAULT;
	return state_limit(task, 0, (unsigned)args[0], &new, &old);
}

/* --- times --- */

static void state_thread_usage(const struct task *task, struct rusage *usage)
{
	uint64_t guest, ours;

	memset(usage, 0, sizeof(*usage));
	task_cpu(task, &guest, &ours);
	usage->ru_utime = (struct timeval){ (time_t)(guest / 1000000000),
					    (suseconds_t)(guest % 1000000000 / 1000) };
	usage->ru_stime = (struct timeval){ (time_t)(ours / 1000000000),
					    (suseconds_t)(ours % 1000000000 / 1000) };
}

long process_getrusage(struct task *task, const uint64_t args[6])
{
	struct rusage usage;
	long r = 0;

	pthread_mutex_lock(&kernel.tasks_lock);
	switch ((int)args[0]) {
	case RUSAGE_SELF:
		process_usage(task->process, &usage);
		break;
	case RUSAGE_CHILDREN:
		usage = task->process->children_usage;
		break;
	case RUSAGE_THREAD:
		state_thread_usage(task, &usage);
		break;
	default:
		r = -EINVAL;
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r ? r : user_write(task->mm, args[1], &usage, sizeof(usage));
}

static clock_t state_ticks(const struct timeval *tv)
{
	return tv->tv_sec * (1000000 / STATE_TICK) + tv->tv_usec / STATE_TICK;
}

long process_times(struct task *task, const uint64_t args[6])
{
	struct rusage self, children;
	struct tms tms;

	pthread_mutex_lock(&kernel.tasks_lock);
	process_usage(task->process, &self);
	children = task->process->children_usage;
	pthread_mutex_unlock(&kernel.tasks_lock);
	tms = (struct tms){ state_ticks(&self.ru_utime), state_ticks(&self.ru_stime),
			    state_ticks(&children.ru_utime), state_ticks(&children.ru_stime) };
	if (args[0] && user_write(task->mm, args[0], &tms, sizeof(tms)))
		return -EFAULT;
	return (long)((clock_now() - kernel.boot) / STATE_TICK);
}

long process_personality(struct task *task, const uint64_t args[6])
{
	uint32_t persona = (uint32_t)args[0], old;

	pthread_mutex_lock(&kernel.tasks_lock);
	old = task->process->personality;
	if (persona != UINT32_MAX)
		task->process->personality = persona;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return old;
}

/* --- prctl --- */

static long state_set_name(struct task *task, uint64_t addr)
{
	char name[16] = "";
	long r = user_string(task->mm, name, addr, sizeof(name));

	if (r < 0 && r != -ENAMETOOLONG)
		return r;
	if (r < 0 && user_read(task->mm, name, addr, sizeof(name) - 1))
		return -EFAULT;
	name[15] = '\0';
	pthread_mutex_lock(&kernel.tasks_lock);
	memset(task->name, 0, sizeof(task->name));
	memcpy(task->name, name, strlen(name));
	pthread_mutex_unlock(&kernel.tasks_lock);
	return 0;
}

static long state_put_int(struct task *task, uint64_t addr, int value)
{
	return user_write(task->mm, addr, &value, sizeof(value));
}

static long state_set_cred(struct task *task, struct cred *cred)
{
	if (!cred)
		return -ENOMEM;
	task_cred_set(task, cred);
	return 0;
}

static long state_drop_bounding(struct task *task, uint64_t cap)
{
	struct cred *cred;

	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	if (!cred_capable(task->cred, CAP_SETPCAP))
		return -EPERM;
	cred = cred_copy(task->cred, task->cred->ngroups);
	if (cred)
		cred->cap_bounding &= ~(UINT64_C(1) << cap);
	return state_set_cred(task, cred);
}

static long state_set_securebits(struct task *task, uint64_t bits)
{
	uint32_t old = task->cred->securebits;
	struct cred *cred;

	if ((bits & ~(uint64_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) ||
	    ((old & SECURE_ALL_LOCKS) & ~bits) ||
	    (((old & SECURE_ALL_LOCKS) >> 1) & (old ^ bits)) ||
	    !cred_capable(task->cred, CAP_SETPCAP))
		return -EPERM;
	cred = cred_copy(task->cred, task->cred->ngroups);
	if (cred)
		cred->securebits = (uint32_t)bits;
	return state_set_cred(task, cred);
}

static long state_set_keep_caps(struct task *task, uint64_t keep)
{
	struct cred *cred;

	if (keep > 1)
		return -EINVAL;
	if (task->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	cred = cred_copy(task->cred, task->cred->ngroups);
	if (cred)
		cred->securebits = keep ? cred->securebits | SECBIT_KEEP_CAPS :
					  cred->securebits & ~(uint32_t)SECBIT_KEEP_CAPS;
	return state_set_cred(task, cred);
}

static long state_set_no_new_privs(struct task *task, const uint64_t a[6])
{
	struct cred *cred;

	if (a[1] != 1 || a[2] || a[3] || a[4])
		return -EINVAL;
	cred = cred_copy(task->cred, task->cred->ngroups);
	if (cred)
		cred->no_new_privs = true;
	return state_set_cred(task, cred);
}

static long state_ambient(struct task *task, const uint64_t a[6])
{
	const struct cred *old = task->cred;
	uint64_t bit = a[2] <= CAP_LAST_CAP ? UINT64_C(1) << a[2] : 0;
	struct cred *cred;

	if (a[4] || a[3] || (a[1] == PR_CAP_AMBIENT_CLEAR_ALL ? a[2] != 0 : !bit))
		return -EINVAL;
	if (a[1] == PR_CAP_AMBIENT_IS_SET)
		return !!(old->cap_ambient & bit);
	if (a[1] == PR_CAP_AMBIENT_RAISE &&
	    (!(old->cap_permitted & old->cap_inheritable & bit) ||
	     (old->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	if (a[1] < PR_CAP_AMBIENT_RAISE || a[1] > PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	cred = cred_copy(old, old->ngroups);
	if (!cred)
		return -ENOMEM;
	if (a[1] == PR_CAP_AMBIENT_RAISE)
		cred->cap_ambient |= bit;
	else
		cred->cap_ambient &= a[1] == PR_CAP_AMBIENT_LOWER ? ~bit : 0;
	return state_set_cred(task, cred);
}

/* What is a number of the process: under tasks_lock */
static long state_process(struct process *process, const uint64_t a[6])
{
	switch (a[0]) {
	case PR_SET_PDEATHSIG:
		if (a[1] > SIGNAL_MAX)
			return -EINVAL;
		process->parent_death_signal = (int)a[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return process->parent_death_signal;
	case PR_GET_DUMPABLE:
		return process->dumpable;
	case PR_SET_DUMPABLE:
		if (a[1] > 1)
			return -EINVAL;
		process->dumpable = a[1];
		return 0;
	case PR_SET_CHILD_SUBREAPER:
		process->subreaper = a[1];
		return 0;
	default:
		return process->subreaper;
	}
}

static long state_process_locked(struct task *task, const uint64_t a[6])
{
	long r;

	pthread_mutex_lock(&kernel.tasks_lock);
	r = state_process(task->process, a);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

/* Numbers of the task itself, and what has one answer. */
static long state_task(struct task *task, const uint64_t a[6])
{
	switch (a[0]) {
	case PR_GET_TIMING: /* PR_TIMING_STATISTICAL */
	case PR_GET_SECCOMP:
	case PR_GET_THP_DISABLE:
	case PR_SET_THP_DISABLE: /* there are none */
	case PR_MCE_KILL:
		return 0;
	case PR_SET_TIMING:
		return a[1] ? -EINVAL : 0;
	case PR_MCE_KILL_GET:
		return PR_MCE_KILL_DEFAULT;
	case PR_GET_TIMERSLACK:
		return (long)task->timer_slack;
	case PR_SET_TIMERSLACK:
		task->timer_slack = a[1] && a[1] <= INT64_MAX ? a[1] : 50000;
		return 0;
	case PR_GET_TSC:
		return state_put_int(task, a[1], PR_TSC_ENABLE);
	case PR_SET_TSC:
		return a[1] == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_SET_MM:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long process_prctl(struct task *task, const uint64_t args[6])
{
	const uint64_t a[6] = { (uint32_t)args[0], args[1], args[2], args[3], args[4] };

	switch (a[0]) {
	case PR_SET_NAME:
		return state_set_name(task, a[1]);
	case PR_GET_NAME:
		return user_write(task->mm, a[1], task->name, sizeof(task->name));
	case PR_CAPBSET_READ:
		return a[1] > CAP_LAST_CAP ? -EINVAL : (long)(task->cred->cap_bounding >> a[1] & 1);
	case PR_CAPBSET_DROP:
		return state_drop_bounding(task, a[1]);
	case PR_GET_SECUREBITS:
		return task->cred->securebits;
	case PR_SET_SECUREBITS:
		return state_set_securebits(task, a[1]);
	case PR_GET_KEEPCAPS:
		return !!(task->cred->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		return state_set_keep_caps(task, a[1]);
	case PR_SET_NO_NEW_PRIVS:
		return state_set_no_new_privs(task, a);
	case PR_GET_NO_NEW_PRIVS:
		return a[1] || a[2] || a[3] || a[4] ? -EINVAL : task->cred->no_new_privs;
	case PR_CAP_AMBIENT:
		return state_ambient(task, a);
	case PR_GET_PDEATHSIG:
	case PR_GET_CHILD_SUBREAPER:
		return state_put_int(task, a[1], (int)state_process_locked(task, a));
	case PR_SET_PDEATHSIG:
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_SET_CHILD_SUBREAPER:
		return state_process_locked(task, a);
	default:
		return state_task(task, a);
	}
}
