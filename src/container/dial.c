/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/dial.c - streams between this process and the machine
 *
 *	dial      to a vsock port of the guest, whoever listens there
 *	listen    on a vsock port of ours
 *	connect   to a TCP port on the container's loopback: the agent connects
 *	          there, then dials a fresh port of ours, and joins the two.  So no
 *	          network device is needed
 *
 * Nothing here waits with the container's lock held.
 *
 * Callers: users of the library; relay.c and forward.c; control.c for handles
 * of other processes.
 */
#include "container/dial.h"

#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent_extras.pb-c.h"
#include "base/clock.h"
#include "base/io.h"
#include "container/transfer.h"

#define DIAL_CONNECT_BUDGET (10 * USEC_PER_SEC)
#define DIAL_ACCEPT_BUDGET  USEC_PER_SEC /* the agent has connected before it answers */

#define DIAL_PORT_MIN UINT32_C(1025)
#define DIAL_PORT_MAX UINT32_C(0x0fffffff) /* those above are handed out by us */

#define DIAL_STATES (CONTAINER_IN(COFFER_STATE_CREATED) | CONTAINER_IN_STARTED)

int dial_guest(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	int fd = container_enter(c, DIAL_STATES, "dial", err);

	if (fd < 0)
		return fd;
	fd = c->sandbox->ops->dial(c->sandbox, port, err);
	container_leave(c);
	return fd;
}

int dial_listen(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	int fd = container_enter(c, DIAL_STATES, "listen", err);

	if (fd < 0)
		return fd;
	fd = c->sandbox->ops->listen(c->sandbox, port, err);
	container_leave(c);
	/* Ours watch it in a loop; a caller just accepts. */
	if (fd >= 0)
		io_set_nonblock(fd, false);
	return fd;
}

void dial_unlisten(struct coffer_container *c, uint32_t port)
{
	/* Of a machine that has ended nothing is left to listen. */
	if (container_enter(c, DIAL_STATES | CONTAINER_IN(COFFER_STATE_PAUSED), "unlisten", NULL) < 0)
		return;
	c->sandbox->ops->unlisten(c->sandbox, port);
	container_leave(c);
}

static int dial_accept(int listen_fd, struct coffer_error *err)
{
	int r = io_wait(listen_fd, POLLIN, deadline_in(clock_budget(DIAL_ACCEPT_BUDGET)));

	if (r == 0)
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			       "the agent says it has connected, but has not");
	if (r < 0)
		return err_sysn(err, r, "wait for the agent");
	r = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	return r < 0 ? err_sys(err, "accept") : r;
}

static int dial_connect_through(struct coffer_container *c, struct agent *agent, uint16_t port,
				struct coffer_error *err)
{
	Ax__ForwardTcpRequest req = AX__FORWARD_TCP_REQUEST__INIT;
	uint32_t vsock_port = container_port_take();
	autoclose int listen_fd = c->sandbox->ops->listen(c->sandbox, vsock_port, err);
	int r;

	if (listen_fd < 0)
		return listen_fd;
	req.container_id = c->id;
	req.tcp_port = port;
	req.vsock_port = vsock_port;
	r = agent_call(agent, AGENT_EXTRAS, "ForwardTcp", &req.base, DIAL_CONNECT_BUDGET, NULL,
		       err);
	if (r == 0)
		r = dial_accept(listen_fd, err);
	c->sandbox->ops->unlisten(c->sandbox, vsock_port);
	return r;
}

int dial_connect(struct coffer_container *c, uint16_t port, int cancel_fd,
		 struct coffer_error *err)
{
	autoagent struct agent *agent = NULL;
	int r;

	if (port == 0)
		return err_invalid(err, "port 0: there is none");
	r = container_enter(c, CONTAINER_IN_STARTED, "connect", err);
	if (r < 0)
		return r;
	r = container_agent_open(c, &agent, err);
	if (r == 0) {
		agent->ops->set_cancel(agent, cancel_fd);
		r = dial_connect_through(c, agent, port, err);
	}
	container_leave(c);
	return r;
}

int coffer_container_dial(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	int r = transfer_ops_of(c)->dial(c, port, err);

	return r < 0 ? err_wrap(err, "dial port %" PRIu32 " of container %s", port, c->id) : r;
}

int coffer_container_listen(struct coffer_container *c, uint32_t port, struct coffer_error *err)
{
	int r;

	if (port < DIAL_PORT_MIN || port > DIAL_PORT_MAX)
		return err_invalid(err, "port %" PRIu32 ": must be %" PRIu32 " to %" PRIu32, port,
				   DIAL_PORT_MIN, DIAL_PORT_MAX);
	r = transfer_ops_of(c)->listen(c, port, err);
	return r < 0 ? err_wrap(err, "listen on port %" PRIu32 " for container %s", port, c->id)
		     : r;
}

void coffer_container_unlisten(struct coffer_container *c, uint32_t port)
{
	if (port >= DIAL_PORT_MIN && port <= DIAL_PORT_MAX)
		transfer_ops_of(c)->unlisten(c, port);
}

int coffer_container_connect(struct coffer_container *c, uint16_t port, struct coffer_error *err)
{
	int r = transfer_ops_of(c)->connect(c, port, -1, err);

	return r < 0 ? err_wrap(err, "connect to TCP port %u of container %s", port, c->id) : r;
}
