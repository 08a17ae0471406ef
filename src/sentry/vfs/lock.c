/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/lock.c - locks on files
 *
 *	lock_set() -> in the way? -> sleep on the inode's queue -> look again
 *	                  |no
 *	                  v
 *	            cut the owner's ranges, put the new one in, wake who waits
 *
 * One mutex for all of them: a lock call is rare and short. Who waits for a POSIX lock is in a list,
 * along which a cycle is looked for before anybody sleeps.
 */
#include "sentry/vfs/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

#define LOCKS_MAX	65536 /* of all files */
#define LOCK_CHAIN_MAX	16    /* waiters that a search for a cycle follows */

struct lock_entry {
	struct lock_entry *next;
	enum lock_kind kind;
	const void *owner;
	struct lock_range range;
};

struct file_lock_list {
	struct lock_entry *first;
	struct waitq wait;
};

/* Who sleeps for a POSIX lock; on its stack. */
struct lock_waiter {
	struct lock_waiter *next;
	const struct file_lock_list *list;
	const void *owner;
	struct lock_range range;
};

static pthread_mutex_t lock_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct lock_waiter *lock_waiters; /* lock_mutex */
static unsigned lock_count;		 /* lock_mutex */

static struct file_lock_list *lock_list(struct inode *inode, bool make)
{
	struct file_lock_list *list = atomic_load(&inode->locks);

	if (!list && make) {
		list = calloc(1, sizeof(*list));
		if (list) {
			waitq_init(&list->wait);
			atomic_store(&inode->locks, list);
		}
	}
	return list;
}

void lock_list_free(struct inode *inode)
{
	struct file_lock_list *list = atomic_load(&inode->locks);
	struct lock_entry *next;

	if (!list)
		return;
	pthread_mutex_lock(&lock_mutex);
	for (struct lock_entry *at = list->first; at; at = next) {
		next = at->next;
		lock_count--;
		free(at);
	}
	pthread_mutex_unlock(&lock_mutex);
	waitq_destroy(&list->wait);
	free(list);
}

static const void *lock_owner(const struct task *task, const struct file *file,
			      enum lock_kind kind)
{
	return kind == LOCK_POSIX ? (const void *)task->files : (const void *)file;
}

static bool lock_overlaps(const struct lock_range *a, const struct lock_range *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* lock_blocker() - What is in the way of @range; flock(2)'s do not see the others */
static const struct lock_entry *lock_blocker(const struct file_lock_list *list,
					     enum lock_kind kind, const void *owner,
					     const struct lock_range *range)
{
	const struct lock_entry *at;

	for (at = list->first; at; at = at->next)
		if ((at->kind == LOCK_FLOCK) == (kind == LOCK_FLOCK) && at->owner != owner &&
		    lock_overlaps(&at->range, range) &&
		    (at->range.type == F_WRLCK || range->type == F_WRLCK))
			break;
	return at;
}

/* lock_deadlocks() - Whether @holder, or who it waits for, waits for @owner */
static bool lock_deadlocks(const void *owner, const void *holder)
{
	for (unsigned i = 0; i < LOCK_CHAIN_MAX; i++) {
		const struct lock_waiter *at = lock_waiters;
		const struct lock_entry *blocker;

		while (at && at->owner != holder)
			at = at->next;
		if (!at)
			return false;
		blocker = lock_blocker(at->list, LOCK_POSIX, at->owner, &at->range);
		if (!blocker)
			return false;
		if (blocker->owner == owner)
			return true;
		holder = blocker->owner;
	}
	return false;
}

/* lock_cut() - Take @range out of what @owner has. @spare is used when one is cut in two. */
static bool lock_cut(struct file_lock_list *list, enum lock_kind kind, const void *owner,
		     const struct lock_range *range, struct lock_entry **spare)
{
	struct lock_entry **link = &list->first, *at;
	bool changed = false;

	while ((at = *link)) {
		if (at->kind != kind || at->owner != owner || !lock_overlaps(&at->range, range)) {
			link = &at->next;
			continue;
		}
		changed = true;
		if (at->range.start < range->start && at->range.end > range->end) {
			struct lock_entry *tail = *spare;

			*spare = tail->next;
			*tail = *at;
			tail->range.start = range->end + 1;
			at->range.end = range->start - 1;
			at->next = tail;
			lock_count++;
			break;
		}
		if (at->range.start < range->start) {
			at->range.end = range->start - 1;
			link = &at->next;
		} else if (at->range.end > range->end) {
			at->range.start = range->end + 1;
			link = &at->next;
		} else {
			*link = at->next;
			lock_count--;
			free(at);
		}
	}
	return changed;
}

/* lock_splits() - Whether giving back @range leaves one more than there were */
static bool lock_splits(const struct file_lock_list *list, enum lock_kind kind, const void *owner,
			const struct lock_range *range)
{
	const struct lock_entry *at = list->first;

	while (at && !(at->kind == kind && at->owner == owner && at->range.start < range->start &&
		       at->range.end > range->end))
		at = at->next;
	return at;
}

/* lock_join() - Neighbours of @entry with the same owner and type become part of it */
static void lock_join(struct file_lock_list *list, struct lock_entry *entry)
{
	struct lock_entry **link = &list->first, *at;

	while ((at = *link)) {
		bool before = at->range.end != INT64_MAX &&
			      at->range.end + 1 == entry->range.start;
		bool after = entry->range.end != INT64_MAX &&
			     entry->range.end + 1 == at->range.start;

		if (at == entry || at->kind != entry->kind || at->owner != entry->owner ||
		    at->range.type != entry->range.type || !(before || after)) {
			link = &at->next;
			continue;
		}
		if (before)
			entry->range.start = at->range.start;
		else
			entry->range.end = at->range.end;
		*link = at->next;
		lock_count--;
		free(at);
	}
}

static void lock_apply(struct file_lock_list *list, enum lock_kind kind, const void *owner,
		       const struct lock_range *range, struct lock_entry **spare)
{
	bool changed = lock_cut(list, kind, owner, range, spare);
	struct lock_entry *entry = *spare;

	if (range->type != F_UNLCK && entry) {
		*spare = entry->next;
		entry->kind = kind;
		entry->owner = owner;
		entry->range = *range;
		entry->next = list->first;
		list->first = entry;
		lock_count++;
		lock_join(list, entry);
	}
	if (changed)
		waitq_wake(&list->wait, POLLIN);
}

/* lock_try() - With lock_mutex held. -EAGAIN: something is in the way */
static int lock_try(struct file_lock_list *list, enum lock_kind kind, const void *owner,
		    const struct lock_range *range, bool wait, struct lock_entry **spare)
{
	const struct lock_entry *blocker =
		range->type == F_UNLCK ? NULL : lock_blocker(list, kind, owner, range);

	if (blocker) {
		/* flock(2) gives up what it has before it waits for more, and when it cannot have it. */
		if (kind == LOCK_FLOCK && lock_cut(list, kind, owner, range, spare))
			waitq_wake(&list->wait, POLLIN);
		if (wait && kind == LOCK_POSIX && lock_deadlocks(owner, blocker->owner))
			return -EDEADLK;
		return -EAGAIN;
	}
	if (lock_count >= LOCKS_MAX &&
	    (range->type != F_UNLCK || lock_splits(list, kind, owner, range)))
		return -ENOLCK;
	lock_apply(list, kind, owner, range, spare);
	return 0;
}

static void lock_waiter_add(struct lock_waiter *waiter)
{
	waiter->next = lock_waiters;
	lock_waiters = waiter;
}

static void lock_waiter_remove(struct lock_waiter *waiter)
{
	struct lock_waiter **link = &lock_waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
}

/* lock_wait() - Until it can be had */
static int lock_wait(struct task *task, struct file_lock_list *list, enum lock_kind kind,
		     const void *owner, const struct lock_range *range,
		     struct lock_entry **spare)
{
	struct lock_waiter waiter = { .list = list, .owner = owner, .range = *range };
	struct wait wait;
	int r;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		wait_on(&wait, &list->wait, POLLIN);
		pthread_mutex_lock(&lock_mutex);
		r = lock_try(list, kind, owner, range, true, spare);
		if (r == -EAGAIN && kind == LOCK_POSIX)
			lock_waiter_add(&waiter);
		pthread_mutex_unlock(&lock_mutex);
		if (r != -EAGAIN)
			break;
		r = wait_sleep(&wait, USEC_INFINITY);
		if (kind == LOCK_POSIX) {
			pthread_mutex_lock(&lock_mutex);
			lock_waiter_remove(&waiter);
			pthread_mutex_unlock(&lock_mutex);
		}
		if (r < 0)
			break;
	}
	wait_end(&wait);
	return r;
}

