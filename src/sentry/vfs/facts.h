/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/facts.h - what guests are told of the machine
 *
 * One source for /proc, /sys, the control group files and the calls that say the same.
 */
#ifndef SENTRY_VFS_FACTS_H
#define SENTRY_VFS_FACTS_H

#include <stdint.h>

#include "base/buf.h"
#include "sentry/kernel.h"

struct sandbox_container;

#define FACTS_SYSNAME "Linux"
#define FACTS_RELEASE "6.1.0"
#define FACTS_VERSION "#1 SMP PREEMPT_DYNAMIC coffer"
#define FACTS_MACHINE "x86_64"

struct facts_memory {
	uint64_t total, used; /* bytes; used <= total */
};

struct facts_load {
	unsigned long average[3]; /* of 1, 5 and 15 minutes, 1 << FACTS_LOAD_SHIFT is one */
	unsigned running, tasks;
	int last_pid;
};

#define FACTS_LOAD_SHIFT 16

/* facts_read() - Ask the host, before the sentry is in its jail. Whoever needs a fact calls it as
 * well, for tests; only the first call counts. */
void facts_read(void);

/* facts_memory_all() - Bytes that guests may have, all together */
uint64_t facts_memory_all(void);
/* facts_memory() - Of a container (NULL: any): its limit, the sandbox's, or what the host has */
void facts_memory(struct sandbox_container *container, struct facts_memory *out);
/* facts_load() - tasks_lock held. The averages move when they are looked at. */
void facts_load(struct sandbox_container *container, struct facts_load *out);
unsigned facts_cpus(void);
/* facts_tick() - Nanoseconds between two values of a coarse clock */
long facts_tick(void);
/* All processors as the kernel writes them: "0-3", and a mask "f"; each with a newline */
int facts_cpu_list(struct buf *out);
int facts_cpu_mask(struct buf *out);
/* facts_cpuinfo() - As /proc/cpuinfo, for as many processors as guests have. Return: 0, -ENOMEM */
int facts_cpuinfo(struct buf *out);
/* facts_cpu_time() - Microseconds that tasks of @container have used so far; tasks_lock held */
usec_t facts_cpu_time(struct sandbox_container *container);
usec_t facts_uptime(void);

#endif /* SENTRY_VFS_FACTS_H */
