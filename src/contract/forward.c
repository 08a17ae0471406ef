/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/forward.c - a TCP port of a container, carried to a port of the host
 *
 *	127.0.0.1, then ::1 --refused--> UNAVAILABLE
 *	connected --> the host's port --> answer, bridge.c
 *
 * The program is reached from inside, on its loopback, so that no network of
 * the machine is needed.  With a network namespace of its own the container has
 * a loopback of its own: the socket is made there, and stays there.
 *
 * A client that gives up stops the connecting; what stands already lives on
 * until its ends close it, or its side says that its container goes.
 */
#define LOG_CATEGORY "forward"
#include "contract/forward.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/bridge.h"

#define FORWARD_CONNECT_BUDGET (10 * USEC_PER_SEC)

/* Loopback addresses in the order in which they are tried. */
static const int forward_families[] = { AF_INET, AF_INET6 };

struct forward {
	struct forward *next, **link; /* in forwards */
	struct grpc_call *call;	      /* NULL once it is answered or gone */
	struct contract_network network;
	uint16_t tcp_port;
	uint32_t host_port;
	size_t tried;
	int fd; /* owned; connecting */
	struct loop_source *source, *timer;
	struct bridges bridge; /* then */
};

static struct forward *forwards;
static unsigned forward_count;

static void forward_free(struct forward *f)
{
	*f->link = f->next;
	if (f->next)
		f->next->link = f->link;
	forward_count--;
	bridges_free(&f->bridge);
	loop_remove(f->source);
	loop_remove(f->timer);
	close_fd(&f->fd);
	close_fd(&f->network.netns);
	free(f);
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
	/* Beyond the connecting it is the bridge's, which will tell. */
	if (f->fd >= 0)
		forward_free(f);
}

/* Join a namespace for one socket(2); nothing else happens in between. */
static int forward_socket_in(int netns, int family)
{
	autoclose int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int fd, e;

	if (own < 0 || setns(netns, CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	e = errno;
	/* Where we belong we may always go; it can fail for want of memory only. */
	while (setns(own, CLONE_NEWNET) < 0)
		usleep(1000);
	return fd < 0 ? -e : fd;
}

static int forward_socket(const struct forward *f, int family)
{
	int fd;

	if (f->network.netns >= 0)
		return forward_socket_in(f->network.netns, family);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

static socklen_t forward_address(int family, uint16_t port, struct sockaddr_storage *out)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET,
					.sin_port = htons(port),
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
					 .sin6_port = htons(port),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };

	*out = (struct sockaddr_storage){ 0 };
	if (family == AF_INET)
		*(struct sockaddr_in *)out = v4;
	else
		*(struct sockaddr_in6 *)out = v6;
	return family == AF_INET ? sizeof(v4) : sizeof(v6);
}

static void forward_joined(void *data, const struct coffer_error *err)
{
	struct forward *f = data;
	struct grpc_call *call;

	if (err) {
		forward_fail(f, err);
		return;
	}
	call = steal_ptr(f->call);
	if (call)
		rpc_answer(call, 0, NULL);
}

static void forward_ended(void *data)
{
	forward_free(data);
}

static void forward_connected(struct forward *f)
{
	const struct bridge_target target = { .port = f->host_port,
					      .connected = forward_joined,
					      .ended = forward_ended,
					      .data = f };
	struct coffer_error err = COFFER_ERROR_INIT;

	loop_remove(steal_ptr(f->source));
	loop_remove(steal_ptr(f->timer));
	if (bridge_new(&f->bridge, f->fd, &target, &err) < 0)
		forward_fail(f, &err);
	else
		f->fd = -1;
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
	struct sockaddr_storage address;
	socklen_t len = forward_address(family, f->tcp_port, &address);

	f->fd = forward_socket(f, family);
	if (f->fd < 0)
		return f->fd;
	if (connect(f->fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS)
		return -errno;
	return loop_add_fd(contract_loop, f->fd, EPOLLOUT, forward_connect_handler, f, &f->source,
			   NULL);
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

static int forward_check(const Ax__ForwardTcpRequest *req, struct coffer_error *err)
{
	if (req->tcp_port == 0 || req->tcp_port > UINT16_MAX)
		return err_invalid(err, "tcp_port %u: want 1 to 65535", req->tcp_port);
	if (req->vsock_port == 0)
		return err_invalid(err, "vsock_port 0");
	if (contract_ops->forwards_max && forward_count >= contract_ops->forwards_max)
		return err_state(err, "%u connections stand already", forward_count);
	return 0;
}

static int forward_new(void *side, const Ax__ForwardTcpRequest *req, struct forward **out,
		       struct coffer_error *err)
{
	struct contract_network network = { .netns = -1 };
	struct forward *f;
	int r = forward_check(req, err);

	if (r == 0)
		r = contract_ops->network(side, req->container_id, &network, err);
	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f) {
		close_fd(&network.netns);
		return err_nomem(err);
	}
	*f = (struct forward){ .network = network,
			       .fd = -1,
			       .tcp_port = (uint16_t)req->tcp_port,
			       .host_port = req->vsock_port,
			       .next = forwards,
			       .link = &forwards };
	if (f->next)
		f->next->link = &f->next;
	forwards = f;
	forward_count++;
	r = loop_add_timer(contract_loop, forward_timer_handler, f, &f->timer, err);
	if (r == 0 && (r = loop_arm(f->timer, clock_budget(FORWARD_CONNECT_BUDGET), 0)) < 0)
		err_sysn(err, r, "timer");
	if (r < 0)
		forward_free(f);
	else
		*out = f;
	return r;
}

RPC_METHOD(extras_forward_tcp)
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

void forward_stop(const void *owner)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	err_state(&err, "the container is gone");
	for (struct forward *f = forwards, *next; f; f = next) {
		next = f->next;
		if (!owner)
			forward_free(f);
		else if (f->network.owner == owner)
			forward_fail(f, &err);
	}
}
