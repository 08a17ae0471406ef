/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/pump.c - bytes one way between a standard stream and a socket
 *
 * Never blocks on what is reported ready: a chunk fits into a pipe that has room.  Our streams stay
 * as they are (blocking or not): they are shared with other programs.
 *
 * Callers: process.c.
 */
#include "oci/inside/pump.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

void pump_begin(struct pump *p, int stream, int socket, bool input)
{
	*p = (struct pump)PUMP_INIT;
	p->socket = socket;
	p->from = input ? stream : socket;
	p->to = input ? socket : stream;
}

struct pollfd pump_poll(const struct pump *p)
{
	return p->len > 0 ? (struct pollfd){ .fd = p->to, .events = POLLOUT }
			  : (struct pollfd){ .fd = p->from, .events = POLLIN };
}

bool pump_over(const struct pump *p)
{
	return p->from < 0 && p->len == 0;
}

void pump_end(struct pump *p)
{
	close_fd(&p->socket);
	p->from = p->to = -1;
	p->len = 0;
}

static void pump_read(struct pump *p)
{
	ssize_t n = read(p->from, p->buf, sizeof(p->buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	p->off = 0;
	p->len = n > 0 ? (size_t)n : 0;
	if (n > 0)
		return;
	/* The other side hears of the end of input; what it writes it has written. */
	if (p->to == p->socket)
		shutdown(p->socket, SHUT_WR);
	p->from = -1;
}

static void pump_write(struct pump *p)
{
	ssize_t n = p->to == p->socket
			? send(p->to, p->buf + p->off, p->len, MSG_NOSIGNAL | MSG_DONTWAIT)
			: write(p->to, p->buf + p->off, p->len);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n < 0) {
		/* Nobody reads any more: the writer is to hear of it. */
		pump_end(p);
		return;
	}
	p->off += (size_t)n;
	p->len -= (size_t)n;
}

void pump_move(struct pump *p, short revents)
{
	if (!revents || (p->len == 0 && p->from < 0))
		return;
	if (p->len == 0)
		pump_read(p);
	else
		pump_write(p);
}
