/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of signals, without any guest: its registers and memory are arrays here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/signal/internal.h"
#include "sentry/task/task.h"

#define STACK_BASE 0x100000ul
#define STACK_SIZE 0x10000ul
#define ALTERNATE  0x200000ul
#define FP_SIZE	   832

/* --- the rooms around --- */

static struct sandbox_container container;
static struct cred cred = { .refs = 1 };
static struct session session = { .id = 1 };
static struct pgrp pgrp = { .id = 2, .session = &session };
static struct process init_process, parent, process;
static struct task tasks[3], parent_task;
static uint8_t stack[STACK_SIZE], fp[FP_SIZE];
static bool fp_cleared;
static void (*while_asleep)(void);
static uint32_t woken;

void process_end(struct process *p, int status)
{
	p->exiting = true;
	p->exit_status = status;
}

void task_interrupt(struct task *task)
{
	task->interrupted = true;
}

int process_each(struct sandbox_container *c, int (*fn)(struct process *, void *), void *data)
{
	struct process *all[] = { &init_process, &parent, &process };

	(void)c;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		fn(all[i], data);
	return 0;
}

void waitq_init(struct waitq *q)
{
	(void)q;
}

void waitq_wake(struct waitq *q, uint32_t events)
{
	(void)q;
	woken |= events;
}

void wait_begin(struct wait *wait, struct task *task)
{
	wait->task = task;
}

void wait_end(struct wait *wait)
{
	(void)wait;
}

int wait_sleep(struct wait *wait, usec_t deadline)
{
	(void)deadline;
	/* nothing was let go that would be missed while asleep */
	if (!wait->task->interrupted) {
		assert_non_null(while_asleep);
		while_asleep();
	}
	return -ERESTARTSYS;
}

bool cred_capable(const struct cred *c, int cap)
{
	(void)cap;
	return c->cap_effective != 0;
}

static uint8_t *stack_at(uint64_t addr, size_t len)
{
	if (addr < STACK_BASE || addr > STACK_BASE + STACK_SIZE ||
	    len > STACK_BASE + STACK_SIZE - addr)
		return NULL;
	return stack + (addr - STACK_BASE);
}

int user_write(struct mm *mm, uint64_t dst, const void *src, size_t len)
{
	uint8_t *to = stack_at(dst, len);

	(void)mm;
	if (!to)
		return -EFAULT;
	memcpy(to, src, len);
	return 0;
}

int user_read(struct mm *mm, void *dst, uint64_t src, size_t len)
{
	const uint8_t *from = stack_at(src, len);

	(void)mm;
	if (!from)
		return -EFAULT;
	memcpy(dst, from, len);
	return 0;
}

size_t trap_fp_size(void)
{
	return FP_SIZE;
}

int trap_fp_get(struct trap_thread *thread, void *out)
{
	(void)thread;
	memcpy(out, fp, FP_SIZE);
	return 0;
}

int trap_fp_set(struct trap_thread *thread, const void *in)
{
	(void)thread;
	fp_cleared = !in;
	if (in)
		memcpy(fp, in, FP_SIZE);
	return 0;
}

/* --- a process with three tasks, its parent, and the container's init --- */

static void put_task(struct process *p, struct task *task, int tid)
{
	memset(task, 0, sizeof(*task));
	task->process = p;
	task->tid = tid;
	task->cred = &cred;
	task->regs.rsp = STACK_BASE + STACK_SIZE - 1024;
	task->next = p->tasks;
	p->tasks = task;
}

static void put_process(struct process *p, int pid)
{
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	p->container = &container;
	p->pgrp = &pgrp;
	p->limits[RLIMIT_SIGPENDING].rlim_cur = 5;
}

static int setup(void **state)
{
	(void)state;
	memset(&container, 0, sizeof(container));
	put_process(&init_process, 1);
	put_process(&parent, 2);
	put_process(&process, 3);
	put_task(&parent, &parent_task, 2);
	for (int i = 2; i >= 0; i--)
		put_task(&process, &tasks[i], 3 + i);
	container.init = &init_process;
	process.parent = &parent;
	pgrp.processes = NULL;
	cred.cap_effective = 1;
	cred.uid = cred.euid = cred.suid = 0;
	while_asleep = NULL;
	woken = 0;
	fp_cleared = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		signal_queue_flush(&tasks[i].signals.pending, &container.nsignals, UINT64_MAX);
	signal_queue_flush(&process.signals.pending, &container.nsignals, UINT64_MAX);
	signal_queue_flush(&parent.signals.pending, &container.nsignals, UINT64_MAX);
	signal_queue_flush(&parent_task.signals.pending, &container.nsignals, UINT64_MAX);
	assert_int_equal(container.nsignals, 0);
	return 0;
}

