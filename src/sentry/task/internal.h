/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/internal.h - what the files of this room share
 */
#ifndef SENTRY_TASK_INTERNAL_H
#define SENTRY_TASK_INTERNAL_H

#include <sched.h>
#include <stddef.h>

#include "sentry/task/task.h"

#define TASK_STACK (64ul << 10)

/* --- pid.c; tasks_lock held --- */

#define PID_MAX 4194304

/* What one number stands for; gone when it stands for nothing. */
struct pid {
	int nr;
	struct task *task;
	struct process *process; /* zombies too */
	struct pgrp *pgrp;
	struct session *session;
};

/* pid_new() - The next free number. NULL: no memory */
struct pid *pid_new(struct pid_table *table);
struct pid *pid_get(struct pid_table *table, int nr); /* NULL: none */
void pid_drop_unused(struct pid_table *table, int nr);

/* --- process.c: making and unmaking; tasks_lock not held unless said --- */

/* process_new() - One reference, in nobody's list. NULL: no memory */
struct process *process_new(struct sandbox_container *container);
struct task *task_new(struct process *process);
/* process_link() - Give it a number and a place; the leader too. tasks_lock held.
 * Return: 0, -EAGAIN, -ENOMEM */
int process_link(struct process *process, struct process *parent, struct task *leader);
/* task_link() - One more task. tasks_lock held */
int task_link(struct task *task);
void task_unlink(struct task *task);	    /* tasks_lock held */
/* process_set_parent() - Away from the old one's children; NULL: nobody. tasks_lock held */
void process_set_parent(struct process *process, struct process *parent);
void process_unlink(struct process *process); /* reaped; tasks_lock held */

/* --- pgrp.c; tasks_lock held --- */

/* pgrp_begin() - With the number of @process, in @session, which enters it. Return: 0, -ENOMEM */
int pgrp_begin(struct process *process, struct session *session);
void pgrp_enter(struct process *process, struct pgrp *pgrp); /* leaves the old one */
void pgrp_leave(struct process *process);
int process_pgid(struct process *process); /* tasks_lock not held */
/* session_begin() - setsid(2): a session and group of its own. Return: 0, -ENOMEM */
int session_begin(struct process *process);

/* --- pool.c --- */

/* task_launch() - Give it a thread; it must be linked. Return: 0 or -EAGAIN */
int task_launch(struct task *task);
/* task_run() - Its thread: serve until it ends */
void task_run(struct task *task);

/* --- clone.c --- */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define CLONE_NEW_ANY                                                                              \
	((uint64_t)CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |   \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME)

/* task_unshare() - Own copies of what CLONE_FS, FILES and NEWNS name. Return: 0 or -ENOMEM */
long task_unshare(struct task *task, uint64_t flags);

/* --- run.c --- */

/* task_may_run() - The call is over with @result: it can be answered, unless there is something to do
 * before. By whoever owns the task: see park.h */
bool task_may_run(struct task *task, long result);

/* --- exit.c --- */

/* task_exit() - The last thing a task's thread does for it */
void task_exit(struct task *task);
/* exit_task_gone() - One task less: an init that waits for all others may go on. tasks_lock held */
void exit_task_gone(const struct sandbox_container *container);
/* task_must_end() - exit, exit_group, a fatal signal, another's execve */
bool task_must_end(struct task *task);
bool task_must_end_locked(const struct task *task);
/* task_leave_mm() - It will not touch this address space again: robust futexes, the word that
 * joiners wait on, the parent of a vfork. In its own thread, no lock held. */
void task_leave_mm(struct task *task);
/* process_reap() - Its parent knows: gone. tasks_lock held */
void process_reap(struct process *process);

/* --- usage.c; tasks_lock held --- */

void task_cpu_begin(struct task *task); /* from its own thread */
/* task_cpu_switch() - It goes on in another host thread */
void task_cpu_switch(struct task *task, struct trap_thread *thread);
/* task_cpu_end() - Add a task that ends to its process, and process and children to the parent's */
void task_cpu_end(struct task *task);
void usage_add(struct rusage *sum, const struct rusage *part);
uint64_t process_cpu(const struct process *process, uint64_t *guest, uint64_t *ours);

/* --- wait.c --- */

/* wait_poll() - ppoll(2) that task_wake() ends, with task->polling set before. Return: as it does */
int wait_poll(struct pollfd *fds, unsigned nfds, usec_t deadline);

/* --- ptimer.c --- */

/* cpu_limit_changed() - RLIMIT_CPU has another value. tasks_lock held */
void cpu_limit_changed(struct process *process);

void timer_set_exec(struct process *process); /* tasks_lock not held */
void timer_set_free(struct process *process); /* the same; no task is left but the caller's */

/* task_cred_set() - Replace; @cred's reference is taken over. Own thread. */
void task_cred_set(struct task *task, struct cred *cred);

#endif /* SENTRY_TASK_INTERNAL_H */
