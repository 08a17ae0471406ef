/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec.h - programs: found, loaded, entered
 */
#ifndef SENTRY_TASK_EXEC_H
#define SENTRY_TASK_EXEC_H

#include <stdbool.h>

#include "sentry/trap/trap.h"

struct cred;
struct file;
struct mm;
struct task;

/* exec_open() - The regular file at @path, which the task may execute. @dirfd, @flags: of
 * execveat(2). Return: 0 with a reference, or negative errno */
int exec_open(struct task *task, int dirfd, const char *path, int flags, struct file **out);

/* A program that is loaded and does not run yet. Zero-initialised is none. */
struct exec_image {
	struct cred *cred;	    /* a reference: who it runs as */
	bool secure;		    /* has other rights than who called it */
	struct mm *mm;		    /* a reference */
	struct trap_thread *thread; /* of the new address space, parked */
	struct trap_regs regs;
};

/* exec_load() - Into an address space of its own, with what @task (which need not run) may and
 * sees. Return: 0 or negative errno */
int exec_load(struct task *task, struct file *file, const char *path, char *const *argv,
	      char *const *envp, struct exec_image *image);
void exec_image_free(struct exec_image *image);

/* exec_name() - What ps(1) shows of @path, into @name */
void exec_name(char name[16], const char *path);

#endif /* SENTRY_TASK_EXEC_H */
