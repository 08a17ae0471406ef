/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/proxy.c - unix sockets of the guest and vsock ports, carried to each other
 *
 *	into     listens on a unix socket; each client gets a connection to the
 *	         host's port
 *	out of   listens on a vsock port of the guest; each client gets a connection
 *	         to a unix socket, found anew each time
 *
 * A path below a container's root is resolved in it: the container may move
 * and link what it likes there.  The node is therefore bound, and removed, by
 * its directory's descriptor, and its permissions come with the bind.
 *
 * Callers: contract/proxy.c.
 */
#define LOG_CATEGORY "proxy"
#include "agent/proxy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/guestpath.h"
#include "agent/link.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "contract/bridge.h"

#define PROXY_BACKLOG	  128
#define PROXY_CLIENTS_MAX 128 /* of one proxy, at once */
#define PROXY_PAUSE	  (100 * USEC_PER_MSEC)

struct proxy {
	struct agent *agent;		   /* borrowed, as args */
	const struct contract_proxy *args;
	int listener; /* owned */
	int dir;      /* owned; of the node, -1: none was made */
	char *name;   /* owned; of the node */
	struct loop_source *source, *timer;
	struct bridges clients;
};

/* Where the path leads: what the container sees there, once its init runs. */
static int proxy_open_place(const struct proxy *p, struct guestplace *place, struct guestpath *gp,
			    struct coffer_error *err)
{
	int r = guestplace_of_path(p->agent, p->args->path, place, err);

	return r < 0 ? r : guestplace_open(place, gp, err);
}

static int proxy_connect(void *data, struct coffer_error *err)
{
	struct proxy *p = data;
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int node = -1, fd = -1;
	struct stat st;
	int r = proxy_open_place(p, &place, &gp, err);

	if (r < 0)
		return r;
	node = path_open_in_root(gp.rootfd, gp.path, O_PATH, 0, err);
	if (node < 0)
		return node;
	if (fstat(node, &st) < 0 || !S_ISSOCK(st.st_mode))
		return err_sysn(err, ENOTSOCK, "%s", p->args->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, "socket");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d", node);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "connect to %s", p->args->path);
	return steal_fd(&fd);
}

static void proxy_accepting(struct proxy *p, bool on)
{
	loop_set_events(p->source, on ? EPOLLIN : 0);
	loop_arm(p->timer, on ? USEC_INFINITY : PROXY_PAUSE, 0);
}

static void proxy_timer_handler(struct loop_source *timer, void *data)
{
	proxy_accepting(data, true);
}

static void proxy_accept_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct proxy *p = data;
	const struct bridge_target target = { .port = p->args->out_of ? 0 : p->args->port,
					      .connect = proxy_connect,
					      .data = p };
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int client = -1;

	/* Who comes too many waits in the listener's queue. */
	if (p->clients.n >= PROXY_CLIENTS_MAX) {
		proxy_accepting(p, false);
		return;
	}
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_warning("proxy %s: accept: %s; pausing", p->args->id, strerror(errno));
		proxy_accepting(p, false);
	}
	if (client < 0)
		return;
	if (bridge_new(&p->clients, client, &target, &err) < 0)
		log_debug("proxy %s: client closed: %s", p->args->id, err.message);
	else
		steal_fd(&client);
}

/* The permissions are the socket's own before it has a name that a container could replace. */
static int proxy_bind(int dir, const char *name, mode_t mode, struct coffer_error *err)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int n, r;

	n = snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s", dir, name);
	if (n >= (int)sizeof(sa.sun_path))
		return err_sysn(err, ENAMETOOLONG, "socket %s", name);
	if (fd < 0 || fchmod(fd, mode) < 0)
		return err_sys(err, "socket %s", name);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "replace %s", name);
	mask = umask(0);
	r = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? err_sys(err, "bind %s", name) : 0;
	umask(mask);
	if (r < 0)
		return r;
	if (listen(fd, PROXY_BACKLOG) < 0) {
		r = err_sys(err, "listen on %s", name);
		unlinkat(dir, name, 0);
		return r;
	}
	return steal_fd(&fd);
}

static int proxy_listen_unix(struct proxy *p, struct coffer_error *err)
{
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	autoclose int dir = -1;
	const char *name;
	int r = proxy_open_place(p, &place, &gp, err);

	if (r < 0)
		return r;
	dir = path_parent_in_root(gp.rootfd, gp.path, true, &name, err);
	if (dir < 0)
		return dir;
	p->name = strdup(name);
	if (!p->name)
		return err_nomem(err);
	p->listener = proxy_bind(dir, p->name, p->args->mode, err);
	if (p->listener < 0)
		return err_wrap(err, "%s", p->args->path);
	p->dir = steal_fd(&dir);
	return 0;
}

static int proxy_listen(struct proxy *p, struct coffer_error *err)
{
	int r;

	if (p->args->out_of)
		r = p->listener = link_listen(p->agent, p->args->port, err);
	else
		r = proxy_listen_unix(p, err);
	if (r >= 0)
		r = loop_add_timer(p->agent->loop, proxy_timer_handler, p, &p->timer, err);
	if (r >= 0)
		r = loop_add_fd(p->agent->loop, p->listener, EPOLLIN, proxy_accept_handler, p,
				&p->source, err);
	return r;
}

int proxy_start(void *data, struct contract_proxy *args, struct coffer_error *err)
{
	struct proxy *p = args->own = calloc(1, sizeof(*p));

	if (!p)
		return err_nomem(err);
	*p = (struct proxy){ .agent = data, .args = args, .listener = -1, .dir = -1 };
	return proxy_listen(p, err);
}

void proxy_stop(struct contract_proxy *args)
{
	struct proxy *p = args->own;

	if (!p)
		return;
	bridges_free(&p->clients);
	loop_remove(p->source);
	loop_remove(p->timer);
	close_fd(&p->listener);
	if (p->dir >= 0)
		unlinkat(p->dir, p->name, 0);
	close_fd(&p->dir);
	free(p->name);
	free(p);
}
