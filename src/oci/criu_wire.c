/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu_wire.c - CRIU's service messages as bytes
 *
 * A protocol buffer is a row of fields: a key (number << 3 | kind), then a
 * number in base 128, or a length and as many bytes.  A message inside a
 * message is such bytes.  Called by criu.c, and by the fuzzer.
 */
#include "oci/criu_wire.h"

#include <string.h>

enum {
	CRIU_KIND_NUMBER = 0,
	CRIU_KIND_FIXED64 = 1,
	CRIU_KIND_BYTES = 2,
	CRIU_KIND_FIXED32 = 5,
};

/* Fields of the outer messages. */
enum {
	CRIU_REQ_TYPE = 1,
	CRIU_REQ_OPTS = 2,
	CRIU_REQ_NOTIFY_SUCCESS = 3,

	CRIU_RESP_TYPE = 1,
	CRIU_RESP_SUCCESS = 2,
	CRIU_RESP_RESTORE = 4,
	CRIU_RESP_NOTIFY = 5,
	CRIU_RESP_ERRNO = 7,
	CRIU_RESP_MESSAGE = 9,

	CRIU_RESTORE_PID = 1,
	CRIU_NOTIFY_SCRIPT = 1,
	CRIU_NOTIFY_PID = 2,
};

static int criu_put_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	return buf_append(b, bytes, n);
}

static int criu_put_number(struct buf *b, uint32_t field, uint64_t v)
{
	int r = criu_put_varint(b, field << 3 | CRIU_KIND_NUMBER);

	return r < 0 ? r : criu_put_varint(b, v);
}

static int criu_put_bytes(struct buf *b, uint32_t field, const void *data, size_t n)
{
	int r = criu_put_varint(b, field << 3 | CRIU_KIND_BYTES);

	if (r == 0)
		r = criu_put_varint(b, n);
	return r < 0 ? r : buf_append(b, data, n);
}

static void criu_note(struct criu_options *o, int r)
{
	if (r < 0 && o->error == 0)
		o->error = r;
}

void criu_set_number(struct criu_options *o, enum criu_option option, uint32_t value)
{
	criu_note(o, criu_put_number(&o->bytes, option, value));
}

void criu_set_text(struct criu_options *o, enum criu_option option, const char *text)
{
	if (text && *text)
		criu_note(o, criu_put_bytes(&o->bytes, option, text, strlen(text)));
}

void criu_add_texts(struct criu_options *o, enum criu_option option, const char *first,
		    const char *second)
{
	autobuf struct buf pair = BUF_INIT(65536);

	criu_note(o, criu_put_bytes(&pair, 1, first, strlen(first)));
	criu_note(o, criu_put_bytes(&pair, 2, second, strlen(second)));
	criu_note(o, criu_put_bytes(&o->bytes, option, buf_data(&pair), pair.len));
}

void criu_add_text_number(struct criu_options *o, enum criu_option option, const char *text,
			  uint32_t number)
{
	autobuf struct buf pair = BUF_INIT(65536);

	criu_note(o, criu_put_bytes(&pair, 1, text, strlen(text)));
	criu_note(o, criu_put_number(&pair, 2, number));
	criu_note(o, criu_put_bytes(&o->bytes, option, buf_data(&pair), pair.len));
}

int criu_write_request(struct buf *out, enum criu_type type, const struct criu_options *o)
{
	int r = criu_put_number(out, CRIU_REQ_TYPE, type);

	if (r < 0 || o->error < 0)
		return r < 0 ? r : o->error;
	return criu_put_bytes(out, CRIU_REQ_OPTS, buf_data(&o->bytes), o->bytes.len);
}

int criu_write_notified(struct buf *out, bool success)
{
	int r = criu_put_number(out, CRIU_REQ_TYPE, CRIU_NOTIFY);

	return r < 0 ? r : criu_put_number(out, CRIU_REQ_NOTIFY_SUCCESS, success);
}

/* What is left to read of a message. */
struct criu_cursor {
	const uint8_t *p, *end;
};

