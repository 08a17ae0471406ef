/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs.c - the root of procfs, and which processes there are
 *
 *	textfs -> tables here and in procfs_*.c -> tasks, memory, descriptors, the machine
 *
 * An instance shows one container. Entries of processes hold no reference: they know a process by
 * its number and when it started, and look it up under tasks_lock each time.
 *
 * Called through textfs.
 */
#include "sentry/vfs/procfs.h"

#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/facts.h"

static const struct textfs_entry procfs_pid_entry = {
	.name = "pid", .mode = S_IFDIR | 0555, .dir = &procfs_pid_dir,
};

struct process *procfs_process_lock(const struct textfs_node *node)
{
	struct process *process;

	pthread_mutex_lock(&kernel.tasks_lock);
	process = process_find(textfs_container(node), node->key.pid);
	if (process && process->started == node->key.started)
		return process;
	procfs_unlock();
	return NULL;
}

struct task *procfs_task_lock(const struct textfs_node *node, struct process **out)
{
	struct process *process = procfs_process_lock(node);
	struct task *task = process ? process->tasks : NULL;

	if (!process)
		return NULL;
	while (task && node->key.tid && task->tid != node->key.tid)
		task = task->next;
	if (!task) {
		procfs_unlock();
		return NULL;
	}
	if (out)
		*out = process;
	return task;
}

int procfs_may_look(const struct process *process)
{
	const struct cred *reader = task_current ? task_current->cred : NULL;
	const struct cred *cred = process->tasks ? process->tasks->cred : NULL;

	/* One of another container was given a descriptor of this /proc; that is all it was given. */
	if (!reader || !cred || task_current->process->container != process->container)
		return -EACCES;
	if (task_current->process == process || cred_capable(reader, CAP_SYS_PTRACE))
		return 0;
	if (reader->fsuid != cred->euid || reader->fsuid != cred->suid ||
	    reader->fsuid != cred->uid || reader->fsgid != cred->egid ||
	    reader->fsgid != cred->sgid || reader->fsgid != cred->gid || !process->dumpable ||
	    (cred->cap_permitted & ~reader->cap_permitted))
		return -EACCES;
	return 0;
}

int procfs_mm(const struct textfs_node *node, bool guarded, struct mm **out)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	int r = 0;

	*out = NULL;
	if (!task) {
		/* A zombie's files are there, and empty. */
		if (!procfs_process_lock(node))
			return -ESRCH;
	} else {
		r = guarded ? procfs_may_look(process) : 0;
		if (!r)
			*out = task_mm_get(task);
	}
	procfs_unlock();
	return r;
}

/* Links into procfs itself, from who reads them. */
static int procfs_link_self(struct textfs_node *node, char *buf, size_t size)
{
	if (!task_current || task_current->process->container != textfs_container(node))
		return -ENOENT;
	return snprintf(buf, size, "%d", task_current->process->pid);
}

static int procfs_link_thread_self(struct textfs_node *node, char *buf, size_t size)
{
	if (!task_current || task_current->process->container != textfs_container(node))
		return -ENOENT;
	return snprintf(buf, size, "%d/task/%d", task_current->process->pid, task_current->tid);
}

static int procfs_link_mounts(struct textfs_node *node, char *buf, size_t size)
{
	return snprintf(buf, size, "self/mounts");
}

static int procfs_link_net(struct textfs_node *node, char *buf, size_t size)
{
	return snprintf(buf, size, "self/net");
}

static const char procfs_filesystems[] =
	"nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\nnodev\tdevtmpfs\n"
	"nodev\tsockfs\nnodev\tpipefs\nnodev\tdevpts\n\text4\nnodev\toverlay\nnodev\tmqueue\n";