static void handle(int sig, uint64_t flags)
{
	process.signals.actions[sig] = (struct signal_action){
		.handler = 0x4000 + (uint64_t)sig, .flags = flags | 0x04000000, .restorer = 0x5000,
	};
}

static struct signal_info from_user(int sig, int code, int value)
{
	struct signal_info info;

	signal_info_user(&info, sig, code, 2, 0);
	memcpy(info.fields + 8, &value, sizeof(value));
	return info;
}

static int value_of(const struct signal_info *info)
{
	int value;

	memcpy(&value, info->fields + 8, sizeof(value));
	return value;
}

/* --- queues --- */

static void test_order(void **state)
{
	static const int sent[][2] = { { 40, 1 }, { SIGTERM, 2 }, { 35, 3 }, { 40, 4 }, { SIGTERM, 5 },
				       { SIGSEGV, 6 } };
	static const int got[][2] = { { SIGSEGV, 6 }, { SIGTERM, 2 }, { 35, 3 }, { 40, 1 }, { 40, 4 } };
	struct signal_info info;

	(void)state;
	tasks[0].signals.mask = UINT64_MAX;
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		info = from_user(sent[i][0], SI_QUEUE, sent[i][1]);
		assert_int_equal(signal_task_send(&tasks[0], sent[i][0], &info), 0);
	}
	assert_int_equal(container.nsignals, 5);
	for (size_t i = 0; i < ARRAY_SIZE(got); i++) {
		assert_int_equal(signal_take(&tasks[0], UINT64_MAX, &info), got[i][0]);
		assert_int_equal(info.signo, got[i][0]);
		assert_int_equal(value_of(&info), got[i][1]);
	}
	assert_int_equal(signal_take(&tasks[0], UINT64_MAX, &info), 0);
	assert_true(woken & POLLIN);
}

static void test_limit(void **state)
{
	struct signal_info info = from_user(40, SI_QUEUE, 0), user = from_user(40, SI_USER, 0);

	(void)state;
	tasks[0].signals.mask = UINT64_MAX;
	for (int i = 0; i < 5; i++)
		assert_int_equal(signal_process_send(&process, 40, &info), 0);
	assert_int_equal(signal_process_send(&process, 40, &info), -EAGAIN);
	/* kill(2) gets through without what is known of it, a standard signal with it */
	assert_int_equal(signal_process_send(&process, 41, &user), 0);
	user.signo = SIGTERM;
	assert_int_equal(signal_process_send(&process, SIGTERM, &user), 0);
	assert_int_equal(container.nsignals, 6);
	assert_int_equal(signal_take(&tasks[0], signal_bit(41), &info), 41);
	assert_int_equal(info.code, SI_USER);
	assert_int_equal(info.fields[0], 0);
	assert_int_equal(signal_take(&tasks[0], signal_bit(SIGTERM), &info), SIGTERM);
	assert_int_equal(info.fields[0], 2);
}

static void test_own_before_shared(void **state)
{
	struct signal_info info = from_user(40, SI_QUEUE, 1);

	(void)state;
	tasks[0].signals.mask = UINT64_MAX;
	signal_process_send(&process, 40, &info);
	info = from_user(50, SI_QUEUE, 2);
	signal_task_send(&tasks[0], 50, &info);
	assert_int_equal(signal_take(&tasks[0], UINT64_MAX, &info), 50);
	assert_int_equal(signal_take(&tasks[0], UINT64_MAX, &info), 40);
}

/* --- who hears --- */

