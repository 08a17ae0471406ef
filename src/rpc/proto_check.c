/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/proto_check.c - foreign bytes to a protobuf-c message, within bounds
 *
 * protobuf-c checks neither that a string is UTF-8 nor that it has no NUL, and
 * once it is unpacked its length on the wire is gone; and two bytes of input
 * can cost it a hundred of memory.  So the bytes are walked by the descriptor
 * first, and unpacking then draws on a budget.  The walk follows nested
 * messages to a fixed depth; no contract of ours is recursive.
 */
#include "rpc/proto_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "rpc/grpc_text.h"

#define PROTO_DEPTH_MAX	  16
#define PROTO_VARINT_MAX  10
#define PROTO_ALLOC_EXTRA 16 /* what malloc itself takes, roughly */

enum proto_wire {
	PROTO_WIRE_VARINT = 0,
	PROTO_WIRE_64BIT = 1,
	PROTO_WIRE_BYTES = 2,
	PROTO_WIRE_32BIT = 5,
};

struct proto_span {
	const uint8_t *p;
	size_t n;
};

static int proto_malformed(const ProtobufCMessageDescriptor *desc, struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPROTO, "%s: malformed", desc->short_name);
}

static bool proto_skip(struct proto_span *s, uint64_t n)
{
	if (n > s->n)
		return false;
	s->p += n;
	s->n -= (size_t)n;
	return true;
}

static bool proto_varint(struct proto_span *s, uint64_t *value)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < PROTO_VARINT_MAX && i < s->n; i++) {
		v |= (uint64_t)(s->p[i] & 0x7f) << (7 * i);
		if (!(s->p[i] & 0x80)) {
			*value = v;
			return proto_skip(s, i + 1);
		}
	}
	return false;
}

static int proto_check(const ProtobufCMessageDescriptor *desc, struct proto_span s, unsigned depth,
		       struct coffer_error *err);

/* A length-delimited value: text is checked, messages are entered, the rest is opaque. */
static int proto_check_bytes(const ProtobufCMessageDescriptor *desc, uint32_t number,
			     struct proto_span value, unsigned depth, struct coffer_error *err)
{
	const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(desc, number);

	if (!f)
		return 0;
	if (f->type == PROTOBUF_C_TYPE_STRING && grpc_text_utf8(value.p, value.n) != value.n)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPROTO,
			       "%s.%s: not UTF-8 text, or with a NUL inside", desc->short_name,
			       f->name);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return proto_check(f->descriptor, value, depth + 1, err);
	return 0;
}

static int proto_check(const ProtobufCMessageDescriptor *desc, struct proto_span s, unsigned depth,
		       struct coffer_error *err)
{
	struct proto_span value;
	uint64_t tag, n;
	bool ok;
	int r;

	if (depth > PROTO_DEPTH_MAX)
		return proto_malformed(desc, err);
	while (s.n > 0) {
		if (!proto_varint(&s, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
			return proto_malformed(desc, err);
		switch (tag & 7) {
		case PROTO_WIRE_VARINT:
			ok = proto_varint(&s, &n);
			break;
		case PROTO_WIRE_64BIT:
			ok = proto_skip(&s, 8);
			break;
		case PROTO_WIRE_32BIT:
			ok = proto_skip(&s, 4);
			break;
		case PROTO_WIRE_BYTES:
			ok = proto_varint(&s, &n);
			value = s;
			ok = ok && proto_skip(&s, n);
			if (!ok)
				break;
			value.n = (size_t)n;
			r = proto_check_bytes(desc, (uint32_t)(tag >> 3), value, depth, err);
			if (r < 0)
				return r;
			break;
		default: /* groups are not proto3 */
			ok = false;
		}
		if (!ok)
			return proto_malformed(desc, err);
	}
	return 0;
}

struct proto_budget {
	size_t left;
	bool hit;
};

static void *proto_budget_alloc(void *data, size_t size)
{
	struct proto_budget *b = data;

	if (size > b->left || b->left - size < PROTO_ALLOC_EXTRA) {
		b->hit = true;
		return NULL;
	}
	b->left -= size + PROTO_ALLOC_EXTRA;
	return malloc(size);
}

static void proto_budget_free(void *data, void *p)
{
	free(p);
}

int proto_unpack(const ProtobufCMessageDescriptor *desc, const void *data, size_t n, size_t budget,
		 ProtobufCMessage **out, struct coffer_error *err)
{
	static const uint8_t nothing[1];
	struct proto_span s = { .p = n ? data : nothing, .n = n };
	struct proto_budget left = { .left = budget };
	ProtobufCAllocator allocator = {
		.alloc = proto_budget_alloc,
		.free = proto_budget_free,
		.allocator_data = &left,
	};
	int r;

	r = proto_check(desc, s, 0, err);
	if (r < 0)
		return r;
	*out = protobuf_c_message_unpack(desc, &allocator, s.n, s.p);
	if (*out)
		return 0;
	if (left.hit)
		return err_set(err, COFFER_ERR_INTERNAL, ENOBUFS, "%s: too costly to unpack",
			       desc->short_name);
	return proto_malformed(desc, err);
}
