/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/pty.c - pseudo terminals: two files with a line discipline between
 *
 *	master file --write--> backlog -> ldisc -> slave file reads
 *	            <--read--- out     <- ldisc <- slave file writes
 *
 * The pair lives as long as one of its files or a session holds it; its name in devpts goes with
 * the master. A hangup kills the files that are open then. Signals are sent after tty->lock is let
 * go, since tasks_lock is outside of it. Absent: packet mode, exclusive use.
 */
#include "sentry/tty/pty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"

#define PTY_CHUNK 512
#define PTY_IN	  (POLLIN | POLLRDNORM)
#define PTY_OUT	  (POLLOUT | POLLWRNORM)
#define PTY_ANY	  (PTY_IN | PTY_OUT)

struct tty *tty_get(struct tty *tty)
{
	atomic_fetch_add_explicit(&tty->refs, 1, memory_order_relaxed);
	return tty;
}

void tty_put(struct tty *tty)
{
	if (!tty || atomic_fetch_sub_explicit(&tty->refs, 1, memory_order_acq_rel) != 1)
		return;
	timer_cancel(&tty->timer);
	ldisc_free(&tty->ldisc);
	ring_free(&tty->backlog);
	waitq_destroy(&tty->wait);
	waitq_destroy(&tty->master_wait);
	pthread_mutex_destroy(&tty->lock);
	super_put(tty->devpts);
	free(tty);
}

DEFINE_CLEANUP(struct tty *, tty_put);
#define autotty CLEANUP(tty_putp)

struct tty *tty_of_file(struct file *file)
{
	return file->ops == &tty_slave_ops ? tty_file(file)->tty : NULL;
}

int tty_number(const struct tty *tty)
{
	return tty->number;
}

uint64_t tty_rdev(const struct tty *tty)
{
	return makedev(PTY_MAJOR + (unsigned)tty->number / 256, (unsigned)tty->number % 256);
}

void tty_wake(struct tty *tty)
{
	waitq_wake(&tty->wait, PTY_ANY);
	waitq_wake(&tty->master_wait, PTY_ANY);
}

/* --- making them --- */

static struct tty *pty_new(struct super *devpts, bool locked)
{
	struct tty *tty = calloc(1, sizeof(*tty));

	if (!tty)
		return NULL;
	atomic_init(&tty->refs, 1);
	tty->devpts = super_get(devpts);
	tty->locked = locked;
	tty->timer.fn = tty_timer_fire;
	pthread_mutex_init(&tty->lock, NULL);
	waitq_init(&tty->wait);
	waitq_init(&tty->master_wait);
	ldisc_init(&tty->ldisc);
	return tty;
}

static int pty_file(struct tty *tty, bool master, uint32_t flags, const struct vfs_path *path,
		    struct inode *inode, struct file **out)
{
	struct tty_file *tf = calloc(1, sizeof(*tf));

	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, master ? &tty_master_ops : &tty_slave_ops, flags, path, inode);
	tf->tty = tty_get(tty);
	tf->master = master;
	*out = &tf->file;
	return 0;
}

static int pty_open_pair(struct super *devpts, uint32_t flags, const struct vfs_path *path,
			 struct inode *inode, bool locked, struct file **master, struct tty **out)
{
	const struct cred *cred = task_current ? task_current->cred : NULL;
	autotty struct tty *tty = pty_new(devpts, locked);
	int r;

	if (!tty)
		return -ENOMEM;
	r = devpts_add(devpts, tty, cred ? cred->fsuid : 0, cred ? cred->fsgid : 0);
	if (r < 0)
		return r;
	r = pty_file(tty, true, flags, path, inode, master);
	if (r < 0) {
		devpts_remove(devpts, tty->number);
		return r;
	}
	if (out)
		*out = steal_ptr(tty);
	return 0;
}

int pty_open(struct super *devpts, uint32_t flags, struct file **master, struct tty **tty)
{
	return pty_open_pair(devpts, flags, NULL, NULL, false, master, tty);
}

