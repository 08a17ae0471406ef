/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/lock.h - locks on files: POSIX, of open file descriptions, flock(2)
 *
 * All three lie in the inode, as ranges with an owner. POSIX locks belong to a table of
 * descriptors, the others to an open file.
 */
#ifndef SENTRY_VFS_LOCK_H
#define SENTRY_VFS_LOCK_H

#include <stdint.h>
#include <stdbool.h>

struct buf;
struct file;
struct inode;
struct task;

enum lock_kind { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };

struct lock_range {
	int type;	/* F_RDLCK, F_WRLCK, F_UNLCK */
	int64_t start;
	int64_t end;	/* the last byte; INT64_MAX: to the end */
	int pid;	/* of who holds it; -1: an open file */
	uint64_t container; /* whose number that is: its serial */
};

/* lock_set() - Take or give back; @wait: sleeps. Return: 0, -EAGAIN, -EDEADLK, -ENOLCK, -ENOMEM,
 * -ERESTARTSYS */
int lock_set(struct task *task, struct file *file, enum lock_kind kind,
	     const struct lock_range *range, bool wait);
/* lock_test() - @range becomes what is in the way, or F_UNLCK */
void lock_test(struct task *task, struct file *file, enum lock_kind kind,
	       struct lock_range *range);
/* lock_drop_posix() - @owner, a table of descriptors, has closed one of @file */
void lock_drop_posix(struct file *file, const void *owner);
/* lock_drop_file() - The open file is gone */
void lock_drop_file(struct file *file);
/* lock_list_free() - With the inode */
void lock_list_free(struct inode *inode);

#endif /* SENTRY_VFS_LOCK_H */
