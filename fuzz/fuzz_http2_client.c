/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http2_client.c - the gRPC client as a hostile server sees it
 *
 * Input: one byte of mode, then what the server sends to a client that has a
 * unary call on stream 1 and a streaming one on stream 3.  Mode bit 0: empty
 * settings are sent ahead; bit 1: the stream is taken before the unary reply;
 * bit 2: the unary call is given up first.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "rpc/grpc_client.h"
#include "../tests/unit/rpc_frames.h"
#include "sandbox_context.pb-c.h"

#define FUZZ_MAX 60000 /* fits into the socket's buffer */
#define SD	 (&sc__sandbox_context__descriptor)

static void fuzz_drain(struct grpc_pending *p)
{
	struct coffer_error err;
	ProtobufCMessage *m = NULL;

	while (grpc_pending_recv(p, USEC_INFINITY, &m, &err) == 0 && m)
		protobuf_c_message_free_unpacked(m, NULL);
}

static struct grpc_client *fuzz_client(int fd)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;
	struct grpc_client *c = NULL;

	limits.max_message = 65536;
	if (grpc_client_new(fd, &limits, &c, NULL) < 0)
		abort();
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Sc__StatRequest stat = SC__STAT_REQUEST__INIT;
	Sc__CopyRequest copy = SC__COPY_REQUEST__INIT;
	struct grpc_pending *p = NULL, *q = NULL;
	static const uint8_t settings[9] = { 0, 0, 0, F_SETTINGS };
	struct grpc_client *c;
	uint8_t mode;
	int sv[2];

	if (size < 1 || size > FUZZ_MAX)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	c = fuzz_client(sv[0]);
	if (grpc_client_start(c, SD, "Stat", &stat.base, USEC_INFINITY, &p, NULL) < 0 ||
	    grpc_client_start(c, SD, "Copy", &copy.base, USEC_INFINITY, &q, NULL) < 0)
		abort();
	mode = *data++;
	size--;
	if (mode & 1)
		(void)!send(sv[1], settings, sizeof(settings), MSG_NOSIGNAL);
	if (size)
		(void)!send(sv[1], data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(sv[1], SHUT_WR);
	if (mode & 4) {
		grpc_pending_free(p);
		p = NULL;
	}
	if (mode & 2)
		fuzz_drain(q);
	if (p)
		fuzz_drain(p);
	fuzz_drain(q);
	grpc_pending_free(p);
	grpc_client_free(c);
	grpc_pending_free(q);
	close(sv[1]);
	return 0;
}
