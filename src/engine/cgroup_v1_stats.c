/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v1_stats.c - figures that v1 hierarchies count
 *
 * Callers: cgroup_stats.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cgroup_stats.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

/* ---- cpu ---- */

/* "0 12 34\n": processor, user, system; a head line before */
static int stats_read_usage_all(struct cgroup_tree *t, struct stats_cpu *out)
{
	autofree char *text = stats_read(t, "cpuacct.usage_all");
	uint64_t user, kernel;
	int r = 0;

	for (const char *p = text; r == 0 && p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (sscanf(p, "%*u %" SCNu64 " %" SCNu64, &user, &kernel) != 2)
			continue;
		r = stats_add_number(&out->percpu_user, user);
		if (r == 0)
			r = stats_add_number(&out->percpu_kernel, kernel);
	}
	return r;
}

static int stats_read_v1_cpuacct(struct cgroup_tree *t, struct stats_cpu *out)
{
	autofree char *percpu = stats_read(t, "cpuacct.usage_percpu");
	autofree char *stat = stats_read(t, "cpuacct.stat");
	uint64_t tick = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	char *end;
	int r = 0;

	out->set = true;
	out->total = stats_number(t, "cpuacct.usage");
	out->user = stats_value(stat, "user") * tick;
	out->kernel = stats_value(stat, "system") * tick;
	for (char *p = percpu; r == 0 && p; p = end) {
		uint64_t v = strtoull(p, &end, 10);

		if (end == p)
			break;
		r = stats_add_number(&out->percpu, v);
	}
	return r < 0 ? r : stats_read_usage_all(t, out);
}

static void stats_read_v1_throttling(struct cgroup_tree *t, struct stats_cpu *out)
{
	autofree char *text = stats_read(t, "cpu.stat");

	out->periods = stats_value(text, "nr_periods");
	out->throttled_periods = stats_value(text, "nr_throttled");
	out->throttled_time = stats_value(text, "throttled_time");
}

/* ---- cpuset ---- */

/* "0-3,7" */
static int stats_read_set(struct cgroup_tree *t, const char *file, struct stats_list *out)
{
	autofree char *text = stats_read(t, file);
	unsigned from, to;
	int r = 0, n;

	for (const char *p = text; p && *p; p += strcspn(p, ","), p += *p == ',') {
		n = sscanf(p, "%u-%u", &from, &to);
		if (n < 1)
			break;
		for (unsigned i = from; r == 0 && i <= (n == 2 ? to : from) && i < 65536; i++)
			r = stats_add_number(out, i);
	}
	return r;
}

static int stats_read_v1_cpuset(struct cgroup_tree *t, struct stats_cpuset *out)
{
	const struct {
		const char *file;
		uint64_t *value;
	} flags[] = {
		{ "cpuset.cpu_exclusive", &out->cpu_exclusive },
		{ "cpuset.mem_hardwall", &out->mem_hardwall },
		{ "cpuset.mem_exclusive", &out->mem_exclusive },
		{ "cpuset.memory_migrate", &out->memory_migrate },
		{ "cpuset.memory_spread_page", &out->memory_spread_page },
		{ "cpuset.memory_spread_slab", &out->memory_spread_slab },
		{ "cpuset.memory_pressure", &out->memory_pressure },
		{ "cpuset.sched_load_balance", &out->sched_load_balance },
	};
	autofree char *level = stats_read(t, "cpuset.sched_relax_domain_level");
	int r;

	out->set = true;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		*flags[i].value = stats_number(t, flags[i].file);
	out->sched_relax_domain_level = level ? strtol(level, NULL, 10) : 0;
	r = stats_read_set(t, "cpuset.cpus", &out->cpus);
	return r < 0 ? r : stats_read_set(t, "cpuset.mems", &out->mems);
}

/* ---- memory ---- */

