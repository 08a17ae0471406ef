/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc_stats.c - ContainerStatistics
 *
 * Without ids: all containers; without categories: all figures. Memory is the whole sandbox's, see
 * vfs/facts.c; so is the network, whose figures are those of the namespace. Blocks are the host's
 * matter: none are told.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/control/rpc.h"
#include "sentry/net/links.h"
#include "sentry/task/task.h"
#include "sentry/vfs/facts.h"

#define RPC_STATS_LINKS_MAX 16

struct rpc_stats_one {
	Sc__ContainerStats stats;
	Sc__ProcessStats process;
	Sc__MemoryStats memory;
	Sc__CPUStats cpu;
	Sc__BlockIOStats block_io;
	Sc__MemoryEventStats memory_events;
};

struct rpc_stats {
	unsigned categories;	     /* set of 1U << Sc__StatCategory */
	struct rpc_stats_one *all;   /* owned; n of them */
	Sc__ContainerStats **list;   /* owned; into all */
	size_t n;
	struct link_info links[RPC_STATS_LINKS_MAX];
	Sc__NetworkStats networks[RPC_STATS_LINKS_MAX];
	Sc__NetworkStats *network_list[RPC_STATS_LINKS_MAX];
	size_t nlinks;
};

static void rpc_stats_free(struct rpc_stats *s)
{
	free(s->all);
	free(s->list);
}

static bool rpc_stats_wants(const struct rpc_stats *s, Sc__StatCategory category)
{
	return s->categories & 1U << category;
}

/* ---- network ---- */

static int rpc_stats_add_link(const struct link_info *link, void *data)
{
	struct rpc_stats *s = data;
	Sc__NetworkStats *n = &s->networks[s->nlinks];

	if (strcmp(link->name, "lo") == 0)
		return 0;
	s->links[s->nlinks] = *link;
	*n = (Sc__NetworkStats)SC__NETWORK_STATS__INIT;
	n->interface = s->links[s->nlinks].name;
	n->receivedpackets = link->stats.rx_packets;
	n->transmittedpackets = link->stats.tx_packets;
	n->receivedbytes = link->stats.rx_bytes;
	n->transmittedbytes = link->stats.tx_bytes;
	n->receivederrors = link->stats.rx_errors;
	n->transmittederrors = link->stats.tx_errors;
	s->network_list[s->nlinks++] = n;
	return s->nlinks == RPC_STATS_LINKS_MAX;
}

/* ---- a container ---- */

static uint64_t rpc_stats_limit(uint64_t own, uint64_t all)
{
	uint64_t limit = own && (!all || own < all) ? own : all;

	return limit ? limit : UINT64_MAX;
}

static void rpc_stats_fill(struct rpc_stats_one *one, struct sandbox_container *c)
{
	uint64_t kills = c->oom_kills;
	struct facts_memory memory;

	facts_memory(c, &memory);
	one->memory.usage_bytes = one->memory.anon = memory.used;
	one->memory.limit_bytes = rpc_stats_limit(c->memory_max, kernel.memory_max);
	one->memory_events.max = one->memory_events.oom = one->memory_events.oom_kill = kills;
	pthread_mutex_lock(&kernel.tasks_lock);
	one->process.current = c->npids;
	one->process.limit = rpc_stats_limit(c->pids_max, kernel.pids_max);
	one->cpu.usage_usec = one->cpu.user_usec = facts_cpu_time(c);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static void rpc_stats_add(struct rpc_stats *s, const struct control_container *c)
{
	struct rpc_stats_one *one = &s->all[s->n];

	*one = (struct rpc_stats_one){
		.stats = SC__CONTAINER_STATS__INIT,
		.process = SC__PROCESS_STATS__INIT,
		.memory = SC__MEMORY_STATS__INIT,
		.cpu = SC__CPUSTATS__INIT,
		.block_io = SC__BLOCK_IOSTATS__INIT,
		.memory_events = SC__MEMORY_EVENT_STATS__INIT,
	};
	if (c->kernel)
		rpc_stats_fill(one, c->kernel);
	one->stats.container_id = c->id;
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_PROCESS))
		one->stats.process = &one->process;
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY))
		one->stats.memory = &one->memory;
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_CPU))
		one->stats.cpu = &one->cpu;
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_BLOCK_IO))
		one->stats.block_io = &one->block_io;
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_MEMORY_EVENTS))
		one->stats.memory_events = &one->memory_events;
	one->stats.networks = s->network_list;
	one->stats.n_networks = s->nlinks;
	s->list[s->n++] = &one->stats;
}

static int rpc_stats_read(struct rpc_stats *s, const struct control *control,
			  const Sc__ContainerStatisticsRequest *req, struct coffer_error *err)
{
	size_t n = req->n_container_ids;

	for (const struct control_container *c = control->containers; c; c = c->next)
		n++;
	s->all = calloc(n + 1, sizeof(*s->all));
	s->list = calloc(n + 1, sizeof(*s->list));
	if (!s->all || !s->list)
		return err_nomem(err);
	if (rpc_stats_wants(s, SC__STAT_CATEGORY__STAT_CATEGORY_NETWORK))
		links_each(rpc_stats_add_link, s);
	for (size_t i = 0; i < req->n_container_ids; i++) {
		const struct control_container *c =
			control_container_find(control, req->container_ids[i]);

		if (!c)
			return err_set(err, COFFER_ERR_NOT_FOUND, 0,
				       "container \"%.*s\" does not exist", CONTROL_ID_MAX,
				       req->container_ids[i]);
		rpc_stats_add(s, c);
	}
	for (const struct control_container *c = control->containers; c && !req->n_container_ids;
	     c = c->next)
		rpc_stats_add(s, c);
	return 0;
}

RPC_METHOD(rpc_container_statistics)
{
	Sc__ContainerStatisticsResponse reply = SC__CONTAINER_STATISTICS_RESPONSE__INIT;
	const Sc__ContainerStatisticsRequest *req = (const void *)msg;
	CLEANUP(rpc_stats_free) struct rpc_stats s = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	if (rpc_stats_check(req, &s.categories, &err) < 0) {
		rpc_refuse(call, &err);
	} else if (rpc_stats_read(&s, data, req, &err) < 0) {
		grpc_call_finish(call, GRPC_INTERNAL, err.message);
	} else {
		reply.containers = s.list;
		reply.n_containers = s.n;
		grpc_call_reply(call, &reply.base);
	}
}
