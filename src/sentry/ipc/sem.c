/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/sem.c - System V semaphores: sets, semop(2), and what is undone at an exit
 *
 * A semop either does all of its operations or none. What cannot be done yet sleeps on the set's one
 * queue, and looks again whenever a value of the set changes; who sleeps for what stands in a list,
 * for GETNCNT and GETZCNT. Adjustments of SEM_UNDO belong to a process: all its threads share them,
 * as threads of the C library do (CLONE_SYSVSEM is not looked at).
 *
 * semctl(2) is in sem_control.c. Called by syscalls/ipc.c, sem_exit() by the end of a process.
 */
#include "sentry/ipc/sem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"

/* What of one semop is the same for all tries. */
struct sem_call {
	struct sem_set *set;
	const struct sembuf *ops;
	size_t n;
	struct sem_undo *undo; /* NULL: nothing is undone */
	int pid;
};

static size_t sem_bytes(unsigned n)
{
	return sizeof(struct sem_set) + n * sizeof(struct sem);
}

static size_t sem_undo_bytes(unsigned n)
{
	return sizeof(struct sem_undo) + n * sizeof(int16_t);
}

static void sem_undo_free(struct sem_set *set, struct sem_undo *undo)
{
	bound_give(&ipc_bytes, sem_undo_bytes(set->n));
	free(undo);
}

static void sem_free(struct ipc_object *object)
{
	struct sem_set *set = sem_set(object);

	while (set->undos) {
		struct sem_undo *undo = set->undos;

		set->undos = undo->next;
		sem_undo_free(set, undo);
	}
	bound_give(&ipc_bytes, sem_bytes(set->n));
	waitq_destroy(&set->changes);
	free(set);
}

static int sem_check(const struct ipc_object *object, uint64_t n)
{
	return n > container_of(object, const struct sem_set, o)->n ? -EINVAL : 0;
}

static int sem_make(struct task *task, const struct ipc_wish *wish, struct ipc_object **out)
{
	unsigned n = (unsigned)wish->size;
	struct sem_set *set;

	(void)task;
	if (!n)
		return -EINVAL;
	if (!bound_take(&ipc_bytes, sem_bytes(n)))
		return -ENOSPC;
	set = calloc(1, sem_bytes(n));
	if (!set) {
		bound_give(&ipc_bytes, sem_bytes(n));
		return -ENOMEM;
	}
	waitq_init(&set->changes);
	set->o.free = sem_free;
	set->n = n;
	set->changed = time(NULL);
	*out = &set->o;
	return 0;
}

long sem_get(struct task *task, int32_t key, int n, int flags)
{
	const struct ipc_wish wish = { .kind = IPC_KIND_SEM, .key = key, .flags = flags,
				       .size = (unsigned)n, .check = sem_check,
				       .make = sem_make };

	return n < 0 || n > SEM_SET_MAX ? -EINVAL : ipc_get(task, &wish);
}

/* --- what a process did, to be undone --- */

/* sem_undo_of() - The one of @process at @set, made if need be; NULL: no memory */
static struct sem_undo *sem_undo_of(struct sem_set *set, struct process *process)
{
	struct sem_undo *undo = set->undos;

	while (undo && undo->process != process)
		undo = undo->next;
	if (undo || !bound_take(&ipc_bytes, sem_undo_bytes(set->n)))
		return undo;
	undo = calloc(1, sem_undo_bytes(set->n));
	if (!undo) {
		bound_give(&ipc_bytes, sem_undo_bytes(set->n));
		return NULL;
	}
	undo->process = process;
	undo->next = set->undos;
	set->undos = undo;
	atomic_store(&process->undoes, true);
	return undo;
}

static void sem_undo_all(struct sem_set *set, const struct sem_undo *undo, int pid)
{
	for (unsigned i = 0; i < set->n; i++) {
		int value = set->sems[i].value + undo->adjust[i];

		if (!undo->adjust[i])
			continue;
		set->sems[i].value =
			(uint16_t)(value < 0 ? 0 : value > SEM_VALUE_LIMIT ? SEM_VALUE_LIMIT : value);
		set->sems[i].pid = pid;
	}
	set->operated = time(NULL);
	waitq_wake(&set->changes, POLLIN);
}

void sem_exit(struct process *process)
{
	struct ipc_object *object = NULL;

	if (!atomic_load(&process->undoes))
		return;
	ipc_lock();
	while ((object = ipc_next(process->container, IPC_KIND_SEM, object))) {
		struct sem_set *set = sem_set(object);
		struct sem_undo **link = &set->undos;

		while (*link && (*link)->process != process)
			link = &(*link)->next;
		if (*link) {
			struct sem_undo *undo = *link;

			*link = undo->next;
			sem_undo_all(set, undo, process->pid);
			sem_undo_free(set, undo);
		}
	}
	ipc_unlock();
}

