/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/link.c - the ways between the agent and its host
 *
 * The ready line saves the host from polling: once the agent listens it dials
 * the host's port of the same number, says one line of JSON and keeps the
 * connection, whose end of file tells the host that the agent is gone.
 *
 * Callers: main.c and boot.c (listener, ready line), streams.c and rpc.c (dialling), proxy.c
 * (listening).
 */
#define LOG_CATEGORY "link"
#include "agent/link.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* After sys/socket.h, whose sa_family_t it uses. */
#include <linux/vm_sockets.h>

#include "base/io.h"
#include "base/log.h"

#define LINK_BACKLOG 128

uint64_t link_uptime(void)
{
	struct timespec ts = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

int link_listen_vsock(uint32_t port, struct coffer_error *err)
{
	autoclose int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_vm sa = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_ANY,
				  .svm_port = port };

	if (fd < 0)
		return err_sys(err, "vsock socket");
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(err, "bind vsock port %" PRIu32, port);
	if (listen(fd, LINK_BACKLOG) < 0)
		return err_sys(err, "listen on vsock port %" PRIu32, port);
	return steal_fd(&fd);
}

static int link_open_dir(const char *dir, struct coffer_error *err)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "open %s", dir) : fd;
}

int link_listen(const struct agent *agent, uint32_t port, struct coffer_error *err)
{
	autoclose int dirfd = -1;
	char name[32];

	if (!agent->socket_dir)
		return link_listen_vsock(port, err);
	dirfd = link_open_dir(agent->socket_dir, err);
	if (dirfd < 0)
		return dirfd;
	snprintf(name, sizeof(name), "guest_%" PRIu32, port);
	unlinkat(dirfd, name, 0);
	return io_unix_listen(dirfd, name, SOCK_STREAM, 0600, err);
}

static int link_dial_vsock(uint32_t port, struct coffer_error *err)
{
	autoclose int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_vm sa = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_HOST,
				  .svm_port = port };
	struct timeval limit = { .tv_sec =
				     (time_t)(clock_budget(LINK_DIAL_BUDGET) / USEC_PER_SEC) };

	if (fd < 0)
		return err_sys(err, "vsock socket");
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit)) < 0)
		return err_sys(err, "set connect timeout of vsock socket");
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && errno != EINPROGRESS)
		return err_sys(err, "connect to host port %" PRIu32, port);
	return steal_fd(&fd);
}

static int link_dial_unix(const char *dir, uint32_t port, struct coffer_error *err)
{
	autoclose int dirfd = link_open_dir(dir, err);
	autoclose int fd = -1;
	char name[32];
	int r;

	if (dirfd < 0)
		return dirfd;
	snprintf(name, sizeof(name), "vsock.sock_%" PRIu32, port);
	fd = io_unix_connect(dirfd, name, SOCK_STREAM, err);
	if (fd < 0)
		return fd;
	r = io_set_nonblock(fd, true);
	if (r < 0)
		return err_sysn(err, r, "socket %s", name);
	return steal_fd(&fd);
}

int link_dial(const struct agent *agent, uint32_t port, struct coffer_error *err)
{
	if (agent->socket_dir)
		return link_dial_unix(agent->socket_dir, port, err);
	return link_dial_vsock(port, err);
}

int link_dialled(int fd, uint32_t port, struct coffer_error *err)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	return e ? err_sysn(err, e, "connect to host port %" PRIu32, port) : 0;
}

struct link_ready {
	struct loop_source *source;
	int fd; /* owned; open for as long as the agent lives */
	uint64_t init_us;
};

static struct link_ready link_ready_state = { .fd = -1 };

static void link_ready_close(struct link_ready *ready)
{
	loop_remove(ready->source);
	ready->source = NULL;
	close_fd(&ready->fd);
}

/* The first call finds the connection made or refused, a later one that the host has closed it. */
static void link_ready_handler(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct link_ready *ready = data;
	char line[160];
	int n;

	if (!(events & EPOLLOUT) || link_dialled(fd, AGENT_PORT, NULL) < 0) {
		link_ready_close(ready);
		return;
	}
	n = snprintf(line, sizeof(line),
		     "{\"agent\":\"coffer-agent\",\"version\":\"%s\",\"uptime_us\":%" PRIu64
		     ",\"init_us\":%" PRIu64 "}\n",
		     COFFER_VERSION, link_uptime(), ready->init_us);
	if (write(fd, line, (size_t)n) != n || loop_set_events(src, 0) < 0)
		link_ready_close(ready);
}

void link_ready(struct agent *agent, uint64_t init_us)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct link_ready *ready = &link_ready_state;

	ready->init_us = init_us;
	ready->fd = link_dial(agent, AGENT_PORT, &err);
	if (ready->fd < 0 || loop_add_fd(agent->loop, ready->fd, EPOLLOUT, link_ready_handler,
					 ready, &ready->source, &err) < 0) {
		log_debug("no ready line: %s", err.message);
		link_ready_close(ready);
	}
}
