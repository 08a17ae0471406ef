/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_pid.c - the table of a process's directory, and small things in it
 *
 *	/proc/PID, /proc/PID/task/TID -> rows here -> procfs_status.c, _memory.c, _links.c
 *
 * Called through procfs.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int procfs_show_comm(struct textfs_node *node, struct buf *out)
{
	struct task *task = procfs_task_lock(node, NULL);
	char name[17] = { 0 };

	if (!task)
		return -ESRCH;
	memcpy(name, task->name, sizeof(task->name));
	procfs_unlock();
	return buf_printf(out, "%s\n", name);
}

static int procfs_store_comm(struct textfs_node *node, const char *text, size_t len)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	size_t n = len < sizeof(task->name) - 1 ? len : sizeof(task->name) - 1;

	if (!task)
		return -ESRCH;
	if (!task_current || task_current->process != process) {
		procfs_unlock();
		return -EINVAL;
	}
	memset(task->name, 0, sizeof(task->name));
	memcpy(task->name, text, n);
	procfs_unlock();
	return 0;
}

struct procfs_limit {
	const char *name, *unit;
	unsigned resource;
};

static const struct procfs_limit procfs_limits[] = {
	{ "Max cpu time", "seconds", RLIMIT_CPU },
	{ "Max file size", "bytes", RLIMIT_FSIZE },
	{ "Max data size", "bytes", RLIMIT_DATA },
	{ "Max stack size", "bytes", RLIMIT_STACK },
	{ "Max core file size", "bytes", RLIMIT_CORE },
	{ "Max resident set", "bytes", RLIMIT_RSS },
	{ "Max processes", "processes", RLIMIT_NPROC },
	{ "Max open files", "files", RLIMIT_NOFILE },
	{ "Max locked memory", "bytes", RLIMIT_MEMLOCK },
	{ "Max address space", "bytes", RLIMIT_AS },
	{ "Max file locks", "locks", RLIMIT_LOCKS },
	{ "Max pending signals", "signals", RLIMIT_SIGPENDING },
	{ "Max msgqueue size", "bytes", RLIMIT_MSGQUEUE },
	{ "Max nice priority", "", RLIMIT_NICE },
	{ "Max realtime priority", "", RLIMIT_RTPRIO },
	{ "Max realtime timeout", "us", RLIMIT_RTTIME },
};

static void procfs_limit_text(rlim_t value, char text[24])
{
	if (value == RLIM_INFINITY)
		snprintf(text, 24, "unlimited");
	else
		snprintf(text, 24, "%lu", (unsigned long)value);
}

static int procfs_show_limits(struct textfs_node *node, struct buf *out)
{
	struct process *process = procfs_process_lock(node);
	struct rlimit limits[RLIM_NLIMITS];
	int r;

	if (!process)
		return -ESRCH;
	memcpy(limits, process->limits, sizeof(limits));
	procfs_unlock();
	r = buf_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
		       "Units");
	for (size_t i = 0; i < ARRAY_SIZE(procfs_limits) && !r; i++) {
		const struct procfs_limit *row = &procfs_limits[i];
		char soft[24], hard[24];

		procfs_limit_text(limits[row->resource].rlim_cur, soft);
		procfs_limit_text(limits[row->resource].rlim_max, hard);
		r = buf_printf(out, "%-25s %-20s %-20s %-10s\n", row->name, soft, hard, row->unit);
	}
	return r;
}

static int procfs_show_oom_score_adj(struct textfs_node *node, struct buf *out)
{
	struct process *process = procfs_process_lock(node);
	int value;

	if (!process)
		return -ESRCH;
	value = process->oom_score_adj;
	procfs_unlock();
	return buf_printf(out, "%d\n", value);
}

/* The older scale, from -17 to 15. */
static int procfs_show_oom_adj(struct textfs_node *node, struct buf *out)
{
	struct process *process = procfs_process_lock(node);
	int value;

	if (!process)
		return -ESRCH;
	value = process->oom_score_adj;
	procfs_unlock();
	return buf_printf(out, "%d\n", value == 1000 ? 15 : value * 17 / 1000);
}

