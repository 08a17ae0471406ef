/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a QEMU that its guest has taken over may say on the control socket.
 *
 * The first byte says how the rest is cut into pieces and whether a callback
 * frees the client.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/qmp.h"

struct fuzz_qmp {
	struct qmp *qmp;
	bool free_early;
	unsigned asked, answered, closed;
};

static void fuzz_qmp_done(const struct coffer_error *err, struct json_object *ret, void *data)
{
	struct fuzz_qmp *f = data;

	f->answered++;
}

static void fuzz_qmp_ask(struct fuzz_qmp *f)
{
	if (f->qmp && qmp_command(f->qmp, "stop", fuzz_qmp_done, f, NULL) == 0)
		f->asked++;
}

static void fuzz_qmp_ready(void *data)
{
	fuzz_qmp_ask(data);
}

static void fuzz_qmp_event(const char *event, struct json_object *info, void *data)
{
	struct fuzz_qmp *f = data;

	if (f->free_early) {
		qmp_freep(&f->qmp);
		f->qmp = NULL;
	}
	fuzz_qmp_ask(f);
}

static void fuzz_qmp_close(const struct coffer_error *err, void *data)
{
	struct fuzz_qmp *f = data;

	f->closed++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(loop_freep) struct loop *loop = NULL;
	autoclose int peer = -1;
	struct fuzz_qmp f = { 0 };
	struct qmp_args args = { .on_ready = fuzz_qmp_ready, .on_event = fuzz_qmp_event,
				 .on_close = fuzz_qmp_close, .data = &f };
	size_t piece;
	int sv[2];

	if (size < 2 || loop_new(&loop, NULL) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) < 0)
		return 0;
	peer = sv[1];
	args.sock = sv[0];
	if (qmp_new(loop, &args, &f.qmp, NULL) < 0)
		abort();
	f.free_early = data[0] & 0x80;
	piece = data[0] & 0x7f ? (size_t)(data[0] & 0x7f) * 32 : size;
	/* loop_step() with a deadline in the past takes what is there. */
	data++;
	size--;
	while (size > 0) {
		size_t n = size < piece ? size : piece;

		if (send(peer, data, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		data += n;
		size -= n;
		loop_step(loop, 0, NULL);
	}
	close_fd(&peer);
	loop_step(loop, 0, NULL);
	qmp_free(f.qmp);
	if (f.asked != f.answered || f.closed > 1)
		abort();
	return 0;
}
