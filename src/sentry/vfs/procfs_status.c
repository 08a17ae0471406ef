/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_status.c - a process in numbers: stat, statm, status, sched
 *
 * What is told is taken under tasks_lock into a copy first; memory is asked after that lock was
 * dropped. Fields that have no meaning here (addresses in the kernel, swap, NUMA) are zero, as
 * Linux tells those who may not see them.
 *
 * Called through procfs_pid.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <sched.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/mm.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/facts.h"

struct procfs_status {
	char name[16];
	char state;
	int pid, tgid, ppid, pgrp, session;
	unsigned tty;
	int tty_pgrp;
	unsigned nthreads, nsignals;
	struct rusage usage, children;
	struct task_sched sched;
	usec_t started;
	int exit_signal, exit_status;
	uint64_t pending, shared_pending, blocked, ignored, caught;
	uint64_t signals_max, rss_max;
	uint32_t uids[4], gids[4];
	uint64_t caps[5];
	bool no_new_privs;
	uint32_t umask;
	int fd_size;
	size_t ngroups;
	uint32_t groups[32];
	struct mm_usage memory;
	bool has_memory;
};

static char procfs_task_state(const struct task *task)
{
	if (task->stopped)
		return 'T';
	return task_sleeps(task) ? 'S' : 'R';
}

/* Of a whole process the liveliest of its threads counts. */
static char procfs_process_state(const struct process *process)
{
	char state = process->tasks ? 'S' : 'Z';

	for (const struct task *task = process->tasks; task; task = task->next) {
		char one = procfs_task_state(task);

		if (one == 'R')
			return one;
		if (one == 'T')
			state = one;
	}
	return state;
}

static void procfs_status_signals(const struct process *process, struct procfs_status *st)
{
	for (int sig = 1; sig <= SIGNAL_MAX; sig++) {
		uint64_t handler = process->signals.actions[sig].handler;

		if (handler == 1)
			st->ignored |= signal_bit(sig);
		else if (handler)
			st->caught |= signal_bit(sig);
	}
	st->shared_pending = process->signals.pending.set;
	st->signals_max = process->limits[RLIMIT_SIGPENDING].rlim_cur;
	st->rss_max = process->limits[RLIMIT_RSS].rlim_cur;
	st->nsignals = process->container->nsignals;
}

static void procfs_status_cred(const struct cred *cred, struct procfs_status *st)
{
	const uint32_t uids[4] = { cred->uid, cred->euid, cred->suid, cred->fsuid };
	const uint32_t gids[4] = { cred->gid, cred->egid, cred->sgid, cred->fsgid };
	const uint64_t caps[5] = { cred->cap_inheritable, cred->cap_permitted, cred->cap_effective,
				   cred->cap_bounding, cred->cap_ambient };

	memcpy(st->uids, uids, sizeof(uids));
	memcpy(st->gids, gids, sizeof(gids));
	memcpy(st->caps, caps, sizeof(caps));
	st->no_new_privs = cred->no_new_privs;
	st->ngroups = cred->ngroups < ARRAY_SIZE(st->groups) ? cred->ngroups :
							       ARRAY_SIZE(st->groups);
	memcpy(st->groups, cred->groups, st->ngroups * sizeof(cred->groups[0]));
}

static void procfs_status_process(const struct process *process, struct procfs_status *st)
{
	const struct session *session = process->pgrp ? process->pgrp->session : NULL;

	st->tgid = process->pid;
	st->ppid = process->parent ? process->parent->pid : 0;
	st->pgrp = process->pgrp ? process->pgrp->id : 0;
	st->session = session ? session->id : 0;
	st->tty_pgrp = -1;
	if (session && session->tty) {
		st->tty = (unsigned)tty_rdev(session->tty);
		st->tty_pgrp = tty_foreground(session->tty);
	}
	st->nthreads = process->ntasks ? process->ntasks : 1;
	st->exit_signal = process->exit_signal;
	st->exit_status = process->exit_status;
	st->children = process->children_usage;
	procfs_status_signals(process, st);
}

static void procfs_usage_times(struct rusage *usage, uint64_t guest, uint64_t ours)
{
	usage->ru_utime.tv_sec = (time_t)(guest / 1000000000);
	usage->ru_utime.tv_usec = (suseconds_t)(guest % 1000000000 / 1000);
	usage->ru_stime.tv_sec = (time_t)(ours / 1000000000);
	usage->ru_stime.tv_usec = (suseconds_t)(ours % 1000000000 / 1000);
}

/* @node names a thread, or a process by its first one. */
static void procfs_status_task(const struct textfs_node *node, const struct process *process,
			       const struct task *task, struct procfs_status *st)
{
	memcpy(st->name, task->name, sizeof(st->name));
	st->name[sizeof(st->name) - 1] = '\0';
	st->sched = task->sched;
	st->pending = task->signals.pending.set;
	st->blocked = task->signals.mask;
	procfs_status_cred(task->cred, st);
	if (node->key.tid) {
		uint64_t guest = 0, ours = 0;

		st->pid = task->tid;
		st->state = procfs_task_state(task);
		st->started = task->started;
		task_cpu(task, &guest, &ours);
		procfs_usage_times(&st->usage, guest, ours);
	} else {
		st->pid = process->pid;
		st->state = procfs_process_state(process);
		st->started = process->started;
		process_usage(process, &st->usage);
	}
}