static int procfs_store_oom_score_adj(struct textfs_node *node, const char *text, size_t len)
{
	char *end;
	long value = strtol(text, &end, 10);
	struct process *process;
	int r = 0;

	if (end == text || (*end && *end != '\n'))
		return -EINVAL;
	if (value < -1000 || value > 1000)
		return -EINVAL;
	process = procfs_process_lock(node);
	if (!process)
		return -ESRCH;
	if (value < process->oom_score_adj &&
	    !(task_current && cred_capable(task_current->cred, CAP_SYS_RESOURCE)))
		r = -EACCES;
	else
		process->oom_score_adj = (int)value;
	procfs_unlock();
	return r;
}

static int procfs_show_loginuid(struct textfs_node *node, struct buf *out)
{
	struct process *process = procfs_process_lock(node);
	uint32_t value;

	if (!process)
		return -ESRCH;
	value = process->loginuid;
	procfs_unlock();
	return buf_printf(out, "%u", value);
}

/* A login's modules of PAM set it, for the session and all that it begins: once, by itself. */
static int procfs_store_loginuid(struct textfs_node *node, const char *text, size_t len)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);
	struct process *process;
	int r = 0;

	if (end == text || (*end && *end != '\n') || value > UINT32_MAX)
		return -EINVAL;
	process = procfs_process_lock(node);
	if (!process)
		return -ESRCH;
	if (!task_current || task_current->process != process ||
	    (process->loginuid != UINT32_MAX &&
	     !cred_capable(task_current->cred, CAP_AUDIT_CONTROL)))
		r = -EPERM;
	else
		process->loginuid = (uint32_t)value;
	procfs_unlock();
	return r;
}

static int procfs_show_personality(struct textfs_node *node, struct buf *out)
{
	struct process *process = procfs_process_lock(node);
	uint32_t value;

	if (!process)
		return -ESRCH;
	value = process->personality;
	procfs_unlock();
	return buf_printf(out, "%08x\n", value);
}

/* What the task's call is, for those who may look. */
static int procfs_show_syscall(struct textfs_node *node, struct buf *out)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	int watch = -1, r;

	if (!task)
		return -ESRCH;
	r = procfs_may_look(process);
	if (!r)
		watch = task->watch;
	procfs_unlock();
	if (r)
		return r;
	return watch < 0 ? buf_printf(out, "running\n") :
			   buf_printf(out, "%d 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", watch);
}

static int procfs_store_refused(struct textfs_node *node, const char *text, size_t len)
{
	return -EPERM;
}

/* --- threads --- */

static const struct textfs_dir procfs_thread_dir;
static const struct textfs_entry procfs_thread_entry = {
	.name = "tid", .mode = S_IFDIR | 0555, .dir = &procfs_thread_dir,
};

static void procfs_found_task(const struct textfs_node *dir, int tid, struct textfs_found *out)
{
	out->entry = &procfs_thread_entry;
	out->key = dir->key;
	out->key.tid = tid;
	snprintf(out->name, sizeof(out->name), "%d", tid);
}

/* The one with the lowest number from @from on. A process without threads shows its leader's. */
static int procfs_next_tid(const struct textfs_node *dir, int from)
{
	struct process *process = procfs_process_lock(dir);
	int best = 0;

	if (!process)
		return 0;
	if (!process->tasks && from <= process->pid)
		best = process->pid;
	for (struct task *task = process->tasks; task; task = task->next) {
		if (task->tid >= from && (!best || task->tid < best))
			best = task->tid;
	}
	procfs_unlock();
	return best;
}

static int procfs_find_task(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	char *end;
	unsigned long tid = strtoul(name, &end, 10);

	if (*name < '1' || *name > '9' || *end || tid > INT32_MAX ||
	    procfs_next_tid(dir, (int)tid) != (int)tid)
		return -ENOENT;
	procfs_found_task(dir, (int)tid, out);
	return 0;
}

static int procfs_next_task(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	int tid = *cursor <= INT32_MAX ? procfs_next_tid(dir, (int)*cursor) : 0;

	if (!tid)
		return -ENOENT;
	procfs_found_task(dir, tid, out);
	*cursor = (uint64_t)tid + 1;
	return 0;
}

