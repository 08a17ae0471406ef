/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/exec.c - execve(2)
 *
 *	file opened -> loaded into a new address space -> all other threads end -> exchanged
 *
 * The new program is complete before anything of the old one is touched, so an error leaves the
 * caller as it was, and a child of vfork(2) leaves its parent's memory alone without more ado. The
 * old address space's stub goes back to the pool, which empties it when there is time.
 *
 * Capabilities of files are deliberately not known; set-user-id bits are, but for scripts.
 */
#include "sentry/task/exec.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/task/internal.h"
#include "sentry/trace.h"
#include "sentry/vfs/open.h"
#include "sentry/vfs/permission.h"
#include "sentry/vfs/vfs.h"

static int exec_find(struct task *task, int dirfd, const char *path, int flags, struct file **out)
{
	struct walk walk;
	unsigned how = (flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0u) |
		       (flags & AT_EMPTY_PATH ? WALK_EMPTY : 0u);
	int r = walk_task(&walk, task, dirfd, path);

	if (r)
		return r;
	r = vfs_walk(&walk, path, how);
	if (!r && S_ISLNK(walk.path.dentry->inode->attr.st_mode))
		r = -ELOOP;
	if (!r && !S_ISREG(walk.path.dentry->inode->attr.st_mode))
		r = -EACCES;
	if (!r)
		r = permission_path(&walk.path, task->cred, MAY_EXEC);
	if (!r)
		r = open_inode(&walk.path, task->cred, task, O_RDONLY, out);
	walk_end(&walk);
	return r;
}

int exec_open(struct task *task, int dirfd, const char *path, int flags, struct file **out)
{
	int r = exec_find(task, dirfd, path, flags, out);

	if (r)
		return r;
	/* Until the last address space lets go of it */
	r = inode_deny_write((*out)->inode);
	(*out)->denies_write = !r;
	if (r) {
		file_put(*out);
		*out = NULL;
	}
	return r;
}

/* Interpreters may be written to, as libraries may */
static int exec_open_interpreter(void *data, const char *path, struct file **out)
{
	return exec_find(data, AT_FDCWD, path, 0, out);
}

void exec_name(char name[16], const char *path)
{
	const char *slash = strrchr(path, '/');

	path = slash ? slash + 1 : path;
	memset(name, 0, 16);
	memcpy(name, path, strnlen(path, 15));
}

static bool exec_is_script(struct file *file)
{
	char head[2];

	return file_read_kernel(file, head, sizeof(head), 0) == 2 && head[0] == '#' &&
	       head[1] == '!';
}

static void exec_ids(struct cred *cred, struct file *file)
{
	const struct stat attr = inode_attr(file->inode), *st = &attr; /* owner and mode agree */

	if (!cred->no_new_privs && !(mount_flags(file->mount) & MNT_NOSUID) &&
	    (st->st_mode & (S_ISUID | S_ISGID)) && !exec_is_script(file)) {
		if (st->st_mode & S_ISUID)
			cred->euid = st->st_uid;
		if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			cred->egid = st->st_gid;
	}
	cred->suid = cred->fsuid = cred->euid;
	cred->sgid = cred->fsgid = cred->egid;
}

/* capabilities(7), "Transformation of capabilities during execve()", without those of files */
static void exec_capabilities(struct cred *cred, const struct cred *old, bool changed)
{
	bool root = !(cred->securebits & SECBIT_NOROOT) && (!cred->uid || !cred->euid);

	if (changed)
		cred->cap_ambient = 0;
	cred->cap_permitted = root ? cred->cap_bounding | cred->cap_inheritable : 0;
	if (cred->no_new_privs)
		cred->cap_permitted &= old->cap_permitted;
	cred->cap_permitted |= cred->cap_ambient;
	cred->cap_effective = root && !cred->euid ? cred->cap_permitted : cred->cap_ambient;
	cred->securebits &= ~(uint32_t)SECBIT_KEEP_CAPS;
}

static struct cred *exec_cred(const struct task *task, struct file *file, bool *secure)
{
	const struct cred *old = task->cred;
	struct cred *cred = cred_copy(old, old->ngroups);
	bool changed;

	if (!cred)
		return NULL;
	exec_ids(cred, file);
	changed = cred->euid != old->uid || cred->egid != old->gid;
	exec_capabilities(cred, old, changed);
	*secure = changed || (cred->uid && cred->cap_effective & ~cred->cap_ambient);
	return cred;
}

void exec_image_free(struct exec_image *image)
{
	if (image->thread)
		trap_thread_put(image->thread);
	if (image->mm)
		mm_put(image->mm);
	cred_put(image->cred);
	*image = (struct exec_image){ 0 };
}