/* What is asked without tasks_lock: memory, descriptors, umask. */
static void procfs_status_outside(struct procfs_status *st, struct mm *mm, struct fdtable *files,
				  struct fs_context *fs)
{
	struct file *file;
	int last = -1;

	if (mm) {
		mm_usage(mm, &st->memory);
		st->has_memory = true;
		mm_put(mm);
	}
	if (files) {
		for (int fd = 0; (fd = fdtable_next(files, fd, &file)) >= 0; fd++) {
			last = fd;
			file_put(file);
		}
		fdtable_put(files);
	}
	st->fd_size = last < 64 ? 64 : (last | 63) + 1;
	if (fs) {
		pthread_mutex_lock(&fs->lock);
		st->umask = fs->umask;
		pthread_mutex_unlock(&fs->lock);
		fs_context_put(fs);
	}
}

static int procfs_status_get(const struct textfs_node *node, struct procfs_status *st, bool all)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	struct fdtable *files = NULL;
	struct fs_context *fs = NULL;
	struct mm *mm = NULL;

	memset(st, 0, sizeof(*st));
	if (task) {
		procfs_status_task(node, process, task, st);
		mm = task_mm_get(task);
		files = all ? task_files_get(task) : NULL;
		fs = all ? task_fs_get(task) : NULL;
	} else {
		process = node->key.tid ? NULL : procfs_process_lock(node);
		if (!process)
			return -ESRCH;
		st->pid = process->pid;
		st->state = 'Z';
		st->started = process->started;
		process_usage(process, &st->usage);
	}
	procfs_status_process(process, st);
	procfs_unlock();
	procfs_status_outside(st, mm, files, fs);
	return 0;
}

static uint64_t procfs_ticks(const struct timeval *time)
{
	return ((uint64_t)time->tv_sec * USEC_PER_SEC + (uint64_t)time->tv_usec) / PROCFS_TICK;
}

int procfs_show_pid_stat(struct textfs_node *node, struct buf *out)
{
	autofree struct procfs_status *st = malloc(sizeof(*st));
	const struct mm_usage *m;
	int r = st ? procfs_status_get(node, st, false) : -ENOMEM;

	if (r)
		return r;
	m = &st->memory;
	r = buf_printf(out, "%d (%s) %c %d %d %d %u %d 0 %lu %lu %lu %lu %lu %lu %lu %lu ", st->pid,
		       st->name, st->state, st->ppid, st->pgrp, st->session, st->tty, st->tty_pgrp,
		       m->minor_faults, st->children.ru_minflt, m->major_faults,
		       st->children.ru_majflt, procfs_ticks(&st->usage.ru_utime),
		       procfs_ticks(&st->usage.ru_stime), procfs_ticks(&st->children.ru_utime),
		       procfs_ticks(&st->children.ru_stime));
	if (!r)
		r = buf_printf(out, "%d %d %u 0 %lu %lu %lu %lu %lu %lu %lu 0 0 %lu %lu %lu %lu 0 0 0 ",
			       st->sched.policy == SCHED_FIFO || st->sched.policy == SCHED_RR ?
				       -1 - st->sched.priority : 20 + st->sched.nice,
			       st->sched.nice, st->nthreads,
			       (st->started > kernel.boot ? st->started - kernel.boot : 0) / PROCFS_TICK,
			       m->vsize, m->rss / PAGE_SIZE, st->rss_max, m->start_code,
			       m->end_code, m->start_stack, st->pending & UINT32_MAX,
			       st->blocked & UINT32_MAX, st->ignored & UINT32_MAX,
			       st->caught & UINT32_MAX);
	if (!r)
		r = buf_printf(out, "%d 0 %d %d 0 0 0 0 0 %lu %lu %lu %lu %lu %d\n",
			       st->exit_signal, st->sched.priority, st->sched.policy,
			       m->start_brk, m->arg_start, m->arg_end, m->env_start, m->env_end,
			       st->exit_status);
	return r;
}

int procfs_show_statm(struct textfs_node *node, struct buf *out)
{
	struct mm_usage m = { 0 };
	struct mm *mm;
	int r = procfs_mm(node, false, &mm);

	if (r)
		return r;
	if (mm) {
		mm_usage(mm, &m);
		mm_put(mm);
	}
	return buf_printf(out, "%lu %lu %lu %lu 0 %lu 0\n", m.vsize / PAGE_SIZE, m.rss / PAGE_SIZE,
			  m.shared / PAGE_SIZE, m.text / PAGE_SIZE,
			  (m.data + m.stack) / PAGE_SIZE);
}

