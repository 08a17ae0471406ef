/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/wire.h - messages of control.proto on a unix socket
 *
 *	[magic u32][length u32][packed message]	both numbers in host order
 *
 * Descriptors travel with the first byte.  Each side bounds what the other may
 * send, in bytes, descriptors and time; neither trusts a length or a text.
 */
#ifndef CONTAINER_WIRE_H
#define CONTAINER_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "control.pb-c.h"

#define WIRE_VERSION  1
#define WIRE_MAX      (4u << 20) /* bytes of a message */
#define WIRE_FDS_MAX  3
#define WIRE_PATIENCE (10 * USEC_PER_SEC) /* for the rest of what has begun */

/* Descriptors that came with a message; owned. Begin with WIRE_FDS_INIT. */
struct wire_fds {
	int v[WIRE_FDS_MAX];
	size_t n;
};
#define WIRE_FDS_INIT { .v = { -1, -1, -1 } }

void wire_fds_close(struct wire_fds *fds);
#define autofds CLEANUP(wire_fds_close)

/* wire_send() - @fds (may be NULL) are borrowed. Return: 0 or negative errno; never SIGPIPE */
int wire_send(int sock, const ProtobufCMessage *msg, const struct wire_fds *fds);

/**
 * wire_receive() - One message
 * @deadline:	For its first byte; the rest has WIRE_PATIENCE
 * @out:	Set on success; free with protobuf_c_message_free_unpacked()
 * @fds:	WIRE_FDS_INIT, filled; NULL: none may come
 *
 * Return: 0; -ETIMEDOUT; -ECONNRESET (INTERRUPTED) when the other side hangs up;
 * -EPROTO and others for what is no message
 */
int wire_receive(int sock, const ProtobufCMessageDescriptor *desc, usec_t deadline,
		 ProtobufCMessage **out, struct wire_fds *fds, struct coffer_error *err);

/* wire_text() - @s as a field, NULL: not given; borrowed */
static inline ProtobufCBinaryData wire_text(const char *s)
{
	return (ProtobufCBinaryData){ .len = s ? strlen(s) + 1 : 0, .data = (uint8_t *)s };
}

/* wire_take_text() - The reverse; *@out points into @field. Return: 0 or -EPROTO naming @what */
int wire_take_text(const ProtobufCBinaryData *field, const char *what, const char **out,
		   struct coffer_error *err);

/* wire_take_words() - A list of texts, NULL-terminated; NULL when empty. *@out is to be freed */
int wire_take_words(ProtobufCBinaryData *const fields, size_t n, const char *what,
		    const char ***out, struct coffer_error *err);

/* wire_put_error(), wire_take_error() - @err as the verdict of a reply, and back.
 * Return: 0 when it is no error, else negative errno */
void wire_put_error(Ct__Reply *reply, const struct coffer_error *err);
int wire_take_error(const Ct__Reply *reply, struct coffer_error *err);

/* wire_take_struct() - A struct of the API of at most @size bytes into zeroed memory. @own_size: it
 * begins with its size, which may be smaller. Return: 0 or -EPROTO */
int wire_take_struct(const ProtobufCBinaryData *field, void *out, size_t size, bool own_size,
		     struct coffer_error *err);

#endif /* CONTAINER_WIRE_H */
