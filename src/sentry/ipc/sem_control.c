/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/sem_control.c - semctl(2)
 *
 * Values are copied to and from a buffer of our own around the lock, under which no guest memory is
 * touched: how many there are is asked first, and the set found again by its id and that number.
 *
 * Called by syscalls/ipc.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/ipc/sem.h"
#include "sentry/mm/user.h"

static long sem_stat(struct task *task, int id, int cmd, uint64_t buf)
{
	struct ipc_object *object;
	struct semid_ds ds = { 0 };
	long r;

	ipc_lock();
	if (cmd == IPC_STAT)
		r = ipc_find(task, IPC_KIND_SEM, id, 0444, &object);
	else
		r = ipc_find_index(task, IPC_KIND_SEM, id, cmd == SEM_STAT_ANY, &object);
	if (r == 0) {
		const struct sem_set *set = sem_set(object);

		ipc_fill(object, &ds.sem_perm);
		ds.sem_otime = set->operated;
		ds.sem_ctime = set->changed;
		ds.sem_nsems = set->n;
		r = cmd == IPC_STAT ? 0 : object->id;
	}
	ipc_unlock();
	if (r >= 0 && user_write(task->mm, buf, &ds, sizeof(ds)) < 0)
		r = -EFAULT;
	return r;
}

static long sem_change(struct task *task, int id, uint64_t buf)
{
	struct ipc_object *object;
	struct semid_ds ds;
	int r = user_read(task->mm, &ds, buf, sizeof(ds));

	if (r)
		return r;
	ipc_lock();
	r = ipc_find_owned(task, IPC_KIND_SEM, id, &object);
	if (r == 0)
		r = ipc_set(object, &ds.sem_perm);
	if (r == 0)
		sem_set(object)->changed = time(NULL);
	ipc_unlock();
	return r;
}

static long sem_remove(struct task *task, int id)
{
	struct ipc_object *object;
	int r;

	ipc_lock();
	r = ipc_find_owned(task, IPC_KIND_SEM, id, &object);
	if (r == 0) {
		waitq_wake(&sem_set(object)->changes, POLLIN);
		ipc_remove(object);
	}
	ipc_unlock();
	return r;
}

static long sem_limits(struct task *task, int cmd, uint64_t buf)
{
	struct seminfo info = { .semmni = IPC_MAX, .semmns = IPC_MAX * SEM_SET_MAX,
				.semmsl = SEM_SET_MAX, .semopm = SEM_OPS_MAX,
				.semvmx = SEM_VALUE_LIMIT, .semmnu = IPC_MAX * SEM_SET_MAX,
				.semmap = IPC_MAX * SEM_SET_MAX, .semume = SEM_OPS_MAX,
				.semusz = 20, .semaem = SEM_VALUE_LIMIT };
	struct ipc_object *object = NULL;
	unsigned count;
	int top, n = 0;

	ipc_lock();
	top = ipc_top(task->process->container, IPC_KIND_SEM, &count);
	while ((object = ipc_next(task->process->container, IPC_KIND_SEM, object)))
		n += (int)sem_set(object)->n;
	ipc_unlock();
	if (cmd == SEM_INFO) {
		info.semusz = (int)count;
		info.semaem = n;
	}
	return user_write(task->mm, buf, &info, sizeof(info)) < 0 ? -EFAULT : top;
}

/* --- values --- */

static void sem_set_value(struct sem_set *set, unsigned num, uint16_t value, int pid)
{
	set->sems[num].value = value;
	set->sems[num].pid = pid;
	for (struct sem_undo *undo = set->undos; undo; undo = undo->next)
		undo->adjust[num] = 0;
}

static void sem_changed(struct sem_set *set)
{
	set->changed = time(NULL);
	waitq_wake(&set->changes, POLLIN);
}

static int sem_sleepers(const struct sem_set *set, unsigned num, bool for_zero)
{
	int n = 0;

	for (const struct sem_sleeper *s = set->sleepers; s; s = s->next)
		n += s->op->sem_num == num && (s->op->sem_op == 0) == for_zero;
	return n;
}

