/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_stats.c - ContainerStatistics
 *
 * Without ids: all containers; without categories: all figures.  The network's
 * are those of the machine's interfaces, the same for each container, since
 * they share them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/rpc.h"
#include "agent/usage.h"
#include "engine/stats_net.h"

#define RPC_STATS_INTERFACE "eth"

struct rpc_stats {
	unsigned categories;		 /* set of 1U << Sc__StatCategory */
	struct usage *usage;		 /* owned; n of them */
	Sc__ContainerStats **containers; /* owned; into usage */
	size_t n;
	struct engine_stats machine;	 /* of its interfaces only */
	Sc__NetworkStats *networks;	 /* owned */
	Sc__NetworkStats **network_ptrs; /* owned */
	size_t nnetworks;
};

static void rpc_stats_free(struct rpc_stats *s)
{
	for (size_t i = 0; i < s->n; i++)
		usage_free(&s->usage[i]);
	free(s->usage);
	free(s->containers);
	engine_stats_free(&s->machine);
	free(s->networks);
	free(s->network_ptrs);
}

static void rpc_stats_add_interface(struct rpc_stats *s, const struct stats_interface *from)
{
	Sc__NetworkStats *n = &s->networks[s->nnetworks];

	if (strncmp(from->name, RPC_STATS_INTERFACE, strlen(RPC_STATS_INTERFACE)) != 0)
		return;
	*n = (Sc__NetworkStats)SC__NETWORK_STATS__INIT;
	n->interface = (char *)from->name;
	n->receivedpackets = from->rx_packets;
	n->transmittedpackets = from->tx_packets;
	n->receivedbytes = from->rx_bytes;
	n->transmittedbytes = from->tx_bytes;
	n->receivederrors = from->rx_errors;
	n->transmittederrors = from->tx_errors;
	s->network_ptrs[s->nnetworks++] = n;
}

static int rpc_stats_read_networks(struct rpc_stats *s, struct coffer_error *err)
{
	size_t n;
	int r;

	if (!(s->categories & 1U << SC__STAT_CATEGORY__STAT_CATEGORY_NETWORK))
		return 0;
	r = stats_net_read(getpid(), &s->machine, err);
	if (r < 0)
		return r;
	n = s->machine.interfaces_n + 1;
	s->networks = calloc(n, sizeof(*s->networks));
	s->network_ptrs = calloc(n, sizeof(*s->network_ptrs));
	if (!s->networks || !s->network_ptrs)
		return err_nomem(err);
	for (size_t i = 0; i < s->machine.interfaces_n; i++)
		rpc_stats_add_interface(s, &s->machine.interfaces[i]);
	return 0;
}

static int rpc_stats_read_one(struct rpc_stats *s, const struct container *c,
			      struct coffer_error *err)
{
	struct usage *u = &s->usage[s->n];
	int r = usage_read(c, s->categories, u, err);

	s->containers[s->n++] = &u->stats;
	u->stats.networks = s->network_ptrs;
	u->stats.n_networks = s->nnetworks;
	return r;
}

static int rpc_stats_find(const struct agent *agent, const char *id, const struct container **out,
			  struct coffer_error *err)
{
	*out = container_find(agent, id);
	if (*out)
		return 0;
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
		       CONTAINER_ID_MAX, id);
}

static size_t rpc_stats_count(const struct agent *agent)
{
	size_t n = 0;

	for (const struct container *c = agent->containers; c; c = c->next)
		n++;
	return n;
}

static int rpc_stats_read(struct rpc_stats *s, const struct agent *agent,
			  const Sc__ContainerStatisticsRequest *req, struct coffer_error *err)
{
	size_t n = req->n_container_ids ? req->n_container_ids : rpc_stats_count(agent);
	const struct container *c = agent->containers;
	int r = 0;

	s->usage = calloc(n + 1, sizeof(*s->usage));
	s->containers = calloc(n + 1, sizeof(*s->containers));
	if (!s->usage || !s->containers)
		return err_nomem(err);
	/* An unknown one fails the whole call, before anything is read. */
	for (size_t i = 0; r == 0 && i < req->n_container_ids; i++)
		r = rpc_stats_find(agent, req->container_ids[i], &c, err);
	if (r == 0)
		r = rpc_stats_read_networks(s, err);
	for (size_t i = 0; r == 0 && i < req->n_container_ids; i++) {
		c = container_find(agent, req->container_ids[i]);
		r = rpc_stats_read_one(s, c, err);
	}
	for (c = agent->containers; r == 0 && c && req->n_container_ids == 0; c = c->next)
		r = rpc_stats_read_one(s, c, err);
	return r;
}

void rpc_container_statistics(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
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
		reply.containers = s.containers;
		reply.n_containers = s.n;
		grpc_call_reply(call, &reply.base);
	}
}
