/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_http2_server.c - the gRPC server as a hostile client sees it
 *
 * Input: one byte of mode, then what the client sends.  Mode bit 0: the
 * preface and empty settings are sent ahead, so that the input starts at a
 * frame.  Bit 1: the input arrives in two parts with a batch between.  The
 * connection then ends; nothing of it may be left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "../tests/unit/rpc_echo.h"
#include "../tests/unit/rpc_frames.h"

#define FUZZ_MAX 60000 /* fits into the socket's buffer */

static struct loop *fuzz_loop;
static struct grpc_server *fuzz_server;
static struct rpc_echo fuzz_echo;

static void fuzz_send(int fd, const void *p, size_t n)
{
	uint8_t sink[4096];

	if (n && send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	for (int i = 0; i < 4; i++)
		loop_step(fuzz_loop, 0, NULL);
	while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void fuzz_setup(void)
{
	struct grpc_limits limits = GRPC_LIMITS_DEFAULT;

	limits.max_message = 65536;
	limits.max_queued = 131072;
	limits.max_streams = 16;
	rpc_echo_init(&fuzz_echo);
	if (loop_new(&fuzz_loop, NULL) < 0 ||
	    grpc_server_new(fuzz_loop, fuzz_echo.services, 2, &limits, &fuzz_server, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct frames open;
	uint8_t mode;
	size_t half;
	int sv[2];

	if (size < 1 || size > FUZZ_MAX)
		return 0;
	fuzz_setup();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	if (grpc_server_adopt(fuzz_server, sv[1], NULL) < 0)
		abort();
	mode = *data++;
	size--;
	if (mode & 1) {
		frames_open(&open);
		fuzz_send(sv[0], open.data, open.len);
	}
	half = mode & 2 ? size / 2 : 0;
	fuzz_send(sv[0], data, half);
	fuzz_send(sv[0], data + half, size - half);
	close(sv[0]);
	for (int i = 0; i < 4; i++)
		loop_step(fuzz_loop, 0, NULL);
	grpc_server_free(fuzz_server);
	rpc_echo_clear(&fuzz_echo);
	loop_free(fuzz_loop);
	return 0;
}
