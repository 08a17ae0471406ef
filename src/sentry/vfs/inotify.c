/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/inotify.c - who wants to know of changes, and the queues of what they are told
 *
 *	vfs_notify() -> marks of the inode, of its directory -> queue of each inotify -> read(2)
 *
 * A mark belongs to an inotify and holds the inode, so that the same file is found again under the
 * same inode. One lock guards all marks and queues: changes that somebody watches are rare, and
 * where nobody watches anything vfs_notify() looks at one counter.
 *
 * An event like the last one in the queue is not queued again; a full queue ends with one that says
 * so. What happens to files of the host behind our back is not told.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/bound.h"
#include "sentry/vfs/vfs.h"

#define INOTIFY_EVENTS_MAX  16384 /* fs.inotify.max_queued_events */
#define INOTIFY_QUEUED_MAX  65536 /* of all inotifys together */

/* Of a directory they tell what happens to names in it. */
#define INOTIFY_OF_NAMES ((uint32_t)(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
#define INOTIFY_OF_SELF	 ((uint32_t)(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
#define INOTIFY_ALWAYS	 ((uint32_t)(IN_IGNORED | IN_UNMOUNT | IN_Q_OVERFLOW))
#define INOTIFY_KEPT	 ((uint32_t)(IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT))

struct inotify_mark {
	struct inotify *inotify;
	struct inode *inode;		   /* reference */
	int wd;
	uint32_t mask;
	struct inotify_mark *inode_next;   /* inode->watches */
	struct inotify_mark *next;	   /* of the inotify */
};

struct inotify_list {
	struct inotify_mark *first;
};

struct inotify_queued {
	struct inotify_queued *next;
	struct inotify_event event; /* with its name */
};

struct inotify {
	struct file file;
	struct waitq readers;
	struct inotify_mark *marks;
	int last_wd;
	struct inotify_queued *first, *last;
	unsigned nqueued;
	size_t bytes;
};

static pthread_mutex_t inotify_lock = PTHREAD_MUTEX_INITIALIZER;
_Atomic unsigned inotify_marks;
static unsigned inotify_queued_all; /* inotify_lock */

/* fs.inotify.max_user_watches: each keeps an inode and what that is made of. */
static struct bound inotify_bound = { .each = 128u << 10, .least = 8192, .most = 65536 };

/* --- events --- */

static bool inotify_same(const struct inotify_queued *q, int wd, uint32_t mask, uint32_t cookie,
			 const char *name, size_t len)
{
	return q->event.wd == wd && q->event.mask == mask && q->event.cookie == cookie &&
	       q->event.len == len && (!len || strcmp(q->event.name, name) == 0);
}

static void inotify_append(struct inotify *in, struct inotify_queued *q)
{
	if (in->last)
		in->last->next = q;
	else
		in->first = q;
	in->last = q;
	in->nqueued++;
	in->bytes += sizeof(q->event) + q->event.len;
	inotify_queued_all++;
	waitq_wake(&in->readers, POLLIN | POLLRDNORM);
}

static void inotify_queue(struct inotify *in, int wd, uint32_t mask, uint32_t cookie,
			  const char *name)
{
	/* Padded so that the next event is aligned, with at least one terminator. */
	size_t len = name ? (strlen(name) + sizeof(struct inotify_event)) /
				    sizeof(struct inotify_event) * sizeof(struct inotify_event)
			  : 0;
	struct inotify_queued *q;

	if (in->last && inotify_same(in->last, wd, mask, cookie, name, len))
		return;
	if (in->nqueued >= INOTIFY_EVENTS_MAX || inotify_queued_all >= INOTIFY_QUEUED_MAX) {
		if (in->last && in->last->event.mask == IN_Q_OVERFLOW)
			return;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		cookie = 0;
		len = 0;
	}
	q = calloc(1, sizeof(*q) + len);
	if (!q)
		return;
	q->event = (struct inotify_event){ .wd = wd, .mask = mask, .cookie = cookie,
					   .len = (uint32_t)len };
	if (len)
		memcpy(q->event.name, name, strlen(name));
	inotify_append(in, q);
}

static void inotify_drop_first(struct inotify *in)
{
	struct inotify_queued *q = in->first;

	in->first = q->next;
	if (!in->first)
		in->last = NULL;
	in->nqueued--;
	in->bytes -= sizeof(q->event) + q->event.len;
	inotify_queued_all--;
	free(q);
}