static const struct textfs_dir procfs_task_dir = {
	.find = procfs_find_task, .next = procfs_next_task,
};

/* --- the tables --- */

static const char procfs_io[] = "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\n"
				"write_bytes: 0\ncancelled_write_bytes: 0\n";
static const char procfs_id_map[] = "         0          0 4294967295\n";

#define PROCFS_PRIVATE(name_, show_) { .name = (name_), .mode = S_IFREG | 0400, .show = (show_) }
#define PROCFS_STORE(name_, text_) \
	{ .name = (name_), .mode = S_IFREG | 0644, .text = (text_), .store = procfs_store_refused }
#define PROCFS_LINK(name_) \
	{ .name = #name_, .mode = S_IFLNK | 0777, .link = procfs_link_##name_, \
	  .follow = procfs_follow_##name_ }
#define PROCFS_SUBDIR(name_, mode_, dir_) \
	{ .name = (name_), .mode = S_IFDIR | (mode_), .dir = (dir_) }

/* What processes and threads both have. */
#define PROCFS_COMMON \
	TEXTFS_SHOW("stat", procfs_show_pid_stat), \
	TEXTFS_SHOW("statm", procfs_show_statm), \
	TEXTFS_SHOW("status", procfs_show_status), \
	{ .name = "comm", .mode = S_IFREG | 0644, .show = procfs_show_comm, \
	  .store = procfs_store_comm }, \
	TEXTFS_SHOW("cmdline", procfs_show_cmdline), \
	PROCFS_PRIVATE("environ", procfs_show_environ), \
	PROCFS_PRIVATE("auxv", procfs_show_auxv), \
	TEXTFS_SHOW("maps", procfs_show_maps), \
	TEXTFS_SHOW("smaps", procfs_show_smaps), \
	TEXTFS_SHOW("limits", procfs_show_limits), \
	TEXTFS_SHOW("mounts", procfs_show_mounts), \
	TEXTFS_SHOW("mountinfo", procfs_show_mountinfo), \
	TEXTFS_SHOW("sched", procfs_show_sched), \
	PROCFS_PRIVATE("personality", procfs_show_personality), \
	PROCFS_PRIVATE("syscall", procfs_show_syscall), \
	TEXTFS_TEXT("wchan", "0"), \
	TEXTFS_TEXT("cgroup", "0::/\n"), \
	TEXTFS_TEXT("schedstat", "0 0 0\n"), \
	TEXTFS_TEXT("oom_score", "0\n"), \
	{ .name = "io", .mode = S_IFREG | 0400, .text = procfs_io }, \
	{ .name = "oom_score_adj", .mode = S_IFREG | 0644, .show = procfs_show_oom_score_adj, \
	  .store = procfs_store_oom_score_adj }, \
	TEXTFS_SHOW("oom_adj", procfs_show_oom_adj), \
	{ .name = "loginuid", .mode = S_IFREG | 0644, .show = procfs_show_loginuid, \
	  .store = procfs_store_loginuid }, \
	TEXTFS_TEXT("sessionid", "4294967295"), \
	PROCFS_STORE("uid_map", procfs_id_map), \
	PROCFS_STORE("gid_map", procfs_id_map), \
	PROCFS_STORE("setgroups", "allow\n"), \
	PROCFS_LINK(exe), \
	PROCFS_LINK(cwd), \
	PROCFS_LINK(root), \
	PROCFS_SUBDIR("fd", 0500, &procfs_fd_dir), \
	PROCFS_SUBDIR("fdinfo", 0555, &procfs_fdinfo_dir), \
	PROCFS_SUBDIR("ns", 0511, &procfs_ns_dir), \
	PROCFS_SUBDIR("net", 0555, &procfs_net_dir)

static const struct textfs_entry procfs_thread_entries[] = { PROCFS_COMMON };
static const struct textfs_dir procfs_thread_dir = TEXTFS_DIR(procfs_thread_entries);

static const struct textfs_entry procfs_pid_entries[] = {
	PROCFS_COMMON,
	PROCFS_SUBDIR("task", 0555, &procfs_task_dir),
};

const struct textfs_dir procfs_pid_dir = TEXTFS_DIR(procfs_pid_entries);
