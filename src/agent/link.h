/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/link.h - the ways between the agent and its host
 *
 * In a guest these are vsock sockets; for tests, unix sockets in a directory,
 * named as the machine's monitor names them.
 */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include <stdint.h>

#include "agent/agent.h"

/* link_listen_vsock() - Return: listening descriptor on the guest's @port, or negative errno */
int link_listen_vsock(uint32_t port, struct coffer_error *err);

/* link_listen() - The same, in a test's guest as the socket guest_<port> of the directory */
int link_listen(const struct agent *agent, uint32_t port, struct coffer_error *err);

/**
 * link_dial() - Begin a connection to the host's port
 *
 * Return: a non-blocking descriptor, connected once writable (ask link_dialled()), or
 * negative errno.  The kernel itself gives up after LINK_DIAL_BUDGET.
 */
int link_dial(const struct agent *agent, uint32_t port, struct coffer_error *err);
/* link_dialled() - How the connection of a writable descriptor ended. Return: 0 or negative errno
 */
int link_dialled(int fd, uint32_t port, struct coffer_error *err);

#define LINK_DIAL_BUDGET (10 * USEC_PER_SEC)

/**
 * link_ready() - Tell the host that the agent serves, and keep that connection open
 * @init_us:	Uptime of the guest at the agent's first instruction
 *
 * A host that does not listen there is no error.
 */
void link_ready(struct agent *agent, uint64_t init_us);

/* link_uptime() - CLOCK_BOOTTIME in microseconds */
uint64_t link_uptime(void);

#endif /* AGENT_LINK_H */
