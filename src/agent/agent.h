/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/agent.h - the agent's one object, handed to every handler
 *
 *	main.c      arguments, the two modes, the loop
 *	boot.c      PID 1: the stages from the kernel's hand-over to serving
 *	modules.c   kernel modules out of the initrd
 *	link.c      the listener, the ready line, connections to the host
 *	reaper.c    SIGCHLD: the agent's own children and orphans
 *	worker.c    calls that may block for long, in a forked child
 *	rpc*.c      one handler per method of the contract
 *	container.c, process.c, streams.c, user.c    what the process RPCs act on
 *	guestpath.c, guestmount.c, guestfile.c                   what the file RPCs act on
 *	job.c, transfer.c    copies and other work on files, in a forked child that answers
 *	proxy.c     what ProxyVsock acts on
 *	extras.c    the methods beside the contract: events.c, freezer.c, timing.c
 *	init_wrapper.c    no part of the agent: the same program as a container's init
 *
 * One thread, one loop.  Nothing here ends the program once it serves: a
 * handler that fails answers with the error.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/loop.h"
#include "rpc/grpc_server.h"

#define AGENT_PORT	1024 /* the contract's port, and the host's port for the ready line */
#define AGENT_STATE_DIR "/run/container"

struct container;

struct agent {
	struct loop *loop;	    /* owned */
	struct grpc_server *server; /* owned */
	const char *state_dir;	    /* <state_dir>/<id>/rootfs; borrowed */
	const char *socket_dir; /* host's port N is the socket vsock.sock_N there; NULL: vsock */
	bool init;		/* PID 1 of a guest */
	struct container *containers; /* owned list */
};

#endif /* AGENT_AGENT_H */
