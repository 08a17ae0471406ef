/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/nbd.c - connections to network block device servers
 *
 * Source: the NBD project's doc/proto.md and doc/uri.md.  Only the server's
 * greeting is looked at, and left in the socket: the machine negotiates.  A
 * server that accepts and then says nothing, or is none, is so found out at
 * once and by name.
 */
#include "sandbox/nbd.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"

#define NBD_DEFAULT_PORT "10809"
#define NBD_GREETING	 "NBDMAGICIHAVEOPT" /* fixed newstyle, which all servers speak */

usec_t nbd_budget = 5 * USEC_PER_SEC;

/* --- URLs --- */

static int nbd_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode @n bytes into @out. Return: false when they do not fit or are malformed */
static bool nbd_decode(const char *from, size_t n, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			int high = i + 2 < n ? nbd_hex(from[i + 1]) : -1;
			int low = high >= 0 ? nbd_hex(from[i + 2]) : -1;

			if (low < 0)
				return false;
			c = high << 4 | low;
			i += 2;
		}
		if (c < ' ' || c == 0x7f || used + 1 >= size)
			return false;
		out[used++] = (char)c;
	}
	out[used] = '\0';
	return true;
}

static bool nbd_parse_port(const char *text, size_t n, struct nbd_address *out)
{
	unsigned port = 0;

	if (n < 1 || n > 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	snprintf(out->port, sizeof(out->port), "%u", port % 100000);
	return port >= 1 && port <= 65535;
}

/* "host", "host:port", "[v6]:port" */
static bool nbd_parse_authority(const char *text, size_t n, struct nbd_address *out)
{
	const char *end = text + n, *colon;
	size_t host = n;

	if (n > 0 && text[0] == '[') {
		const char *close = memchr(text, ']', n);

		if (!close || (close + 1 < end && close[1] != ':'))
			return false;
		colon = close + 1 < end ? close + 1 : NULL;
		text++;
		host = (size_t)(close - text);
	} else {
		colon = memchr(text, ':', n);
		if (colon)
			host = (size_t)(colon - text);
	}
	snprintf(out->port, sizeof(out->port), NBD_DEFAULT_PORT);
	if (colon && !nbd_parse_port(colon + 1, (size_t)(end - colon - 1), out))
		return false;
	/* A name and a password in front of it are of no use without encryption. */
	return host > 0 && !memchr(text, '@', host) &&
	       nbd_decode(text, host, out->host, sizeof(out->host));
}

/* "socket=PATH" is all that there may be. */
static bool nbd_parse_query(const char *query, struct nbd_address *out)
{
	return strncmp(query, "socket=", 7) == 0 &&
	       nbd_decode(query + 7, strlen(query + 7), out->socket, sizeof(out->socket)) &&
	       out->socket[0] == '/';
}

static const char *nbd_skip(const char *text, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

int nbd_parse(const char *url, struct nbd_address *out, struct coffer_error *err)
{
	const char *tcp = nbd_skip(url, "nbd://"), *local = nbd_skip(url, "nbd+unix://");
	const char *rest = tcp ? tcp : local;
	const char *path, *query;
	bool good;

	*out = (struct nbd_address){ 0 };
	if (nbd_skip(url, "nbds://") || nbd_skip(url, "nbds+unix://"))
		return err_unsupported(err, "%.200s: NBD over TLS", url);
	if (!rest)
		return err_invalid(err, "%.200s: neither nbd:// nor nbd+unix://", url);
	path = rest + strcspn(rest, "/?");
	query = path + strcspn(path, "?");
	good = tcp ? *query == '\0' && nbd_parse_authority(rest, (size_t)(path - rest), out)
		   : path == rest && *query == '?' && nbd_parse_query(query + 1, out);
	if (!good)
		return err_invalid(err, "%.200s: must be %s", url,
				   tcp ? "nbd://HOST[:PORT][/EXPORT]"
				       : "nbd+unix:///[EXPORT]?socket=/PATH");
	if (*path == '/' &&
	    !nbd_decode(path + 1, (size_t)(query - path - 1), out->export, sizeof(out->export)))
		return err_invalid(err, "%.200s: malformed or overlong name of an export", url);
	return 0;
}

/* --- connections --- */

/* Return: 0 or negative errno */
static int nbd_wait_connected(int fd, usec_t deadline)
{
	socklen_t len = sizeof(int);
	int r = io_wait(fd, POLLOUT, deadline), failed = 0;

	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
		return -errno;
	return -failed;
}

/* Return: non-blocking descriptor or negative errno */
static int nbd_try(int family, const struct sockaddr *addr, socklen_t len, usec_t deadline)
{
	autoclose int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, addr, len) < 0)
		r = errno == EINPROGRESS ? nbd_wait_connected(fd, deadline) : -errno;
	return r < 0 ? r : steal_fd(&fd);
}

static int nbd_connect_unix(const struct nbd_address *a, struct coffer_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	memcpy(addr.sun_path, a->socket, strlen(a->socket) + 1);
	fd = nbd_try(AF_UNIX, (const struct sockaddr *)&addr, sizeof(addr), 0);
	return fd < 0 ? err_sysn(err, fd, "connect to the NBD server at %s", a->socket) : fd;
}

static int nbd_connect_tcp(const struct nbd_address *a, usec_t deadline, struct coffer_error *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	const int on = 1;
	int fd = -ENOENT, r = getaddrinfo(a->host, a->port, &hints, &list);

	if (r != 0)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "NBD server %s: %s", a->host,
			       gai_strerror(r));
	for (struct addrinfo *i = list; i && fd < 0; i = i->ai_next)
		fd = nbd_try(i->ai_family, i->ai_addr, i->ai_addrlen, deadline);
	freeaddrinfo(list);
	if (fd < 0)
		return err_sysn(err, fd, "connect to the NBD server %s port %s", a->host, a->port);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Return: 0, -ETIMEDOUT, -EPROTO or another negative errno */
static int nbd_peek_greeting(int fd, usec_t deadline)
{
	char got[sizeof(NBD_GREETING) - 1];
	ssize_t n = 0;

	for (;;) {
		int r = io_wait(fd, POLLIN | POLLRDHUP, deadline);

		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
		n = recv(fd, got, sizeof(got), MSG_PEEK | MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		if (n == 0 || memcmp(got, NBD_GREETING, (size_t)n) != 0)
			return -EPROTO;
		if (n == sizeof(got))
			return 0;
		if (r & (POLLRDHUP | POLLHUP))
			return -EPROTO;
		if (deadline_left(deadline) == 0)
			return -ETIMEDOUT;
		/* A part of it has come, and stays readable. */
		poll(NULL, 0, 1);
	}
}

int nbd_connect(const struct nbd_address *a, struct coffer_error *err)
{
	usec_t deadline = deadline_in(nbd_budget);
	const char *name = a->host[0] ? a->host : a->socket;
	autoclose int fd = -1;
	int r;

	fd = a->host[0] ? nbd_connect_tcp(a, deadline, err) : nbd_connect_unix(a, err);
	if (fd < 0)
		return steal_fd(&fd);
	r = nbd_peek_greeting(fd, deadline);
	if (r == -EPROTO)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPROTO, "%s: no NBD server", name);
	if (r == -ETIMEDOUT)
		return err_timeout(err, "NBD server %s does not answer", name);
	if (r == 0)
		r = io_set_nonblock(fd, false);
	return r < 0 ? err_sysn(err, r, "NBD server %s", name) : steal_fd(&fd);
}