/* GETVAL and its like. */
static long sem_one(const struct sem_set *set, unsigned num, int cmd)
{
	switch (cmd) {
	case GETVAL:
		return set->sems[num].value;
	case GETPID:
		return set->sems[num].pid;
	default:
		return sem_sleepers(set, num, cmd == GETZCNT);
	}
}

static long sem_value(struct task *task, int id, int num, int cmd, int value)
{
	struct ipc_object *object;
	struct sem_set *set;
	long r;

	if (cmd == SETVAL && (value < 0 || value > SEM_VALUE_LIMIT))
		return -ERANGE;
	ipc_lock();
	r = ipc_find(task, IPC_KIND_SEM, id, cmd == SETVAL ? 0222 : 0444, &object);
	if (r == 0) {
		set = sem_set(object);
		if (num < 0 || (unsigned)num >= set->n) {
			r = -EINVAL;
		} else if (cmd == SETVAL) {
			sem_set_value(set, (unsigned)num, (uint16_t)value, task->process->pid);
			sem_changed(set);
		} else {
			r = sem_one(set, (unsigned)num, cmd);
		}
	}
	ipc_unlock();
	return r;
}

/* sem_values() - Zeros in *@values, one for each of a set that may be used so; how many */
static long sem_values(struct task *task, int id, unsigned want, uint16_t **values)
{
	struct ipc_object *object;
	long n;

	ipc_lock();
	n = ipc_find(task, IPC_KIND_SEM, id, want, &object);
	if (n == 0)
		n = sem_set(object)->n;
	ipc_unlock();
	if (n < 0)
		return n;
	*values = calloc((size_t)n, sizeof(**values));
	return *values ? n : -ENOMEM;
}

/* sem_find() - The set with as many as sem_values() said: ids come again after many uses */
static int sem_find(struct task *task, int id, unsigned want, long n, struct sem_set **out)
{
	struct ipc_object *object;
	int r = ipc_find(task, IPC_KIND_SEM, id, want, &object);

	if (r)
		return r;
	*out = sem_set(object);
	return (*out)->n == n ? 0 : -EIDRM;
}

static long sem_get_all(struct task *task, int id, uint64_t buf)
{
	autofree uint16_t *values = NULL;
	long r, n = sem_values(task, id, 0444, &values);
	struct sem_set *set;

	if (n < 0)
		return n;
	ipc_lock();
	r = sem_find(task, id, 0444, n, &set);
	for (long i = 0; r == 0 && i < n; i++)
		values[i] = set->sems[i].value;
	ipc_unlock();
	return r ? r : user_write(task->mm, buf, values, (size_t)n * sizeof(*values));
}

static long sem_set_all(struct task *task, int id, uint64_t buf)
{
	autofree uint16_t *values = NULL;
	long r, n = sem_values(task, id, 0222, &values);
	struct sem_set *set;

	if (n < 0)
		return n;
	r = user_read(task->mm, values, buf, (size_t)n * sizeof(*values));
	for (long i = 0; r == 0 && i < n; i++)
		if (values[i] > SEM_VALUE_LIMIT)
			r = -ERANGE;
	if (r)
		return r;
	ipc_lock();
	r = sem_find(task, id, 0222, n, &set);
	if (r == 0) {
		for (long i = 0; i < n; i++)
			sem_set_value(set, (unsigned)i, values[i], task->process->pid);
		sem_changed(set);
	}
	ipc_unlock();
	return r;
}

long sem_control(struct task *task, int id, int num, int cmd, uint64_t arg)
{
	switch (cmd) {
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return sem_stat(task, id, cmd, arg);
	case IPC_SET:
		return sem_change(task, id, arg);
	case IPC_RMID:
		return sem_remove(task, id);
	case IPC_INFO:
	case SEM_INFO:
		return sem_limits(task, cmd, arg);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
		return sem_value(task, id, num, cmd, (int)arg);
	case GETALL:
		return sem_get_all(task, id, arg);
	case SETALL:
		return sem_set_all(task, id, arg);
	default:
		return -EINVAL;
	}
}
