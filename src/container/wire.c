/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/wire.c - messages of control.proto on a unix socket
 *
 * The sockets are blocking; every read is preceded by a poll(2) with the time
 * that is left.  Used by control*.c (the owner) and remote*.c (the others).
 */
#include "container/wire.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "rpc/proto_check.h"

#define WIRE_MAGIC UINT32_C(0x72666643) /* "Cffr" */

struct wire_head {
	uint32_t magic;
	uint32_t len;
};

void wire_fds_close(struct wire_fds *fds)
{
	for (size_t i = 0; i < WIRE_FDS_MAX; i++)
		close_fd(&fds->v[i]);
	fds->n = 0;
}

static int wire_send_all(int sock, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		ssize_t w = send(sock, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

int wire_send(int sock, const ProtobufCMessage *msg, const struct wire_fds *fds)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	struct wire_head head = { .magic = WIRE_MAGIC, .len = (uint32_t)len };
	autofree uint8_t *bytes = NULL;
	int r;

	if (len > WIRE_MAX)
		return -EMSGSIZE;
	bytes = malloc(sizeof(head) + len);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &head, sizeof(head));
	protobuf_c_message_pack(msg, bytes + sizeof(head));
	if (!fds || fds->n == 0)
		return wire_send_all(sock, bytes, sizeof(head) + len);
	/* Descriptors go with one byte, so that what is left is sent with no signal. */
	r = io_send_fds(sock, bytes, 1, fds->v, fds->n);
	return r < 0 ? r : wire_send_all(sock, bytes + 1, sizeof(head) + len - 1);
}

static int wire_hung_up(struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INTERRUPTED, ECONNRESET, "the other side hung up");
}

/* Wait for bytes. Return: 0 or negative errno */
static int wire_await(int sock, usec_t deadline, struct coffer_error *err)
{
	int r = io_wait(sock, POLLIN, deadline);

	if (r == 0)
		return err_timeout(err, "the other side is silent");
	return r < 0 ? err_sysn(err, r, "wait for a message") : 0;
}

static int wire_read(int sock, void *data, size_t n, struct coffer_error *err)
{
	usec_t deadline = deadline_in(WIRE_PATIENCE);
	char *p = data;

	while (n > 0) {
		int r = wire_await(sock, deadline, err);
		ssize_t got;

		if (r < 0)
			return r;
		got = recv(sock, p, n, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return wire_hung_up(err);
		if (got < 0)
			return err_sys(err, "read a message");
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* The first byte, with what comes along. */
static int wire_read_first(int sock, void *byte, struct wire_fds *fds, struct coffer_error *err)
{
	size_t room = fds ? WIRE_FDS_MAX : 0;
	ssize_t n = io_recv_fds(sock, byte, 1, fds ? fds->v : NULL, &room);

	if (fds && n >= 0)
		fds->n = room;
	if (n == 0 || n == -ECONNRESET)
		return wire_hung_up(err);
	return n < 0 ? err_sysn(err, (int)n, "read a message") : 0;
}

int wire_receive(int sock, const ProtobufCMessageDescriptor *desc, usec_t deadline,
		 ProtobufCMessage **out, struct wire_fds *fds, struct coffer_error *err)
{
	autofree uint8_t *bytes = NULL;
	struct wire_head head;
	int r;

	*out = NULL;
	r = wire_await(sock, deadline, err);
	if (r == 0)
		r = wire_read_first(sock, &head, fds, err);
	if (r == 0)
		r = wire_read(sock, (char *)&head + 1, sizeof(head) - 1, err);
	if (r < 0)
		return r;
	if (head.magic != WIRE_MAGIC || head.len > WIRE_MAX)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPROTO, "what came is no message");
	bytes = malloc(head.len + 1);
	if (!bytes)
		return err_nomem(err);
	r = wire_read(sock, bytes, head.len, err);
	if (r < 0)
		return r;
	return proto_unpack(desc, bytes, head.len, PROTO_BUDGET(WIRE_MAX), out, err);
}

static int wire_bad(const char *what, struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPROTO, "%s: malformed", what);
}

int wire_take_text(const ProtobufCBinaryData *field, const char *what, const char **out,
		   struct coffer_error *err)
{
	const char *text = (const char *)field->data;

	*out = field->len ? text : NULL;
	if (field->len && memchr(text, '\0', field->len) != text + field->len - 1)
		return wire_bad(what, err);
	return 0;
}

int wire_take_words(ProtobufCBinaryData *const fields, size_t n, const char *what,
		    const char ***out, struct coffer_error *err)
{
	autofree const char **words = NULL;

	*out = NULL;
	if (n == 0)
		return 0;
	words = calloc(n + 1, sizeof(*words));
	if (!words)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		int r = wire_take_text(&fields[i], what, &words[i], err);

		if (r < 0)
			return r;
		if (!words[i])
			return wire_bad(what, err);
	}
	*out = steal_ptr(words);
	return 0;
}

void wire_put_error(Ct__Reply *reply, const struct coffer_error *err)
{
	reply->kind = err->kind;
	reply->errnum = err->err;
	reply->message = wire_text(err->message);
}

int wire_take_error(const Ct__Reply *reply, struct coffer_error *err)
{
	const char *message = "";

	if (reply->kind == COFFER_ERR_NONE)
		return 0;
	if (reply->kind >= COFFER_ERR_KIND_COUNT || reply->errnum < 0 || reply->errnum > 4095 ||
	    wire_take_text(&reply->message, "error", &message, err) < 0)
		return wire_bad("error", err);
	return err_set(err, reply->kind, reply->errnum, "%s", message ? message : "");
}

int wire_take_struct(const ProtobufCBinaryData *field, void *out, size_t size, bool own_size,
		     struct coffer_error *err)
{
	memset(out, 0, size);
	if (own_size ? field->len < sizeof(size) : field->len != size)
		return wire_bad("struct", err);
	/* A newer peer's has more at its end, an older one's less. */
	memcpy(out, field->data, field->len < size ? field->len : size);
	if (own_size)
		memcpy(out, &size, sizeof(size));
	return 0;
}
