/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/ipc.h - System V shared memory, semaphores and message queues
 *
 * Each container has a space of its own for them, as a container has an IPC namespace. Objects stay
 * until they are removed, whoever made them, or the container goes.
 *
 * One lock for all of it, outside of a file's and a memory file's; nothing of it is held while a task
 * sleeps or guest memory is touched. An object that somebody sleeps at or has mapped is kept by a
 * reference when it is removed.
 */
#ifndef SENTRY_IPC_IPC_H
#define SENTRY_IPC_IPC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/ipc.h>

#include "base/clock.h"
#include "sentry/vfs/bound.h"

struct ipc_object;
struct ipc_space;
struct process;
struct sandbox_container;
struct task;

/* --- what calls do; each returns what the guest gets --- */

long shm_get(struct task *task, int32_t key, uint64_t size, int flags);
long shm_attach(struct task *task, int id, uint64_t addr, int flags);
long shm_detach(struct task *task, uint64_t addr);
long shm_control(struct task *task, int id, int cmd, uint64_t buf);

long sem_get(struct task *task, int32_t key, int n, int flags);
/* sem_operate() - semtimedop(2) until @deadline */
long sem_operate(struct task *task, int id, uint64_t ops, uint64_t n, usec_t deadline);
long sem_control(struct task *task, int id, int num, int cmd, uint64_t arg);
/* sem_exit() - A process ends: what it did with SEM_UNDO is undone. No lock held. */
void sem_exit(struct process *process);

long msg_get(struct task *task, int32_t key, int flags);
long msg_send(struct task *task, int id, uint64_t from, uint64_t size, int flags);
long msg_receive(struct task *task, int id, uint64_t to, uint64_t size, int64_t type, int flags);
long msg_control(struct task *task, int id, int cmd, uint64_t buf);

/* ipc_space_free() - Of a container that goes; NULL-safe */
void ipc_space_free(struct ipc_space *space);

/* --- ids.c, for the three kinds --- */

#define IPC_MAX 4096 /* of a kind in a container; procfs_sys.c says so */

enum ipc_kind { IPC_KIND_SHM, IPC_KIND_SEM, IPC_KIND_MSG, IPC_KINDS };

/* First member of each kind. ipc_lock() */
struct ipc_object {
	unsigned refs;
	int id;	      /* -1: removed */
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	struct ipc_space *space; /* NULL: it is in none any more */
	enum ipc_kind kind;
	void (*free)(struct ipc_object *object); /* the last reference is gone */
};

/* What *get(2) asks for. */
struct ipc_wish {
	enum ipc_kind kind;
	int32_t key;
	int flags;
	uint64_t size; /* bytes, semaphores */
	/* Whether one that is there is good for it. Return: 0 or negative errno; NULL: always */
	int (*check)(const struct ipc_object *object, uint64_t size);
	int (*make)(struct task *task, const struct ipc_wish *wish, struct ipc_object **out);
};

/* What kinds make us keep besides pages. */
extern struct bound ipc_bytes;

void ipc_lock(void);
void ipc_unlock(void);
/* ipc_get() - Takes the lock. Return: the id */
long ipc_get(struct task *task, const struct ipc_wish *wish);
/* The rest with the lock held. */
/* ipc_find() - Who may not do @want (0444 read, 0222 change, 0: anybody) gets -EACCES. Return: 0
 * without a reference, -EINVAL, -EIDRM */
int ipc_find(struct task *task, enum ipc_kind kind, int id, unsigned want,
	     struct ipc_object **out);
/* ipc_find_owned() - For who may change or remove it: -EPERM */
int ipc_find_owned(struct task *task, enum ipc_kind kind, int id, struct ipc_object **out);
/* ipc_find_index() - By its place in the table, for *_STAT; @any: whoever asks */
int ipc_find_index(struct task *task, enum ipc_kind kind, int index, bool any,
		   struct ipc_object **out);
/* ipc_next() - Each of a kind, beginning with NULL */
struct ipc_object *ipc_next(const struct sandbox_container *container, enum ipc_kind kind,
			    const struct ipc_object *after);
/* ipc_top() - The highest used place, at least 0; *@count: how many there are */
int ipc_top(const struct sandbox_container *container, enum ipc_kind kind, unsigned *count);
void ipc_fill(const struct ipc_object *object, struct ipc_perm *out);
/* ipc_set() - IPC_SET's part of it. Return: 0 or -EINVAL */
int ipc_set(struct ipc_object *object, const struct ipc_perm *perm);
/* ipc_remove() - Nobody finds it any more */
void ipc_remove(struct ipc_object *object);
void ipc_hold(struct ipc_object *object);
void ipc_drop(struct ipc_object *object);

#endif /* SENTRY_IPC_IPC_H */