int exec_load(struct task *task, struct file *file, const char *path, char *const *argv,
	      char *const *envp, struct exec_image *image)
{
	struct mm_exec args = {
		.file = file,
		.path = path,
		.argv = argv,
		.envp = envp,
		.stack_max = task_limit(task, RLIMIT_STACK),
		.open = exec_open_interpreter,
		.open_data = task,
	};
	bool committed;
	int r;

	image->cred = exec_cred(task, file, &image->secure);
	if (!image->cred)
		return -ENOMEM;
	args.uid = image->cred->uid;
	args.euid = image->cred->euid;
	args.gid = image->cred->gid;
	args.egid = image->cred->egid;
	args.secure = image->secure;
	r = mm_new(&image->mm);
	if (!r)
		r = mm_exec(image->mm, &args, &image->regs, &committed);
	if (!r)
		r = trap_thread_get(mm_stub(image->mm), &image->thread);
	if (r)
		exec_image_free(image);
	return r;
}

/* Return: 0 when the other threads are gone, -EINTR: this one has to go itself */
static int exec_alone(struct task *task)
{
	struct process *process = task->process;
	struct wait wait;
	int r = 0;

	pthread_mutex_lock(&kernel.tasks_lock);
	if (task_must_end_locked(task))
		r = -EINTR;
	else
		process->exec_task = task;
	for (struct task *t = process->tasks; t && !r; t = t->next)
		if (t != task)
			task_interrupt(t);
	wait_begin(&wait, task);
	wait_on(&wait, &process->task_gone, POLLIN);
	while (!r && process->ntasks > 1) {
		pthread_mutex_unlock(&kernel.tasks_lock);
		r = wait_sleep_killable(&wait, USEC_INFINITY);
		wait_reset(&wait);
		wait_on(&wait, &process->task_gone, POLLIN);
		pthread_mutex_lock(&kernel.tasks_lock);
	}
	if (r && process->exec_task == task)
		process->exec_task = NULL;
	pthread_mutex_unlock(&kernel.tasks_lock);
	wait_end(&wait);
	return r ? -EINTR : 0;
}

/* Descriptors are not shared with another process any more; nor, when there are rights to gain,
 * a root and a working directory that it could change. Return: 0 or -ENOMEM */
static int exec_apart(struct task *task, bool secure)
{
	long r = 0;

	if (secure || fdtable_shared(task->files))
		r = task_unshare(task, CLONE_FILES | (secure ? CLONE_FS : 0u));
	if (r) {
		pthread_mutex_lock(&kernel.tasks_lock);
		task->process->exec_task = NULL;
		pthread_mutex_unlock(&kernel.tasks_lock);
	}
	return (int)r;
}

/* It is the leader now, whichever thread it was. tasks_lock held */
static void exec_renumber(struct task *task)
{
	struct pid_table *pids = task->process->container->pids;

	if (task->tid == task->process->pid)
		return;
	pid_get(pids, task->tid)->task = NULL;
	pid_drop_unused(pids, task->tid);
	task->tid = task->process->pid;
	pid_get(pids, task->tid)->task = task;
}

/* From here on it is the new program. The old one's things end up in @image. */
static void exec_exchange(struct task *task, const char *path, struct exec_image *image)
{
	struct process *process = task->process;
	struct exec_image old;

	park_settle(task);
	pthread_mutex_lock(&kernel.tasks_lock);
	task_cpu_switch(task, image->thread);
	old = (struct exec_image){ .cred = task->cred, .mm = task->mm, .thread = task->thread };
	task->cred = image->cred;
	task->mm = image->mm;
	task->thread = image->thread;
	exec_renumber(task);
	exec_name(task->name, path);
	process->exec_task = NULL;
	process->execed = true;
	process->exit_signal = SIGCHLD;
	process->dumpable = !image->secure;
	if (image->secure)
		process->parent_death_signal = 0;
	signal_process_exec(process, task);
	pthread_mutex_unlock(&kernel.tasks_lock);
	task->regs = image->regs;
	task->fresh = true;
	task->restart = NULL;
	atomic_store(&task->futexes_left, false);
	*image = old;
}

long task_exec(struct task *task, struct file *file, const char *path, char **argv, char **envp)
{
	struct exec_image image = { 0 };
	int r = exec_load(task, file, path, argv, envp, &image);

	if (!r)
		r = exec_alone(task);
	if (!r)
		r = exec_apart(task, image.secure);
	if (!r) {
		task_leave_mm(task);
		exec_exchange(task, path, &image);
		timer_set_exec(task->process);
		fdtable_close_on_exec(task->files, task);
		trace_exec(task, path, argv);
	}
	exec_image_free(&image);
	return r;
}
