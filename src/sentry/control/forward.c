/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/forward.c - ForwardTcp: a TCP port of the sandbox, carried to a port of the host
 *
 *	127.0.0.1, then ::1 --refused--> UNAVAILABLE
 *	connected --> the host's port dialled --> answer, agent/duplex.c
 *
 * Guests' inet sockets are sockets of the namespace we are in, so its loopback is theirs. A client
 * that gives up stops the connecting; what stands already lives on until its ends close it, or its
 * container goes.
 *
 * Called by rpc_extras.c and process.c, on the control loop.
 */
#include "sentry/control/forward.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/duplex.h"
#include "base/io.h"
#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"

#define FORWARD_CONNECT_BUDGET (10 * USEC_PER_SEC)
#define FORWARD_MAX	       256

/* Loopback addresses in the order in which they are tried. */
static const int forward_families[] = { AF_INET, AF_INET6 };

struct forward {
	struct forward *next, **link; /* in forwards */
	struct loop *loop;	      /* borrowed */
	const struct control_container *container; /* borrowed */
	struct grpc_call *call;	      /* NULL once it is answered */
	uint16_t tcp_port;
	uint32_t host_port;
	size_t tried;
	int fd; /* owned; connecting */
	struct loop_source *source, *timer;
	struct duplex *duplex; /* owned; once it stands */
};

static struct forward *forwards;
static unsigned forward_count;

static void forward_free(struct forward *f)
{
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	forward_count--;
	loop_remove(f->source);
	loop_remove(f->timer);
	close_fd(&f->fd);
	duplex_free(f->duplex);
	free(f);
}

static void forward_ended(void *data)
{
	forward_free(data);
}

/* Whatever kept it from standing, the port could not be had now. */
static void forward_fail(struct forward *f, const struct coffer_error *err)
{
	struct grpc_call *call = steal_ptr(f->call);

	forward_free(f);
	if (call)
		grpc_call_finish(call, GRPC_UNAVAILABLE, err->message);
}

static void forward_cancelled(struct grpc_call *call, void *data)
{
	struct forward *f = data;

	f->call = NULL;
	forward_free(f);
}

static int forward_dial(const struct forward *f, struct coffer_error *err)
{
	const struct gofer_call call = { .op = GOFER_DIAL, .fd = -1, .fd2 = -1,
					 .args = { f->host_port } };
	long fd = kernel.gofer ? gofer_call(kernel.gofer, &call) : -ENOTCONN;
	int flags = fd < 0 ? -1 : fcntl((int)fd, F_GETFL);

	if (fd < 0)
		return err_sysn(err, (int)fd, "dial the host's port %u", f->host_port);
	if (flags < 0 || fcntl((int)fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		close((int)fd);
		return err_sys(err, "connection to port %u", f->host_port);
	}
	return (int)fd;
}

static void forward_connected(struct forward *f)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int host = forward_dial(f, &err);
	struct grpc_call *call;
	int r = host;

	loop_remove(steal_ptr(f->source));
	loop_remove(steal_ptr(f->timer));
	if (r >= 0)
		r = duplex_new(f->loop, f->fd, host, forward_ended, f, &f->duplex, &err);
	if (r < 0) {
		forward_fail(f, &err);
		return;
	}
	f->fd = -1;
	steal_fd(&host);
	call = steal_ptr(f->call);
	rpc_answer(call, 0, NULL);
}

static void forward_try(struct forward *f, int why);

static void forward_connect_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct forward *f = data;
	socklen_t len = sizeof(int);
	int e = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e == 0)
		forward_connected(f);
	else
		forward_try(f, -e);
}

static int forward_connect(struct forward *f, int family)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET,
					.sin_port = htons(f->tcp_port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
					 .sin6_port = htons(f->tcp_port),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int r;

	f->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (f->fd < 0)
		return -errno;
	r = family == AF_INET ? connect(f->fd, (const struct sockaddr *)&v4, sizeof(v4))
			      : connect(f->fd, (const struct sockaddr *)&v6, sizeof(v6));
	if (r < 0 && errno != EINPROGRESS)
		return -errno;
	return loop_add_fd(f->loop, f->fd, EPOLLOUT, forward_connect_handler, f, &f->source, NULL);
}

/* The next address. @why: the one before did not answer; the first one's word counts */
static void forward_try(struct forward *f, int why)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	while (f->tried < ARRAY_SIZE(forward_families)) {
		loop_remove(steal_ptr(f->source));
		close_fd(&f->fd);
		r = forward_connect(f, forward_families[f->tried++]);
		if (r == 0)
			return;
		why = why ? why : r;
	}
	err_sysn(&err, why, "connect to port %u of the container's loopback", f->tcp_port);
	forward_fail(f, &err);
}

static void forward_timer_handler(struct loop_source *timer, void *data)
{
	struct forward *f = data;

	f->tried = ARRAY_SIZE(forward_families);
	forward_try(f, -ETIMEDOUT);
}

static int forward_check(const struct control *control, const Ax__ForwardTcpRequest *req,
			 struct control_container **out, struct coffer_error *err)
{
	const struct control_process *init;

	if (req->tcp_port == 0 || req->tcp_port > UINT16_MAX)
		return err_invalid(err, "tcp_port %u: want 1 to 65535", req->tcp_port);
	if (req->vsock_port == 0)
		return err_invalid(err, "vsock_port 0");
	*out = control_container_find(control, req->container_id);
	if (!*out)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
			       CONTROL_ID_MAX, req->container_id);
	init = control_process_find(*out, (*out)->id);
	if (!init || init->state != CONTROL_RUNNING)
		return err_state(err, "container %s is not running", (*out)->id);
	if (forward_count == FORWARD_MAX)
		return err_state(err, "%d connections stand already", FORWARD_MAX);
	return 0;
}

static int forward_new(struct control *control, const Ax__ForwardTcpRequest *req,
		       struct forward **out, struct coffer_error *err)
{
	struct control_container *c;
	struct forward *f;
	int r = forward_check(control, req, &c, err);

	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_nomem(err);
	*f = (struct forward){ .next = forwards, .link = &forwards, .loop = control->loop,
			       .container = c, .fd = -1, .tcp_port = (uint16_t)req->tcp_port,
			       .host_port = req->vsock_port };
	if (f->next)
		f->next->link = &f->next;
	forwards = f;
	forward_count++;
	r = loop_add_timer(control->loop, forward_timer_handler, f, &f->timer, err);
	if (r == 0 && (r = loop_arm(f->timer, clock_budget(FORWARD_CONNECT_BUDGET), 0)) < 0)
		err_sysn(err, r, "timer");
	if (r < 0)
		forward_free(f);
	else
		*out = f;
	return r;
}

RPC_METHOD(forward_tcp)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct forward *f = NULL;

	if (forward_new(data, (const void *)msg, &f, &err) < 0) {
		grpc_call_fail(call, &err);
		return;
	}
	f->call = call;
	grpc_call_on_cancel(call, forward_cancelled, f);
	forward_try(f, 0);
}

void forward_stop(const struct control_container *container)
{
	for (struct forward *f = forwards, *next; f; f = next) {
		struct coffer_error err = COFFER_ERROR_INIT;

		next = f->next;
		if (f->container != container)
			continue;
		err_state(&err, "container %s is gone", container->id);
		forward_fail(f, &err);
	}
}
