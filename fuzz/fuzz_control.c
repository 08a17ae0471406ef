/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_control.c - what comes over a control socket, for the owner and for the others
 *
 * The container has no machine: every call that needs one is refused, after
 * its request has been taken apart.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "container/control.h"

static struct coffer_container *fuzz_container(void)
{
	static const char *const args[] = { "true", NULL };
	static struct coffer_container *c;
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;

	p.args = args;
	cfg.process = &p;
	if (!c && coffer_container_new("fuzz", &cfg, &c, NULL) < 0)
		abort();
	return c;
}

/* @data on a socket whose other end is closed. Return: the end to read from */
static int fuzz_socket(const uint8_t *data, size_t size)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		abort();
	if (send(sv[1], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		size = 0;
	close(sv[1]);
	return sv[0];
}

static void fuzz_request(const uint8_t *data, size_t size)
{
	struct control_call call = { .c = fuzz_container(), .fds = WIRE_FDS_INIT };
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *msg;

	call.sock = fuzz_socket(data, size);
	ct__reply__init(&call.reply);
	if (wire_receive(call.sock, &ct__request__descriptor, 0, &msg, NULL, &err) == 0) {
		call.req = (const Ct__Request *)msg;
		control_call(&call, &err);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	wire_fds_close(&call.fds);
	free(call.hold);
	close(call.sock);
}

static void fuzz_reply(const uint8_t *data, size_t size)
{
	autofds struct wire_fds fds = WIRE_FDS_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_stats stats;
	ProtobufCMessage *msg;
	const char *text;
	int sock = fuzz_socket(data, size);

	if (wire_receive(sock, &ct__reply__descriptor, 0, &msg, &fds, &err) == 0) {
		const Ct__Reply *reply = (const Ct__Reply *)msg;

		wire_take_error(reply, &err);
		wire_take_text(&reply->text, "text", &text, &err);
		wire_take_struct(&reply->data, &stats, sizeof(stats), true, &err);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	close(sock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_request(data, size);
	fuzz_reply(data, size);
	return 0;
}
