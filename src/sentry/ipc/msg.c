/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/ipc/msg.c - System V message queues
 *
 * Messages lie in our own memory, bounded for all together; their text comes and goes without the
 * lock. Who sleeps looks again at each message or room. MSG_COPY, which is for checkpoints, is not
 * offered, as by a Linux built without them.
 *
 * Called by syscalls/ipc.c.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <time.h>

#include "base/cleanup.h"
#include "sentry/ipc/ipc.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"
#include "sentry/task/waitq.h"

/* What kernel.msgmax and msgmnb say. */
#define MSG_SIZE_MAX  8192
#define MSG_QUEUE_MAX 16384

struct msg {
	struct msg *next;
	int64_t type;
	size_t len;
	char text[];
};

struct msg_queue {
	struct ipc_object o;
	struct waitq readers, writers;
	struct msg *first, **last; /* owned */
	uint64_t bytes, count, max;
	int sender, receiver;
	time_t sent, received, changed;
};

static struct msg_queue *msg_queue(struct ipc_object *object)
{
	return container_of(object, struct msg_queue, o);
}

static void msg_free(struct msg *msg)
{
	bound_give(&ipc_bytes, sizeof(*msg) + msg->len);
	free(msg);
}

static void msg_queue_free(struct ipc_object *object)
{
	struct msg_queue *q = msg_queue(object);

	while (q->first) {
		struct msg *msg = q->first;

		q->first = msg->next;
		msg_free(msg);
	}
	waitq_destroy(&q->readers);
	waitq_destroy(&q->writers);
	free(q);
}

static int msg_make(struct task *task, const struct ipc_wish *wish, struct ipc_object **out)
{
	struct msg_queue *q = calloc(1, sizeof(*q));

	(void)task, (void)wish;
	if (!q)
		return -ENOMEM;
	waitq_init(&q->readers);
	waitq_init(&q->writers);
	q->o.free = msg_queue_free;
	q->last = &q->first;
	q->max = MSG_QUEUE_MAX;
	q->changed = time(NULL);
	*out = &q->o;
	return 0;
}

long msg_get(struct task *task, int32_t key, int flags)
{
	const struct ipc_wish wish = { .kind = IPC_KIND_MSG, .key = key, .flags = flags,
				       .make = msg_make };

	return ipc_get(task, &wish);
}

/* --- one call that may sleep --- */

struct msg_call {
	struct msg_queue *queue;
	struct msg *msg;  /* to be sent; or what was received */
	int64_t type;	  /* wanted */
	uint64_t size;	  /* room */
	int flags, pid;
	int (*try)(struct msg_call *call); /* 0, negative errno, 1: not yet */
	struct waitq *(*sleeps_on)(struct msg_queue *queue);
	int never; /* what IPC_NOWAIT gets */
};

static struct waitq *msg_readers(struct msg_queue *q)
{
	return &q->readers;
}

static struct waitq *msg_writers(struct msg_queue *q)
{
	return &q->writers;
}

/* With ipc_lock(), which is dropped while it sleeps. */
static int msg_wait(struct task *task, struct msg_call *call)
{
	struct msg_queue *q = call->queue;
	struct wait wait;
	int r;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		r = q->o.space ? call->try(call) : -EIDRM;
		if (r > 0 && (call->flags & IPC_NOWAIT))
			r = call->never;
		if (r <= 0)
			break;
		wait_on(&wait, call->sleeps_on(q), POLLIN);
		ipc_unlock();
		r = wait_sleep(&wait, USEC_INFINITY);
		ipc_lock();
		if (r < 0)
			break;
	}
	wait_end(&wait);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

static int msg_run(struct task *task, int id, unsigned want, struct msg_call *call)
{
	struct ipc_object *object;
	int r;

	ipc_lock();
	r = ipc_find(task, IPC_KIND_MSG, id, want, &object);
	if (r == 0) {
		ipc_hold(object);
		call->queue = msg_queue(object);
		r = msg_wait(task, call);
		ipc_drop(object);
	}
	ipc_unlock();
	return r;
}

/* --- msgsnd(2) --- */