static const char *procfs_state_word(char state)
{
	switch (state) {
	case 'R':
		return "R (running)";
	case 'T':
		return "T (stopped)";
	case 'Z':
		return "Z (zombie)";
	default:
		return "S (sleeping)";
	}
}

/* A name is what the program wants: it does not begin a line of its own. */
static int procfs_status_name(const struct procfs_status *st, struct buf *out)
{
	int r = buf_printf(out, "Name:\t");

	for (const char *p = st->name; *p && !r; p++)
		r = *p == '\n' ? buf_printf(out, "\\n") :
		    *p == '\\' ? buf_printf(out, "\\\\") :
				 buf_append(out, p, 1);
	return r ? r : buf_append(out, "\n", 1);
}

static int procfs_status_who(const struct procfs_status *st, struct buf *out)
{
	const uint32_t *u = st->uids, *g = st->gids;
	int r = buf_printf(out, "Umask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\n"
				"PPid:\t%d\nTracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\n"
				"Gid:\t%u\t%u\t%u\t%u\nFDSize:\t%d\nGroups:\t",
			   st->umask, procfs_state_word(st->state), st->tgid, st->pid,
			   st->ppid, u[0], u[1], u[2], u[3], g[0], g[1], g[2], g[3], st->fd_size);

	for (size_t i = 0; i < st->ngroups && !r; i++)
		r = buf_printf(out, "%u ", st->groups[i]);
	if (!r)
		r = buf_printf(out, "\nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", st->tgid,
			       st->pid, st->pgrp, st->session);
	return r;
}

static int procfs_status_memory(const struct mm_usage *m, struct buf *out)
{
	uint64_t file = m->shared < m->rss ? m->shared : m->rss;

	return buf_printf(out,
			  "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8u kB\n"
			  "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\nRssAnon:\t%8lu kB\nRssFile:\t%8lu kB\n"
			  "RssShmem:\t%8u kB\nVmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n"
			  "VmLib:\t%8u kB\nVmPTE:\t%8lu kB\nVmSwap:\t%8u kB\n"
			  "HugetlbPages:\t%8u kB\nCoreDumping:\t0\nTHP_enabled:\t0\n",
			  m->vsize / 1024, m->vsize / 1024, m->locked / 1024, 0u, m->rss / 1024,
			  m->rss / 1024, (m->rss - file) / 1024, file / 1024, 0u, m->data / 1024,
			  m->stack / 1024, m->text / 1024, 0u, m->rss / 512 / 1024, 0u, 0u);
}

int procfs_show_status(struct textfs_node *node, struct buf *out)
{
	autofree struct procfs_status *st = malloc(sizeof(*st));
	int r = st ? procfs_status_get(node, st, true) : -ENOMEM;

	if (!r)
		r = procfs_status_name(st, out);
	if (!r)
		r = procfs_status_who(st, out);
	if (!r && st->has_memory)
		r = procfs_status_memory(&st->memory, out);
	if (!r)
		r = buf_printf(out,
			       "Threads:\t%u\nSigQ:\t%u/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\n"
			       "SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n",
			       st->nthreads, st->nsignals, st->signals_max, st->pending,
			       st->shared_pending, st->blocked, st->ignored, st->caught);
	if (!r)
		r = buf_printf(out,
			       "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n"
			       "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%d\nSeccomp:\t0\n"
			       "Seccomp_filters:\t0\nSpeculation_Store_Bypass:\tvulnerable\n"
			       "SpeculationIndirectBranch:\talways enabled\nCpus_allowed:\t",
			       st->caps[0], st->caps[1], st->caps[2], st->caps[3], st->caps[4],
			       st->no_new_privs);
	if (!r)
		r = facts_cpu_mask(out);
	if (!r)
		r = buf_printf(out, "Cpus_allowed_list:\t");
	if (!r)
		r = facts_cpu_list(out);
	if (!r)
		r = buf_printf(out,
			       "Mems_allowed:\t1\nMems_allowed_list:\t0\n"
			       "voluntary_ctxt_switches:\t%ld\nnonvoluntary_ctxt_switches:\t%ld\n",
			       st->usage.ru_nvcsw, st->usage.ru_nivcsw);
	return r;
}

int procfs_show_sched(struct textfs_node *node, struct buf *out)
{
	autofree struct procfs_status *st = malloc(sizeof(*st));
	int r = st ? procfs_status_get(node, st, false) : -ENOMEM;
	uint64_t ms;

	if (r)
		return r;
	ms = (procfs_ticks(&st->usage.ru_utime) + procfs_ticks(&st->usage.ru_stime)) * 10;
	return buf_printf(out,
			  "%s (%d, #threads: %u)\n"
			  "-------------------------------------------------------------------\n"
			  "se.sum_exec_runtime                          :%21lu.000000\n"
			  "nr_switches                                  :%21ld\n"
			  "policy                                       :%21d\n"
			  "prio                                         :%21d\n",
			  st->name, st->pid, st->nthreads, ms,
			  st->usage.ru_nvcsw + st->usage.ru_nivcsw, st->sched.policy,
			  120 + st->sched.nice);
}
