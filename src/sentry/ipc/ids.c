/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/ids.c - keys, ids and permissions of System V objects
 *
 * An id is a place in the space's table of its kind and, above it, how often places of the table were
 * given out, so that an id of what is gone is told from one of what came after.
 *
 * Called by the files of the three kinds.
 */
#include "sentry/ipc/ipc.h"

#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#define IPC_ID_SHIFT 15 /* of the count of uses */
#define IPC_USES     0xffffu
#define IPC_GROW     16u

struct ipc_table {
	struct ipc_object **slots; /* owned; NULL: free */
	unsigned nslots, count;
	uint32_t uses;
};

struct ipc_space {
	struct ipc_table tables[IPC_KINDS];
};

struct bound ipc_bytes = { .each = 32, .least = 1u << 20, .most = 64u << 20 };

static pthread_mutex_t ipc_mutex = PTHREAD_MUTEX_INITIALIZER;

void ipc_lock(void)
{
	pthread_mutex_lock(&ipc_mutex);
}

void ipc_unlock(void)
{
	pthread_mutex_unlock(&ipc_mutex);
}

/* NULL: nobody has made anything in it */
static struct ipc_table *ipc_table_of(const struct sandbox_container *container,
				      enum ipc_kind kind)
{
	return container->ipc ? &container->ipc->tables[kind] : NULL;
}

static unsigned ipc_index(int id)
{
	return (unsigned)id & ((1u << IPC_ID_SHIFT) - 1);
}

void ipc_hold(struct ipc_object *object)
{
	object->refs++;
}

void ipc_drop(struct ipc_object *object)
{
	if (--object->refs == 0)
		object->free(object);
}

void ipc_remove(struct ipc_object *object)
{
	struct ipc_table *table;

	if (!object->space)
		return;
	table = &object->space->tables[object->kind];
	table->slots[ipc_index(object->id)] = NULL;
	table->count--;
	object->space = NULL;
	object->id = -1;
	ipc_drop(object);
}

void ipc_space_free(struct ipc_space *space)
{
	if (!space)
		return;
	ipc_lock();
	for (unsigned kind = 0; kind < IPC_KINDS; kind++) {
		struct ipc_table *table = &space->tables[kind];

		for (unsigned i = 0; i < table->nslots; i++)
			if (table->slots[i])
				ipc_remove(table->slots[i]);
		free(table->slots);
	}
	ipc_unlock();
	free(space);
}

/* --- who may --- */

static bool ipc_is_owner(const struct cred *cred, const struct ipc_object *object)
{
	return cred->euid == object->uid || cred->euid == object->cuid;
}

