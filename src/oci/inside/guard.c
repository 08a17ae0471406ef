/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/guard.c - a process inside does not outlive the one that stands for it
 *
 * Init's process listens. Others connect, say which process they stand for, and keep the
 * connection. One that breaks, as SIGKILL leaves it, is the end of what is inside. That there is a
 * listener also says that the container has been started.
 *
 * Callers: init.c, exec.c.
 */
#include "oci/inside/guard.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"

#define GUARD_BUDGET (10 * USEC_PER_SEC) /* a sentry's boot */
#define GUARD_PAUSE  (5 * USEC_PER_MSEC)

static struct pollfd *guard_more(void *data, size_t *n)
{
	struct guard *g = data;

	*n = g->n;
	/* With no room they wait. */
	g->fds[0].events = g->n <= GUARD_MAX ? POLLIN : 0;
	return g->fds;
}

static void guard_accept(struct guard *g)
{
	int fd = accept4(g->fds[0].fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	g->ids[g->n][0] = '\0';
	g->fds[g->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* Return: false when the connection is over */
static bool guard_read(struct guard *g, size_t i)
{
	char id[SENTRY_ID_MAX];
	ssize_t n = recv(g->fds[i].fd, id, sizeof(id) - 1, MSG_DONTWAIT);
	struct agent_process key = { .container = g->init->key.container, .id = g->ids[i] };

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n > 0) {
		id[n] = '\0';
		memcpy(g->ids[i], id, sizeof(id));
		return true;
	}
	/* One that has ended is not there any more. */
	if (g->ids[i][0] &&
	    g->init->calls->ops->kill(g->init->calls, &key, SIGKILL, NULL) == 0)
		g->init->calls->ops->remove(g->init->calls, &key, NULL);
	return false;
}

static void guard_moved(void *data)
{
	struct guard *g = data;
	size_t left = 1;

	for (size_t i = 1; i < g->n; i++) {
		if (g->fds[i].revents && !guard_read(g, i)) {
			close(g->fds[i].fd);
			continue;
		}
		if (left != i) {
			g->fds[left] = g->fds[i];
			memcpy(g->ids[left], g->ids[i], sizeof(g->ids[i]));
		}
		left++;
	}
	g->n = left;
	if (g->fds[0].revents)
		guard_accept(g);
}

int guard_begin(struct guard *g, struct inside_process *init, struct coffer_error *err)
{
	int fd = io_unix_listen(init->sockets, SENTRY_GUARD, SOCK_SEQPACKET, 0600, err);

	if (fd < 0)
		return fd;
	g->init = init;
	g->fds[0] = (struct pollfd){ .fd = fd, .events = POLLIN };
	g->n = 1;
	init->more = guard_more;
	init->moved = guard_moved;
	init->data = g;
	return 0;
}

void guard_end(struct guard *g)
{
	while (g->n > 0)
		close(g->fds[--g->n].fd);
}

int guard_join(int sockets, const char *id, struct coffer_error *err)
{
	static const struct timespec pause = { .tv_nsec = (long)(GUARD_PAUSE * 1000) };
	usec_t deadline = deadline_in(GUARD_BUDGET);
	int fd;

	while ((fd = io_unix_connect(sockets, SENTRY_GUARD, SOCK_SEQPACKET, err)) == -ENOENT &&
	       clock_now() < deadline)
		nanosleep(&pause, NULL);
	if (fd < 0)
		return err_wrap(err, "the container");
	err_clear(err);
	if (send(fd, id, strlen(id), MSG_NOSIGNAL) < 0) {
		close(fd);
		return err_sys(err, "the container");
	}
	return fd;
}
