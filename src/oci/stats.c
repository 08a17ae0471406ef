/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/stats.c - statistics as the JSON of events
 *
 * Members and their order are runc's: others decode them strictly.
 *
 * Caller: events.c.
 */
#include "oci/stats.h"

#include "base/cleanup.h"

/* Objects are added to objects; one that could not be made is simply missing. */
static void stats_u64(struct json_object *obj, const char *name, uint64_t v)
{
	json_object_object_add(obj, name, json_object_new_uint64(v));
}

static void stats_some(struct json_object *obj, const char *name, uint64_t v)
{
	if (v != 0)
		stats_u64(obj, name, v);
}

static void stats_list(struct json_object *obj, const char *name, const struct stats_list *list)
{
	struct json_object *array;

	if (list->n == 0)
		return;
	array = json_object_new_array();
	for (size_t i = 0; i < list->n; i++)
		json_object_array_add(array, json_object_new_uint64(list->v[i]));
	json_object_object_add(obj, name, array);
}

static struct json_object *stats_object(struct json_object *parent, const char *name)
{
	struct json_object *obj = json_object_new_object();

	json_object_object_add(parent, name, obj);
	return obj;
}

static void stats_psi_line(struct json_object *parent, const char *name,
			   const struct stats_pressure_line *line)
{
	struct json_object *obj = stats_object(parent, name);

	json_object_object_add(obj, "avg10", json_object_new_double(line->avg10));
	json_object_object_add(obj, "avg60", json_object_new_double(line->avg60));
	json_object_object_add(obj, "avg300", json_object_new_double(line->avg300));
	stats_u64(obj, "total", line->total);
}

static void stats_psi(struct json_object *parent, const struct stats_pressure *psi)
{
	struct json_object *obj;

	if (!psi->set)
		return;
	obj = stats_object(parent, "psi");
	stats_psi_line(obj, "some", &psi->some);
	stats_psi_line(obj, "full", &psi->full);
}

static void stats_cpu(struct json_object *parent, const struct stats_cpu *c)
{
	struct json_object *cpu = stats_object(parent, "cpu");
	struct json_object *usage = stats_object(cpu, "usage");
	struct json_object *throttling = stats_object(cpu, "throttling");

	stats_some(usage, "total", c->total);
	stats_list(usage, "percpu", &c->percpu);
	stats_list(usage, "percpu_kernel", &c->percpu_kernel);
	stats_list(usage, "percpu_user", &c->percpu_user);
	stats_u64(usage, "kernel", c->kernel);
	stats_u64(usage, "user", c->user);
	stats_some(throttling, "periods", c->periods);
	stats_some(throttling, "throttledPeriods", c->throttled_periods);
	stats_some(throttling, "throttledTime", c->throttled_time);
	stats_psi(cpu, &c->psi);
}

static void stats_cpuset(struct json_object *parent, const struct stats_cpuset *c)
{
	struct json_object *obj = stats_object(parent, "cpuset");

	stats_list(obj, "cpus", &c->cpus);
	stats_u64(obj, "cpu_exclusive", c->cpu_exclusive);
	stats_list(obj, "mems", &c->mems);
	stats_u64(obj, "mem_hardwall", c->mem_hardwall);
	stats_u64(obj, "mem_exclusive", c->mem_exclusive);
	stats_u64(obj, "memory_migrate", c->memory_migrate);
	stats_u64(obj, "memory_spread_page", c->memory_spread_page);
	stats_u64(obj, "memory_spread_slab", c->memory_spread_slab);
	stats_u64(obj, "memory_pressure", c->memory_pressure);
	stats_u64(obj, "sched_load_balance", c->sched_load_balance);
	json_object_object_add(obj, "sched_relax_domain_level",
			       json_object_new_int64(c->sched_relax_domain_level));
}

static void stats_memory_use(struct json_object *parent, const char *name,
			     const struct stats_memory_use *use)
{
	struct json_object *obj = stats_object(parent, name);

	stats_u64(obj, "limit", use->limit);
	stats_some(obj, "usage", use->usage);
	stats_some(obj, "max", use->max);
	stats_u64(obj, "failcnt", use->failcnt);
}