/* --- marks; inotify_lock held --- */

static struct inotify_mark **inotify_of_inode(struct inode *inode)
{
	return inode->watches ? &inode->watches->first : NULL;
}

/* Off both lists. Return: its inode, whose reference is the caller's to put without the lock */
static struct inode *inotify_unlink(struct inotify_mark *mark)
{
	struct inode *inode = mark->inode;
	struct inotify_mark **p;

	for (p = &inode->watches->first; *p != mark; p = &(*p)->inode_next)
		;
	*p = mark->inode_next;
	if (!inode->watches->first) {
		free(inode->watches);
		inode->watches = NULL;
	}
	for (p = &mark->inotify->marks; *p != mark; p = &(*p)->next)
		;
	*p = mark->next;
	inotify_marks--;
	bound_give(&inotify_bound, 1);
	free(mark);
	return inode;
}

/* A mark keeps its inode, and with it the file system, which may be mounted nowhere by then */
static struct inode *inotify_inode_get(struct inode *inode)
{
	if (inode->super)
		super_get(inode->super);
	return inode_get(inode);
}

static void inotify_inode_put(struct inode *inode)
{
	struct super *super = inode->super;

	inode_put(inode);
	super_put(super);
}

/* Every mark of @inode is told, and those that are spent are taken off. Return: how many were:
 * so many references are the caller's to put */
static unsigned inotify_tell(struct inode *inode, uint32_t mask, uint32_t cookie, const char *name)
{
	struct inotify_mark **list = inotify_of_inode(inode);
	struct inotify_mark *next;
	unsigned gone = 0;

	for (struct inotify_mark *m = list ? *list : NULL; m; m = next) {
		struct inotify *in = m->inotify;
		int wd = m->wd;
		bool spent = mask & IN_DELETE_SELF;

		next = m->inode_next;
		if (m->mask & mask) {
			inotify_queue(in, wd, mask, cookie, name);
			spent = spent || m->mask & IN_ONESHOT;
		}
		if (!spent)
			continue;
		inotify_unlink(m);
		inotify_queue(in, wd, IN_IGNORED, 0, NULL);
		gone++;
	}
	return gone;
}

void vfs_notify(struct inode *dir, const char *name, struct inode *inode, uint32_t mask,
		uint32_t cookie)
{
	uint32_t is_dir = inode && S_ISDIR(inode->attr.st_mode) ? IN_ISDIR : 0;
	unsigned dir_gone = 0;
	unsigned gone = 0;

	if (!inotify_marks)
		return;
	pthread_mutex_lock(&inotify_lock);
	if (dir && !(mask & INOTIFY_OF_SELF))
		dir_gone = inotify_tell(dir, mask | is_dir, cookie, name);
	if (inode && !(mask & INOTIFY_OF_NAMES))
		gone = inotify_tell(inode, mask & INOTIFY_OF_SELF ? mask : mask | is_dir, cookie, NULL);
	pthread_mutex_unlock(&inotify_lock);
	while (dir_gone--)
		inotify_inode_put(dir);
	while (gone--)
		inotify_inode_put(inode);
}

/* --- as a file --- */

static long inotify_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct inotify *in = container_of(file, struct inotify, file);
	long done = 0;

	pthread_mutex_lock(&inotify_lock);
	if (!in->first)
		done = -EAGAIN;
	while (in->first) {
		const struct inotify_event *event = &in->first->event;
		size_t size = sizeof(*event) + event->len;

		if (size > io->left) {
			done = done ? done : -EINVAL;
			break;
		}
		if (user_io_put(io, event, size) != size) {
			done = done ? done : -EFAULT;
			break;
		}
		done += (long)size;
		inotify_drop_first(in);
	}
	pthread_mutex_unlock(&inotify_lock);
	return done;
}

static uint32_t inotify_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct inotify *in = container_of(file, struct inotify, file);
	bool any;

	if (wait)
		wait_on(wait, &in->readers, mask);
	pthread_mutex_lock(&inotify_lock);
	any = in->first;
	pthread_mutex_unlock(&inotify_lock);
	return any ? mask & (POLLIN | POLLRDNORM) : 0;
}

