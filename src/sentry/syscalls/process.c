/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/process.c - processes: made, replaced, ended, waited for, named, grouped
 *
 * What the calls do is in task/; here are their arguments. Namespaces cannot be made or entered,
 * and nobody traces.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/process.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/exec.h"
#include "sentry/task/internal.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/reap.h"
#include "sentry/vfs/vfs.h"

#define PROCESS_ARGS_MAX (PATH_MAX * 32ul) /* bytes of one string, as Linux has it */

/* --- made --- */

static long process_fork(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task_clone(task, &(struct task_clone){ .exit_signal = SIGCHLD });
}

static long process_vfork(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task_clone(task, &(struct task_clone){ .flags = CLONE_VFORK | CLONE_VM,
						      .exit_signal = SIGCHLD });
}

static long process_clone(struct task *task, const uint64_t args[6])
{
	struct task_clone clone = {
		.flags = (uint32_t)args[0] & ~UINT64_C(0xff),
		.exit_signal = (int)(args[0] & 0xff),
		.stack = args[1],
		.parent_tid = args[2],
		.pidfd = args[2],
		.child_tid = args[3],
		.tls = args[4],
	};

	if ((clone.flags & CLONE_PIDFD) &&
	    (clone.flags & (CLONE_PARENT_SETTID | CLONE_DETACHED)))
		return -EINVAL;
	clone.flags &= ~(uint64_t)CLONE_DETACHED;
	return task_clone(task, &clone);
}