/* A field: its number, and either the number or the bytes it holds. */
struct criu_field {
	uint64_t field;
	uint64_t number;
	struct criu_cursor bytes; /* p is NULL unless it holds bytes */
};

static int criu_take_varint(struct criu_cursor *c, uint64_t *v)
{
	*v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (c->p == c->end)
			return -EBADMSG;
		if (shift < 64)
			*v |= (uint64_t)(*c->p & 0x7f) << shift;
		if (!(*c->p++ & 0x80))
			return 0;
	}
	return -EBADMSG;
}

static int criu_take_bytes(struct criu_cursor *c, uint64_t n, struct criu_cursor *bytes)
{
	if (n > (uint64_t)(c->end - c->p))
		return -EBADMSG;
	*bytes = (struct criu_cursor){ c->p, c->p + n };
	c->p += n;
	return 0;
}

/* Return: 1 with a field, 0 at the end, -EBADMSG */
static int criu_take_field(struct criu_cursor *c, struct criu_field *f)
{
	struct criu_cursor fixed;
	uint64_t key, n;
	int r;

	*f = (struct criu_field){ 0 };
	if (c->p == c->end)
		return 0;
	if (criu_take_varint(c, &key) < 0)
		return -EBADMSG;
	f->field = key >> 3;
	switch (key & 7) {
	case CRIU_KIND_NUMBER:
		r = criu_take_varint(c, &f->number);
		break;
	case CRIU_KIND_BYTES:
		r = criu_take_varint(c, &n);
		if (r == 0)
			r = criu_take_bytes(c, n, &f->bytes);
		break;
	case CRIU_KIND_FIXED64:
		r = criu_take_bytes(c, 8, &fixed);
		break;
	case CRIU_KIND_FIXED32:
		r = criu_take_bytes(c, 4, &fixed);
		break;
	default:
		return -EBADMSG;
	}
	return r < 0 ? r : 1;
}

static void criu_copy_text(char *to, const struct criu_field *f)
{
	size_t n = (size_t)(f->bytes.end - f->bytes.p);

	if (n >= CRIU_TEXT_MAX)
		n = CRIU_TEXT_MAX - 1;
	if (n > 0)
		memcpy(to, f->bytes.p, n);
	to[n] = '\0';
}

/* The message inside an answer: who was restored, or the step that was reached. */
static int criu_read_inner(struct criu_cursor c, bool notify, struct criu_answer *out)
{
	struct criu_field f;
	int r;

	while ((r = criu_take_field(&c, &f)) > 0) {
		if (notify && f.field == CRIU_NOTIFY_SCRIPT)
			criu_copy_text(out->script, &f);
		else if (f.field == (notify ? CRIU_NOTIFY_PID : CRIU_RESTORE_PID))
			out->pid = (pid_t)f.number;
	}
	return r;
}

int criu_read_answer(const uint8_t *data, size_t n, struct criu_answer *out,
		     struct coffer_error *err)
{
	struct criu_cursor c = { data, data + n };
	struct criu_field f;
	int r;

	*out = (struct criu_answer){ 0 };
	while ((r = criu_take_field(&c, &f)) > 0) {
		if (f.field == CRIU_RESP_TYPE)
			out->type = (uint32_t)f.number;
		else if (f.field == CRIU_RESP_SUCCESS)
			out->success = f.number != 0;
		else if (f.field == CRIU_RESP_ERRNO)
			out->errnum = (int32_t)f.number;
		else if (f.field == CRIU_RESP_MESSAGE)
			criu_copy_text(out->message, &f);
		else if (f.field == CRIU_RESP_RESTORE || f.field == CRIU_RESP_NOTIFY)
			r = criu_read_inner(f.bytes, f.field == CRIU_RESP_NOTIFY, out);
		if (r < 0)
			break;
	}
	if (r < 0)
		return err_set(err, COFFER_ERR_INTERNAL, EBADMSG, "malformed answer of %zu bytes",
			       n);
	return 0;
}