static int msg_try_send(struct msg_call *call)
{
	struct msg_queue *q = call->queue;

	if (call->msg->len > q->max || q->bytes > q->max - call->msg->len || q->count >= q->max)
		return 1;
	q->bytes += call->msg->len;
	q->count++;
	q->sender = call->pid;
	q->sent = time(NULL);
	*q->last = call->msg;
	q->last = &call->msg->next;
	call->msg = NULL;
	waitq_wake(&q->readers, POLLIN);
	return 0;
}

static int msg_load(struct task *task, uint64_t from, uint64_t size, struct msg **out)
{
	struct msg *msg;
	int64_t type;
	int r = user_read(task->mm, &type, from, sizeof(type));

	if (r)
		return r;
	if (type < 1)
		return -EINVAL;
	if (!bound_take(&ipc_bytes, sizeof(*msg) + size))
		return -ENOMEM;
	msg = malloc(sizeof(*msg) + size);
	if (!msg) {
		bound_give(&ipc_bytes, sizeof(*msg) + size);
		return -ENOMEM;
	}
	*msg = (struct msg){ .type = type, .len = size };
	r = user_read(task->mm, msg->text, from + sizeof(type), size);
	if (r)
		msg_free(msg);
	else
		*out = msg;
	return r;
}

long msg_send(struct task *task, int id, uint64_t from, uint64_t size, int flags)
{
	struct msg_call call = { .flags = flags, .pid = task->process->pid, .try = msg_try_send,
				 .sleeps_on = msg_writers, .never = -EAGAIN };
	int r;

	if (size > MSG_SIZE_MAX || id < 0)
		return -EINVAL;
	r = msg_load(task, from, size, &call.msg);
	if (r)
		return r;
	r = msg_run(task, id, 0222, &call);
	if (call.msg)
		msg_free(call.msg);
	return r;
}

/* --- msgrcv(2) --- */

/* msg_pick() - The first that is wanted: any, of one type, of any other, or of the lowest up to one */
static struct msg **msg_pick(struct msg_queue *q, int64_t type, int flags)
{
	struct msg **best = NULL;
	int64_t least = type == INT64_MIN ? INT64_MAX : -type;

	for (struct msg **link = &q->first; *link; link = &(*link)->next) {
		const struct msg *msg = *link;

		if (type < 0) {
			if (msg->type <= least && (!best || msg->type < (*best)->type))
				best = link;
		} else if (!type || (msg->type == type) != !!(flags & MSG_EXCEPT)) {
			return link;
		}
	}
	return best;
}

static int msg_try_receive(struct msg_call *call)
{
	struct msg_queue *q = call->queue;
	struct msg **link = msg_pick(q, call->type, call->flags);

	if (!link)
		return 1;
	if ((*link)->len > call->size && !(call->flags & MSG_NOERROR))
		return -E2BIG;
	call->msg = *link;
	*link = call->msg->next;
	if (q->last == &call->msg->next)
		q->last = link;
	q->bytes -= call->msg->len;
	q->count--;
	q->receiver = call->pid;
	q->received = time(NULL);
	waitq_wake(&q->writers, POLLIN);
	return 0;
}

long msg_receive(struct task *task, int id, uint64_t to, uint64_t size, int64_t type, int flags)
{
	struct msg_call call = { .flags = flags, .pid = task->process->pid, .type = type,
				 .size = size, .try = msg_try_receive,
				 .sleeps_on = msg_readers, .never = -ENOMSG };
	long r;

	if (id < 0 || (int64_t)size < 0)
		return -EINVAL;
	if (flags & MSG_COPY)
		return -ENOSYS;
	r = msg_run(task, id, 0444, &call);
	if (r)
		return r;
	if (size > call.msg->len)
		size = call.msg->len;
	if (user_write(task->mm, to, &call.msg->type, sizeof(call.msg->type)) < 0 ||
	    user_write(task->mm, to + sizeof(call.msg->type), call.msg->text, size) < 0)
		r = -EFAULT;
	msg_free(call.msg);
	return r ? r : (long)size;
}

/* --- msgctl(2) --- */