int lock_set(struct task *task, struct file *file, enum lock_kind kind,
	     const struct lock_range *range, bool wait)
{
	struct lock_entry *spare = NULL, *next;
	const void *owner = lock_owner(task, file, kind);
	struct file_lock_list *list;
	int r = -ENOMEM;

	if (!file->inode)
		return -EBADF;
	/* At most two are needed: what is cut in two, and the new one. */
	for (int i = 0; i < 2; i++) {
		next = calloc(1, sizeof(*next));
		if (next) {
			next->next = spare;
			spare = next;
		}
	}
	pthread_mutex_lock(&lock_mutex);
	list = lock_list(file->inode, true);
	if (list && spare && spare->next)
		r = lock_try(list, kind, owner, range, wait, &spare);
	pthread_mutex_unlock(&lock_mutex);
	if (r == -EAGAIN && wait)
		r = lock_wait(task, list, kind, owner, range, &spare);
	for (; spare; spare = next) {
		next = spare->next;
		free(spare);
	}
	return r;
}

void lock_test(struct task *task, struct file *file, enum lock_kind kind,
	       struct lock_range *range)
{
	const struct lock_entry *blocker = NULL;
	struct file_lock_list *list;

	pthread_mutex_lock(&lock_mutex);
	list = file->inode ? lock_list(file->inode, false) : NULL;
	if (list)
		blocker = lock_blocker(list, kind, lock_owner(task, file, kind), range);
	if (blocker)
		*range = blocker->range;
	else
		range->type = F_UNLCK;
	pthread_mutex_unlock(&lock_mutex);
}

/* lock_drop() - All that @owner has on the file, of one kind or (not POSIX) of any other */
static void lock_drop(struct file *file, const void *owner, bool posix)
{
	struct file_lock_list *list = lock_list(file->inode, false);
	struct lock_entry **link, *at;
	bool dropped = false;

	if (!list)
		return;
	pthread_mutex_lock(&lock_mutex);
	for (link = &list->first; (at = *link);) {
		if (at->owner != owner || (at->kind == LOCK_POSIX) != posix) {
			link = &at->next;
			continue;
		}
		*link = at->next;
		lock_count--;
		free(at);
		dropped = true;
	}
	if (dropped)
		waitq_wake(&list->wait, POLLIN);
	pthread_mutex_unlock(&lock_mutex);
}

void lock_drop_posix(struct file *file, const void *owner)
{
	lock_drop(file, owner, true);
}

void lock_drop_file(struct file *file)
{
	lock_drop(file, file, false);
}