static void test_ignored_is_dropped(void **state)
{
	(void)state;
	signal_process_send(&process, SIGCHLD, NULL);
	process.signals.actions[SIGTERM].handler = SIGNAL_IGNORE;
	signal_process_send(&process, SIGTERM, NULL);
	assert_int_equal(process.signals.pending.set, 0);
	/* but for blocked ones */
	tasks[0].signals.mask = signal_bit(SIGTERM) | signal_bit(SIGCHLD);
	signal_process_send(&process, SIGTERM, NULL);
	signal_process_send(&process, SIGCHLD, NULL);
	assert_int_equal(process.signals.pending.set, tasks[0].signals.mask);
	signal_action_changed(&process, SIGTERM);
	assert_int_equal(process.signals.pending.set, signal_bit(SIGCHLD));
}

static void test_who_is_chosen(void **state)
{
	(void)state;
	handle(SIGTERM, 0);
	tasks[0].signals.mask = signal_bit(SIGTERM);
	tasks[1].interrupted = true;
	signal_process_send(&process, SIGTERM, NULL);
	assert_false(tasks[0].interrupted);
	assert_true(tasks[2].interrupted);
	/* the one that was to take it blocks it: another is to look */
	tasks[1].interrupted = false;
	signal_mask_set(&tasks[2], signal_bit(SIGTERM));
	assert_false(tasks[2].interrupted);
	assert_true(tasks[1].interrupted);
	/* nobody takes it, until somebody unblocks it */
	tasks[1].interrupted = false;
	signal_mask_set(&tasks[1], signal_bit(SIGTERM));
	assert_false(signal_due(&tasks[0]));
	signal_mask_set(&tasks[0], 0);
	assert_true(tasks[0].interrupted && signal_due(&tasks[0]));
}

