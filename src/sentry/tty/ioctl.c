/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/ioctl.c - what programs ask of a terminal: modes, size, buffers, the pair itself
 *
 * Both sides mean the terminal's modes, as with Linux. Sessions are job.c's. Refused: packet mode,
 * typing for somebody else (TIOCSTI), modem lines, and struct termio of old.
 */
#include "sentry/tty/pty.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"

/* As asm/termbits.h has them; sys/ioctl.h gives only the old half. */
#ifndef TCGETS2
#define TCGETS2	 0x802c542a
#define TCSETS2	 0x402c542b
#define TCSETSW2 0x402c542c
#define TCSETSF2 0x402c542d
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

#define IOCTL_TERMIOS_OLD offsetof(struct ldisc_termios, ispeed) /* struct termios: 36 bytes */

struct ioctl_row {
	long (*fn)(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg);
	uint32_t cmd;
	bool changes; /* not from the background */
	bool master;  /* of the master's side only */
};

static const uint32_t ioctl_speeds[] = {
	0,	50,	75,	110,	134,	150,	200,	300,	600,	1200,	1800,
	2400,	4800,	9600,	19200,	38400,	57600,	115200, 230400, 460800, 500000, 576000,
	921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
};

/* c_cflag's code as bits a second; BOTHER: what is told beside it. */
static uint32_t ioctl_speed(uint32_t code, uint32_t told)
{
	code &= CBAUD;
	if (code == BOTHER)
		return told;
	if (code & CBAUDEX)
		code = (code & ~(uint32_t)CBAUDEX) + 15;
	return code < ARRAY_SIZE(ioctl_speeds) ? ioctl_speeds[code] : 0;
}

