/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_protobuf.c - checking and unpacking foreign messages of both contracts
 *
 * Input: one byte that chooses the message among all requests and replies,
 * one that chooses the budget, then the message.  What is accepted must pack again, and that must
 * be accepted.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "monitor.pb-c.h"
#include "rpc/proto_check.h"
#include "sandbox_context.pb-c.h"

#define FUZZ_BUDGET (1 << 20)

static const ProtobufCMessageDescriptor *fuzz_choose(uint8_t n)
{
	const ProtobufCServiceDescriptor *s =
	    n & 0x80 ? &mon__monitor__descriptor : &sc__sandbox_context__descriptor;
	const ProtobufCMethodDescriptor *m = &s->methods[(n & 0x3f) % s->n_methods];

	return n & 0x40 ? m->output : m->input;
}

static void fuzz_again(const ProtobufCMessageDescriptor *d, const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	autofree uint8_t *packed = malloc(n + 1);
	ProtobufCMessage *again = NULL;

	if (!packed || protobuf_c_message_pack(m, packed) != n)
		abort();
	/* Packed without the unknown, it is never costlier. */
	if (proto_unpack(d, packed, n, 4 * FUZZ_BUDGET, &again, NULL) < 0)
		abort();
	protobuf_c_message_free_unpacked(again, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *d;
	struct coffer_error err = COFFER_ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (size < 2)
		return 0;
	d = fuzz_choose(data[0]);
	if (proto_unpack(d, data + 2, size - 2, FUZZ_BUDGET >> (data[1] & 15), &m, &err) == 0) {
		fuzz_again(d, m);
		protobuf_c_message_free_unpacked(m, NULL);
	} else if (m || err.kind == COFFER_ERR_NONE) {
		abort();
	}
	return 0;
}
