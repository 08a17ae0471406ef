/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/transfer.c - bytes between a file and a port of the host, in a job
 *
 * read and write with a large buffer: a vsock socket takes spliced pages one
 * 4 KiB packet each, and a file cannot be spliced into without a pipe between.
 *
 * Callers: rpc_copy.c, rpc_copy_stream.c, rpc_archive.c.
 */
#include "agent/transfer.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* After sys/socket.h, whose sa_family_t it uses. */
#include <linux/vm_sockets.h>

#include "agent/link.h"
#include "base/io.h"

#define TRANSFER_CHUNK	(1u << 20)
#define TRANSFER_BUFFER (UINT64_C(1) << 20) /* what the host may send ahead */
#define TRANSFER_DIAL	(10 * USEC_PER_SEC)

int transfer_check_port(uint32_t port, struct coffer_error *err)
{
	if (port == 0 || port == VMADDR_PORT_ANY)
		return err_invalid(err, "vsock port %u is out of range", port);
	return 0;
}

int transfer_dial(const struct job *job, uint32_t port, struct coffer_error *err)
{
	autoclose int fd = link_dial(job->agent, port, err);
	const uint64_t room = TRANSFER_BUFFER;
	int r;

	if (fd < 0)
		return fd;
	r = io_wait(fd, POLLOUT, deadline_in(clock_budget(TRANSFER_DIAL)));
	if (r == 0)
		return err_timeout(err, "connect to host port %u", port);
	r = r < 0 ? err_sysn(err, r, "connect to host port %u", port) : link_dialled(fd, port, err);
	if (r == 0)
		r = io_set_nonblock(fd, false);
	if (r < 0)
		return r;
	/* Fewer pauses for credit; what is no vsock socket refuses and does not need it. */
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &room, sizeof(room));
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &room, sizeof(room));
	return steal_fd(&fd);
}

int transfer_all(int from, int to, uint64_t limit, struct coffer_error *err)
{
	autofree uint8_t *chunk = malloc(TRANSFER_CHUNK);
	int r;

	if (!chunk)
		return err_nomem(err);
	while (limit > 0) {
		ssize_t n = read(from, chunk, limit < TRANSFER_CHUNK ? limit : TRANSFER_CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		if (n == 0)
			return 0;
		r = io_write_full(to, chunk, (size_t)n);
		if (r < 0)
			return err_sysn(err, r, "write");
		limit -= (uint64_t)n;
	}
	return 0;
}