/* @want: the bits of one class or of several, as in a mode */
static int ipc_permit(const struct cred *cred, const struct ipc_object *object, unsigned want)
{
	unsigned granted = object->mode;

	want = (want >> 6 | want >> 3 | want) & 7;
	if (ipc_is_owner(cred, object))
		granted >>= 6;
	else if (cred_in_group(cred, object->gid) || cred_in_group(cred, object->cgid))
		granted >>= 3;
	if ((want & ~granted) && !cred_capable(cred, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

/* --- finding --- */

int ipc_find(struct task *task, enum ipc_kind kind, int id, unsigned want,
	     struct ipc_object **out)
{
	const struct ipc_table *table = ipc_table_of(task->process->container, kind);
	struct ipc_object *object;

	if (id < 0 || !table || ipc_index(id) >= table->nslots)
		return -EINVAL;
	object = table->slots[ipc_index(id)];
	if (!object)
		return -EINVAL;
	if (object->id != id)
		return -EIDRM;
	*out = object;
	return ipc_permit(task->cred, object, want);
}

int ipc_find_owned(struct task *task, enum ipc_kind kind, int id, struct ipc_object **out)
{
	int r = ipc_find(task, kind, id, 0, out);

	if (r)
		return r;
	return ipc_is_owner(task->cred, *out) || cred_capable(task->cred, CAP_SYS_ADMIN) ? 0
											  : -EPERM;
}

int ipc_find_index(struct task *task, enum ipc_kind kind, int index, bool any,
		   struct ipc_object **out)
{
	const struct ipc_table *table = ipc_table_of(task->process->container, kind);

	if (index < 0 || !table || (unsigned)index >= table->nslots || !table->slots[index])
		return -EINVAL;
	*out = table->slots[index];
	return ipc_permit(task->cred, *out, any ? 0 : 0444);
}

struct ipc_object *ipc_next(const struct sandbox_container *container, enum ipc_kind kind,
			    const struct ipc_object *after)
{
	const struct ipc_table *table = ipc_table_of(container, kind);
	unsigned i = after ? ipc_index(after->id) + 1 : 0;

	while (table && i < table->nslots && !table->slots[i])
		i++;
	return table && i < table->nslots ? table->slots[i] : NULL;
}

int ipc_top(const struct sandbox_container *container, enum ipc_kind kind, unsigned *count)
{
	const struct ipc_table *table = ipc_table_of(container, kind);
	unsigned top = table ? table->nslots : 0;

	*count = table ? table->count : 0;
	while (top && !table->slots[top - 1])
		top--;
	return top ? (int)top - 1 : 0;
}

void ipc_fill(const struct ipc_object *object, struct ipc_perm *out)
{
	memset(out, 0, sizeof(*out)); /* it has holes */
	out->__key = object->key;
	out->uid = object->uid;
	out->gid = object->gid;
	out->cuid = object->cuid;
	out->cgid = object->cgid;
	out->mode = object->mode;
	out->__seq = (unsigned short)((unsigned)object->id >> IPC_ID_SHIFT);
}

int ipc_set(struct ipc_object *object, const struct ipc_perm *perm)
{
	if (perm->uid == UINT32_MAX || perm->gid == UINT32_MAX)
		return -EINVAL;
	object->uid = perm->uid;
	object->gid = perm->gid;
	object->mode = (object->mode & ~0777u) | (perm->mode & 0777u);
	return 0;
}

/* --- making --- */

static int ipc_grow(struct ipc_table *table)
{
	struct ipc_object **slots =
		reallocarray(table->slots, table->nslots + IPC_GROW, sizeof(struct ipc_object *));

	if (!slots)
		return -ENOMEM;
	memset(slots + table->nslots, 0, IPC_GROW * sizeof(struct ipc_object *));
	table->slots = slots;
	table->nslots += IPC_GROW;
	return 0;
}

static long ipc_make(struct task *task, const struct ipc_wish *wish)
{
	struct sandbox_container *container = task->process->container;
	struct ipc_object *object;
	struct ipc_table *table;
	unsigned i = 0;
	int r;

	if (!container->ipc)
		container->ipc = calloc(1, sizeof(*container->ipc));
	if (!container->ipc)
		return -ENOMEM;
	table = &container->ipc->tables[wish->kind];
	if (table->count >= IPC_MAX)
		return -ENOSPC;
	while (i < table->nslots && table->slots[i])
		i++;
	if (i == table->nslots && ipc_grow(table) < 0)
		return -ENOMEM;
	r = wish->make(task, wish, &object);
	if (r)
		return r;
	object->refs = 1;
	object->space = container->ipc;
	object->kind = wish->kind;
	object->key = wish->key;
	object->uid = object->cuid = task->cred->euid;
	object->gid = object->cgid = task->cred->egid;
	object->mode = (unsigned)wish->flags & 0777u;
	object->id = (int)((table->uses++ & IPC_USES) << IPC_ID_SHIFT | i);
	table->slots[i] = object;
	table->count++;
	return object->id;
}

static struct ipc_object *ipc_find_key(struct task *task, const struct ipc_wish *wish)
{
	struct ipc_object *object = NULL;

	if (wish->key == IPC_PRIVATE)
		return NULL;
	while ((object = ipc_next(task->process->container, wish->kind, object)))
		if (object->key == wish->key)
			return object;
	return NULL;
}

long ipc_get(struct task *task, const struct ipc_wish *wish)
{
	struct ipc_object *object;
	long r = 0;

	ipc_lock();
	object = ipc_find_key(task, wish);
	if (!object)
		r = wish->key == IPC_PRIVATE || (wish->flags & IPC_CREAT) ? ipc_make(task, wish)
									  : -ENOENT;
	else if ((wish->flags & IPC_CREAT) && (wish->flags & IPC_EXCL))
		r = -EEXIST;
	else if (wish->check && wish->check(object, wish->size) < 0)
		r = wish->check(object, wish->size);
	else
		r = ipc_permit(task->cred, object, (unsigned)wish->flags & 0777u);
	if (object && r == 0)
		r = object->id;
	ipc_unlock();
	return r;
}
