/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/stats.c - what a container uses, by its agent's and the host's words
 *
 * The guest's numbers are copied as they come: none of them can harm, and
 * lists are cut at what the struct holds.  Names of its interfaces are made
 * plain text.
 */
#include "container/container.h"

#include <string.h>

#include "container/remote.h"
#include "sandbox_context.pb-c.h"

static const struct {
	unsigned ours;
	Sc__StatCategory theirs;
} stats_categories[] = {
	{ COFFER_STATS_PROCESS, SC__STAT_CATEGORY__STAT_CATEGORY_PROCESS },
	{ COFFER_STATS_MEMORY, SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY },
	{ COFFER_STATS_CPU, SC__STAT_CATEGORY__STAT_CATEGORY_CPU },
	{ COFFER_STATS_BLOCK_IO, SC__STAT_CATEGORY__STAT_CATEGORY_BLOCK_IO },
	{ COFFER_STATS_NETWORK, SC__STAT_CATEGORY__STAT_CATEGORY_NETWORK },
	{ COFFER_STATS_MEMORY_EVENTS, SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY_EVENTS },
};

static void stats_take_process(struct coffer_stats *out, const Sc__ProcessStats *p)
{
	out->process.current = p->current;
	out->process.limit = p->limit;
	out->categories |= COFFER_STATS_PROCESS;
}

static void stats_take_memory(struct coffer_stats *out, const Sc__MemoryStats *m)
{
	out->memory.usage = m->usage_bytes;
	out->memory.limit = m->limit_bytes;
	out->memory.swap_usage = m->swap_usage_bytes;
	out->memory.swap_limit = m->swap_limit_bytes;
	out->memory.cache = m->cache_bytes;
	out->memory.kernel_stack = m->kernel_stack_bytes;
	out->memory.slab = m->slab_bytes;
	out->memory.page_faults = m->page_faults;
	out->memory.major_page_faults = m->major_page_faults;
	out->memory.inactive_file = m->inactive_file;
	out->memory.anon = m->anon;
	out->categories |= COFFER_STATS_MEMORY;
}

static void stats_take_cpu(struct coffer_stats *out, const Sc__CPUStats *c)
{
	out->cpu.usage = c->usage_usec;
	out->cpu.user = c->user_usec;
	out->cpu.system = c->system_usec;
	out->cpu.periods = c->throttling_periods;
	out->cpu.throttled_periods = c->throttled_periods;
	out->cpu.throttled = c->throttled_time_usec;
	out->categories |= COFFER_STATS_CPU;
}

static void stats_take_disks(struct coffer_stats *out, const Sc__BlockIOStats *b)
{
	for (size_t i = 0; i < b->n_devices && i < COFFER_STATS_DEVICES; i++) {
		const Sc__BlockIOEntry *e = b->devices[i];

		out->disks[i].major = e->major;
		out->disks[i].minor = e->minor;
		out->disks[i].read_bytes = e->read_bytes;
		out->disks[i].write_bytes = e->write_bytes;
		out->disks[i].reads = e->read_operations;
		out->disks[i].writes = e->write_operations;
		out->ndisks++;
	}
	out->categories |= COFFER_STATS_BLOCK_IO;
}

static void stats_take_name(char out[static 16], const char *name)
{
	size_t n = 0;

	for (; n < 15 && name[n]; n++)
		out[n] = name[n] > ' ' && name[n] < 0x7f ? name[n] : '?';
	out[n] = '\0';
}

static void stats_take_networks(struct coffer_stats *out, const Sc__ContainerStats *from)
{
	for (size_t i = 0; i < from->n_networks && i < COFFER_STATS_DEVICES; i++) {
		const Sc__NetworkStats *n = from->networks[i];

		stats_take_name(out->interfaces[i].name, n->interface);
		out->interfaces[i].rx_packets = n->receivedpackets;
		out->interfaces[i].tx_packets = n->transmittedpackets;
		out->interfaces[i].rx_bytes = n->receivedbytes;
		out->interfaces[i].tx_bytes = n->transmittedbytes;
		out->interfaces[i].rx_errors = n->receivederrors;
		out->interfaces[i].tx_errors = n->transmittederrors;
		out->ninterfaces++;
	}
}

static void stats_take_events(struct coffer_stats *out, const Sc__MemoryEventStats *e)
{
	out->memory_events.low = e->low;
	out->memory_events.high = e->high;
	out->memory_events.max = e->max;
	out->memory_events.oom = e->oom;
	out->memory_events.oom_kill = e->oom_kill;
	out->memory_events.oom_group_kill = e->oom_group_kill;
	out->categories |= COFFER_STATS_MEMORY_EVENTS;
}

