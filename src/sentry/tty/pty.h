/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/pty.h - what the files of this room share, and devpts
 */
#ifndef SENTRY_TTY_PTY_H
#define SENTRY_TTY_PTY_H

#include <pthread.h>
#include <stdatomic.h>

#include "sentry/task/timer.h"
#include "sentry/tty/ldisc.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/vfs.h"

#define PTY_MAJOR   136
#define PTY_BACKLOG 8192 /* what the master may write ahead of the readers */

struct pgrp;

struct tty {
	_Atomic unsigned refs;
	struct super *devpts; /* a reference */
	int number;	      /* in it, set once */

	pthread_mutex_t lock; /* taken inside of tasks_lock; for what follows */
	struct ldisc ldisc;
	struct ring backlog; /* typed, and no room for it yet */
	struct winsize size;
	unsigned opens;	     /* files of the terminal's side */
	bool opened;	     /* there has been one */
	bool master_closed;
	bool locked;	     /* TIOCSPTLCK: cannot be opened yet */
	unsigned hangups;    /* files from before the last one are dead */
	/* A reader that waits by VMIN and VTIME */
	unsigned need;	     /* bytes it waits for; 0: nobody does */
	bool expired;	     /* VTIME is over */
	struct timer timer;

	struct waitq wait;	  /* of the terminal's side */
	struct waitq master_wait; /* of the master's */

	struct session *session; /* tasks_lock; a reference; whose controlling terminal it is */
	struct pgrp *pgrp;	 /* tasks_lock; a reference; in the foreground */
};

/* An open file of one side. */
struct tty_file {
	struct file file;
	struct tty *tty; /* a reference */
	bool master;
	unsigned hangups;
};

static inline struct tty_file *tty_file(struct file *file)
{
	return (struct tty_file *)file;
}

/* --- pty.c --- */

extern const struct file_ops tty_master_ops, tty_slave_ops;

/* pty_open_at() - pty_open(), with the path it was opened by */
int pty_open_at(struct super *devpts, uint32_t flags, const struct vfs_path *path,
		struct inode *inode, struct file **out);
/* tty_open_at() - As open(2) does: becomes the controlling terminal where it should. Return: 0,
 * -EIO: locked, or its master is gone, -ENOMEM */
int tty_open_at(struct tty *tty, uint32_t flags, const struct vfs_path *path,
		struct inode *inode, struct task *task, struct file **out);
/* tty_type() - Let the discipline have what was typed; sends signals. No lock held */
void tty_type(struct tty *tty);
/* tty_wake() - Both sides are to look again */
void tty_wake(struct tty *tty);

/* --- read.c --- */

long tty_slave_read(struct file *file, struct user_io *io, int64_t offset);
/* tty_readable() - Whether a read would not wait. tty->lock held */
bool tty_readable(const struct tty *tty);
/* tty_timer_again() - Something came: VTIME runs from here, if it does. tty->lock held */
void tty_timer_again(struct tty *tty);
void tty_timer_fire(struct timer *timer);

/* --- ioctl.c --- */

long tty_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg);

/* --- job.c; no lock held but where said --- */

/* tty_check_change() - May the calling task use the terminal: else its group is sent @sig.
 * Return: 0, -EIO, -ERESTARTSYS */
int tty_check_change(struct tty *tty, int sig);
void tty_signal(struct tty *tty, int sig);
/* tty_controls() - Whether @tty is the controlling terminal of @task. tasks_lock held */
bool tty_controls(const struct tty *tty, const struct task *task);
/* tty_become_controlling() - After an open without O_NOCTTY */
void tty_become_controlling(struct tty *tty, struct task *task);

long tty_ioctl_job(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg);

/* --- vfs/devpts.c --- */

/* devpts_add() - A name for a terminal; sets its number. Return: 0, -ENOSPC, -ENOMEM */
int devpts_add(struct super *super, struct tty *tty, uint32_t uid, uint32_t gid);
void devpts_remove(struct super *super, int number);
/* devpts_inode() - A reference; NULL: there is none any more */
struct inode *devpts_inode(struct super *super, int number);

#endif /* SENTRY_TTY_PTY_H */
