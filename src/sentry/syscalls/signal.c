/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/signal.c - system calls about signals
 *
 *	guest -> syscall_serve() -> here -> signal/
 *
 * Arguments are copied and checked here, in the order Linux does; what they mean is signal/'s.
 */
#include "sentry/syscalls/syscalls.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"

#define SIGNAL_SET_BYTES 8
/* SA_* that are kept; SA_UNSUPPORTED (0x400) is among those that are not. */
#define SIGNAL_FLAGS                                                                              \
	(SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER |        \
	 (unsigned)SA_RESETHAND | 0x800u /* SA_EXPOSE_TAGBITS */ | 0x04000000u /* SA_RESTORER */)
/* si_code that says that a siginfo came by tkill(2) */
#define SIGNAL_CODE_TKILL (-6)

struct signal_stack {
	uint64_t addr;
	uint32_t flags, pad;
	uint64_t size;
};

static bool signal_valid(int sig)
{
	return sig >= 0 && sig <= SIGNAL_MAX;
}

static int signal_set_read(struct task *task, uint64_t addr, uint64_t size, uint64_t *set)
{
	if (size != SIGNAL_SET_BYTES)
		return -EINVAL;
	return user_read(task->mm, set, addr, sizeof(*set));
}

/* Actions that ignore the signal take away what is pending of it. */
static void signal_action_set(struct task *task, int sig, const struct signal_action *new,
			      struct signal_action *old)
{
	struct signal_action *action = &task->process->signals.actions[sig];

