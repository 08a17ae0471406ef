/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/proxy.c - unix sockets inside and ports of the host, joined
 *
 *	into     a name in a directory; net/unix_port.c connects its clients
 *	out of   the host dials a port of ours; each connection goes to the backlog of who listens at a
 *	         path, found anew each time
 *
 * Nothing is carried here: the guest's socket is the host's connection. What stands goes on until
 * one of its ends closes it.
 *
 * Called by contract/proxy.c, on the control loop.
 */
#define LOG_CATEGORY "proxy"
#include "sentry/control/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/log.h"
#include "sentry/control/machine.h"
#include "sentry/control/rpc.h"
#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"
#include "sentry/net/socket.h"

#define PROXY_AGAIN	   (5 * USEC_PER_MSEC)
#define PROXY_AGAIN_BUDGET (10 * USEC_PER_SEC)
#define PROXY_PAUSE	   (100 * USEC_PER_MSEC)

struct proxy {
	const struct contract_proxy *args; /* borrowed */
	/* into */
	struct file *file;   /* a reference: who has the name */
	struct vfs_path dir; /* references, of the node */
	char name[NAME_MAX + 1];
	/* out of */
	int listener; /* owned */
	int client;   /* owned; who waits for room in the backlog, -1: nobody */
	usec_t deadline; /* of that */
	struct loop_source *source, *timer;
};

/* ---- into ---- */

/* Nothing of a container's is in the way of a socket but a directory. */
static int proxy_bind(struct proxy *p, struct walk *walk, const char *path)
{
	const struct contract_proxy *args = p->args;
	int r;

	vfs_unlink(walk, path, false);
	r = unix_port_listen(walk, path, args->mode, args->port, &p->file);
	if (r < 0)
		return r;
	p->dir = walk->path;
	path_get(&p->dir);
	memcpy(p->name, walk->last, sizeof(p->name));
	return 0;
}

static int proxy_listen_unix(struct proxy *p, struct coffer_error *err)
{
	const char *path = p->args->path, *rest = NULL;
	struct walk walk;
	int r = rpc_parents(path, err);

	if (r == 0)
		r = machine_walk(&walk, path, &rest, err);
	if (r < 0)
		return r;
	r = proxy_bind(p, &walk, rest);
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "socket %.256s", path) : 0;
}

/* The node goes, unless it is somebody else's by now. */
static void proxy_unbind(struct proxy *p)
{
	struct walk walk;
	bool ours;

	machine_walk_at(&walk, &p->dir);
	ours = vfs_walk(&walk, p->name, WALK_NOFOLLOW) == 0 &&
	       unix_port_owns(walk.path.dentry->inode, p->file);
	walk_end(&walk);
	if (ours) {
		machine_walk_at(&walk, &p->dir);
		vfs_unlink(&walk, p->name, false);
		walk_end(&walk);
	}
	path_put(&p->dir);
	file_put(p->file);
}

/* ---- out of ---- */

static int proxy_push(const struct proxy *p, int fd)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, p->args->path, &rest, &err);

	if (r < 0)
		return r;
	r = vfs_walk(&walk, rest, 0);
	if (r == 0)
		r = unix_port_push(walk.path.dentry->inode, fd);
	walk_end(&walk);
	return r;
}

static void proxy_pause(const struct proxy *p, usec_t pause)
{
	loop_set_events(p->source, 0);
	loop_arm(p->timer, pause, 0);
}

/* To the guest's socket, or away; when there is no room, it is held and so are all behind it. */
static void proxy_offer(struct proxy *p)
{
	int r = proxy_push(p, p->client);

	if (r == 0)
		p->client = -1;
	if (r == -EAGAIN && deadline_left(p->deadline) > 0) {
		proxy_pause(p, PROXY_AGAIN);
		return;
	}
	if (r < 0)
		log_debug("proxy %s: client closed: %s", p->args->id, strerror(-r));
	close_fd(&p->client);
	loop_set_events(p->source, EPOLLIN);
}

static void proxy_timer_handler(struct loop_source *timer, void *data)
{
	struct proxy *p = data;

	if (p->client >= 0)
		proxy_offer(p);
	else
		loop_set_events(p->source, EPOLLIN);
}

static void proxy_accept_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct proxy *p = data;

	p->client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (p->client >= 0) {
		p->deadline = deadline_in(clock_budget(PROXY_AGAIN_BUDGET));
		proxy_offer(p);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_warning("proxy %s: accept: %s; pausing", p->args->id, strerror(errno));
		proxy_pause(p, PROXY_PAUSE);
	}
}

static long proxy_port(enum gofer_op op, uint32_t port)
{
	const struct gofer_call call = { .op = op, .fd = -1, .fd2 = -1, .args = { port } };

	return gofer_call(kernel.gofer, &call);
}

static int proxy_listen_port(struct proxy *p, struct loop *loop, struct coffer_error *err)
{
	long fd = proxy_port(GOFER_LISTEN, p->args->port);
	int r;

	if (fd < 0)
		return err_sysn(err, (int)fd, "listen on port %u", p->args->port);
	p->listener = (int)fd;
	r = loop_add_timer(loop, proxy_timer_handler, p, &p->timer, err);
	if (r == 0)
		r = loop_add_fd(loop, p->listener, EPOLLIN, proxy_accept_handler, p, &p->source,
				err);
	return r;
}

/* ---- both ---- */

int proxy_start(void *data, struct contract_proxy *args, struct coffer_error *err)
{
	const struct control *control = data;
	struct proxy *p = args->own = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	*p = (struct proxy){ .args = args, .listener = -1, .client = -1 };
	return args->out_of ? proxy_listen_port(p, control->loop, err) : proxy_listen_unix(p, err);
}

void proxy_stop(struct contract_proxy *args)
{
	struct proxy *p = args->own;

	if (!p)
		return;
	loop_remove(p->source);
	loop_remove(p->timer);
	close_fd(&p->client);
	if (p->listener >= 0)
		proxy_port(GOFER_UNLISTEN, args->port);
	close_fd(&p->listener);
	if (p->file)
		proxy_unbind(p);
	free(p);
}
