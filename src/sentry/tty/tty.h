/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/tty/tty.h - terminals: line discipline and pseudo terminal pairs
 *
 * A container's console and what guests open at /dev/ptmx are the same: pairs of ours with a line
 * discipline between. The console's other end is held by control/, which copies between it and
 * the caller's connection.
 */
#ifndef SENTRY_TTY_TTY_H
#define SENTRY_TTY_TTY_H

#include <stdint.h>
#include <sys/ioctl.h>

struct file;
struct super;
struct task;
struct tty;

struct tty *tty_get(struct tty *tty);
void tty_put(struct tty *tty);

/* pty_open() - A pair: its master as a file; the other side's name is its number in @devpts */
int pty_open(struct super *devpts, uint32_t flags, struct file **master, struct tty **tty);
/* tty_open() - The terminal's side as a file (/dev/pts/N, a process's stdio) */
int tty_open(struct tty *tty, uint32_t flags, struct file **out);
/* tty_of_file() - Whose terminal's side it is, borrowed; NULL: of none */
struct tty *tty_of_file(struct file *file);
int tty_number(const struct tty *tty);
uint64_t tty_rdev(const struct tty *tty);

void tty_resize(struct tty *tty, const struct winsize *size); /* SIGWINCH to the foreground */
/* tty_hangup() - The other end is gone for good */
void tty_hangup(struct tty *tty);

/* tty_associate() - It controls the session that @process leads, its group is in the foreground.
 * tasks_lock held */
struct process;
void tty_associate(struct tty *tty, struct process *process);
/* Foreground process group, for signal mode "foreground". tasks_lock held. 0: none */
int tty_foreground(const struct tty *tty);
/* tty_disassociate() - The session's leader has ended or gave it up: SIGHUP, SIGCONT. tasks_lock
 * held */
struct session;
void tty_disassociate(struct session *session);
/* tty_of_task() - What /dev/tty is: a reference, NULL: none */
struct tty *tty_of_task(struct task *task);

#endif /* SENTRY_TTY_TTY_H */
