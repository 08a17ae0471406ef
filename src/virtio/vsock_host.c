/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio/vsock_host.c - one connection as the host sees it: a unix socket
 *
 * Host to guest, somebody connects to "<name>" and sends "CONNECT <port>\n".
 * The line is looked at with MSG_PEEK and only the line itself is taken, so
 * what the caller sends right behind it stays in the socket as data.  Guest to
 * host, we connect to "<name>_<port>", a plain relative path, since the monitor
 * lives in an empty root with the run directory as its working directory.
 *
 * Sockets never block and are watched edge-triggered: an edge sets a flag
 * (readable, hup) that only EAGAIN or EOF clears, so a socket whose data has to
 * wait for the guest costs no wakeups and no epoll_ctl().  Room for writing is
 * watched only while bytes are waiting for it.
 *
 * What an end means: EOF is the host's half-close, EPOLLHUP says that both
 * directions are over, EPIPE that nobody reads any more.  A reset by the guest
 * is a plain close, for unix sockets know no other.
 */
#define LOG_CATEGORY "vsock"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "virtio/vsock_internal.h"

#define VSOCK_LINE_MAX	     32 /* "CONNECT 4294967295\n" and some patience */
#define VSOCK_HANDSHAKE_TIME (10 * USEC_PER_SEC)
#define VSOCK_DIAL_AGAIN     (10 * USEC_PER_MSEC)
#define VSOCK_LISTEN_AGAIN   (100 * USEC_PER_MSEC)
#define VSOCK_ACCEPT_BATCH   64
#define VSOCK_EVENTS	     (EPOLLIN | EPOLLRDHUP | EPOLLET)

static void vsock_host_want_out(struct vsock_conn *c, bool want)
{
	if (want == c->want_out)
		return;
	c->want_out = want;
	loop_set_events(c->source, want ? VSOCK_EVENTS | EPOLLOUT : VSOCK_EVENTS);
}

/* Nobody reads any more: what waits is dropped and counts as gone. */
static void vsock_host_lost(struct vsock_conn *c)
{
	size_t n = c->out.len;

	c->dead = true;
	buf_free(&c->out);
	vsock_host_want_out(c, false);
	vsock_conn_forwarded(c, n);
	vsock_conn_settle(c);
}

static void vsock_host_flush(struct vsock_conn *c)
{
	ssize_t n;

	while (c->out.len) {
		n = send(c->fd, buf_data(&c->out), c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			vsock_host_lost(c);
			return;
		}
		buf_consume(&c->out, (size_t)n);
		vsock_conn_forwarded(c, (size_t)n);
	}
	vsock_host_want_out(c, false);
	buf_free(&c->out);
	vsock_conn_settle(c);
}

static int vsock_host_keep(struct vsock_conn *c, const struct iovec *iov, unsigned n, size_t skip)
{
	size_t part;

	for (unsigned i = 0; i < n; i++) {
		part = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		skip -= part;
		if (buf_append(&c->out, (char *)iov[i].iov_base + part, iov[i].iov_len - part) < 0)
			return -ENOMEM;
	}
	vsock_host_want_out(c, true);
	return 0;
}

