/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/cgroupfs.c - the container's control group as a container sees its own, version 2
 *
 * Nothing but what programs read to size themselves: limits and use. There are no groups below,
 * and nothing can be written; limits are set from outside, through control/.
 *
 * Called through textfs.
 */
#include <linux/magic.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"
#include "sentry/vfs/facts.h"
#include "sentry/vfs/textfs.h"

static int cgroupfs_print_limit(uint64_t limit, struct buf *out)
{
	return limit ? buf_printf(out, "%lu\n", limit) : buf_printf(out, "max\n");
}

static int cgroupfs_show_memory_max(struct textfs_node *node, struct buf *out)
{
	uint64_t own = textfs_container(node)->memory_max, all = kernel.memory_max;

	return cgroupfs_print_limit(own && (!all || own < all) ? own : all, out);
}

static int cgroupfs_show_memory_current(struct textfs_node *node, struct buf *out)
{
	struct facts_memory memory;

	facts_memory(textfs_container(node), &memory);
	return buf_printf(out, "%lu\n", memory.used);
}

static int cgroupfs_show_memory_events(struct textfs_node *node, struct buf *out)
{
	unsigned long kills = atomic_load(&textfs_container(node)->oom_kills);

	return buf_printf(out, "low 0\nhigh 0\nmax %lu\noom %lu\noom_kill %lu\noom_group_kill 0\n",
			  kills, kills, kills);
}

static int cgroupfs_show_memory_stat(struct textfs_node *node, struct buf *out)
{
	struct facts_memory memory;

	facts_memory(textfs_container(node), &memory);
	return buf_printf(out,
			  "anon %lu\nfile 0\nkernel 0\nshmem 0\nfile_mapped 0\nfile_dirty 0\n"
			  "inactive_anon 0\nactive_anon %lu\ninactive_file 0\nactive_file 0\n"
			  "unevictable 0\nslab_reclaimable 0\nslab_unreclaimable 0\nslab 0\n"
			  "pgfault 0\npgmajfault 0\n",
			  memory.used, memory.used);
}

static int cgroupfs_show_pids_max(struct textfs_node *node, struct buf *out)
{
	unsigned own, all = kernel.pids_max;

	pthread_mutex_lock(&kernel.tasks_lock);
	own = textfs_container(node)->pids_max;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return cgroupfs_print_limit(own && (!all || own < all) ? own : all, out);
}

static int cgroupfs_show_pids_current(struct textfs_node *node, struct buf *out)
{
	unsigned n;

	pthread_mutex_lock(&kernel.tasks_lock);
	n = textfs_container(node)->npids;
	pthread_mutex_unlock(&kernel.tasks_lock);
	return buf_printf(out, "%u\n", n);
}

static int cgroupfs_show_cpu_stat(struct textfs_node *node, struct buf *out)
{
	usec_t used;

	pthread_mutex_lock(&kernel.tasks_lock);
	used = facts_cpu_time(textfs_container(node));
	pthread_mutex_unlock(&kernel.tasks_lock);
	return buf_printf(out,
			  "usage_usec %lu\nuser_usec %lu\nsystem_usec 0\nnr_periods 0\n"
			  "nr_throttled 0\nthrottled_usec 0\n",
			  used, used);
}

static int cgroupfs_show_events(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "populated 1\nfrozen %d\n",
			  atomic_load(&textfs_container(node)->frozen));
}

struct cgroupfs_print {
	struct buf *out;
	bool threads;
};

static int cgroupfs_print_process(struct process *process, void *data)
{
	const struct cgroupfs_print *print = data;
	int r = 0;

	if (!print->threads)
		return process->tasks ? buf_printf(print->out, "%d\n", process->pid) : 0;
	for (struct task *task = process->tasks; task && !r; task = task->next)
		r = buf_printf(print->out, "%d\n", task->tid);
	return r;
}

static int cgroupfs_print_all(struct textfs_node *node, bool threads, struct buf *out)
{
	struct cgroupfs_print print = { .out = out, .threads = threads };
	int r;

	pthread_mutex_lock(&kernel.tasks_lock);
	r = process_each(textfs_container(node), cgroupfs_print_process, &print);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return r;
}

static int cgroupfs_show_procs(struct textfs_node *node, struct buf *out)
{
	return cgroupfs_print_all(node, false, out);
}

static int cgroupfs_show_threads(struct textfs_node *node, struct buf *out)
{
	return cgroupfs_print_all(node, true, out);
}

static const struct textfs_entry cgroupfs_entries[] = {
	TEXTFS_TEXT("cgroup.controllers", "cpu memory pids\n"),
	TEXTFS_TEXT("cgroup.subtree_control", "\n"),
	TEXTFS_TEXT("cgroup.type", "domain\n"),
	TEXTFS_TEXT("cgroup.max.depth", "0\n"),
	TEXTFS_TEXT("cgroup.max.descendants", "0\n"),
	TEXTFS_TEXT("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
	TEXTFS_SHOW("cgroup.procs", cgroupfs_show_procs),
	TEXTFS_SHOW("cgroup.threads", cgroupfs_show_threads),
	TEXTFS_SHOW("cgroup.events", cgroupfs_show_events),
	TEXTFS_TEXT("cpu.max", "max 100000\n"),
	TEXTFS_TEXT("cpu.weight", "100\n"),
	TEXTFS_SHOW("cpu.stat", cgroupfs_show_cpu_stat),
	TEXTFS_SHOW("memory.max", cgroupfs_show_memory_max),
	TEXTFS_TEXT("memory.high", "max\n"),
	TEXTFS_TEXT("memory.low", "0\n"),
	TEXTFS_TEXT("memory.min", "0\n"),
	TEXTFS_TEXT("memory.oom.group", "0\n"),
	TEXTFS_SHOW("memory.current", cgroupfs_show_memory_current),
	TEXTFS_SHOW("memory.events", cgroupfs_show_memory_events),
	TEXTFS_SHOW("memory.stat", cgroupfs_show_memory_stat),
	TEXTFS_TEXT("memory.swap.max", "0\n"),
	TEXTFS_TEXT("memory.swap.current", "0\n"),
	TEXTFS_SHOW("pids.max", cgroupfs_show_pids_max),
	TEXTFS_SHOW("pids.current", cgroupfs_show_pids_current),
	TEXTFS_TEXT("pids.events", "max 0\n"),
};
static const struct textfs_dir cgroupfs_dir = TEXTFS_DIR(cgroupfs_entries);

static const struct textfs_type cgroupfs_type = {
	.ops = TEXTFS_OPS("cgroup2"),
	.root = { .name = "/", .mode = S_IFDIR | 0555, .dir = &cgroupfs_dir },
	.magic = CGROUP2_SUPER_MAGIC,
};

int cgroupfs_new(struct sandbox_container *container, struct super **out)
{
	return textfs_new(&cgroupfs_type, container, out);
}