static long inotify_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct inotify *in = container_of(file, struct inotify, file);
	int bytes;

	if (cmd != FIONREAD)
		return -ENOTTY;
	pthread_mutex_lock(&inotify_lock);
	bytes = (int)in->bytes;
	pthread_mutex_unlock(&inotify_lock);
	return user_write(task->mm, arg, &bytes, sizeof(bytes));
}

static void inotify_release(struct file *file)
{
	struct inotify *in = container_of(file, struct inotify, file);
	bool more;

	do {
		struct inode *inode = NULL;

		pthread_mutex_lock(&inotify_lock);
		if (in->marks)
			inode = inotify_unlink(in->marks);
		more = in->marks;
		pthread_mutex_unlock(&inotify_lock);
		if (inode)
			inotify_inode_put(inode);
	} while (more);
	pthread_mutex_lock(&inotify_lock);
	while (in->first)
		inotify_drop_first(in);
	pthread_mutex_unlock(&inotify_lock);
	file_free_common(file);
	waitq_destroy(&in->readers);
	free(in);
}

static const struct file_ops inotify_ops = {
	.name = "anon_inode:inotify",
	.read = inotify_read,
	.poll = inotify_poll,
	.seek = anon_seek,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
};

static struct inotify *inotify_of(struct file *file)
{
	return file->ops == &inotify_ops ? container_of(file, struct inotify, file) : NULL;
}

int inotify_open(uint32_t flags, struct file **out)
{
	struct inotify *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	file_init(&in->file, &inotify_ops, O_RDONLY | (flags & O_NONBLOCK), NULL, NULL);
	waitq_init(&in->readers);
	*out = &in->file;
	return 0;
}

static struct inotify_mark *inotify_find(struct inotify *in, struct inode *inode)
{
	struct inotify_mark **list = inotify_of_inode(inode);
	struct inotify_mark *m = list ? *list : NULL;

	while (m && m->inotify != in)
		m = m->inode_next;
	return m;
}

static int inotify_mark_new(struct inotify *in, struct inode *inode, uint32_t mask)
{
	struct inotify_mark *m;

	if (!bound_take(&inotify_bound, 1))
		return -ENOSPC;
	m = calloc(1, sizeof(*m));
	if (m && !inode->watches)
		inode->watches = calloc(1, sizeof(*inode->watches));
	if (!m || !inode->watches) {
		free(m);
		bound_give(&inotify_bound, 1);
		return -ENOMEM;
	}
	/* Numbers are not given twice until they have all been. */
	in->last_wd = in->last_wd == INT32_MAX ? 1 : in->last_wd + 1;
	*m = (struct inotify_mark){ .inotify = in, .inode = inotify_inode_get(inode), .wd = in->last_wd,
				    .mask = mask, .inode_next = inode->watches->first,
				    .next = in->marks };
	inode->watches->first = m;
	in->marks = m;
	inotify_marks++;
	return m->wd;
}

int inotify_add(struct file *file, struct inode *inode, uint32_t mask)
{
	struct inotify *in = inotify_of(file);
	uint32_t kept = mask & INOTIFY_KEPT;
	struct inotify_mark *m;
	int r;

	if (!in)
		return -EINVAL;
	pthread_mutex_lock(&inotify_lock);
	m = inotify_find(in, inode);
	if (!m) {
		r = inotify_mark_new(in, inode, kept);
	} else if (mask & IN_MASK_CREATE) {
		r = -EEXIST;
	} else {
		m->mask = mask & IN_MASK_ADD ? m->mask | kept : kept;
		r = m->wd;
	}
	pthread_mutex_unlock(&inotify_lock);
	return r;
}

int inotify_remove(struct file *file, int wd)
{
	struct inotify *in = inotify_of(file);
	struct inode *inode = NULL;
	struct inotify_mark *m;

	if (!in)
		return -EINVAL;
	pthread_mutex_lock(&inotify_lock);
	for (m = in->marks; m && m->wd != wd; m = m->next)
		;
	if (m) {
		inode = inotify_unlink(m);
		inotify_queue(in, wd, IN_IGNORED, 0, NULL);
	}
	pthread_mutex_unlock(&inotify_lock);
	if (!inode)
		return -EINVAL;
	inotify_inode_put(inode);
	return 0;
}
