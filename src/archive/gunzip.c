/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/gunzip.c - bytes of a descriptor that may be compressed
 *
 *	fd --read--> in --inflate, or as it is--> the caller's
 *
 * Several compressed pieces one after the other are one stream, as gzip(1) has it. An end in the
 * middle of one is damage, not the end. For readers that take bytes in turn; libarchive, which
 * unpack.c uses, has a filter of its own.
 */
#include "archive/gunzip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/io.h"

#define GUNZIP_CHUNK (64u << 10)
#define GUNZIP_BITS  (15 + 16) /* the largest window; a header of gzip */

enum gunzip_state {
	GUNZIP_NEW,	/* nothing seen yet */
	GUNZIP_PLAIN,
	GUNZIP_BETWEEN, /* compressed, and no piece is under way */
	GUNZIP_WITHIN,
};

struct gunzip {
	int fd; /* borrowed */
	enum gunzip_state state;
	z_stream z; /* next_in, avail_in are also what is plain */
	uint8_t in[GUNZIP_CHUNK];
};

struct gunzip *gunzip_new(int fd)
{
	struct gunzip *z = calloc(1, sizeof(*z));

	if (z && inflateInit2(&z->z, GUNZIP_BITS) != Z_OK) {
		free(z);
		return NULL;
	}
	if (z)
		z->fd = fd;
	return z;
}

void gunzip_free(struct gunzip *z)
{
	if (!z)
		return;
	inflateEnd(&z->z);
	free(z);
}

/* Return: 1, 0: the end, negative errno */
static int gunzip_fill(struct gunzip *z)
{
	/* Two bytes say what it is. */
	ssize_t n = z->state == GUNZIP_NEW ? io_read_full(z->fd, z->in, 2) : -EINTR;

	while (n == -EINTR) {
		n = read(z->fd, z->in, sizeof(z->in));
		if (n < 0)
			n = -errno;
	}
	if (n <= 0)
		return (int)n;
	z->z.next_in = z->in;
	z->z.avail_in = (uInt)n;
	if (z->state == GUNZIP_NEW)
		z->state = n == 2 && z->in[0] == 0x1f && z->in[1] == 0x8b ? GUNZIP_BETWEEN
									   : GUNZIP_PLAIN;
	return 1;
}

static void gunzip_copy(struct gunzip *z)
{
	while (z->z.avail_in && z->z.avail_out) {
		*z->z.next_out++ = *z->z.next_in++;
		z->z.avail_in--;
		z->z.avail_out--;
	}
}

static int gunzip_inflate(struct gunzip *z)
{
	int r;

	if (z->state == GUNZIP_BETWEEN && inflateReset(&z->z) != Z_OK)
		return -EBADMSG;
	z->state = GUNZIP_WITHIN;
	r = inflate(&z->z, Z_NO_FLUSH);
	if (r == Z_STREAM_END)
		z->state = GUNZIP_BETWEEN;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? 0 : -EBADMSG;
}

ssize_t gunzip_read(struct gunzip *z, void *out, size_t n)
{
	int r;

	z->z.next_out = out;
	z->z.avail_out = (uInt)n;
	while (z->z.avail_out) {
		r = z->z.avail_in ? 1 : gunzip_fill(z);
		if (r < 0)
			return r;
		if (r == 0 && z->state == GUNZIP_WITHIN)
			return -EBADMSG;
		if (r == 0)
			break;
		if (z->state == GUNZIP_PLAIN)
			gunzip_copy(z);
		else if ((r = gunzip_inflate(z)) < 0)
			return r;
	}
	return (ssize_t)(n - z->z.avail_out);
}
