/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/task.h - threads, processes, and the loop that serves them
 *
 *	container  one pid namespace, one mount table, one host name    (control/container.h)
 *	  process  a thread group: signal actions, limits, children     struct process
 *	    task   a thread: registers, mask, descriptors, credentials  struct task
 *
 * A task has a thread of the sentry, which runs task_run(): wait for the guest, serve, deliver
 * signals, answer. Only that thread touches what is marked [own]; [tasks] needs tasks_lock;
 * [const] is set before the task runs. Others reach a task by task_signal (signal/signal.h),
 * task_wake() and task_interrupt().
 */
#ifndef SENTRY_TASK_TASK_H
#define SENTRY_TASK_TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "sentry/kernel.h"
#include "sentry/signal/signal.h"
#include "sentry/task/cred.h"
#include "sentry/task/park.h"
#include "sentry/task/waitq.h"
#include "sentry/trap/trap.h"

struct fdtable;
struct fs_context; /* root, working directory, umask: vfs/fs_context.h */
struct mm;
struct mount_table;
struct pid_table;
struct sandbox_container;
struct tty;

struct session {
	unsigned refs;	       /* [tasks] */
	unsigned npgrps;       /* [tasks] groups that have members */
	int id;		       /* [const] */
	struct tty *tty;       /* [tasks] controlling terminal, a reference; NULL: none */
};

/* A process group. */
struct pgrp {
	unsigned refs;		  /* [tasks] */
	int id;			  /* [const] */
	struct session *session;  /* [const] */
	struct process *processes; /* [tasks] by pgrp_next */
};

/* What sched_* and *priority calls set and tell; nothing follows from it. */
struct task_sched {
	int policy, priority;
	int nice;
	int ioprio;
	bool reset_on_fork;
	uint64_t affinity; /* of the first 64 processors; 0: all */
};

struct process {
	int pid;			     /* [const] in its container */
	struct sandbox_container *container; /* [const] a reference */
	struct process *parent;		     /* [tasks] NULL: the container's init and its execs */
	struct process *children, *children_last; /* [tasks] the eldest first, by sibling_next */
	struct process *sibling_prev, *sibling_next; /* [tasks] */
	struct task *tasks;		     /* [tasks] by task->next, leader while it lives first */
	_Atomic unsigned ntasks;	     /* [tasks] to change; one thread alone sees that it is */
	unsigned nleaving;		     /* [tasks] those that are about to be gone */
	struct pgrp *pgrp;		     /* [tasks] */
	struct process *pgrp_prev, *pgrp_next; /* [tasks] */
	struct signal_process signals;	     /* [tasks] actions and what is pending for all */
	struct waitq child_wait;	     /* woken when a child changes state */

	bool exiting;			     /* [tasks] exit_group or a fatal signal */
	struct task *exec_task;		     /* [tasks] in execve(2): all others are to end */
	struct waitq task_gone;		     /* woken when one of several tasks is gone */
	_Atomic bool zombie;		     /* [tasks] all tasks are gone, nobody has waited */
	bool zapping;			     /* [tasks] a container's init that takes all with it */
	int exit_status;		     /* [tasks] as wait(2) encodes it */
	uint32_t exit_uid;		     /* [tasks] of a zombie */
	int exit_signal;		     /* [tasks] to the parent; 0: none */
	int parent_death_signal;	     /* [tasks] */
	bool subreaper, dumpable, execed;    /* [tasks] */
	_Atomic bool undoes;		     /* semaphores have something of it: sem_exit() */
	uint32_t personality;		     /* [tasks] */
	int oom_score_adj;		     /* [tasks] */
	uint32_t loginuid;		     /* [tasks] who logged in; UINT32_MAX: nobody */

	struct rlimit limits[RLIM_NLIMITS];  /* [tasks] */
	struct rusage usage, children_usage; /* [tasks] of what has ended; process_usage() for all */
	uint64_t guest_time, our_time;	     /* [tasks] nanoseconds of ended tasks, not in usage */
	usec_t started;			     /* [const] CLOCK_MONOTONIC */
	struct timer_set *timers;	     /* task/timer.h; itimers and timer_create */
	bool no_timers;			     /* [tasks] it ends: nobody would free them */
	struct waitq exited;		     /* woken at the end, for pidfds and control */
	_Atomic unsigned refs;
};

