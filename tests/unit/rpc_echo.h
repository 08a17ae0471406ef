/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_echo.h - a small SandboxContext server whose methods exercise the rpc layer
 *
 *	Getenv	"none": no value; "fail": NOT_FOUND with an awkward message;
 *		else the value is the key
 *	WriteFile	empty reply; Stat().size is then the length of the data
 *	Copy	path "N SIZE": N messages with SIZE bytes of text each
 *	WaitProcess	answers when KillProcess names its id: exitCode is the signal;
 *		id "deaf": without a cancel callback, answered by KillProcess too
 *	CopyIn	Stat().size is then the bytes of all data; path "stall":
 *		takes nothing more until KillProcess names it; "fail": NOT_FOUND at once
 *	Stat	size: see above; nlink: WaitProcess calls held; blocks: cancelled so far;
 *		ino: CopyIn calls that have begun
 */
#ifndef RPC_ECHO_H
#define RPC_ECHO_H

#include <pthread.h>

#include "rpc/grpc_server.h"
#include "sandbox_context.pb-c.h"
#include "sandbox_context_copy.pb-c.h"

#define RPC_ECHO_WAITERS 256

struct rpc_echo {
	struct grpc_call *waiters[RPC_ECHO_WAITERS];
	char *ids[RPC_ECHO_WAITERS];
	unsigned held, cancelled, copies;
	size_t written;
	struct grpc_call *stalled;
	struct grpc_service services[2]; /* today's contract, and what it had before */
};

void rpc_echo_init(struct rpc_echo *echo);
void rpc_echo_clear(struct rpc_echo *echo);

/* The same on a thread of its own, with a loop. */
struct rpc_echo_thread {
	struct rpc_echo echo; /* the thread's while it runs */
	struct loop *loop;
	struct grpc_server *srv;
	pthread_t thread;
	int wake[2], adopt[2]; /* pipes: end; socket pairs carry connections */
};

/* Return: 0, or -1 */
int rpc_echo_start(struct rpc_echo_thread *t, const struct grpc_limits *limits);
/* rpc_echo_connect() - Return: the client's end of a new connection, or -1 */
int rpc_echo_connect(struct rpc_echo_thread *t);
/* rpc_echo_stop() - The server is freed; echo's counters stay readable */
void rpc_echo_stop(struct rpc_echo_thread *t);

#endif /* RPC_ECHO_H */
