/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2_stats.c - figures of a v2 group, in the shape that v1 gave them
 *
 * Processor time is counted without a controller; memory and io are there when
 * somebody has switched them on.
 *
 * Callers: cgroup_stats.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cgroup_stats.h"

#define NSEC_PER_USEC 1000U

static void stats_read_v2_cpu(struct cgroup_tree *t, struct stats_cpu *out)
{
	autofree char *text = stats_read(t, "cpu.stat");

	out->set = text;
	out->total = stats_value(text, "usage_usec") * NSEC_PER_USEC;
	out->user = stats_value(text, "user_usec") * NSEC_PER_USEC;
	out->kernel = stats_value(text, "system_usec") * NSEC_PER_USEC;
	out->periods = stats_value(text, "nr_periods");
	out->throttled_periods = stats_value(text, "nr_throttled");
	out->throttled_time = stats_value(text, "throttled_usec") * NSEC_PER_USEC;
}

/* v1 counted memory and swap together. */
static uint64_t stats_add_swap(uint64_t memory, uint64_t swap)
{
	return memory == STATS_UNLIMITED || swap == STATS_UNLIMITED ? STATS_UNLIMITED :
								      memory + swap;
}

static int stats_read_v2_memory(struct cgroup_tree *t, struct stats_memory *out)
{
	autofree char *events = stats_read(t, "memory.events");
	autofree char *swap_events = stats_read(t, "memory.swap.events");
	struct stats_memory_use *u = &out->usage;

	out->set = cgroup_get(t, "memory.current", &u->usage) == 0;
	if (!out->set)
		return 0;
	u->limit = stats_number(t, "memory.max");
	u->max = stats_number(t, "memory.peak");
	u->failcnt = stats_value(events, "max");
	out->swap.usage = stats_add_swap(u->usage, stats_number(t, "memory.swap.current"));
	out->swap.limit = stats_add_swap(u->limit, stats_number(t, "memory.swap.max"));
	out->swap.max = stats_add_swap(u->max, stats_number(t, "memory.swap.peak"));
	out->swap.failcnt = stats_value(swap_events, "max");
	out->oom_kill = stats_value(events, "oom_kill");
	if (stats_read_raw(t, out) < 0)
		return -ENOMEM;
	out->cache = stats_raw_value(out, "file");
	return 0;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" a line */
static int stats_read_v2_io(struct cgroup_tree *t, struct stats_blkio *out)
{
	const struct {
		const char *key, *op;
		struct stats_blkio_list *list;
	} keys[] = {
		{ "rbytes", "Read", &out->service_bytes },
		{ "wbytes", "Write", &out->service_bytes },
		{ "dbytes", "Discard", &out->service_bytes },
		{ "rios", "Read", &out->serviced },
		{ "wios", "Write", &out->serviced },
		{ "dios", "Discard", &out->serviced },
	};
	autofree char *text = stats_read(t, "io.stat");
	char *line_end = NULL, *word_end;
	uint64_t major, minor;

	out->set = text;
	for (char *line = text ? strtok_r(text, "\n", &line_end) : NULL; line;
	     line = strtok_r(NULL, "\n", &line_end)) {
		if (sscanf(line, "%" SCNu64 ":%" SCNu64 " ", &major, &minor) != 2)
			continue;
		for (char *w = strtok_r(line, " ", &word_end); w;
		     w = strtok_r(NULL, " ", &word_end)) {
			size_t n = strcspn(w, "=");

			for (size_t i = 0; w[n] && i < ARRAY_SIZE(keys); i++) {
				if (strlen(keys[i].key) != n || strncmp(w, keys[i].key, n) != 0)
					continue;
				if (stats_add_io(keys[i].list, major, minor, keys[i].op,
						 strtoull(w + n + 1, NULL, 10)) < 0)
					return -ENOMEM;
			}
		}
	}
	return 0;
}

int stats_read_v2(const struct cgroup *cg, struct cgroup_tree *t, struct engine_stats *out)
{
	int r = 0;

	if (!cgroup_find(cg, CGROUP_CPUACCT) && !cgroup_find(cg, CGROUP_CPU))
		stats_read_v2_cpu(t, &out->cpu);
	if (!cgroup_find(cg, CGROUP_MEMORY))
		r = stats_read_v2_memory(t, &out->memory);
	if (r == 0 && !cgroup_find(cg, CGROUP_BLKIO))
		r = stats_read_v2_io(t, &out->blkio);
	return r;
}
