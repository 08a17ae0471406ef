/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/hybrid.c - vsock through unix sockets, the caller's side
 *
 * The nodes are made for everybody to connect to, because the monitor that
 * does has dropped its ids; the run directory around them lets nobody else in.
 */
#include "sandbox/hybrid.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

#define HYBRID_SOCKET	"vsock.sock"
#define HYBRID_LINE_MAX 32 /* of the answer; the longest is "OK 4294967295\n" */

int hybrid_dial(int dirfd, uint32_t port, struct coffer_error *err)
{
	autoclose int fd = io_unix_connect(dirfd, HYBRID_SOCKET, SOCK_STREAM, err);
	char line[HYBRID_LINE_MAX];
	int n, r;

	if (fd < 0)
		return fd;
	n = snprintf(line, sizeof(line), "CONNECT %" PRIu32 "\n", port);
	r = io_write_full(fd, line, (size_t)n);
	if (r < 0)
		return err_sysn(err, r, "ask for vsock port %" PRIu32, port);
	return steal_fd(&fd);
}

int hybrid_dialled(int fd, usec_t deadline, struct coffer_error *err)
{
	char line[HYBRID_LINE_MAX + 1];
	size_t n = 0;

	/* Byte by byte: what comes after the line belongs to the connection. */
	do {
		int r = io_wait(fd, POLLIN, deadline);
		ssize_t got;

		if (r == 0)
			return err_timeout(err, "no answer from the guest's vsock port");
		if (r < 0)
			return err_sysn(err, r, "wait for the guest's vsock port");
		got = read(fd, line + n, 1);
		if (got < 0)
			return err_sys(err, "read from the guest's vsock port");
		if (got == 0)
			return err_set(err, COFFER_ERR_INTERRUPTED, ECONNREFUSED,
				       "the guest's vsock port does not answer");
		n++;
	} while (line[n - 1] != '\n' && n < HYBRID_LINE_MAX);
	line[n] = '\0';
	if (strncmp(line, "OK ", 3) != 0 || line[n - 1] != '\n')
		return err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			       "the monitor's vsock socket gave an odd answer");
	return 0;
}

static void hybrid_name(char name[static HYBRID_LINE_MAX], uint32_t port)
{
	snprintf(name, HYBRID_LINE_MAX, HYBRID_SOCKET "_%" PRIu32, port);
}

int hybrid_listen(int dirfd, uint32_t port, struct coffer_error *err)
{
	char name[HYBRID_LINE_MAX];

	hybrid_name(name, port);
	return io_unix_listen(dirfd, name, SOCK_STREAM, 0666, err);
}

void hybrid_unlisten(int dirfd, uint32_t port)
{
	char name[HYBRID_LINE_MAX];

	hybrid_name(name, port);
	unlinkat(dirfd, name, 0);
}
