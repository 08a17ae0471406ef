/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_machine.c - the machine in numbers: meminfo, stat, uptime ...
 *
 * The machine is what the container may use of the host: its memory limit, the processors it is
 * told. There is no page cache of ours to speak of, so what is not used is free.
 *
 * Called through procfs.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <time.h>

#include "base/cleanup.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/facts.h"

int procfs_show_meminfo(struct textfs_node *node, struct buf *out)
{
	struct facts_memory memory;
	uint64_t total, used, left;

	facts_memory(textfs_container(node), &memory);
	total = memory.total / 1024;
	used = memory.used / 1024;
	left = total - used;
	return buf_printf(out,
			  "MemTotal:       %8lu kB\nMemFree:        %8lu kB\n"
			  "MemAvailable:   %8lu kB\nBuffers:        %8u kB\nCached:         %8u kB\n"
			  "SwapCached:     %8u kB\nActive:         %8lu kB\nInactive:       %8u kB\n"
			  "Active(anon):   %8lu kB\nInactive(anon): %8u kB\nActive(file):   %8u kB\n"
			  "Inactive(file): %8u kB\nUnevictable:    %8u kB\nMlocked:        %8u kB\n"
			  "SwapTotal:      %8u kB\nSwapFree:       %8u kB\nDirty:          %8u kB\n"
			  "Writeback:      %8u kB\nAnonPages:      %8lu kB\nMapped:         %8u kB\n"
			  "Shmem:          %8u kB\nSlab:           %8u kB\nSReclaimable:   %8u kB\n"
			  "SUnreclaim:     %8u kB\nCommitLimit:    %8lu kB\nCommitted_AS:   %8lu kB\n"
			  "VmallocTotal:   34359738367 kB\nVmallocUsed:    %8u kB\n"
			  "AnonHugePages:  %8u kB\nHugePages_Total:   %5u\nHugePages_Free:    %5u\n"
			  "HugePages_Rsvd:    %5u\nHugePages_Surp:    %5u\nHugepagesize:       2048 kB\n"
			  "Hugetlb:        %8u kB\n",
			  total, left, left, 0u, 0u, 0u, used, 0u, used, 0u, 0u, 0u, 0u, 0u, 0u, 0u,
			  0u, 0u, used, 0u, 0u, 0u, 0u, 0u, total, used, 0u, 0u, 0u, 0u, 0u, 0u, 0u);
}

int procfs_show_cpuinfo(struct textfs_node *node, struct buf *out)
{
	return facts_cpuinfo(out);
}

/* Processor time is told as the first processor's: nobody counts where a guest ran. */
int procfs_show_stat(struct textfs_node *node, struct buf *out)
{
	struct sandbox_container *container = textfs_container(node);
	uint64_t used, idle, all;
	struct facts_load load;
	time_t boot;
	int r;

	pthread_mutex_lock(&kernel.tasks_lock);
	used = facts_cpu_time(container) / PROCFS_TICK;
	facts_load(container, &load);
	procfs_unlock();
	all = facts_uptime() / PROCFS_TICK;
	idle = all * facts_cpus() > used ? all * facts_cpus() - used : 0;
	boot = time(NULL) - (time_t)(facts_uptime() / USEC_PER_SEC);
	r = buf_printf(out, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", used, idle);
	for (unsigned cpu = 0; cpu < facts_cpus() && !r; cpu++)
		r = buf_printf(out, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", cpu, used / facts_cpus(),
			       idle / facts_cpus());
	if (!r)
		r = buf_printf(out,
			       "intr 0\nctxt 0\nbtime %ld\nprocesses %d\nprocs_running %u\n"
			       "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
			       (long)boot, load.last_pid, load.running);
	return r;
}

int procfs_show_uptime(struct textfs_node *node, struct buf *out)
{
	struct sandbox_container *container = textfs_container(node);
	usec_t up = facts_uptime(), used, idle;

	pthread_mutex_lock(&kernel.tasks_lock);
	used = facts_cpu_time(container);
	procfs_unlock();
	idle = up * facts_cpus() > used ? up * facts_cpus() - used : 0;
	return buf_printf(out, "%lu.%02lu %lu.%02lu\n", up / USEC_PER_SEC,
			  up % USEC_PER_SEC / PROCFS_TICK, idle / USEC_PER_SEC,
			  idle % USEC_PER_SEC / PROCFS_TICK);
}

int procfs_show_loadavg(struct textfs_node *node, struct buf *out)
{
	const unsigned long one = 1ul << FACTS_LOAD_SHIFT;
	struct facts_load load;
	unsigned long a[3];

	pthread_mutex_lock(&kernel.tasks_lock);
	facts_load(textfs_container(node), &load);
	procfs_unlock();
	for (size_t i = 0; i < 3; i++)
		a[i] = load.average[i] + one / 200; /* rounded */
	return buf_printf(out, "%lu.%02lu %lu.%02lu %lu.%02lu %u/%u %d\n", a[0] / one,
			  a[0] % one * 100 / one, a[1] / one, a[1] % one * 100 / one, a[2] / one,
			  a[2] % one * 100 / one, load.running, load.tasks, load.last_pid);
}

int procfs_show_version(struct textfs_node *node, struct buf *out)
{
	return buf_printf(out, "%s version %s (coffer) %s\n", FACTS_SYSNAME, FACTS_RELEASE,
			  FACTS_VERSION);
}

int procfs_show_vmstat(struct textfs_node *node, struct buf *out)
{
	struct facts_memory memory;

	facts_memory(textfs_container(node), &memory);
	return buf_printf(out, "nr_free_pages %lu\nnr_anon_pages %lu\npgpgin 0\npgpgout 0\n"
			       "pswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill %lu\n",
			  (memory.total - memory.used) / PAGE_SIZE, memory.used / PAGE_SIZE,
			  (unsigned long)atomic_load(&textfs_container(node)->oom_kills));
}