static void stats_read_use(struct cgroup_tree *t, const char *which, struct stats_memory_use *out)
{
	const struct {
		const char *name;
		uint64_t *value;
	} files[] = { { "limit_in_bytes", &out->limit },
		      { "usage_in_bytes", &out->usage },
		      { "max_usage_in_bytes", &out->max },
		      { "failcnt", &out->failcnt } };
	char file[64];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(file, sizeof(file), "memory.%s%s", which, files[i].name);
		*files[i].value = stats_number(t, file);
	}
}

static int stats_read_v1_memory(struct cgroup_tree *t, struct stats_memory *out)
{
	autofree char *oom = stats_read(t, "memory.oom_control");

	out->set = true;
	stats_read_use(t, "", &out->usage);
	stats_read_use(t, "memsw.", &out->swap);
	stats_read_use(t, "kmem.", &out->kernel);
	stats_read_use(t, "kmem.tcp.", &out->kernel_tcp);
	out->oom_kill = stats_value(oom, "oom_kill");
	if (stats_read_raw(t, out) < 0)
		return -ENOMEM;
	out->cache = stats_raw_value(out, "cache");
	return 0;
}

/* ---- blkio ---- */

/* "8:0 Read 4096", "8:0 4096", and a sum that is not a device's. */
static int stats_read_io_file(struct cgroup_tree *t, const char *file,
			      struct stats_blkio_list *out)
{
	autofree char *text = stats_read(t, file);
	uint64_t major, minor, value;
	char op[16];
	int r = 0;

	for (const char *p = text; r == 0 && p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		int n = sscanf(p, "%" SCNu64 ":%" SCNu64 " %15[A-Za-z]", &major, &minor, op);
		const char *number = p + strcspn(p, " \n");

		if (n < 2)
			continue;
		number += n == 3 ? strlen(op) + 1 : 0;
		if (sscanf(number, " %" SCNu64, &value) == 1)
			r = stats_add_io(out, major, minor, n == 3 ? op : "", value);
	}
	return r;
}

/* What a weighing scheduler counts, by its old or its new name; else what throttling counts. */
static int stats_read_v1_blkio(struct cgroup_tree *t, struct stats_blkio *out)
{
	static const char *const prefixes[] = { "blkio.bfq.", "blkio.", "blkio.throttle." };
	const struct {
		const char *name;
		struct stats_blkio_list *list;
	} files[] = {
		{ "io_service_bytes", &out->service_bytes },
		{ "io_serviced", &out->serviced },
		{ "io_queued", &out->queued },
		{ "io_service_time", &out->service_time },
		{ "io_wait_time", &out->wait_time },
		{ "io_merged", &out->merged },
		{ "time", &out->time },
		{ "sectors", &out->sectors },
	};
	char file[64];

	out->set = true;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		for (size_t p = 0; p < ARRAY_SIZE(prefixes) && files[i].list->n == 0; p++) {
			snprintf(file, sizeof(file), "%s%s_recursive", prefixes[p], files[i].name);
			if (stats_read_io_file(t, file, files[i].list) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

int stats_read_v1(const struct cgroup *cg, struct engine_stats *out)
{
	struct cgroup_tree *t;
	int r = 0;

	t = cgroup_find(cg, CGROUP_CPUACCT);
	if (t)
		r = stats_read_v1_cpuacct(t, &out->cpu);
	t = cgroup_find(cg, CGROUP_CPU);
	if (t)
		stats_read_v1_throttling(t, &out->cpu);
	t = cgroup_find(cg, CGROUP_CPUSET);
	if (r == 0 && t)
		r = stats_read_v1_cpuset(t, &out->cpuset);
	t = cgroup_find(cg, CGROUP_MEMORY);
	if (r == 0 && t)
		r = stats_read_v1_memory(t, &out->memory);
	t = cgroup_find(cg, CGROUP_BLKIO);
	if (r == 0 && t)
		r = stats_read_v1_blkio(t, &out->blkio);
	return r;
}
