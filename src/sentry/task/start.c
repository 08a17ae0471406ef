/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/start.c - processes that nobody forked: a container's init, and what is run in it
 *
 * Called by control/, from a thread that is no task.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/task/exec.h"
#include "sentry/task/internal.h"
#include "sentry/trace.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/permission.h"
#include "sentry/vfs/vfs.h"

#define START_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *start_search_path(char *const *envp)
{
	for (; envp && *envp; envp++)
		if (!strncmp(*envp, "PATH=", 5))
			return *envp + 5;
	return START_PATH;
}

/* execvp(3) into @name. Return: 0 with @out, or the most telling errno */
static int start_find(struct task *task, const char *program, const char *path, char *name,
		      struct file **out)
{
	int result = -ENOENT;

	if (!*program)
		return -ENOENT;
	if (strchr(program, '/')) {
		if (strlen(program) >= PATH_MAX)
			return -ENAMETOOLONG;
		memcpy(name, program, strlen(program) + 1);
		return exec_open(task, AT_FDCWD, name, 0, out);
	}
	for (;;) {
		int len = (int)strcspn(path, ":");
		int r = snprintf(name, PATH_MAX, "%.*s%s%s", len, path, len ? "/" : "", program);

		r = r < PATH_MAX ? exec_open(task, AT_FDCWD, name, 0, out) : -ENAMETOOLONG;
		if (!r)
			return 0;
		if (r == -EACCES)
			result = r;
		if (!path[len])
			return result;
		path += len + 1;
	}
}

static int start_place(struct task *task, const struct process_start *args)
{
	struct walk walk;
	int r;

	task->fs = fs_context_new(args->container->mounts);
	task->files = fdtable_new();
	if (!task->fs || !task->files)
		return -ENOMEM;
	task->fs->umask = args->umask & 0777;
	for (int i = 0; i < 3; i++) {
		if (!args->stdio[i])
			continue;
		r = fd_install_at(task, file_get(args->stdio[i]), false, i);
		if (r < 0)
			return r;
	}
	if (!args->cwd)
		return 0;
	r = walk_task(&walk, task, AT_FDCWD, args->cwd);
	if (r)
		return r;
	r = vfs_walk(&walk, args->cwd, WALK_DIRECTORY);
	if (!r)
		r = vfs_permission(walk.path.dentry->inode, task->cred, MAY_EXEC);
	if (!r)
		fs_context_set_cwd(task->fs, &walk.path);
	walk_end(&walk);
	return r;
}

static int start_load(struct task *task, const struct process_start *args)
{
	struct exec_image image = { 0 };
	autofree char *name = malloc(PATH_MAX);
	autofile struct file *file = NULL;
	int r = name ? start_find(task, args->argv[0], start_search_path(args->envp), name, &file) :
		       -ENOMEM;

	if (!r)
		r = exec_load(task, file, name, args->argv, args->envp, &image);
	if (r)
		return r;
	exec_name(task->name, name);
	cred_put(task->cred);
	task->cred = image.cred;
	task->mm = image.mm;
	task->thread = image.thread;
	task->regs = image.regs;
	task->fresh = true;
	return 0;
}

/* tasks_lock held */
static int start_link(struct task *task, const struct process_start *args)
{
	struct process *process = task->process;
	struct sandbox_container *container = args->container;
	int r;

	if (args->init ? container->init != NULL : !container->init || container->init->zapping)
		return -ESRCH;
	r = process_link(process, NULL, task);
	if (r)
		return r;
	signal_process_init(process, NULL, 0);
	signal_task_init(task, NULL, 0);
	r = session_begin(process);
	if (r) {
		process->zombie = true;
		task_unlink(task);
		signal_process_free(process);
		process_unlink(process);
		return r;
	}
	if (args->tty)
		tty_associate(args->tty, process);
	process->execed = true;
	process->oom_score_adj = container->oom_score_adj;
	process->loginuid = UINT32_MAX;
	cpu_limit_changed(process);
	if (args->tty)
		tty_associate(args->tty, process);
	if (args->init)
		container->init = process_get(process);
	return 0;
}

static int start_run(struct task *task, const struct process_start *args)
{
	int r;

	pthread_mutex_lock(&kernel.tasks_lock);
	r = start_link(task, args);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r)
		return r;
	r = task_launch(task);
	if (!r)
		return 0;
	timer_set_free(task->process);
	pthread_mutex_lock(&kernel.tasks_lock);
	if (args->init) {
		process_put(args->container->init);
		args->container->init = NULL;
	}
	task->process->zombie = true;
	tty_disassociate(task->process->pgrp->session);
	task_unlink(task);
	signal_process_free(task->process);
	process_unlink(task->process);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static struct task *start_new(const struct process_start *args)
{
	struct process *process = process_new(args->container);
	struct task *task = process ? task_new(process) : NULL;
	struct cred *cred = task ? cred_copy(args->cred, args->cred->ngroups) : NULL;

	if (cred) {
		memcpy(process->limits, args->limits, sizeof(process->limits));
		cred->no_new_privs |= args->no_new_privs;
		task->cred = cred;
	} else {
		task_put(task);
		task = NULL;
	}
	process_put(process);
	return task;
}

int process_start(const struct process_start *args, struct process **out, struct coffer_error *err)
{
	const char *program = args->argv && args->argv[0] ? args->argv[0] : "";
	struct task *task = start_new(args);
	int r;

	if (!task)
		return err_nomem(err);
	r = start_place(task, args);
	if (r < 0) {
		r = err_sysn(err, r, "enter %s", args->cwd ? args->cwd : "/");
	} else {
		r = *program ? start_load(task, args) : -EINVAL;
		if (!r)
			r = start_run(task, args);
		if (r < 0)
			r = err_sysn(err, r, "execute %s", program);
		else
			*out = process_get(task->process);
		if (r == 0)
			trace_start(task->process, args->argv);
	}
	task_put(task);
	return r;
}
