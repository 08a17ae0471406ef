/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/sem.h - a set of System V semaphores; for sem.c and sem_control.c. ipc_lock()
 */
#ifndef SENTRY_IPC_SEM_H
#define SENTRY_IPC_SEM_H

#include <stddef.h>
#include <sys/sem.h>
#include <time.h>

#include "sentry/ipc/ipc.h"
#include "sentry/task/task.h"
#include "sentry/task/waitq.h"

/* What kernel.sem says. */
#define SEM_SET_MAX	32000 /* semaphores in a set */
#define SEM_OPS_MAX	500   /* operations in a call */
#define SEM_VALUE_LIMIT 32767

struct sem {
	uint16_t value;
	int pid; /* who changed it last */
};

/* What is added when a process ends. */
struct sem_undo {
	struct sem_undo *next;
	struct process *process; /* which takes it away when it ends: sem_exit() */
	int16_t adjust[];	 /* one for each semaphore */
};

struct sem_sleeper {
	struct sem_sleeper *next;
	const struct sembuf *op; /* what it waits for */
};

struct sem_set {
	struct ipc_object o;
	struct waitq changes;
	struct sem_undo *undos;	      /* owned */
	struct sem_sleeper *sleepers; /* on the stacks of those who sleep */
	time_t operated, changed;
	unsigned n;
	struct sem sems[];
};

static inline struct sem_set *sem_set(struct ipc_object *object)
{
	return (struct sem_set *)((char *)object - offsetof(struct sem_set, o));
}

#endif /* SENTRY_IPC_SEM_H */