/* --- semop(2) --- */

static int sem_step(const struct sem_call *call, const struct sembuf *op)
{
	struct sem *sem = &call->set->sems[op->sem_num];
	int value = sem->value + op->sem_op;

	if (op->sem_op == 0)
		return sem->value ? 1 : 0;
	if (value < 0)
		return 1;
	if (value > SEM_VALUE_LIMIT)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		int adjust = call->undo->adjust[op->sem_num] - op->sem_op;

		if (adjust < -SEM_VALUE_LIMIT - 1 || adjust > SEM_VALUE_LIMIT)
			return -ERANGE;
		call->undo->adjust[op->sem_num] = (int16_t)adjust;
	}
	sem->value = (uint16_t)value;
	return 0;
}

static void sem_step_back(const struct sem_call *call, const struct sembuf *op)
{
	if (!op->sem_op)
		return;
	call->set->sems[op->sem_num].value =
		(uint16_t)(call->set->sems[op->sem_num].value - op->sem_op);
	if (op->sem_flg & SEM_UNDO)
		call->undo->adjust[op->sem_num] =
			(int16_t)(call->undo->adjust[op->sem_num] + op->sem_op);
}

/* sem_try() - All or none. Return: 0, negative errno, or 1 with the operation that cannot be done
 * yet in *@blocked */
static int sem_try(const struct sem_call *call, const struct sembuf **blocked)
{
	bool changed = false;
	size_t i;
	int r = 0;

	for (i = 0; i < call->n; i++) {
		r = sem_step(call, &call->ops[i]);
		if (r)
			break;
		changed |= call->ops[i].sem_op != 0;
	}
	if (r) {
		*blocked = &call->ops[i];
		while (i)
			sem_step_back(call, &call->ops[--i]);
		return r > 0 && ((*blocked)->sem_flg & IPC_NOWAIT) ? -EAGAIN : r;
	}
	for (i = 0; i < call->n; i++)
		call->set->sems[call->ops[i].sem_num].pid = call->pid;
	call->set->operated = time(NULL);
	if (changed)
		waitq_wake(&call->set->changes, POLLIN);
	return 0;
}

/* With ipc_lock(), which is dropped while it sleeps. */
static long sem_wait(struct task *task, const struct sem_call *call, usec_t deadline)
{
	struct sem_set *set = call->set;
	struct sem_sleeper sleeper = { .next = NULL };
	struct wait wait;
	int r;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		r = set->o.space ? sem_try(call, &sleeper.op) : -EIDRM;
		if (r <= 0)
			break;
		wait_on(&wait, &set->changes, POLLIN);
		sleeper.next = set->sleepers;
		set->sleepers = &sleeper;
		ipc_unlock();
		r = wait_sleep(&wait, deadline);
		ipc_lock();
		for (struct sem_sleeper **link = &set->sleepers; *link; link = &(*link)->next) {
			if (*link != &sleeper)
				continue;
			*link = sleeper.next;
			break;
		}
		if (r < 0)
			break;
	}
	wait_end(&wait);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS ? -EINTR : r; /* never restarted */
}

static int sem_begin(struct task *task, int id, struct sem_call *call)
{
	struct ipc_object *object;
	unsigned want = 0444, top = 0;
	bool undoes = false;
	int r;

	for (size_t i = 0; i < call->n; i++) {
		if (call->ops[i].sem_op)
			want = 0222;
		undoes |= call->ops[i].sem_op && (call->ops[i].sem_flg & SEM_UNDO);
		top = call->ops[i].sem_num > top ? call->ops[i].sem_num : top;
	}
	r = ipc_find(task, IPC_KIND_SEM, id, 0, &object);
	if (r)
		return r;
	call->set = sem_set(object);
	if (top >= call->set->n)
		return -EFBIG;
	r = ipc_find(task, IPC_KIND_SEM, id, want, &object);
	if (r == 0 && undoes) {
		call->undo = sem_undo_of(call->set, task->process);
		r = call->undo ? 0 : -ENOMEM;
	}
	return r;
}

long sem_operate(struct task *task, int id, uint64_t ops, uint64_t n, usec_t deadline)
{
	struct sem_call call = { .n = n, .pid = task->process->pid };
	autofree struct sembuf *copy = NULL;
	long r;

	if (!n || id < 0)
		return -EINVAL;
	if (n > SEM_OPS_MAX)
		return -E2BIG;
	copy = calloc(n, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	r = user_read(task->mm, copy, ops, n * sizeof(*copy));
	if (r)
		return r;
	call.ops = copy;
	ipc_lock();
	r = sem_begin(task, id, &call);
	if (r == 0) {
		ipc_hold(&call.set->o);
		r = sem_wait(task, &call, deadline);
		ipc_drop(&call.set->o);
	}
	ipc_unlock();
	return r;
}
