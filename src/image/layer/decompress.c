/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/decompress.c - a blob's bytes as they were before they were packed
 *
 * The blob's first bytes decide, as with other tools: media types are often
 * wrong.  Members may follow each other (gzip, zstd, xz all allow it); what is
 * cut off, or is followed by anything else, is an error.
 *
 * Callers: feed.c, in a thread of its own.
 */
#include "image/layer/decompress.h"

#include <string.h>

#define DECOMPRESS_BUFFER ((size_t)256 << 10)

struct decompress {
	int fd; /* borrowed */
	uint64_t size, taken;
	const struct decompress_format *format; /* NULL: plain */
	void *state;				/* of format, owned */
	bool whole; /* here it could end */
	size_t have, used;
	uint8_t buffer[DECOMPRESS_BUFFER];
};

/* The first that is there is taken. */
static const struct decompress_format *const decompress_formats[] = {
	&decompress_gzip_fast,
	&decompress_gzip,
	&decompress_zstd,
	&decompress_xz,
};

static int decompress_fill(struct decompress *d, struct coffer_error *err)
{
	uint64_t left = d->size - d->taken;
	size_t want = left < DECOMPRESS_BUFFER ? (size_t)left : DECOMPRESS_BUFFER;
	ssize_t n;

	do {
		n = pread(d->fd, d->buffer, want, (off_t)d->taken);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "read");
	if (n == 0 && want > 0)
		return err_set(err, COFFER_ERR_INVALID_STATE, EIO, "it is shorter than it was");
	d->taken += (uint64_t)n;
	d->have = (size_t)n;
	d->used = 0;
	return 0;
}

/* Skippable frames have sixteen magic numbers. */
static bool decompress_fits(const struct decompress_format *f, const uint8_t *p, size_t n)
{
	if (f == &decompress_zstd && n >= 4 && p[0] >> 4 == 5 && !memcmp(p + 1, "\x2a\x4d\x18", 3))
		return true;
	return n >= f->magic_len && !memcmp(p, f->magic, f->magic_len);
}

static int decompress_choose(struct decompress *d, bool packed, struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(decompress_formats); i++) {
		const struct decompress_format *f = decompress_formats[i];
		int r;

		if (!decompress_fits(f, d->buffer, d->have))
			continue;
		r = f->start(&d->state, err);
		if (r == 0)
			d->format = f;
		if (r != -ENOSYS)
			return r;
	}
	return packed ? err_invalid(err, "it is neither gzip, zstd nor xz") : 0;
}

int decompress_open(int fd, uint64_t size, bool packed, struct decompress **out,
		    struct coffer_error *err)
{
	CLEANUP(decompress_freep) struct decompress *d = malloc(sizeof(*d));
	int r;

	if (!d)
		return err_nomem(err);
	memset(d, 0, offsetof(struct decompress, buffer));
	d->fd = fd;
	d->size = size;
	r = decompress_fill(d, err);
	if (r == 0)
		r = decompress_choose(d, packed, err);
	if (r == 0)
		*out = steal_ptr(d);
	return r;
}

static int decompress_plain(struct decompress_span *s)
{
	size_t n = s->in_len < s->out_len ? s->in_len : s->out_len;

	memcpy(s->out, s->in, n);
	s->in += n;
	s->in_len -= n;
	s->out += n;
	s->out_len -= n;
	return DECOMPRESS_END;
}

/* Return: whether it is the end, or negative errno */
static int decompress_some(struct decompress *d, uint8_t **out, size_t *room,
			   struct coffer_error *err)
{
	struct decompress_span s = { .in = d->buffer + d->used,
				     .in_len = d->have - d->used,
				     .out = *out,
				     .out_len = *room,
				     .last = d->taken == d->size };
	size_t in_len = s.in_len;
	int r;

	if (d->whole && s.last && s.in_len == 0)
		return 1;
	if (d->whole && d->format && !decompress_fits(d->format, s.in, s.in_len) &&
	    (s.last || s.in_len >= d->format->magic_len))
		return err_invalid(err, "something comes after its %s data", d->format->name);
	r = d->format ? d->format->step(d->state, &s, err) : decompress_plain(&s);
	if (r < 0)
		return r;
	if (r == 0 && s.in_len == in_len && s.out_len == *room)
		return err_invalid(err, "its %s data is cut off", d->format->name);
	d->whole = r == DECOMPRESS_END;
	d->used = d->have - s.in_len;
	*out = s.out;
	*room = s.out_len;
	return 0;
}

ssize_t decompress_read(struct decompress *d, uint8_t *out, size_t n, struct coffer_error *err)
{
	size_t room = n;
	int r = 0;

	while (room > 0 && r == 0) {
		if (d->used == d->have && d->taken < d->size)
			r = decompress_fill(d, err);
		if (r == 0)
			r = decompress_some(d, &out, &room, err);
	}
	return r < 0 ? r : (ssize_t)(n - room);
}

uint64_t decompress_taken(const struct decompress *d)
{
	return d->taken - (d->have - d->used);
}

void decompress_free(struct decompress *d)
{
	if (d->format)
		d->format->stop(d->state);
	free(d);
}