/* task->watch when it is no call */
#define TASK_GUEST    (-1) /* runs guest code */
#define TASK_SETTLING (-2) /* between the two */

struct task {
	struct task *next;		/* [tasks] in process->tasks */
	int tid;			/* [const] but for execve by another than the leader */
	pid_t host_tid;			/* of its thread here, before it is ready */
	struct process *process;	/* [const] */
	struct trap_thread *thread;	/* [own] replaced by execve, NULL at the end, under tasks_lock */
	pthread_t host;			/* set by its own thread before it is ready */
	char name[16];			/* [tasks] */
	usec_t started;			/* [const] CLOCK_MONOTONIC */

	struct mm *mm;			/* [own] replaced by execve under tasks_lock, so that others may
					 * look under it and take a reference */
	struct fdtable *files;		/* the same */
	struct fs_context *fs;		/* the same */
	struct cred *cred;		/* the same */

	struct signal_task signals;	/* mask, pending, alternate stack */

	/* The call being served. */
	struct trap_event event;	/* [own] */
	struct trap_regs regs;		/* [own] valid with has_regs: TRAP_FRAME */
	bool has_regs;			/* [own] */
	bool regs_changed;		/* [own] regs go back before it runs on */
	bool fresh;			/* [own] thread is new: started, not resumed */
	bool ready;			/* [tasks] its thread has begun: host, host_tid are good */
	int cut_call;			/* [own] a call that was answered with a kick, -1: none */
	void *fp;			/* [own] floating point image to start with; NULL: none */
	long cut_result;		/* [own] its result, signal_deliver() is to see */
	long (*restart)(struct task *task); /* [own] what restart_syscall(2) goes on with */
	uint64_t restart_args[6];	/* [own] */

	uint64_t clear_tid;		/* [own] CLONE_CHILD_CLEARTID, set_tid_address */
	uint64_t robust_list;		/* [own] */
	struct waitq *vfork_done;	/* [tasks] the parent that waits for our exec or exit */
	_Atomic bool futexes_left;	/* owns no PI futexes any more, whatever words say */
	bool ending;			/* [own] exit(2): this one alone */
	bool clone_again;		/* [own] a clone gave way to a signal the last time */
	int end_status;			/* [own] as wait(2) encodes it */
	uint64_t timer_slack;		/* [own] nanoseconds */
	struct task_sched sched;	/* [tasks] */
	uint64_t cpu_guest, cpu_host;	/* [tasks] readings of the threads' clocks to count from */
	uint64_t guest_past;		/* [tasks] nanoseconds in threads before this one */

	struct park park;		/* [own] or of who holds it */
	_Atomic unsigned wakeups;	/* counts; wait_sleep() sleeps on it */
	_Atomic bool sleeping;		/* on wakeups, or is about to */
	_Atomic bool polling;		/* sleeps in poll(2) of the host: needs a signal to wake */
	_Atomic bool interrupted;	/* signal, stop or end is due: look before sleeping */
	_Atomic bool stopped;		/* parked by job control */
	_Atomic int watch;		/* number of the call being served, or TASK_* */
	usec_t call_started;		/* for the watchdog */
	usec_t watchdog_call;		/* [tasks] call_started and wakeups when it looked, */
	unsigned watchdog_wakeups, watchdog_looks; /* and how often they were the same */
	_Atomic unsigned refs;
};

/* The calling thread's task, or the one whose parked call it finishes; NULL in the sentry's other
 * threads. */
extern _Thread_local struct task *task_current;

/* --- creation; task/clone.c, task/exec.c, task/start.c --- */

struct task_clone {
	uint64_t flags;		/* CLONE_*; exit signal apart */
	int exit_signal;
	uint64_t stack;		/* 0: as the parent's; lowest address with stack_size (clone3) */
	uint64_t stack_size;
	uint64_t parent_tid, child_tid, tls, pidfd;
};

/* task_clone() - fork, vfork, threads. Return: the child's tid as the caller sees it */
long task_clone(struct task *task, const struct task_clone *args);