static void stats_take(struct coffer_stats *out, unsigned categories,
		       const Sc__ContainerStats *from)
{
	if (from->process)
		stats_take_process(out, from->process);
	if (from->memory)
		stats_take_memory(out, from->memory);
	if (from->cpu)
		stats_take_cpu(out, from->cpu);
	if (from->block_io)
		stats_take_disks(out, from->block_io);
	stats_take_networks(out, from);
	if (from->memory_events)
		stats_take_events(out, from->memory_events);
	/* A machine without interfaces has no list that could tell it. */
	out->categories |= categories & COFFER_STATS_NETWORK;
}

static int stats_ask(struct coffer_container *c, unsigned categories, struct coffer_stats *out,
		     struct coffer_error *err)
{
	Sc__ContainerStatisticsRequest msg = SC__CONTAINER_STATISTICS_REQUEST__INIT;
	Sc__StatCategory wanted[ARRAY_SIZE(stats_categories)];
	autoreply ProtobufCMessage *reply = NULL;
	const Sc__ContainerStatisticsResponse *resp;
	char *ids[] = { c->id };
	int r;

	msg.container_ids = ids;
	msg.n_container_ids = 1;
	msg.categories = wanted;
	for (size_t i = 0; i < ARRAY_SIZE(stats_categories); i++)
		if (categories & stats_categories[i].ours)
			wanted[msg.n_categories++] = stats_categories[i].theirs;
	if (msg.n_categories == 0)
		return 0;
	r = container_call(c, AGENT_CONTRACT, "ContainerStatistics", &msg.base, AGENT_CALL_BUDGET,
			   &reply, err);
	if (r < 0)
		return r;
	resp = (const Sc__ContainerStatisticsResponse *)reply;
	if (resp->n_containers != 1)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			       "the agent told of %zu containers", resp->n_containers);
	stats_take(out, categories, resp->containers[0]);
	return 0;
}

static int stats_cost(struct coffer_container *c, struct coffer_stats *out,
		      struct coffer_error *err)
{
	struct sandbox_cost cost = { 0 };
	int r = c->sandbox->ops->cost(c->sandbox, &cost, err);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < cost.nprocesses; i++) {
		const struct sandbox_cost_process *p = &cost.processes[i];
		bool machine = strcmp(p->process, "qemu") == 0, monitor = i == 0;
		/* Whose share of common pages is not ours to see is told without it. */
		uint64_t pss = p->pss ? p->pss : p->rss;

		*(monitor   ? &out->cost.monitor_pss
		  : machine ? &out->cost.machine_pss
			    : &out->cost.fs_pss) += pss;
		*(monitor   ? &out->cost.monitor_cpu
		  : machine ? &out->cost.machine_cpu
			    : &out->cost.fs_cpu) += p->cpu_usec;
	}
	out->cost.guest_memory = c->config->memory;
	out->categories |= COFFER_STATS_COST;
	return 0;
}

static int stats_check(unsigned categories, const struct coffer_stats *out,
		       struct coffer_error *err)
{
	if (out->size < sizeof(out->size))
		return err_invalid(err, "stats: its size is not set");
	return categories & ~COFFER_STATS_ALL
		   ? err_invalid(err, "categories: %#x: unknown ones", categories)
		   : 0;
}

int coffer_container_stats(struct coffer_container *c, unsigned categories,
			   struct coffer_stats *out, struct coffer_error *err)
{
	struct coffer_stats full = { .size = sizeof(full) };
	size_t size = out->size;
	unsigned states = CONTAINER_IN_STARTED;
	int r;

	if (c->remote)
		return remote_stats(c, categories, out, err);
	r = stats_check(categories, out, err);
	if (r < 0)
		return r;
	if (!categories)
		categories = COFFER_STATS_ALL;
	if (coffer_container_state(c) == COFFER_STATE_PAUSED) {
		categories &= COFFER_STATS_COST;
		states = CONTAINER_IN(COFFER_STATE_PAUSED);
	}
	r = container_enter(c, states, "stats of", err);
	if (r < 0)
		return r;
	r = stats_ask(c, categories, &full, err);
	if (r == 0 && (categories & COFFER_STATS_COST))
		r = stats_cost(c, &full, err);
	container_leave(c);
	if (r < 0)
		return err_wrap(err, "stats of container %s", c->id);
	full.size = size < sizeof(full) ? size : sizeof(full);
	memset(out, 0, size);
	memcpy(out, &full, full.size);
	return 0;
}
