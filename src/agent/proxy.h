/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/proxy.h - unix sockets of the guest and vsock ports, carried to each other
 */
#ifndef AGENT_PROXY_H
#define AGENT_PROXY_H

#include "agent/agent.h"

#define PROXY_ID_MAX 256

struct proxy;

struct proxy_args {
	const char *id;
	uint32_t port;	  /* vsock, not 0 */
	const char *path; /* of the unix socket, absolute; in its root if a container's */
	bool out_of; /* the guest's port leads to the socket; else the socket to the host's port */
	mode_t mode; /* of the socket that is made */
};

/* proxy_start() - Listen from now on. -EEXIST: there is one of that id */
int proxy_start(struct agent *agent, const struct proxy_args *args, struct coffer_error *err);

/* proxy_stop() - Close listener and clients, remove the node. -ENOENT: there is none */
int proxy_stop(struct agent *agent, const char *id, struct coffer_error *err);

/* proxy_stop_all() - When the agent ends */
void proxy_stop_all(struct agent *agent);

#endif /* AGENT_PROXY_H */