static void test_kill_and_stop_are_never_blocked(void **state)
{
	(void)state;
	signal_mask_set(&tasks[0], UINT64_MAX);
	assert_int_equal(~tasks[0].signals.mask, signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	signal_process_send(&process, SIGKILL, NULL);
	assert_true(process.exiting);
	assert_int_equal(process.exit_status, SIGKILL);
	assert_false(signal_deliver(&tasks[0], -1, 0));
}

static void test_init_hears_what_it_handles(void **state)
{
	struct signal_info inside = from_user(SIGKILL, SI_USER, 0), outside;

	(void)state;
	container.init = &process;
	signal_process_send(&process, SIGKILL, &inside);
	signal_process_send(&process, SIGTERM, &inside);
	signal_process_send(&process, SIGSTOP, &inside);
	assert_false(process.exiting);
	assert_int_equal(process.signals.pending.set, 0);
	/* one that was blocked when it came is of no effect either */
	tasks[0].signals.mask = signal_bit(SIGTERM);
	signal_process_send(&process, SIGTERM, &inside);
	tasks[0].signals.mask = 0;
	assert_true(signal_deliver(&tasks[0], -1, 0));
	/* who asks from outside means it, unless it is blocked or harmless */
	signal_info_user(&outside, SIGTERM, SI_USER, 0, 0);
	signal_process_send(&process, SIGCHLD, &outside);
	assert_false(process.exiting);
	signal_process_send(&process, SIGTERM, &outside);
	assert_true(process.exiting);
	process.exiting = false;
	outside.signo = SIGKILL;
	signal_process_send(&process, SIGKILL, &outside);
	assert_true(process.exiting);
	process.exiting = false;
	signal_fault(&tasks[0], SIGSEGV, 1, 0x10, 14, 6);
	assert_true(process.exiting);
	container.init = NULL;
}

static void test_permission(void **state)
{
	struct cred other = { .refs = 1, .uid = 7, .euid = 7, .suid = 7 };

	(void)state;
	parent_task.cred = &other;
	assert_int_equal(signal_permitted(&parent_task, &process, SIGTERM), -EPERM);
	assert_int_equal(signal_permitted(&parent_task, &process, SIGCONT), 0);
	assert_int_equal(signal_permitted(&parent_task, &parent, SIGTERM), 0);
	other.uid = 0;
	assert_int_equal(signal_permitted(&parent_task, &process, SIGTERM), 0);
	other.uid = 7;
	other.cap_effective = 1;
	assert_int_equal(signal_permitted(&parent_task, &process, SIGTERM), 0);
}

/* --- calls that were interrupted --- */

struct restart_case {
	long result;
	uint64_t flags;	 /* of the handler */
	bool handler;
	long rax;
	uint64_t back;	/* by how much rip went back */
};

static void test_restart(void **state)
{
	static const struct restart_case cases[] = {
		{ -ERESTARTSYS, 0, true, -EINTR, 0 },
		{ -ERESTARTSYS, SA_RESTART, true, 7, 2 },
		{ -ERESTARTSYS, 0, false, 7, 2 },
		{ -ERESTARTNOINTR, 0, true, 7, 2 },
		{ -ERESTARTNOINTR, 0, false, 7, 2 },
		{ -ERESTARTNOHAND, SA_RESTART, true, -EINTR, 0 },
		{ -ERESTARTNOHAND, 0, false, 7, 2 },
		{ -ERESTART_RESTARTBLOCK, SA_RESTART, true, -EINTR, 0 },
		{ -ERESTART_RESTARTBLOCK, 0, false, 219, 2 },
		{ -EINTR, SA_RESTART, true, -EINTR, 0 },
		{ 12, SA_RESTART, true, 12, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct restart_case *c = &cases[i];
		struct signal_frame_regs {
			uint64_t skip[19], rax, rcx, rsp, rip;
		} f;
		uint64_t rax, rip;

		setup(state);
		handle(SIGUSR1, c->flags);
		tasks[0].regs.rip = 0x1002;
		tasks[0].regs.rax = (uint64_t)c->result;
		if (c->handler)
			signal_task_send(&tasks[0], SIGUSR1, NULL);
		assert_true(signal_deliver(&tasks[0], 7, c->result));
		rax = tasks[0].regs.rax;
		rip = tasks[0].regs.rip;
		if (c->handler) {
			assert_int_equal(rip, 0x4000 + SIGUSR1);
			assert_int_equal(user_read(NULL, &f, tasks[0].regs.rsp, sizeof(f)), 0);
			rax = f.rax;
			rip = f.rip;
		}
		assert_int_equal((long)rax, c->rax);
		assert_int_equal(rip, 0x1002 - c->back);
		teardown(state);
	}
}

/* Two at once: the call is settled by the first, the second begins at the first's handler. */
static void test_two_handlers(void **state)
{
	(void)state;
	handle(SIGUSR1, SA_RESTART);
	handle(SIGUSR2, 0);
	tasks[0].regs.rip = 0x1002;
	signal_task_send(&tasks[0], SIGUSR2, NULL);
	signal_task_send(&tasks[0], SIGUSR1, NULL);
	assert_true(signal_deliver(&tasks[0], 7, -ERESTARTSYS));
	assert_int_equal(tasks[0].regs.rip, 0x4000 + SIGUSR2);
	tasks[0].regs.rsp += 8;
	signal_return(&tasks[0]);
	assert_int_equal(tasks[0].regs.rip, 0x4000 + SIGUSR1);
	tasks[0].regs.rsp += 8;
	signal_return(&tasks[0]);
	assert_int_equal(tasks[0].regs.rip, 0x1000);
	assert_int_equal(tasks[0].regs.rax, 7);
	assert_int_equal(tasks[0].event.nr, -1);
}

/* --- masks of calls --- */

static void test_temporary_mask(void **state)
{
	(void)state;
	handle(SIGUSR1, 0);
	tasks[0].signals.mask = signal_bit(SIGUSR1);
	signal_task_send(&tasks[0], SIGUSR1, NULL);
	signal_mask_temporary(&tasks[0], 0);
	assert_true(tasks[0].interrupted);
	assert_true(signal_deliver(&tasks[0], 7, -ERESTARTNOHAND));
	assert_int_equal(tasks[0].regs.rip, 0x4000 + SIGUSR1);
	tasks[0].regs.rsp += 8;
	signal_return(&tasks[0]);
	assert_int_equal(tasks[0].signals.mask, signal_bit(SIGUSR1));
	assert_int_equal((long)tasks[0].regs.rax, -EINTR);
	/* A call that has ended well lets nothing in any more. */
	signal_task_send(&tasks[0], SIGUSR1, NULL);
	signal_mask_temporary(&tasks[0], 0);
	assert_true(signal_deliver(&tasks[0], 7, 1));
	assert_int_equal(tasks[0].signals.pending.set, signal_bit(SIGUSR1));
	assert_int_equal(tasks[0].signals.mask, signal_bit(SIGUSR1));
}

/* --- stopping --- */

static void continue_process(void)
{
	assert_true(process.signals.stopped);
	assert_int_equal(process.signals.stop_signal, SIGTSTP);
	assert_true(parent.signals.pending.set & signal_bit(SIGCHLD));
	signal_process_send(&process, SIGTERM, NULL); /* stays until it goes on */
	signal_process_send(&process, SIGCONT, NULL);
}

static void test_stop_and_continue(void **state)
{
	struct process other = { .container = &container };

	(void)state;
	put_process(&other, 9);
	other.pgrp = &(struct pgrp){ .id = 9, .session = &session };
	parent.pgrp = other.pgrp;
	pgrp.processes = &process;
	parent.signals.actions[SIGCHLD].handler = 0x9999;
	handle(SIGTERM, 0);
	tasks[1].stopped = tasks[2].stopped = true;
	signal_process_send(&process, SIGTSTP, NULL);
	while_asleep = continue_process;
	assert_true(signal_deliver(&tasks[0], -1, 0));
	assert_false(process.signals.stopped || process.signals.stop_wanted);
	assert_true(process.signals.continue_pending);
	assert_int_equal(tasks[0].regs.rip, 0x4000 + SIGTERM);
	assert_false(tasks[0].stopped);
}

static void test_orphans_do_not_stop(void **state)
{
	(void)state;
	pgrp.processes = &process;
	signal_process_send(&process, SIGTSTP, NULL);
	assert_true(signal_deliver(&tasks[0], -1, 0));
	assert_false(process.signals.stop_wanted);
}

static void test_stop_and_continue_cancel(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tasks); i++)
		tasks[i].signals.mask = UINT64_MAX & ~SIGNAL_SET_KERNEL;
	signal_process_send(&process, SIGTSTP, NULL);
	signal_task_send(&tasks[1], SIGTTIN, NULL);
	signal_process_send(&process, SIGCONT, NULL);
	assert_int_equal(process.signals.pending.set, signal_bit(SIGCONT));
	assert_int_equal(tasks[1].signals.pending.set, 0);
	signal_process_send(&process, SIGTTOU, NULL);
	assert_int_equal(process.signals.pending.set, signal_bit(SIGTTOU));
}