static long process_clone3(struct task *task, const uint64_t args[6])
{
	struct clone_args in = { 0 };
	struct task_clone clone;
	int r;

	if (args[1] > PAGE_SIZE)
		return -E2BIG;
	if (args[1] < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	r = user_read_struct(task->mm, &in, sizeof(in), args[0], args[1]);
	if (r)
		return r;
	if (in.exit_signal > SIGNAL_MAX || (in.flags & (CLONE_DETACHED | 0xff)) ||
	    ((in.flags & (CLONE_THREAD | CLONE_PARENT)) && in.exit_signal) ||
	    in.flags >= UINT64_C(0x400000000) || !in.stack != !in.stack_size)
		return -EINVAL;
	if (in.set_tid || in.set_tid_size || (in.flags & CLONE_INTO_CGROUP))
		return -EPERM;
	clone = (struct task_clone){
		.flags = in.flags,
		.exit_signal = (int)in.exit_signal,
		.stack = in.stack,
		.stack_size = in.stack_size,
		.parent_tid = in.parent_tid,
		.child_tid = in.child_tid,
		.tls = in.tls,
		.pidfd = in.pidfd,
	};
	return task_clone(task, &clone);
}

/* --- replaced --- */

/* The strings of an argv or envp: one array, each string and the array to be freed. */
struct process_strings {
	char **v;
	size_t n, cap;
	uint64_t bytes;
};

static void process_strings_free(struct process_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

static int process_strings_add(struct process_strings *s, char *one)
{
	if (s->n + 1 >= s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		char **v = realloc(s->v, cap * sizeof(char *));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	if (one)
		s->v[s->n++] = one;
	s->v[s->n] = NULL;
	return 0;
}

/* A string of any length up to the limit, without the limit's size being allocated for it */
static int process_string(struct mm *mm, uint64_t addr, size_t max, char **out)
{
	autofree char *buf = NULL;

	for (size_t size = 256;; size *= 8) {
		char *grown;
		long len;

		if (size > max)
			size = max;
		grown = realloc(buf, size);
		if (!grown)
			return -ENOMEM;
		buf = grown;
		len = user_string(mm, buf, addr, size);
		if (len >= 0) {
			grown = realloc(buf, (size_t)len + 1);
			*out = grown ? grown : buf;
			buf = NULL;
			return 0;
		}
		if (len != -ENAMETOOLONG)
			return (int)len;
		if (size == max)
			return -E2BIG;
	}
}

/* @limit: bytes that strings and pointers may take */
static int process_strings_read(struct task *task, uint64_t addr, uint64_t limit,
				struct process_strings *s)
{
	int r = process_strings_add(s, NULL);

	while (!r && addr) {
		char *one = NULL;
		uint64_t at;

		r = user_read(task->mm, &at, addr, sizeof(at));
		if (r || !at)
			break;
		if (s->bytes >= limit)
			return -E2BIG;
		r = process_string(task->mm, at,
				   limit - s->bytes < PROCESS_ARGS_MAX ?
					   (size_t)(limit - s->bytes) + 1 :
					   PROCESS_ARGS_MAX,
				   &one);
		if (r)
			break;
		s->bytes += strlen(one) + 1 + sizeof(at);
		r = process_strings_add(s, one);
		if (r)
			free(one);
		addr += sizeof(at);
	}
	return r;
}

static long process_exec_strings(struct task *task, struct file *file, const char *path,
				 const uint64_t args[2])
{
	CLEANUP(process_strings_free) struct process_strings argv = { 0 }, envp = { 0 };
	uint64_t limit = task_limit(task, RLIMIT_STACK) / 4;
	int r;

	/* Linux: at least 32 pages, at most three quarters of 8 MiB */
	limit = limit < 32 * PAGE_SIZE ? 32 * PAGE_SIZE : limit > 6 << 20 ? 6 << 20 : limit;
	r = process_strings_read(task, args[0], limit, &argv);
	if (!r && !argv.n) {
		char *empty = strdup("");

		r = empty ? process_strings_add(&argv, empty) : -ENOMEM;
	}
	if (!r)
		r = process_strings_read(task, args[1], limit - argv.bytes, &envp);
	return r ? r : task_exec(task, file, path, argv.v, envp.v);
}

static long process_exec(struct task *task, int dirfd, uint64_t path_addr, const uint64_t args[2],
			 int flags)
{
	autofree char *path = NULL, *shown = NULL;
	autofile struct file *file = NULL;
	int r = user_path(task->mm, path_addr, &path);

	if (r)
		return r;
	r = exec_open(task, dirfd, path, flags, &file);
	if (r)
		return r;
	if (dirfd != AT_FDCWD && path[0] != '/' &&
	    asprintf(&shown, "/dev/fd/%d%s%s", dirfd, *path ? "/" : "", path) < 0)
		return -ENOMEM;
	return process_exec_strings(task, file, shown ? shown : path, args);
}

static long process_execve(struct task *task, const uint64_t args[6])
{
	return process_exec(task, AT_FDCWD, args[0], args + 1, 0);
}

static long process_execveat(struct task *task, const uint64_t args[6])
{
	if ((int)args[4] & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return process_exec(task, (int)args[0], args[1], args + 2, (int)args[4]);
}

/* --- ended --- */

static long process_exit(struct task *task, const uint64_t args[6])
{
	task->ending = true;
	task->end_status = (int)(args[0] & 0xff) << 8;
	atomic_store(&task->interrupted, true);
	return 0;
}

static long process_exit_group(struct task *task, const uint64_t args[6])
{
	pthread_mutex_lock(&kernel.tasks_lock);
	process_end(task->process, (int)(args[0] & 0xff) << 8);
	pthread_mutex_unlock(&kernel.tasks_lock);
	atomic_store(&task->interrupted, true);
	return 0;
}

/* --- waited for --- */

static long process_wait4(struct task *task, const uint64_t args[6])
{
	struct reap reap = { .options = (uint32_t)args[2], .id = (int)args[0] };
	long r;

	if (reap.options & ~(uint32_t)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE |
				       __WALL))
		return -EINVAL;
	if (reap.id == INT_MIN)
		return -ESRCH;
	reap.options |= WEXITED;
	reap.what = reap.id == -1 ? REAP_ANY : reap.id > 0 ? REAP_PID : REAP_PGRP;
	if (reap.what == REAP_PGRP)
		reap.id = reap.id ? -reap.id : process_pgid(task->process);
	r = reap_wait(task, &reap);
	if (r || !reap.pid)
		return r;
	if ((args[1] && user_write(task->mm, args[1], &reap.raw, sizeof(reap.raw))) ||
	    (args[3] && user_write(task->mm, args[3], &reap.usage, sizeof(reap.usage))))
		return -EFAULT;
	return reap.pid;
}

static int process_waitid_what(struct task *task, const uint64_t args[6], struct reap *reap,
			       struct file **file)
{
	reap->id = (int)args[1];
	switch ((int)args[0]) {
	case P_ALL:
		reap->what = REAP_ANY;
		return 0;
	case P_PID:
		reap->what = REAP_PID;
		return reap->id > 0 ? 0 : -EINVAL;
	case P_PGID:
		reap->what = REAP_PGRP;
		if (!reap->id)
			reap->id = process_pgid(task->process);
		return reap->id >= 0 ? 0 : -EINVAL;
	case 3: /* P_PIDFD */
		reap->what = REAP_PROCESS;
		if (reap->id < 0)
			return -EINVAL;
		*file = fd_get(task, reap->id);
		if (!*file)
			return -EBADF;
		reap->process = pidfd_process(*file);
		return reap->process ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
}

static long process_waitid(struct task *task, const uint64_t args[6])
{
	struct reap reap = { .options = (uint32_t)args[3] };
	autofile struct file *file = NULL;
	struct signal_info info = { 0 };
	long r;

	if (reap.options & ~(uint32_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED |
				       __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (!(reap.options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	r = process_waitid_what(task, args, &reap, &file);
	if (r)
		return r;
	if (file && (file->flags & O_NONBLOCK)) {
		reap.options |= WNOHANG;
		r = reap_wait(task, &reap);
		r = r ? r : reap.pid || ((uint32_t)args[3] & WNOHANG) ? 0 : -EAGAIN;
	} else {
		r = reap_wait(task, &reap);
	}
	if (r)
		return r;
	if (reap.pid) {
		signal_info_child(&info, reap.code, reap.pid, reap.uid, reap.status, 0, 0);
		info.signo = SIGCHLD;
	}
	if ((args[2] && user_write(task->mm, args[2], &info, sizeof(info))) ||
	    (args[4] && reap.pid &&
	     user_write(task->mm, args[4], &reap.usage, sizeof(reap.usage))))
		return -EFAULT;
	return 0;
}

/* --- named and grouped --- */

static long process_getpid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->process->pid;
}

static long process_getppid(struct task *task, const uint64_t args[6])
{
	long pid;

	(void)args;
	pthread_mutex_lock(&kernel.tasks_lock);
	pid = task->process->parent ? task->process->parent->pid : 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return pid;
}

/* @pid 0: the caller's own. tasks_lock held */
static struct process *process_of(struct task *task, int pid)
{
	return pid ? process_find(task->process->container, pid) : task->process;
}

static long process_getpgid(struct task *task, const uint64_t args[6])
{
	struct process *process;
	long id = -ESRCH;

	pthread_mutex_lock(&kernel.tasks_lock);
	process = process_of(task, (int)args[0]);
	if (process && process->pgrp)
		id = process->pgrp->id;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return id;
}

static long process_getpgrp(struct task *task, const uint64_t args[6])
{
	(void)args;
	return process_pgid(task->process);
}

static long process_getsid(struct task *task, const uint64_t args[6])
{
	struct process *process;
	long id = -ESRCH;

	pthread_mutex_lock(&kernel.tasks_lock);
	process = process_of(task, (int)args[0]);
	if (process && process->pgrp)
		id = process->pgrp->session->id;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return id;
}

/* tasks_lock held */
static int process_regroup(struct process *self, struct process *process, int id)
{
	struct pgrp *pgrp;

	if (!process || process->zombie)
		return -ESRCH;
	if (process != self) {
		if (process->parent != self)
			return -ESRCH;
		if (process->pgrp->session != self->pgrp->session)
			return -EPERM;
		if (process->execed)
			return -EACCES;
	}
	if (process->pgrp->session->id == process->pid)
		return -EPERM;
	pgrp = pgrp_find(self->container, id);
	if (!pgrp && id == process->pid)
		return pgrp_begin(process, self->pgrp->session);
	if (!pgrp || pgrp->session != self->pgrp->session)
		return -EPERM;
	pgrp_enter(process, pgrp);
	return 0;
}

static long process_setpgid(struct task *task, const uint64_t args[6])
{
	int pid = (int)args[0], id = (int)args[1];
	long r;

	if (id < 0)
		return -EINVAL;
	if (!pid)
		pid = task->process->pid;
	pthread_mutex_lock(&kernel.tasks_lock);
	r = process_regroup(task->process, process_find(task->process->container, pid),
			    id ? id : pid);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static long process_setsid(struct task *task, const uint64_t args[6])
{
	struct process *process = task->process;
	long r;

	(void)args;
	pthread_mutex_lock(&kernel.tasks_lock);
	if (pgrp_find(process->container, process->pid))
		r = -EPERM;
	else
		r = session_begin(process);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r ? r : process->pid;
}

/* --- pidfds --- */

static long process_pidfd_open(struct task *task, const uint64_t args[6])
{
	struct process *process;
	struct file *file;
	int r;

	if (((uint32_t)args[1] & ~(uint32_t)O_NONBLOCK) || (int)args[0] <= 0)
		return -EINVAL;
	pthread_mutex_lock(&kernel.tasks_lock);
	process = process_find(task->process->container, (int)args[0]);
	r = process ? 0 : task_find(task->process->container, (int)args[0]) ? -EINVAL : -ESRCH;
	if (process)
		process_get(process);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r)
		return r;
	r = pidfd_open(process, (uint32_t)args[1], &file);
	process_put(process);
	return r ? r : fd_install(task, file, true, 0);
}

static long process_pidfd_signal(struct task *task, struct process *process,
				 const uint64_t args[6])
{
	struct signal_info info;
	int sig = (int)args[1];
	long r;

	if (sig < 0 || sig > SIGNAL_MAX || process->container != task->process->container)
		return -EINVAL;
	if (args[2]) {
		if (user_read(task->mm, &info, args[2], sizeof(info)))
			return -EFAULT;
		if (info.signo != sig)
			return -EINVAL;
		if (process != task->process && (info.code >= 0 || info.code == SI_TKILL))
			return -EPERM;
	} else {
		signal_info_user(&info, sig, SI_USER, task->process->pid, task->cred->uid);
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	r = process->zombie ? -ESRCH : signal_permitted(task, process, sig);
	if (!r)
		r = signal_process_send(process, sig, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

/* A process's directory in /proc is good for this call, too: there was none but those at first. */
static long process_pidfd_send_signal(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct process *process = file ? pidfd_process(file) : NULL;
	long r;

	if ((uint32_t)args[3])
		return -EINVAL;
	if (!file)
		return -EBADF;
	if (process)
		return process_pidfd_signal(task, process, args);
	r = procfs_process_get(file, &process);
	if (!r)
		r = process_pidfd_signal(task, process, args);
	process_put(process);
	return r;
}

static long process_pidfd_getfd(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct process *process = file ? pidfd_process(file) : NULL;
	struct fdtable *files = NULL;
	struct file *found = NULL;
	long r;

	if ((uint32_t)args[2])
		return -EINVAL;
	if (!process)
		return -EBADF;
	if (process->container != task->process->container)
		return -EPERM;
	pthread_mutex_lock(&kernel.tasks_lock);
	r = !process->tasks ? -ESRCH : process_may_look(task, process) ? 0 : -EPERM;
	if (!r)
		files = task_files_get(process->tasks);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (r || !files)
		return r ? r : -ESRCH;
	if ((int)args[1] < 0 || fdtable_next(files, (int)args[1], &found) != (int)args[1]) {
		if (found)
			file_put(found);
		found = NULL;
	}
	fdtable_put(files);
	return found ? fd_install(task, found, true, 0) : -EBADF;
}

/* --- apart and together --- */

static long process_unshare(struct task *task, const uint64_t args[6])
{
	const uint64_t alone = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	const uint64_t own = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_NEWNS;
	uint64_t flags = args[0];

	if (flags & ~(alone | own))
		return flags & CLONE_NEW_ANY ? -EPERM : -EINVAL;
	if ((flags & CLONE_NEWNS) && !cred_capable(task->cred, CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & alone) && task->process->ntasks > 1)
		return -EINVAL;
	return task_unshare(task, flags);
}

static long process_refuse(struct task *task, const uint64_t args[6])
{
	(void)task;
	(void)args;
	return -EPERM;
}

int user_read_struct(struct mm *mm, void *dst, size_t size, uint64_t src, uint64_t src_size)
{
	uint8_t rest[64];
	int r = user_read(mm, dst, src, src_size < size ? (size_t)src_size : size);

	for (uint64_t at = size; !r && at < src_size; at += sizeof(rest)) {
		size_t n = src_size - at < sizeof(rest) ? (size_t)(src_size - at) : sizeof(rest);

		r = user_read(mm, rest, src + at, n);
		for (size_t i = 0; i < n && !r; i++)
			if (rest[i])
				return -E2BIG;
	}
	return r;
}

#define NAMESPACES "no namespaces can be made but for mounts"

static const struct syscall_row process_rows[] = {
	{ SYS_clone, "clone", process_clone, { ARG_CLONE, ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX },
	  SYSCALL_PART, NAMESPACES },
	{ SYS_fork, "fork", process_fork },
	{ SYS_vfork, "vfork", process_vfork },
	{ SYS_clone3, "clone3", process_clone3, { ARG_HEX, ARG_UINT }, SYSCALL_PART,
	  NAMESPACES ", no ids be chosen" },
	{ SYS_execve, "execve", process_execve, { ARG_PATH, ARG_ARGV, ARG_HEX }, SYSCALL_PART,
	  "capabilities of files are ignored" },
	{ SYS_execveat, "execveat", process_execveat,
	  { ARG_DIRFD, ARG_PATH, ARG_ARGV, ARG_HEX, ARG_HEX }, SYSCALL_PART,
	  "capabilities of files are ignored" },
	{ SYS_exit, "exit", process_exit, { ARG_INT } },
	{ SYS_exit_group, "exit_group", process_exit_group, { ARG_INT } },
	{ SYS_wait4, "wait4", process_wait4, { ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_waitid, "waitid", process_waitid,
	  { ARG_INT, ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_getpid, "getpid", process_getpid },
	{ SYS_getppid, "getppid", process_getppid },
	{ SYS_getpgrp, "getpgrp", process_getpgrp },
	{ SYS_getpgid, "getpgid", process_getpgid, { ARG_INT } },
	{ SYS_setpgid, "setpgid", process_setpgid, { ARG_INT, ARG_INT } },
	{ SYS_getsid, "getsid", process_getsid, { ARG_INT } },
	{ SYS_setsid, "setsid", process_setsid },
	{ SYS_prlimit64, "prlimit64", process_prlimit64, { ARG_INT, ARG_INT, ARG_HEX, ARG_HEX } },
	{ SYS_getrlimit, "getrlimit", process_getrlimit, { ARG_INT, ARG_HEX } },
	{ SYS_setrlimit, "setrlimit", process_setrlimit, { ARG_INT, ARG_HEX } },
	{ SYS_getrusage, "getrusage", process_getrusage, { ARG_INT, ARG_HEX } },
	{ SYS_times, "times", process_times, { ARG_HEX } },
	{ SYS_prctl, "prctl", process_prctl, { ARG_INT, ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX },
	  SYSCALL_PART, "what is about processes and capabilities" },
	{ SYS_personality, "personality", process_personality, { ARG_HEX }, SYSCALL_PART,
	  "kept and told; what uname(2) says is all that it changes" },
	{ SYS_pidfd_open, "pidfd_open", process_pidfd_open, { ARG_INT, ARG_HEX } },
	{ SYS_pidfd_send_signal, "pidfd_send_signal", process_pidfd_send_signal,
	  { ARG_FD, ARG_SIG, ARG_HEX, ARG_HEX } },
	{ SYS_pidfd_getfd, "pidfd_getfd", process_pidfd_getfd, { ARG_FD, ARG_FD, ARG_HEX } },
	{ SYS_unshare, "unshare", process_unshare, { ARG_CLONE }, SYSCALL_PART, NAMESPACES },
	{ SYS_setns, "setns", process_refuse, { ARG_FD, ARG_CLONE }, SYSCALL_NONE,
	  "a container has one namespace of each kind" },
	{ SYS_ptrace, "ptrace", process_refuse, { ARG_INT, ARG_INT, ARG_HEX, ARG_HEX },
	  SYSCALL_NONE, "nobody traces" },
};

const struct syscall_family syscalls_process = SYSCALL_FAMILY("Processes", process_rows);