static const struct textfs_entry procfs_root_entries[] = {
	{ .name = "self", .mode = S_IFLNK | 0777, .link = procfs_link_self },
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .link = procfs_link_thread_self },
	{ .name = "mounts", .mode = S_IFLNK | 0777, .link = procfs_link_mounts },
	{ .name = "net", .mode = S_IFLNK | 0777, .link = procfs_link_net },
	{ .name = "sys", .mode = S_IFDIR | 0555, .dir = &procfs_sys_dir },
	TEXTFS_SHOW("meminfo", procfs_show_meminfo),
	TEXTFS_SHOW("cpuinfo", procfs_show_cpuinfo),
	TEXTFS_SHOW("stat", procfs_show_stat),
	TEXTFS_SHOW("uptime", procfs_show_uptime),
	TEXTFS_SHOW("loadavg", procfs_show_loadavg),
	TEXTFS_SHOW("version", procfs_show_version),
	TEXTFS_SHOW("vmstat", procfs_show_vmstat),
	TEXTFS_TEXT("filesystems", procfs_filesystems),
	TEXTFS_TEXT("cmdline", "\n"),
	TEXTFS_TEXT("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	TEXTFS_TEXT("modules", ""),
	TEXTFS_TEXT("partitions", "major minor  #blocks  name\n\n"),
	TEXTFS_TEXT("diskstats", ""),
	TEXTFS_TEXT("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n136 pts\n\n"
			       "Block devices:\n"),
};

/* A number as the directory writes it: no sign, no leading zero. 0: none */
static int procfs_number(const char *name)
{
	char *end;
	unsigned long number;

	if (*name < '1' || *name > '9')
		return 0;
	number = strtoul(name, &end, 10);
	return *end || number > INT32_MAX ? 0 : (int)number;
}

static void procfs_found_process(const struct process *process, struct textfs_found *out)
{
	out->entry = &procfs_pid_entry;
	out->key.pid = process->pid;
	out->key.started = process->started;
	snprintf(out->name, sizeof(out->name), "%d", process->pid);
}

/* A thread's number leads to its process as well, it is only not listed. */
static int procfs_find(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	struct sandbox_container *container = textfs_container(dir);
	int pid = procfs_number(name);
	struct process *process;

	if (!pid)
		return -ENOENT;
	pthread_mutex_lock(&kernel.tasks_lock);
	process = process_find(container, pid);
	if (!process) {
		struct task *task = task_find(container, pid);

		process = task ? task->process : NULL;
	}
	if (process)
		procfs_found_process(process, out);
	procfs_unlock();
	return process ? 0 : -ENOENT;
}

struct procfs_search {
	int from;
	const struct process *best;
};

static int procfs_search_process(struct process *process, void *data)
{
	struct procfs_search *search = data;

	if (process->pid >= search->from && (!search->best || process->pid < search->best->pid))
		search->best = process;
	return 0;
}

static int procfs_next(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	struct procfs_search search = { .from = *cursor < INT32_MAX ? (int)*cursor : INT32_MAX };

	pthread_mutex_lock(&kernel.tasks_lock);
	process_each(textfs_container(dir), procfs_search_process, &search);
	if (search.best) {
		procfs_found_process(search.best, out);
		*cursor = (uint64_t)search.best->pid + 1;
	}
	procfs_unlock();
	return search.best ? 0 : -ENOENT;
}

/* The effective ids of whom it is about; root's when others may not look into it. */
static int procfs_owner(struct textfs_node *node, uint32_t *uid, uint32_t *gid)
{
	struct process *process;

	if (!node->key.pid)
		return 0;
	process = procfs_process_lock(node);
	if (!process)
		return -ENOENT;
	if (process->tasks && (process->dumpable || S_ISDIR(node->entry->mode))) {
		*uid = process->tasks->cred->euid;
		*gid = process->tasks->cred->egid;
	}
	procfs_unlock();
	return 0;
}

static const struct textfs_dir procfs_root_dir = {
	.entries = procfs_root_entries,
	.nentries = ARRAY_SIZE(procfs_root_entries),
	.find = procfs_find,
	.next = procfs_next,
};

static const struct textfs_type procfs_type = {
	.ops = TEXTFS_OPS("proc"),
	.root = { .name = "/", .mode = S_IFDIR | 0555, .dir = &procfs_root_dir },
	.magic = PROC_SUPER_MAGIC,
	.owner = procfs_owner,
};

int procfs_new(struct sandbox_container *container, struct super **out)
{
	return textfs_new(&procfs_type, container, out);
}

int procfs_process_get(const struct file *file, struct process **out)
{
	const struct textfs_node *node;

	if (!file->inode || file->inode->super->ops != &procfs_type.ops)
		return -EBADF;
	node = container_of(file->inode, struct textfs_node, inode);
	if (node->entry != &procfs_pid_entry)
		return -EBADF;
	*out = procfs_process_lock(node);
	if (!*out)
		return -ESRCH;
	process_get(*out);
	procfs_unlock();
	return 0;
}