static void kill_frozen(void)
{
	signal_process_send(&process, SIGKILL, NULL);
}

static void test_frozen(void **state)
{
	(void)state;
	signal_container_freeze(&container, true);
	assert_true(tasks[0].interrupted);
	handle(SIGTERM, 0);
	signal_process_send(&process, SIGTERM, NULL);
	while_asleep = kill_frozen;
	assert_false(signal_deliver(&tasks[0], -1, 0));
	assert_int_equal(process.exit_status, SIGKILL);
}

/* --- frames --- */

static void test_frame(void **state)
{
	struct signal_info info = from_user(SIGUSR1, SI_QUEUE, 42), got;
	struct trap_regs before;
	uint64_t word = 0, sp;

	(void)state;
	handle(SIGUSR1, SA_SIGINFO);
	memset(&tasks[0].regs, 0x5a, sizeof(tasks[0].regs));
	tasks[0].regs.rsp = STACK_BASE + 0x8000 + 3;
	tasks[0].regs.eflags = 0x10747;
	memset(fp, 0x77, sizeof(fp));
	before = tasks[0].regs;
	signal_task_send(&tasks[0], SIGUSR1, &info);
	assert_true(signal_deliver(&tasks[0], -1, 0));
	sp = tasks[0].regs.rsp;
	assert_int_equal(sp % 16, 8);
	assert_true(sp + 440 + FP_SIZE <= before.rsp - 128);
	assert_int_equal(tasks[0].regs.rdi, SIGUSR1);
	assert_int_equal(tasks[0].regs.rdx, sp + 8);
	assert_int_equal(tasks[0].regs.rsi, sp + 312);
	assert_int_equal(tasks[0].regs.rax, 0);
	assert_int_equal(tasks[0].regs.eflags, 0x247);
	assert_true(fp_cleared);
	user_read(NULL, &word, sp, 8);
	assert_int_equal(word, 0x5000);
	user_read(NULL, &got, sp + 312, sizeof(got));
	assert_memory_equal(&got, &info, sizeof(got));
	user_read(NULL, &word, sp + 8 + 8 + 8 + 24 + 23 * 8, 8); /* fpstate */
	assert_int_equal(word % 64, 0);
	assert_memory_equal(stack_at(word, FP_SIZE), fp, FP_SIZE);
	tasks[0].regs.rsp += 8;
	signal_return(&tasks[0]);
	assert_memory_equal(&tasks[0].regs, &before, sizeof(before));
	assert_false(fp_cleared);
}