static long msg_stat(struct task *task, int id, int cmd, uint64_t buf)
{
	struct msqid_ds ds = { 0 };
	struct ipc_object *object;
	long r;

	ipc_lock();
	if (cmd == IPC_STAT)
		r = ipc_find(task, IPC_KIND_MSG, id, 0444, &object);
	else
		r = ipc_find_index(task, IPC_KIND_MSG, id, cmd == MSG_STAT_ANY, &object);
	if (r == 0) {
		const struct msg_queue *q = msg_queue(object);

		ipc_fill(object, &ds.msg_perm);
		ds.msg_stime = q->sent;
		ds.msg_rtime = q->received;
		ds.msg_ctime = q->changed;
		ds.__msg_cbytes = q->bytes;
		ds.msg_qnum = q->count;
		ds.msg_qbytes = q->max;
		ds.msg_lspid = q->sender;
		ds.msg_lrpid = q->receiver;
		r = cmd == IPC_STAT ? 0 : object->id;
	}
	ipc_unlock();
	if (r >= 0 && user_write(task->mm, buf, &ds, sizeof(ds)) < 0)
		r = -EFAULT;
	return r;
}

static long msg_set(struct task *task, int id, uint64_t buf)
{
	struct ipc_object *object;
	struct msqid_ds ds;
	int r = user_read(task->mm, &ds, buf, sizeof(ds));

	if (r)
		return r;
	ipc_lock();
	r = ipc_find_owned(task, IPC_KIND_MSG, id, &object);
	if (r == 0 && ds.msg_qbytes > MSG_QUEUE_MAX &&
	    !cred_capable(task->cred, CAP_SYS_RESOURCE))
		r = -EPERM;
	if (r == 0)
		r = ipc_set(object, &ds.msg_perm);
	if (r == 0) {
		msg_queue(object)->max = ds.msg_qbytes;
		msg_queue(object)->changed = time(NULL);
		waitq_wake(&msg_queue(object)->writers, POLLIN);
	}
	ipc_unlock();
	return r;
}

static long msg_remove(struct task *task, int id)
{
	struct ipc_object *object;
	int r;

	ipc_lock();
	r = ipc_find_owned(task, IPC_KIND_MSG, id, &object);
	if (r == 0) {
		waitq_wake(&msg_queue(object)->readers, POLLIN);
		waitq_wake(&msg_queue(object)->writers, POLLIN);
		ipc_remove(object);
	}
	ipc_unlock();
	return r;
}

static long msg_limits(struct task *task, int cmd, uint64_t buf)
{
	/* Static: there is a hole at its end. */
	static const struct msginfo limits = { .msgpool = IPC_MAX * MSG_QUEUE_MAX / 1024,
					       .msgmap = MSG_QUEUE_MAX, .msgmax = MSG_SIZE_MAX,
					       .msgmnb = MSG_QUEUE_MAX, .msgmni = IPC_MAX,
					       .msgssz = 16, .msgtql = MSG_QUEUE_MAX,
					       .msgseg = 0xffff };
	struct msginfo info;
	struct ipc_object *object = NULL;
	unsigned count;
	int top;

	memcpy(&info, &limits, sizeof(info));
	ipc_lock();
	top = ipc_top(task->process->container, IPC_KIND_MSG, &count);
	if (cmd == MSG_INFO) {
		info.msgpool = (int)count;
		info.msgmap = info.msgtql = 0;
	}
	while (cmd == MSG_INFO &&
	       (object = ipc_next(task->process->container, IPC_KIND_MSG, object))) {
		info.msgmap += (int)msg_queue(object)->count;
		info.msgtql += (int)msg_queue(object)->bytes;
	}
	ipc_unlock();
	return user_write(task->mm, buf, &info, sizeof(info)) < 0 ? -EFAULT : top;
}

long msg_control(struct task *task, int id, int cmd, uint64_t buf)
{
	switch (cmd) {
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return msg_stat(task, id, cmd, buf);
	case IPC_SET:
		return msg_set(task, id, buf);
	case IPC_RMID:
		return msg_remove(task, id);
	case IPC_INFO:
	case MSG_INFO:
		return msg_limits(task, cmd, buf);
	default:
		return -EINVAL;
	}
}