int vsock_host_write(struct vsock_conn *c, struct iovec *iov, unsigned n, size_t len)
{
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t done = 0;

	if (c->dead) {
		vsock_conn_forwarded(c, len);
		return 0;
	}
	if (c->out.len == 0) {
		do {
			done = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (done < 0 && errno == EINTR);
		if (done < 0 && errno != EAGAIN) {
			vsock_conn_forwarded(c, len);
			vsock_host_lost(c);
			return 0;
		}
		if (done < 0)
			done = 0;
		vsock_conn_forwarded(c, (size_t)done);
	}
	return (size_t)done < len ? vsock_host_keep(c, iov, n, (size_t)done) : 0;
}

size_t vsock_host_read(struct vsock_conn *c, struct iovec *iov, unsigned n)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t got;

	do {
		got = recvmsg(c->fd, &msg, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		return (size_t)got;
	c->readable = false;
	if (got == 0 || errno != EAGAIN)
		c->eof = true;
	return 0;
}

void vsock_host_shut(struct vsock_conn *c, unsigned directions)
{
	if (directions & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		shutdown(c->fd, SHUT_RD);
		c->eof = true;
		c->readable = false;
	}
	if ((directions & VIRTIO_VSOCK_SHUTDOWN_SEND) && !c->fin) {
		shutdown(c->fd, SHUT_WR);
		c->fin = true;
	}
}

void vsock_host_close(struct vsock_conn *c)
{
	loop_remove(c->source);
	c->source = NULL;
	close_fd(&c->fd);
	buf_free(&c->out);
	c->readable = false;
}

/* "CONNECT <port>" in @len bytes. Return: 0 or -EINVAL */
static int vsock_host_parse(const char *line, size_t len, uint32_t *port)
{
	static const char word[] = "CONNECT ";
	const size_t skip = sizeof(word) - 1;
	uint64_t v = 0;

	if (len <= skip || memcmp(line, word, skip) != 0)
		return -EINVAL;
	for (size_t i = skip; i < len; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(line[i] - '0');
		if (v >= UINT32_MAX) /* the last is VMADDR_PORT_ANY */
			return -EINVAL;
	}
	*port = (uint32_t)v;
	return 0;
}

static void vsock_host_handshake(struct vsock_conn *c)
{
	char line[VSOCK_LINE_MAX];
	const char *end;
	uint32_t port;
	ssize_t n;

	n = recv(c->fd, line, sizeof(line), MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
	if (!end && n > 0 && n < VSOCK_LINE_MAX && !c->hup)
		return; /* more to come, or the deadline */
	if (!end || vsock_host_parse(line, (size_t)(end - line), &port) < 0) {
		log_debug("a host caller did not say CONNECT");
		vsock_conn_end(c);
		return;
	}
	if (recv(c->fd, line, (size_t)(end - line) + 1, MSG_DONTWAIT) != end - line + 1)
		vsock_conn_end(c);
	else
		vsock_conn_request(c, port);
}

static void vsock_host_event(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct vsock_conn *c = data;
	struct vsock *vs = c->vs;

	if (events & (EPOLLHUP | EPOLLERR))
		c->hup = true;
	if (!c->eof)
		c->readable = true;
	if (c->state == VSOCK_HANDSHAKE) {
		vsock_host_handshake(c);
	} else {
		if (c->out.len)
			vsock_host_flush(c);
		vsock_conn_settle(c);
		vsock_conn_ready(c);
	}
	vsock_run(vs);
}

/* Takes @fd over, closing it on failure. */
static int vsock_host_watch(struct vsock_conn *c, int fd)
{
	int rc = loop_add_fd(c->vs->loop, fd, VSOCK_EVENTS, vsock_host_event, c, &c->source, NULL);

	if (rc < 0)
		close(fd);
	else
		c->fd = fd;
	return rc;
}

static void vsock_host_accept(struct vsock *vs, int fd)
{
	struct vsock_conn *c = vsock_conn_new(vs, VSOCK_HANDSHAKE);

	if (!c) {
		log_warning("%u connections: a host caller is turned away", vs->nconns);
		close(fd);
		return;
	}
	if (vsock_host_watch(c, fd) < 0)
		vsock_conn_end(c);
	else
		vsock_conn_set_deadline(c, VSOCK_HANDSHAKE_TIME);
}

static void vsock_host_listener(struct loop_source *src, int listen_fd, uint32_t events, void *data)
{
	struct vsock *vs = data;
	int fd;

	for (unsigned i = 0; i < VSOCK_ACCEPT_BATCH; i++) {
		fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			vsock_host_accept(vs, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			/* No descriptors or memory: the caller stays in the backlog. */
			log_warning("accept: %s", strerror(errno));
			loop_set_events(vs->listener, 0);
			vs->listen_at = deadline_in(VSOCK_LISTEN_AGAIN);
			vsock_timer_at(vs, vs->listen_at);
		}
		break;
	}
	vsock_run(vs);
}

void vsock_host_listen_again(struct vsock *vs)
{
	vs->listen_at = 0;
	loop_set_events(vs->listener, EPOLLIN);
}

int vsock_host_listen(struct vsock *vs, struct coffer_error *err)
{
	return loop_add_fd(vs->loop, vs->listen_fd, EPOLLIN, vsock_host_listener, vs, &vs->listener,
			   err);
}

/* Return: a connected descriptor, or negative errno */
static int vsock_host_connect(const struct vsock *vs, uint32_t port)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	autoclose int fd = -1;

	_Static_assert(sizeof(vs->name) + sizeof("_4294967295") <= sizeof(sa.sun_path),
		       "every name has room for every port");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s_%u", vs->name, port);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return steal_fd(&fd);
}

void vsock_host_dial(struct vsock_conn *c)
{
	int fd = vsock_host_connect(c->vs, c->host_port);

	/* The listener's backlog is full. Unix sockets have no way to wait for it. */
	if (fd == -EAGAIN) {
		c->deadline = deadline_in(VSOCK_DIAL_AGAIN);
		vsock_timer_at(c->vs, c->deadline);
		return;
	}
	if (fd < 0)
		log_debug("guest dialled port %u: %s", c->host_port, strerror(-fd));
	if (fd < 0 || vsock_host_watch(c, fd) < 0)
		vsock_conn_reset(c);
	else
		vsock_conn_accept(c);
}

void vsock_host_greet(struct vsock_conn *c)
{
	char line[VSOCK_LINE_MAX];
	int n = snprintf(line, sizeof(line), "OK %u\n", c->host_port);

	/* The first bytes into an empty socket: they fit, or nobody is there. */
	if (send(c->fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		c->dead = true;
}