static void stats_memory(struct json_object *parent, const struct stats_memory *m)
{
	struct json_object *obj = stats_object(parent, "memory"), *raw;

	stats_some(obj, "cache", m->cache);
	stats_memory_use(obj, "usage", &m->usage);
	stats_memory_use(obj, "swap", &m->swap);
	stats_memory_use(obj, "kernel", &m->kernel);
	stats_memory_use(obj, "kernelTCP", &m->kernel_tcp);
	if (m->raw_n > 0) {
		raw = stats_object(obj, "raw");
		for (size_t i = 0; i < m->raw_n; i++)
			stats_u64(raw, m->raw[i].key, m->raw[i].value);
	}
	stats_psi(obj, &m->psi);
}

static void stats_blkio_list(struct json_object *parent, const char *name,
			     const struct stats_blkio_list *list)
{
	struct json_object *array, *entry;

	if (list->n == 0)
		return;
	array = json_object_new_array();
	for (size_t i = 0; i < list->n; i++) {
		entry = json_object_new_object();
		stats_some(entry, "major", list->v[i].major);
		stats_some(entry, "minor", list->v[i].minor);
		if (list->v[i].op[0])
			json_object_object_add(entry, "op", json_object_new_string(list->v[i].op));
		stats_some(entry, "value", list->v[i].value);
		json_object_array_add(array, entry);
	}
	json_object_object_add(parent, name, array);
}

static void stats_blkio(struct json_object *parent, const struct stats_blkio *b)
{
	const struct {
		const char *name;
		const struct stats_blkio_list *list;
	} lists[] = {
		{ "ioServiceBytesRecursive", &b->service_bytes },
		{ "ioServicedRecursive", &b->serviced },
		{ "ioQueueRecursive", &b->queued },
		{ "ioServiceTimeRecursive", &b->service_time },
		{ "ioWaitTimeRecursive", &b->wait_time },
		{ "ioMergedRecursive", &b->merged },
		{ "ioTimeRecursive", &b->time },
		{ "sectorsRecursive", &b->sectors },
	};
	struct json_object *obj = stats_object(parent, "blkio");

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		stats_blkio_list(obj, lists[i].name, lists[i].list);
	stats_psi(obj, &b->psi);
}

static void stats_hugetlb(struct json_object *parent, const struct engine_stats *s)
{
	struct json_object *obj = stats_object(parent, "hugetlb"), *entry;

	for (size_t i = 0; i < s->hugetlb_n; i++) {
		entry = stats_object(obj, s->hugetlb[i].page_size);
		stats_some(entry, "usage", s->hugetlb[i].usage);
		stats_some(entry, "max", s->hugetlb[i].max);
		stats_u64(entry, "failcnt", s->hugetlb[i].failcnt);
	}
}

static void stats_interfaces(struct json_object *parent, const struct engine_stats *s)
{
	struct json_object *array = s->interfaces_n > 0 ? json_object_new_array() : NULL, *entry;

	for (size_t i = 0; i < s->interfaces_n; i++) {
		const struct stats_interface *n = &s->interfaces[i];

		entry = json_object_new_object();
		json_object_object_add(entry, "Name", json_object_new_string(n->name));
		stats_u64(entry, "RxBytes", n->rx_bytes);
		stats_u64(entry, "RxPackets", n->rx_packets);
		stats_u64(entry, "RxErrors", n->rx_errors);
		stats_u64(entry, "RxDropped", n->rx_dropped);
		stats_u64(entry, "TxBytes", n->tx_bytes);
		stats_u64(entry, "TxPackets", n->tx_packets);
		stats_u64(entry, "TxErrors", n->tx_errors);
		stats_u64(entry, "TxDropped", n->tx_dropped);
		json_object_array_add(array, entry);
	}
	json_object_object_add(parent, "network_interfaces", array);
}

struct json_object *stats_json(const struct engine_stats *s)
{
	struct json_object *obj = json_object_new_object();
	struct json_object *pids;

	if (!obj)
		return NULL;
	stats_cpu(obj, &s->cpu);
	stats_cpuset(obj, &s->cpuset);
	stats_memory(obj, &s->memory);
	pids = stats_object(obj, "pids");
	stats_some(pids, "current", s->pids.current);
	stats_some(pids, "limit", s->pids.limit);
	stats_blkio(obj, &s->blkio);
	stats_hugetlb(obj, s);
	stats_object(obj, "intel_rdt");
	stats_interfaces(obj, s);
	return obj;
}