int pty_open_at(struct super *devpts, uint32_t flags, const struct vfs_path *path,
		struct inode *inode, struct file **out)
{
	return pty_open_pair(devpts, flags, path, inode, true, out, NULL);
}

static int tty_open_file(struct tty *tty, uint32_t flags, const struct vfs_path *path,
			 struct inode *inode, struct file **out)
{
	struct tty_file *tf;
	int r = pty_file(tty, false, flags, path, inode, out);

	if (r < 0)
		return r;
	tf = tty_file(*out);
	pthread_mutex_lock(&tty->lock);
	tty->opens++;
	tty->opened = true;
	tf->hangups = tty->hangups;
	pthread_mutex_unlock(&tty->lock);
	return 0;
}

int tty_open(struct tty *tty, uint32_t flags, struct file **out)
{
	struct inode *inode = devpts_inode(tty->devpts, tty->number);
	int r;

	if (!inode)
		return -EIO;
	r = tty_open_file(tty, flags, NULL, inode, out);
	inode_put(inode);
	return r;
}

int tty_open_at(struct tty *tty, uint32_t flags, const struct vfs_path *path,
		struct inode *inode, struct task *task, struct file **out)
{
	bool refused;
	int r;

	pthread_mutex_lock(&tty->lock);
	refused = tty->locked || tty->master_closed;
	pthread_mutex_unlock(&tty->lock);
	if (refused)
		return -EIO;
	r = tty_open_file(tty, flags, path, inode, out);
	if (r == 0 && task && !(flags & O_NOCTTY) && file_readable(*out))
		tty_become_controlling(tty, task);
	return r;
}

/* --- the master's side --- */

/* tty->lock held. Return: the signal that what was typed asks for */
static int pty_type_some(struct tty *tty)
{
	const uint8_t *data;
	int sig = 0;
	size_t n;

	while (!sig && (n = ring_peek(&tty->backlog, &data)) > 0) {
		size_t taken = ldisc_receive(&tty->ldisc, data, n, &sig);

		ring_drop(&tty->backlog, taken);
		if (!taken)
			break;
	}
	return sig;
}

void tty_type(struct tty *tty)
{
	int sig;

	do {
		pthread_mutex_lock(&tty->lock);
		sig = pty_type_some(tty);
		tty_timer_again(tty);
		pthread_mutex_unlock(&tty->lock);
		if (sig)
			tty_signal(tty, sig);
	} while (sig);
	tty_wake(tty);
}

static long tty_master_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct tty *tty = tty_file(file)->tty;
	uint8_t buf[PTY_CHUNK];
	size_t done = 0, n, room;

	(void)offset;
	for (;;) {
		pthread_mutex_lock(&tty->lock);
		room = PTY_BACKLOG - tty->backlog.len;
		if (room > sizeof(buf))
			room = sizeof(buf);
		n = user_io_get(io, buf, io->left < room ? io->left : room);
		if (n && ring_put(&tty->backlog, buf, n) < 0)
			n = 0;
		pthread_mutex_unlock(&tty->lock);
		if (!n)
			break;
		done += n;
		tty_type(tty);
	}
	return done || !io->left ? (long)done : -EAGAIN;
}

static long tty_master_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct tty *tty = tty_file(file)->tty;
	const uint8_t *data;
	long done = 0;
	size_t n;

	(void)offset;
	pthread_mutex_lock(&tty->lock);
	while (io->left && (n = ring_peek(&tty->ldisc.out, &data)) > 0) {
		n = user_io_put(io, data, n < io->left ? n : io->left);
		ring_drop(&tty->ldisc.out, n);
		done += (long)n;
	}
	if (!done && io->left)
		done = tty->opened && !tty->opens ? -EIO : -EAGAIN;
	pthread_mutex_unlock(&tty->lock);
	if (done > 0)
		waitq_wake(&tty->wait, PTY_OUT);
	return done;
}