static void test_frame_without_place(void **state)
{
	(void)state;
	handle(SIGUSR1, 0);
	tasks[0].regs.rsp = STACK_BASE + 100;
	signal_task_send(&tasks[0], SIGUSR1, NULL);
	assert_false(signal_deliver(&tasks[0], -1, 0));
	assert_int_equal(process.exit_status, SIGSEGV);
}

static void test_alternate_stack(void **state)
{
	struct task *task = &tasks[0];
	uint64_t sp = task->regs.rsp, base = STACK_BASE + 0x1000;

	(void)state;
	assert_int_equal(signal_stack_flags(task, sp), SS_DISABLE);
	assert_int_equal(signal_stack_set(task, sp, base, 2047, 0), -ENOMEM);
	assert_int_equal(signal_stack_set(task, sp, base, 4096, 8), -EINVAL);
	assert_int_equal(signal_stack_set(task, sp, base, 4096, 0), 0);
	assert_int_equal(signal_stack_flags(task, sp), 0);
	handle(SIGUSR1, SA_ONSTACK | SA_NODEFER);
	signal_task_send(task, SIGUSR1, NULL);
	assert_true(signal_deliver(task, -1, 0));
	assert_in_range(task->regs.rsp, base, base + 4096);
	assert_int_equal(signal_stack_flags(task, task->regs.rsp), SS_ONSTACK);
	assert_int_equal(signal_stack_set(task, task->regs.rsp, base, 8192, 0), -EPERM);
	/* a second one on top, a third does not fit */
	signal_task_send(task, SIGUSR1, NULL);
	assert_true(signal_deliver(task, -1, 0));
	signal_task_send(task, SIGUSR1, NULL);
	signal_deliver(task, -1, 0);
	signal_task_send(task, SIGUSR1, NULL);
	assert_false(signal_deliver(task, -1, 0));
	assert_int_equal(process.exit_status, SIGSEGV);
}

static void test_exec_and_clone(void **state)
{
	struct process child;
	struct task thread, forked;

	(void)state;
	handle(SIGUSR1, SA_RESTART);
	process.signals.actions[SIGUSR2].handler = SIGNAL_IGNORE;
	tasks[0].signals.mask = 5;
	tasks[0].signals.stack_size = 4096;
	signal_process_init(&child, &process, 0);
	assert_int_equal(child.signals.actions[SIGUSR1].handler, 0x4000 + SIGUSR1);
	signal_process_init(&child, &process, 0x100000000ull); /* CLONE_CLEAR_SIGHAND */
	assert_int_equal(child.signals.actions[SIGUSR1].handler, 0);
	assert_int_equal(child.signals.actions[SIGUSR2].handler, SIGNAL_IGNORE);
	signal_task_init(&forked, &tasks[0], 0);
	assert_int_equal(forked.signals.stack_size, 4096);
	assert_int_equal(forked.signals.mask, 5);
	signal_task_init(&thread, &tasks[0], 0x100); /* CLONE_VM */
	assert_int_equal(thread.signals.stack_size, 0);
	signal_process_exec(&process, &tasks[0]);
	assert_int_equal(process.signals.actions[SIGUSR1].handler, 0);
	assert_int_equal(process.signals.actions[SIGUSR2].handler, SIGNAL_IGNORE);
	assert_int_equal(tasks[0].signals.stack_size, 0);
	assert_int_equal(tasks[0].signals.mask, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_before_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ignored_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_chosen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_and_stop_are_never_blocked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_init_hears_what_it_handles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_permission, setup, teardown),
		cmocka_unit_test(test_restart),
		cmocka_unit_test_setup_teardown(test_two_handlers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_temporary_mask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_and_continue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_orphans_do_not_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_and_continue_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frame, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frame_without_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alternate_stack, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec_and_clone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
