/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/lz4.c - decoder of the LZ4 legacy frame that Linux kernels are packed in
 *
 * A frame is a magic number followed by blocks, each a 32-bit little-endian
 * length and that many bytes.  A block is a row of sequences: a token (two
 * nibbles), literals, a 16-bit distance back into the output, a match length.
 * Nibbles of 15 are continued by bytes up to the first below 255.  Matches may
 * overlap their own output and, in a legacy frame, never leave their block.
 *
 * Deliberately absent: the modern frame format, checksums, compression.
 * Only bzimage.c calls this.
 */
#include "guest/bzimage.h"

#include <stdbool.h>
#include <string.h>

#define LZ4_MIN_MATCH 4

struct lz4_cursor {
	const uint8_t *p;
	const uint8_t *end;
};

static uint32_t lz4_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* A length begun by @nibble; false when the input ends inside it or it is absurd. */
static bool lz4_length(struct lz4_cursor *in, unsigned nibble, size_t *len)
{
	uint8_t byte = 255;

	*len = nibble;
	if (nibble < 15)
		return true;
	while (byte == 255) {
		if (in->p == in->end || *len > UINT32_MAX)
			return false;
		byte = *in->p++;
		*len += byte;
	}
	return true;
}

/* Byte by byte when source and target overlap: that is how runs are coded. */
static void lz4_match_copy(uint8_t *to, size_t distance, size_t len)
{
	const uint8_t *from = to - distance;

	if (distance >= len) {
		memcpy(to, from, len);
		return;
	}
	for (size_t i = 0; i < len; i++)
		to[i] = from[i];
}

/* Return: bytes written at @out or -EBADMSG */
static long lz4_block_decode(struct lz4_cursor in, uint8_t *out, size_t room)
{
	size_t done = 0;

	while (in.p < in.end) {
		unsigned token = *in.p++;
		size_t len, distance;

		if (!lz4_length(&in, token >> 4, &len) || len > (size_t)(in.end - in.p) ||
		    len > room - done)
			return -EBADMSG;
		memcpy(out + done, in.p, len);
		in.p += len;
		done += len;
		if (in.p == in.end)
			break; /* the last sequence has literals only */

		if (in.end - in.p < 2)
			return -EBADMSG;
		distance = (size_t)in.p[0] | (size_t)in.p[1] << 8;
		in.p += 2;
		if (!lz4_length(&in, token & 15, &len))
			return -EBADMSG;
		len += LZ4_MIN_MATCH;
		if (!distance || distance > done || len > room - done)
			return -EBADMSG;
		lz4_match_copy(out + done, distance, len);
		done += len;
	}
	return (long)done;
}

long lz4_legacy_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	size_t off = 4, done = 0;

	while (in_len > off) {
		struct lz4_cursor block;
		size_t len;
		long n;

		if (in_len - off < 4)
			return -EBADMSG;
		len = lz4_le32(in + off);
		off += 4;
		if (len > in_len - off)
			return -EBADMSG;
		block = (struct lz4_cursor){ .p = in + off, .end = in + off + len };
		n = lz4_block_decode(block, out + done, out_len - done);
		if (n < 0)
			return n;
		done += (size_t)n;
		off += len;
	}
	return (long)done;
}
