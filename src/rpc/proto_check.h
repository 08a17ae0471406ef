/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/proto_check.h - foreign bytes to a protobuf-c message, within bounds
 */
#ifndef RPC_PROTO_CHECK_H
#define RPC_PROTO_CHECK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

#include "base/error.h"

/* What unpacking may cost for a message of at most @max_message bytes. */
#define PROTO_BUDGET(max_message) (4 * (max_message) + 65536)

/**
 * proto_unpack() - Check and unpack @n bytes
 * @budget:	Most heap bytes, the unpacker's scratch memory included
 * @out:	Set on success; free with protobuf_c_message_free_unpacked(msg, NULL)
 *
 * Every string of the result is valid UTF-8 without NUL.  Enums may hold
 * numbers that their .proto does not name.
 *
 * Return: 0; -EPROTO malformed, -ENOBUFS above the budget or out of memory
 */
int proto_unpack(const ProtobufCMessageDescriptor *desc, const void *data, size_t n, size_t budget,
		 ProtobufCMessage **out, struct coffer_error *err);

#endif /* RPC_PROTO_CHECK_H */
