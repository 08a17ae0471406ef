/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/contract.h - what both programs that serve the agent contract do alike
 *
 *	a method's handler --> contract/<family>.c: fields checked, lists kept, answers worded
 *	                            `--> struct contract_ops: what only the side can do
 *
 * The sides are agent/ (a machine of its own) and sentry/control (an application kernel). Each has
 * one table of operations and one object, which is the handlers' data: it is passed on and never
 * looked at. All of it runs on the side's one loop.
 */
#ifndef CONTRACT_CONTRACT_H
#define CONTRACT_CONTRACT_H

#include "agent_extras.pb-c.h"
#include "base/error.h"
#include "rpc/grpc_server.h"
#include "sandbox_context.pb-c.h"

struct contract_proxy;

/* A container whose loopback is to be reached. */
struct contract_network {
	const void *owner; /* whom forward_stop() ends it for */
	int netns;	   /* owned; -1: the one we are in */
};

struct contract_ops {
	/* Begin a connection to the host's port. Return: a non-blocking descriptor, connected once it
	 * is writable and dialled() says so; or negative errno */
	int (*dial)(void *side, uint32_t port, struct coffer_error *err);
	int (*dialled)(int fd, uint32_t port, struct coffer_error *err);

	/* Of a container that runs */
	int (*network)(void *side, const char *container, struct contract_network *out,
		       struct coffer_error *err);
	unsigned forwards_max; /* connections at once; 0: no limit */

	/* Somebody listens for events from now on; may be NULL */
	void (*listened)(void *side);

	/* Listen as @p says, which is filled but for own */
	int (*proxy_start)(void *data, struct contract_proxy *p, struct coffer_error *err);
	/* Nobody listens any more, and what start() made is gone; also after it failed */
	void (*proxy_stop)(struct contract_proxy *p);
};

/* contract_use() - Once, before the server; all is borrowed */
void contract_use(const struct contract_ops *ops, struct loop *loop, void *side);
extern const struct contract_ops *contract_ops;
extern struct loop *contract_loop;
extern void *contract_side;

#define RPC_METHOD(name) void name(struct grpc_call *call, const ProtobufCMessage *msg, void *data)

/* ---- answers; answer.c ---- */

/* The reply without fields; one for all, since every such message is the same on the wire. */
extern const Sc__SyncResponse rpc_empty;

/* rpc_done() - Answer with rpc_empty, or INTERNAL with the error, as the contract has it */
void rpc_done(struct grpc_call *call, int r, const struct coffer_error *err);
/* rpc_answer() - The same with the status that belongs to the error's kind */
void rpc_answer(struct grpc_call *call, int r, const struct coffer_error *err);
/* rpc_refuse() - A field of the request is bad: INVALID_ARGUMENT, before anything was done */
void rpc_refuse(struct grpc_call *call, const struct coffer_error *err);

/* ---- statistics; stats.c ---- */

/* rpc_stats_check() - *@out: the categories asked for, a set of 1U << Sc__StatCategory; all when none
 * is named */
int rpc_stats_check(const Sc__ContainerStatisticsRequest *req, unsigned *out,
		    struct coffer_error *err);

#endif /* CONTRACT_CONTRACT_H */