	pthread_mutex_lock(&kernel.tasks_lock);
	*old = *action;
	if (new) {
		*action = *new;
		action->flags &= SIGNAL_FLAGS;
		action->mask &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
		signal_action_changed(task->process, sig);
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static long call_rt_sigaction(struct task *task, const uint64_t args[6])
{
	struct signal_action new, old;
	int sig = (int)args[0];
	int r;

	if (args[3] != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (args[1]) {
		r = user_read(task->mm, &new, args[1], sizeof(new));
		if (r < 0)
			return r;
	}
	if (sig < 1 || !signal_valid(sig) || (args[1] && (sig == SIGKILL || sig == SIGSTOP)))
		return -EINVAL;
	signal_action_set(task, sig, args[1] ? &new : NULL, &old);
	return args[2] ? user_write(task->mm, args[2], &old, sizeof(old)) : 0;
}

static long call_rt_sigprocmask(struct task *task, const uint64_t args[6])
{
	uint64_t old = task->signals.mask, set;
	int r;

	if (args[3] != SIGNAL_SET_BYTES)
		return -EINVAL;
	if (args[1]) {
		r = user_read(task->mm, &set, args[1], sizeof(set));
		if (r < 0)
			return r;
		switch ((int)args[0]) {
		case SIG_BLOCK:
			signal_mask_set(task, old | set);
			break;
		case SIG_UNBLOCK:
			signal_mask_set(task, old & ~set);
			break;
		case SIG_SETMASK:
			signal_mask_set(task, set);
			break;
		default:
			return -EINVAL;
		}
	}
	return args[2] ? user_write(task->mm, args[2], &old, sizeof(old)) : 0;
}

static long call_rt_sigpending(struct task *task, const uint64_t args[6])
{
	uint64_t set;

	if (args[1] > SIGNAL_SET_BYTES)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	set = (task->signals.pending.set | task->process->signals.pending.set) &
	      task->signals.mask;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return user_write(task->mm, args[0], &set, args[1]);
}

static long signal_pause(struct task *task)
{
	struct wait wait;
	int r;

	wait_begin(&wait, task);
	do
		r = wait_sleep(&wait, USEC_INFINITY);
	while (!r);
	wait_end(&wait);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

static long call_rt_sigsuspend(struct task *task, const uint64_t args[6])
{
	uint64_t set;
	int r = signal_set_read(task, args[0], args[1], &set);

	if (r < 0)
		return r;
	signal_mask_temporary(task, set);
	return signal_pause(task);
}

static long call_pause(struct task *task, const uint64_t args[6])
{
	(void)args;
	return signal_pause(task);
}

static int signal_take_locked(struct task *task, uint64_t set, struct signal_info *info)
{
	int sig;

	pthread_mutex_lock(&kernel.tasks_lock);
	sig = signal_take(task, set, info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return sig;
}

/* Return: the signal, -EAGAIN at the deadline, -EINTR for another signal */
static long signal_wait(struct task *task, uint64_t set, usec_t deadline,
			struct signal_info *info)
{
	struct wait wait;
	int sig, r = 0;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		wait_on(&wait, &task->process->signals.arrivals, POLLIN);
		sig = signal_take_locked(task, set, info);
		if (sig || r)
			break;
		r = wait_sleep(&wait, deadline);
	}
	wait_end(&wait);
	if (sig)
		return sig;
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS ? -EINTR : r;
}

static int signal_deadline(struct task *task, uint64_t addr, usec_t *deadline)
{
	struct timespec ts;
	int r;

	*deadline = USEC_INFINITY;
	if (!addr)
		return 0;
	r = user_read(task->mm, &ts, addr, sizeof(ts));
	if (r < 0)
		return r;
	if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= 1000000000)
		return -EINVAL;
	if ((uint64_t)ts.tv_sec < USEC_INFINITY / USEC_PER_SEC / 2)
		*deadline = deadline_in((usec_t)ts.tv_sec * USEC_PER_SEC +
					((usec_t)ts.tv_nsec + 999) / 1000);
	return 0;
}

static long call_rt_sigtimedwait(struct task *task, const uint64_t args[6])
{
	struct signal_info info;
	usec_t deadline;
	uint64_t set;
	long sig;
	int r = signal_set_read(task, args[0], args[3], &set);

	if (r < 0)
		return r;
	r = signal_deadline(task, args[2], &deadline);
	if (r < 0)
		return r;
	set &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	sig = signal_wait(task, set, deadline, &info);
	if (sig > 0 && args[1]) {
		r = user_write(task->mm, args[1], &info, sizeof(info));
		if (r < 0)
			return r;
	}
	return sig;
}

/* --- sending; tasks_lock held in what is called signal_send_ --- */

static int signal_send_process(struct task *task, struct process *process, int sig,
			       const struct signal_info *info)
{
	int r;

	if (!signal_valid(sig))
		return -EINVAL;
	r = signal_permitted(task, process, sig);
	return r < 0 || !sig ? r : signal_process_send(process, sig, info);
}

static int signal_send_pid(struct task *task, int pid, int sig, const struct signal_info *info)
{
	struct process *process = process_find(task->process->container, pid);

	if (!process) {
		struct task *other = task_find(task->process->container, pid);

		if (!other)
			return -ESRCH;
		process = other->process;
	}
	return signal_send_process(task, process, sig, info);
}

/* 0 if any member could be sent to. */
static int signal_send_pgrp(struct task *task, const struct pgrp *pgrp, int sig,
			    const struct signal_info *info)
{
	struct process *next;
	int r = -ESRCH;

	for (struct process *p = pgrp ? pgrp->processes : NULL; p; p = next) {
		int one;

		next = p->pgrp_next;
		one = signal_send_process(task, p, sig, info);
		if (r)
			r = one;
	}
	return r;
}

struct signal_everybody {
	struct task *task;
	int sig, count, result;
	const struct signal_info *info;
};

static int signal_send_one(struct process *process, void *data)
{
	struct signal_everybody *all = data;
	int r;

	if (process->pid <= 1 || process == all->task->process)
		return 0;
	r = signal_send_process(all->task, process, all->sig, all->info);
	all->count++;
	if (r != -EPERM)
		all->result = r;
	return 0;
}

static int signal_send_everybody(struct task *task, int sig, const struct signal_info *info)
{
	struct signal_everybody all = { .task = task, .sig = sig, .info = info };

	process_each(task->process->container, signal_send_one, &all);
	return all.count ? all.result : -ESRCH;
}

static long call_kill(struct task *task, const uint64_t args[6])
{
	struct sandbox_container *container = task->process->container;
	int pid = (int)args[0], sig = (int)args[1];
	struct signal_info info;
	int r;

	if (pid == INT32_MIN)
		return -ESRCH;
	signal_info_user(&info, sig, SI_USER, task->process->pid, task->cred->uid);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (pid > 0)
		r = signal_send_pid(task, pid, sig, &info);
	else if (pid == -1)
		r = signal_send_everybody(task, sig, &info);
	else
		r = signal_send_pgrp(task, pid ? pgrp_find(container, -pid) : task->process->pgrp,
				     sig, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long signal_send_tid(struct task *task, int tgid, int tid, int sig,
			    const struct signal_info *info)
{
	struct task *other;
	int r;

	pthread_mutex_lock(&kernel.tasks_lock);
	other = task_find(task->process->container, tid);
	if (!other || (tgid > 0 && other->process->pid != tgid))
		r = -ESRCH;
	else
		r = signal_valid(sig) ? signal_permitted(task, other->process, sig) : -EINVAL;
	if (!r && sig)
		r = signal_task_send(other, sig, info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long signal_tkill(struct task *task, int tgid, int tid, int sig)
{
	struct signal_info info;

	signal_info_user(&info, sig, SIGNAL_CODE_TKILL, task->process->pid, task->cred->uid);
	return signal_send_tid(task, tgid, tid, sig, &info);
}

static long call_tkill(struct task *task, const uint64_t args[6])
{
	if ((int)args[0] <= 0)
		return -EINVAL;
	return signal_tkill(task, 0, (int)args[0], (int)args[1]);
}

static long call_tgkill(struct task *task, const uint64_t args[6])
{
	if ((int)args[0] <= 0 || (int)args[1] <= 0)
		return -EINVAL;
	return signal_tkill(task, (int)args[0], (int)args[1], (int)args[2]);
}

/* A siginfo of the guest's own making: nobody may look like the kernel or like kill(2). */
static int signal_info_read(struct task *task, uint64_t addr, int sig, int to,
			    struct signal_info *info)
{
	int r = user_read(task->mm, info, addr, sizeof(*info));

	if (r < 0)
		return r;
	info->signo = sig;
	if ((info->code >= 0 || info->code == SIGNAL_CODE_TKILL) && to != task->process->pid)
		return -EPERM;
	return 0;
}

static long call_rt_sigqueueinfo(struct task *task, const uint64_t args[6])
{
	int pid = (int)args[0], sig = (int)args[1];
	struct signal_info info;
	int r = signal_info_read(task, args[2], sig, pid, &info);

	if (r < 0)
		return r;
	pthread_mutex_lock(&kernel.tasks_lock);
	r = signal_send_pid(task, pid, sig, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long call_rt_tgsigqueueinfo(struct task *task, const uint64_t args[6])
{
	int tgid = (int)args[0], tid = (int)args[1], sig = (int)args[2];
	struct signal_info info;
	int r;

	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	r = signal_info_read(task, args[3], sig, tgid, &info);
	if (r < 0)
		return r;
	return signal_send_tid(task, tgid, tid, sig, &info);
}

static long call_rt_sigreturn(struct task *task, const uint64_t args[6])
{
	(void)args;
	return signal_return(task);
}

static long call_sigaltstack(struct task *task, const uint64_t args[6])
{
	uint64_t sp = task->regs.rsp;
	struct signal_stack new, old = {
		.addr = task->signals.stack_addr,
		.flags = signal_stack_flags(task, sp),
		.size = task->signals.stack_size,
	};
	int r;

	if (args[0]) {
		r = user_read(task->mm, &new, args[0], sizeof(new));
		if (r < 0)
			return r;
		r = signal_stack_set(task, sp, new.addr, new.size, new.flags);
		if (r < 0)
			return r;
	}
	return args[1] ? user_write(task->mm, args[1], &old, sizeof(old)) : 0;
}

static const struct syscall_row signal_rows[] = {
	{ SYS_rt_sigaction, "rt_sigaction", call_rt_sigaction,
	  { ARG_SIG, ARG_HEX, ARG_HEX, ARG_UINT } },
	{ SYS_rt_sigprocmask, "rt_sigprocmask", call_rt_sigprocmask,
	  { ARG_INT, ARG_HEX, ARG_HEX, ARG_UINT } },
	{ SYS_rt_sigreturn, "rt_sigreturn", call_rt_sigreturn, { ARG_NONE } },
	{ SYS_rt_sigpending, "rt_sigpending", call_rt_sigpending, { ARG_HEX, ARG_UINT } },
	{ SYS_rt_sigtimedwait, "rt_sigtimedwait", call_rt_sigtimedwait,
	  { ARG_HEX, ARG_HEX, ARG_TIMESPEC, ARG_UINT } },
	{ SYS_rt_sigqueueinfo, "rt_sigqueueinfo", call_rt_sigqueueinfo,
	  { ARG_INT, ARG_SIG, ARG_HEX } },
	{ SYS_rt_tgsigqueueinfo, "rt_tgsigqueueinfo", call_rt_tgsigqueueinfo,
	  { ARG_INT, ARG_INT, ARG_SIG, ARG_HEX } },
	{ SYS_rt_sigsuspend, "rt_sigsuspend", call_rt_sigsuspend, { ARG_HEX, ARG_UINT } },
	{ SYS_pause, "pause", call_pause, { ARG_NONE } },
	{ SYS_kill, "kill", call_kill, { ARG_INT, ARG_SIG } },
	{ SYS_tkill, "tkill", call_tkill, { ARG_INT, ARG_SIG } },
	{ SYS_tgkill, "tgkill", call_tgkill, { ARG_INT, ARG_INT, ARG_SIG } },
	{ SYS_sigaltstack, "sigaltstack", call_sigaltstack, { ARG_HEX, ARG_HEX } },
};

const struct syscall_family syscalls_signal = SYSCALL_FAMILY("Signals", signal_rows);