static void ioctl_set_speeds(struct ldisc_termios *t, const struct ldisc_termios *old)
{
	uint32_t in = (t->cflag & CIBAUD) >> IBSHIFT;

	t->ospeed = ioctl_speed(t->cflag, t->ospeed ? t->ospeed : old->ospeed);
	t->ispeed = in == B0 ? t->ospeed : ioctl_speed(in, t->ispeed);
	/* A line of eight bits that can be read, always. */
	t->cflag = (t->cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;
}

static long ioctl_get_termios(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct ldisc_termios t;

	pthread_mutex_lock(&tf->tty->lock);
	t = tf->tty->ldisc.termios;
	pthread_mutex_unlock(&tf->tty->lock);
	return user_write(task->mm, arg, &t, cmd == TCGETS ? IOCTL_TERMIOS_OLD : sizeof(t));
}

static long ioctl_set_termios(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	bool old_form = cmd == TCSETS || cmd == TCSETSW || cmd == TCSETSF;
	struct tty *tty = tf->tty;
	struct ldisc_termios t = { 0 };
	int r = user_read(task->mm, &t, arg, old_form ? IOCTL_TERMIOS_OLD : sizeof(t));

	if (r < 0)
		return r;
	pthread_mutex_lock(&tty->lock);
	if (cmd == TCSETSF || cmd == TCSETSF2) {
		ldisc_flush_input(&tty->ldisc);
		ring_clear(&tty->backlog);
	}
	if (old_form) {
		t.ispeed = tty->ldisc.termios.ispeed;
		t.ospeed = tty->ldisc.termios.ospeed;
	}
	ioctl_set_speeds(&t, &tty->ldisc.termios);
	t.line = 0;
	ldisc_set_termios(&tty->ldisc, &t);
	pthread_mutex_unlock(&tty->lock);
	tty_wake(tty);
	return 0;
}

static long ioctl_get_size(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct winsize size;

	(void)cmd;
	pthread_mutex_lock(&tf->tty->lock);
	size = tf->tty->size;
	pthread_mutex_unlock(&tf->tty->lock);
	return user_write(task->mm, arg, &size, sizeof(size));
}

void tty_resize(struct tty *tty, const struct winsize *size)
{
	bool same;

	pthread_mutex_lock(&tty->lock);
	same = memcmp(&tty->size, size, sizeof(*size)) == 0;
	tty->size = *size;
	pthread_mutex_unlock(&tty->lock);
	if (!same)
		tty_signal(tty, SIGWINCH);
}

static long ioctl_set_size(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct winsize size;
	int r = user_read(task->mm, &size, arg, sizeof(size));

	(void)cmd;
	if (r == 0)
		tty_resize(tf->tty, &size);
	return r;
}

static long ioctl_queued(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct tty *tty = tf->tty;
	int n = 0;

	pthread_mutex_lock(&tty->lock);
	if (cmd != TIOCOUTQ)
		n = (int)(tf->master ? tty->ldisc.out.len : ldisc_queued(&tty->ldisc));
	pthread_mutex_unlock(&tty->lock);
	return user_write(task->mm, arg, &n, sizeof(n));
}

static long ioctl_flush(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct tty *tty = tf->tty;
	bool in = arg == 0 || arg == 2, out = arg == 1 || arg == 2;

	(void)task;
	(void)cmd;
	if (arg > 2)
		return -EINVAL;
	pthread_mutex_lock(&tty->lock);
	if (tf->master ? in : out)
		ldisc_flush_output(&tty->ldisc);
	if (tf->master && in)
		ring_clear(&tty->ldisc.out);
	if (tf->master ? out : in) {
		ring_clear(&tty->backlog);
		if (!tf->master)
			ldisc_flush_input(&tty->ldisc);
	}
	pthread_mutex_unlock(&tty->lock);
	tty_wake(tty);
	return 0;
}

static long ioctl_flow(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct tty *tty = tf->tty;
	struct ldisc *l = &tty->ldisc;

	(void)task;
	(void)cmd;
	if (arg > 3)
		return -EINVAL;
	if (tf->master)
		return 0; /* its own output is never held up */
	pthread_mutex_lock(&tty->lock);
	switch (arg) {
	case 0: /* TCOOFF */
		ldisc_stop(l);
		l->suspended = true;
		break;
	case 1: /* TCOON */
		if (l->suspended) {
			l->suspended = false;
			ldisc_start(l);
		}
		break;
	default: /* TCIOFF, TCION: ask the other end */
		if (l->termios.cc[arg == 2 ? VSTOP : VSTART])
			ldisc_send(l, &l->termios.cc[arg == 2 ? VSTOP : VSTART], 1);
	}
	pthread_mutex_unlock(&tty->lock);
	tty_wake(tty);
	return 0;
}

/* Nothing is ever on its way. */
static long ioctl_drain(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	(void)tf;
	(void)task;
	(void)cmd;
	(void)arg;
	return 0;
}

static long ioctl_get_discipline(struct tty_file *tf, struct task *task, uint32_t cmd,
				 uint64_t arg)
{
	const int n_tty = 0;

	(void)tf;
	(void)cmd;
	return user_write(task->mm, arg, &n_tty, sizeof(n_tty));
}

static long ioctl_set_discipline(struct tty_file *tf, struct task *task, uint32_t cmd,
				 uint64_t arg)
{
	int which;
	int r = user_read(task->mm, &which, arg, sizeof(which));

	(void)tf;
	(void)cmd;
	if (r < 0)
		return r;
	return which ? -EINVAL : 0;
}

static long ioctl_type(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	(void)tf;
	(void)task;
	(void)cmd;
	(void)arg;
	return -EIO;
}

static long ioctl_number(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	unsigned n = (unsigned)tf->tty->number;

	(void)cmd;
	return user_write(task->mm, arg, &n, sizeof(n));
}

static long ioctl_get_device(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	unsigned n = (unsigned)tty_rdev(tf->tty);

	(void)cmd;
	if (tf->master)
		n = 5 << 8 | 2;
	return user_write(task->mm, arg, &n, sizeof(n));
}

static long ioctl_lock(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	int locked = 0, r;

	if (cmd == TIOCGPTLCK) {
		pthread_mutex_lock(&tf->tty->lock);
		locked = tf->tty->locked;
		pthread_mutex_unlock(&tf->tty->lock);
		return user_write(task->mm, arg, &locked, sizeof(locked));
	}
	r = user_read(task->mm, &locked, arg, sizeof(locked));
	if (r < 0)
		return r;
	pthread_mutex_lock(&tf->tty->lock);
	tf->tty->locked = locked != 0;
	pthread_mutex_unlock(&tf->tty->lock);
	return 0;
}

/* By its name, where the master was opened by one: so that its path is known. */
static int ioctl_open_peer(struct tty_file *tf, struct task *task, uint32_t flags,
			   struct file **out)
{
	struct mount *mount = tf->file.mount;
	struct walk walk;
	char name[16];
	int r;

	if (!mount || mount_super(mount) != tf->tty->devpts)
		return tty_open(tf->tty, flags, out);
	r = walk_task(&walk, task, AT_FDCWD, "");
	if (r < 0)
		return r;
	walk.start = (struct vfs_path){ mount, tf->tty->devpts->root };
	path_get(&walk.start);
	snprintf(name, sizeof(name), "%d", tf->tty->number);
	r = vfs_open(&walk, name, flags | O_NOCTTY, 0, 0, out);
	walk_end(&walk);
	return r == -EACCES ? tty_open(tf->tty, flags, out) : r;
}

static long ioctl_peer(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	uint32_t flags = (uint32_t)arg;
	struct file *file;
	bool locked;
	int r;

	(void)cmd;
	pthread_mutex_lock(&tf->tty->lock);
	locked = tf->tty->locked;
	pthread_mutex_unlock(&tf->tty->lock);
	if (locked)
		return -EIO;
	r = ioctl_open_peer(tf, task, flags & (O_ACCMODE | O_NONBLOCK), &file);
	if (r < 0)
		return r;
	if (!(flags & O_NOCTTY) && file_readable(file))
		tty_become_controlling(tf->tty, task);
	return fd_install(task, file, flags & O_CLOEXEC, 0);
}

static long ioctl_hangup(struct tty_file *tf, struct task *task, uint32_t cmd, uint64_t arg)
{
	(void)cmd;
	(void)arg;
	if (!cred_capable(task->cred, 26 /* CAP_SYS_TTY_CONFIG */))
		return -EPERM;
	tty_hangup(tf->tty);
	return 0;
}

static const struct ioctl_row ioctl_rows[] = {
	{ ioctl_get_termios, TCGETS },
	{ ioctl_get_termios, TCGETS2 },
	{ ioctl_set_termios, TCSETS, .changes = true },
	{ ioctl_set_termios, TCSETSW, .changes = true },
	{ ioctl_set_termios, TCSETSF, .changes = true },
	{ ioctl_set_termios, TCSETS2, .changes = true },
	{ ioctl_set_termios, TCSETSW2, .changes = true },
	{ ioctl_set_termios, TCSETSF2, .changes = true },
	{ ioctl_get_size, TIOCGWINSZ },
	{ ioctl_set_size, TIOCSWINSZ },
	{ ioctl_queued, FIONREAD },
	{ ioctl_queued, TIOCOUTQ },
	{ ioctl_flush, TCFLSH, .changes = true },
	{ ioctl_flow, TCXONC, .changes = true },
	{ ioctl_drain, TCSBRK, .changes = true },
	{ ioctl_drain, TCSBRKP, .changes = true },
	{ tty_ioctl_job, TIOCSCTTY },
	{ tty_ioctl_job, TIOCNOTTY },
	{ tty_ioctl_job, TIOCGPGRP },
	{ tty_ioctl_job, TIOCSPGRP },
	{ tty_ioctl_job, TIOCGSID },
	{ ioctl_get_discipline, TIOCGETD },
	{ ioctl_set_discipline, TIOCSETD, .changes = true },
	{ ioctl_type, TIOCSTI },
	{ ioctl_hangup, TIOCVHANGUP },
	{ ioctl_get_device, TIOCGDEV },
	{ ioctl_number, TIOCGPTN, .master = true },
	{ ioctl_lock, TIOCSPTLCK, .master = true },
	{ ioctl_lock, TIOCGPTLCK, .master = true },
	{ ioctl_peer, TIOCGPTPEER, .master = true },
};

long tty_ioctl(struct file *file, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct tty_file *tf = tty_file(file);
	bool dead;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ioctl_rows); i++) {
		const struct ioctl_row *row = &ioctl_rows[i];

		if (row->cmd != cmd || (row->master && !tf->master))
			continue;
		pthread_mutex_lock(&tf->tty->lock);
		dead = !tf->master && tf->hangups != tf->tty->hangups;
		pthread_mutex_unlock(&tf->tty->lock);
		if (dead)
			return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
		r = row->changes ? tty_check_change(tf->tty, SIGTTOU) : 0;
		return r < 0 ? r : row->fn(tf, task, cmd, arg);
	}
	return -ENOTTY;
}
