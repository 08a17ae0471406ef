/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs.h - what the files of procfs have in common
 *
 *	procfs.c         the root, and which processes there are
 *	procfs_pid.c     the table of a process, and small things of it
 *	procfs_status.c  a process in numbers: stat, status ...
 *	procfs_memory.c  what is read of its memory: maps, cmdline, environ, auxv
 *	procfs_links.c   exe, cwd, root, fd, fdinfo, ns, and its mounts
 *	procfs_machine.c meminfo, stat, uptime ...
 *	procfs_sys.c     sys/
 *	procfs_net.c     net/
 *
 * For these alone.
 */
#ifndef SENTRY_VFS_PROCFS_H
#define SENTRY_VFS_PROCFS_H

#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/textfs.h"

/* USER_HZ: in what times are told */
#define PROCFS_TICK (USEC_PER_SEC / 100)

extern const struct textfs_dir procfs_pid_dir;	 /* procfs_pid.c */
extern const struct textfs_dir procfs_fd_dir, procfs_fdinfo_dir, procfs_ns_dir;
extern const struct textfs_dir procfs_sys_dir, procfs_net_dir;

/* procfs_task_lock() - Takes tasks_lock, and keeps it unless NULL is returned: whom @node is about has
 * no thread any more. @process may be NULL. */
struct task *procfs_task_lock(const struct textfs_node *node, struct process **process);
/* procfs_process_lock() - The same for what zombies have as well */
struct process *procfs_process_lock(const struct textfs_node *node);
static inline void procfs_unlock(void)
{
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* procfs_may_look() - As ptrace(2) asks: 0 or -EACCES; tasks_lock held */
int procfs_may_look(const struct process *process);
/* procfs_mm() - With a reference. @guarded: only for who may look into it. Return: 0, -ESRCH, -EACCES;
 * 0 with NULL: it has none */
int procfs_mm(const struct textfs_node *node, bool guarded, struct mm **out);

/* Shows that stand in another file than their row. */
int procfs_show_meminfo(struct textfs_node *node, struct buf *out);
int procfs_show_cpuinfo(struct textfs_node *node, struct buf *out);
int procfs_show_stat(struct textfs_node *node, struct buf *out);
int procfs_show_uptime(struct textfs_node *node, struct buf *out);
int procfs_show_loadavg(struct textfs_node *node, struct buf *out);
int procfs_show_version(struct textfs_node *node, struct buf *out);
int procfs_show_vmstat(struct textfs_node *node, struct buf *out);
int procfs_show_cmdline(struct textfs_node *node, struct buf *out);
int procfs_show_environ(struct textfs_node *node, struct buf *out);
int procfs_show_maps(struct textfs_node *node, struct buf *out);
int procfs_show_smaps(struct textfs_node *node, struct buf *out);
int procfs_show_auxv(struct textfs_node *node, struct buf *out);
int procfs_show_mounts(struct textfs_node *node, struct buf *out);
int procfs_show_mountinfo(struct textfs_node *node, struct buf *out);
int procfs_show_pid_stat(struct textfs_node *node, struct buf *out);
int procfs_show_statm(struct textfs_node *node, struct buf *out);
int procfs_show_status(struct textfs_node *node, struct buf *out);
int procfs_show_sched(struct textfs_node *node, struct buf *out);
int procfs_link_exe(struct textfs_node *node, char *buf, size_t size);
int procfs_link_cwd(struct textfs_node *node, char *buf, size_t size);
int procfs_link_root(struct textfs_node *node, char *buf, size_t size);
int procfs_follow_exe(struct textfs_node *node, struct task *task, struct vfs_path *out);
int procfs_follow_cwd(struct textfs_node *node, struct task *task, struct vfs_path *out);
int procfs_follow_root(struct textfs_node *node, struct task *task, struct vfs_path *out);

#endif /* SENTRY_VFS_PROCFS_H */