/* task_exec() - execve(2) in @task, arguments already our own. Return: 0, then the registers are
 * new; or negative errno, then nothing has changed */
struct file;
long task_exec(struct task *task, struct file *file, const char *path, char **argv, char **envp);

/* A process that nobody forked: a container's init or an exec. */
struct process_start {
	struct sandbox_container *container;
	char **argv, **envp;
	const char *cwd;
	struct cred *cred;	   /* a reference is taken */
	struct file *stdio[3];	   /* references are taken; NULL: closed */
	struct tty *tty;	   /* controlling terminal, of a new session; NULL: none */
	const struct rlimit *limits; /* RLIM_NLIMITS of them */
	bool init;		   /* pid 1 */
	bool no_new_privs;
	uint32_t umask;
};

/* process_start() - Make and run it, its program found in the container's PATH. Return: 0 with a
 * reference; negative errno with @err: ENOENT, EACCES, ENOEXEC of the program ... */
int process_start(const struct process_start *args, struct process **out, struct coffer_error *err);

/* --- end --- */

/* process_end() - All tasks of the process are to end with @status (as wait encodes it); the
 * first one counts. Any thread, tasks_lock held. */
void process_end(struct process *process, int status);
struct process *process_get(struct process *process);
void process_put(struct process *process);
struct task *task_get(struct task *task);
void task_put(struct task *task);

/* --- from other threads --- */

/* task_wake() - Out of wait_sleep(), whatever it waits for. Any lock may be held. */
void task_wake(struct task *task);
/* task_sleeps() - In a call that waits for something */
static inline bool task_sleeps(const struct task *task)
{
	return atomic_load(&task->watch) != TASK_GUEST &&
	       (atomic_load(&task->sleeping) || atomic_load(&task->polling));
}
/* task_interrupt() - There is something to deliver or to do before guest code runs again: out of
 * wait_sleep() with -ERESTARTSYS, and out of guest code by a kick. tasks_lock held. */
void task_interrupt(struct task *task);

/* --- lookup, tasks_lock held; no reference is taken --- */
struct process *process_find(struct sandbox_container *container, int pid); /* zombies too */
struct task *task_find(struct sandbox_container *container, int tid);
struct pgrp *pgrp_find(struct sandbox_container *container, int id);
struct session *session_find(struct sandbox_container *container, int id);
/* process_each() - Every process of a container by number, until @fn returns other than 0; it may
 * not make one or let one go */
int process_each(struct sandbox_container *container,
		 int (*fn)(struct process *process, void *data), void *data);

/* References to keep one longer than the lock; tasks_lock held */
struct session *session_get(struct session *session);
void session_put(struct session *session);
struct pgrp *pgrp_get(struct pgrp *pgrp);
void pgrp_put(struct pgrp *pgrp);

/* pid_table_new() - Of a new container. NULL: no memory */
struct pid_table *pid_table_new(void);
void pid_table_free(struct pid_table *table); /* nobody may be in it; NULL-safe */
/* pid_table_last() - The number that was given out last, for /proc/loadavg. tasks_lock held */
int pid_table_last(const struct pid_table *table);

/* --- limits, times --- */
uint64_t task_limit(const struct task *task, unsigned resource); /* rlim_cur */
/* task_cpu() - Nanoseconds in guest code and in ours. tasks_lock held */
void task_cpu(const struct task *task, uint64_t *guest, uint64_t *ours);
/* process_usage() - Of all its tasks, also the ended ones. tasks_lock held */
void process_usage(const struct process *process, struct rusage *out);

/* References for who looks from outside (procfs); tasks_lock held. NULL: it has ended */
struct mm *task_mm_get(struct task *task);
struct fdtable *task_files_get(struct task *task);
struct fs_context *task_fs_get(struct task *task);
struct cred *task_cred_get(struct task *task);
/* process_may_look() - Whether @task may look into @process, or take from it; tasks_lock held */
static inline bool process_may_look(const struct task *task, const struct process *process)
{
	if (process == task->process)
		return true;
	return process->tasks && process->tasks->cred &&
	       cred_may_look(task->cred, process->tasks->cred, process->dumpable);
}

#endif /* SENTRY_TASK_TASK_H */