static uint32_t tty_master_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct tty *tty = tty_file(file)->tty;
	uint32_t ready = 0;

	if (wait)
		wait_on(wait, &tty->master_wait, mask);
	pthread_mutex_lock(&tty->lock);
	if (tty->ldisc.out.len)
		ready |= PTY_IN;
	if (tty->backlog.len < PTY_BACKLOG)
		ready |= PTY_OUT;
	if (tty->opened && !tty->opens)
		ready |= POLLHUP;
	pthread_mutex_unlock(&tty->lock);
	return ready & (mask | POLLHUP);
}

static void tty_master_release(struct file *file)
{
	struct tty *tty = tty_file(file)->tty;

	devpts_remove(tty->devpts, tty->number);
	pthread_mutex_lock(&tty->lock);
	tty->master_closed = true;
	pthread_mutex_unlock(&tty->lock);
	tty_hangup(tty);
	file_free_common(file); /* its inode first: the file system goes with the terminal */
	tty_put(tty);
	free(file);
}

/* --- the terminal's side --- */

/* tty->lock held. */
static bool tty_dead(struct tty_file *tf)
{
	return tf->hangups != tf->tty->hangups;
}

static long tty_slave_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct tty *tty = tty_file(file)->tty;
	uint8_t buf[PTY_CHUNK];
	size_t done = 0, n;
	bool dead;

	(void)offset;
	if (tty->ldisc.termios.lflag & TOSTOP) {
		int r = tty_check_change(tty, SIGTTOU);

		if (r < 0)
			return r;
	}
	pthread_mutex_lock(&tty->lock);
	dead = tty_dead(tty_file(file));
	/* A byte becomes at most eight: what was taken from the guest is never given back. */
	while (!dead && io->left && (n = ldisc_room(&tty->ldisc) / 8) > 0) {
		if (n > sizeof(buf))
			n = sizeof(buf);
		n = user_io_get(io, buf, io->left < n ? io->left : n);
		n = ldisc_write(&tty->ldisc, buf, n);
		if (!n)
			break;
		done += n;
	}
	pthread_mutex_unlock(&tty->lock);
	if (done)
		waitq_wake(&tty->master_wait, PTY_IN);
	if (dead)
		return -EIO;
	return done || !io->left ? (long)done : -EAGAIN;
}

static uint32_t tty_slave_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	struct tty *tty = tty_file(file)->tty;
	uint32_t ready = 0;

	if (wait)
		wait_on(wait, &tty->wait, mask);
	pthread_mutex_lock(&tty->lock);
	if (tty_dead(tty_file(file)))
		ready = PTY_ANY | POLLERR | POLLHUP;
	if (tty_readable(tty))
		ready |= PTY_IN;
	if (ldisc_room(&tty->ldisc) >= 8)
		ready |= PTY_OUT;
	pthread_mutex_unlock(&tty->lock);
	return ready & (mask | POLLERR | POLLHUP);
}

static void tty_slave_release(struct file *file)
{
	struct tty *tty = tty_file(file)->tty;

	pthread_mutex_lock(&tty->lock);
	tty->opens--;
	pthread_mutex_unlock(&tty->lock);
	waitq_wake(&tty->master_wait, PTY_IN | POLLHUP);
	file_free_common(file); /* its inode first: the file system goes with the terminal */
	tty_put(tty);
	free(file);
}

const struct file_ops tty_master_ops = {
	.name = "/dev/ptmx",
	.read = tty_master_read,
	.write = tty_master_write,
	.poll = tty_master_poll,
	.ioctl = tty_ioctl,
	.release = tty_master_release,
};

const struct file_ops tty_slave_ops = {
	.name = "/dev/tty",
	.read = tty_slave_read,
	.write = tty_slave_write,
	.poll = tty_slave_poll,
	.ioctl = tty_ioctl,
	.release = tty_slave_release,
};
