/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pidfd.h - a process as a file
 */
#ifndef SENTRY_TASK_PIDFD_H
#define SENTRY_TASK_PIDFD_H

#include <stdint.h>

struct file;
struct process;

/* pidfd_open() - @flags: O_NONBLOCK or 0. Return: 0 or -ENOMEM */
int pidfd_open(struct process *process, uint32_t flags, struct file **out);
/* pidfd_process() - Which one @file is, borrowed from it. NULL: it is no pidfd */
struct process *pidfd_process(const struct file *file);

#endif /* SENTRY_TASK_PIDFD_H */
