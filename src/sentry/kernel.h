/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/kernel.h - the application kernel's one object, its rooms and its locks
 *
 *	trap/      host processes that run guest code, and how their calls come here
 *	mm/        guest memory: the memory file, VMAs, faults, access to it, ELF
 *	task/      threads, processes, sessions, credentials, futexes, timers; the dispatch loop
 *	signal/    what is pending, how it is delivered
 *	vfs/       path walk, mounts, descriptors; a folder for each file system
 *	net/       sockets and their backends
 *	tty/       line discipline, pseudo terminals
 *	ipc/       System V shared memory, semaphores, message queues
 *	syscalls/  one table; a file for each family of calls
 *	gofer/     the process that holds what the sentry may not reach itself
 *	control/   the agent contract, served to the host
 *
 * A guest thread is one thread here (task/task.h) and one in a stub (trap/trap.h). The sentry's
 * thread sleeps in the kernel until its guest calls, serves the call, answers, sleeps. There are
 * a few more: the control loop, timers, whoever fills the pools.
 *
 * Locks, from the outside in; nobody takes one to the left of what it holds:
 *
 *	kernel.tasks_lock > mm->lock > fdtable->lock > ipc_lock() > mount and dentry locks >
 *	inode->lock > memory file > wait queues
 *
 * and while holding any: no sleep that a guest decides the length of, no access to guest memory
 * by address (what user_pin() gave is fine). mm->lock is held over trips into a stub, so a stub
 * that dies in one ends the trip with an error, see trap.h.
 *
 * The guest is hostile: what is read from its memory or registers is read once, into our own,
 * and checked there. What is out of memory, or a broken stub, ends a guest process, never us.
 */
#ifndef SENTRY_KERNEL_H
#define SENTRY_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

#define SENTRY_SYSCALL_MAX 512
#define PAGE_SIZE	   4096ul
#define PAGE_UP(x)	   (((x) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))
#define PAGE_DOWN(x)	   ((x) & ~(PAGE_SIZE - 1))

/* Results of a handler that never reach a guest (Linux's include/linux/errno.h): the call was
 * interrupted, and what becomes of it depends on the signal's action. See signal/signal.h. */
#define ERESTARTSYS	      512 /* again if SA_RESTART or no handler, else EINTR */
#define ERESTARTNOINTR	      513 /* again always */
#define ERESTARTNOHAND	      514 /* again if no handler runs, else EINTR */
#define ERESTART_RESTARTBLOCK 516 /* by restart_syscall(2) if no handler runs, else EINTR */

struct memfile;
struct trap_pool;
struct gofer;
struct sandbox_container;

struct kernel {
	struct memfile *memory;	  /* owned; every guest page that no host file holds */
	struct trap_pool *stubs;  /* owned */
	struct gofer *gofer;	  /* owned; NULL in tests without files of the host */

	/* Tasks, processes, sessions, who waits for whom, what signals are pending. */
	pthread_mutex_t tasks_lock;
	struct sandbox_container *containers; /* tasks_lock */

	uint64_t memory_max;	/* bytes of guest memory for all; 0: no limit */
	unsigned pids_max;	/* tasks of all containers; 0: no limit */
	unsigned cpus;		/* what guests are told */
	usec_t boot;		/* CLOCK_MONOTONIC when the kernel started */
	bool strace;		/* each call is written to the log */

	_Atomic uint64_t calls[SENTRY_SYSCALL_MAX];	  /* made, by number */
	_Atomic uint64_t unimplemented[SENTRY_SYSCALL_MAX]; /* answered with ENOSYS */
};

/* One process is one kernel. */
extern struct kernel kernel;

#endif /* SENTRY_KERNEL_H */
