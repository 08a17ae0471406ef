/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_stream.c - bytes on their way into the image
 *
 * Blocks are given out in rising order, so what is written one after the other
 * mostly lies so: small pieces are gathered into one write.  A file that comes
 * in pieces may end one inside a block; the next goes on there.
 *
 * Many archivers know no holes and write zeroes.  Long runs of them become
 * holes again.
 *
 * Called by the other files of the writer, and by front ends through
 * ext4_file_write().
 */
#include "image/ext4_internal.h"

#include <string.h>
#include <unistd.h>

#define EXT4_OUT_DIRECT ((size_t)64 << 10) /* from here on copying costs more than a call */
#define EXT4_HOLE_MIN	((size_t)64 << 10) /* zeroes that make a hole */

static int ext4_pwrite(struct ext4_writer *w, const uint8_t *data, size_t len, uint64_t to,
		       struct coffer_error *err)
{
	while (len) {
		ssize_t n = pwrite(w->fd, data, len, (off_t)to);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write ext4 image");
		data += n;
		to += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int ext4_out_flush(struct ext4_writer *w, struct coffer_error *err)
{
	size_t len = w->pending_len;

	w->pending_len = 0;
	return ext4_pwrite(w, w->pending, len, w->pending_at, err);
}

int ext4_out(struct ext4_writer *w, const uint8_t *data, size_t len, uint64_t to,
	     struct coffer_error *err)
{
	int r = 0;

	if (w->pending_len && (len >= EXT4_OUT_DIRECT || w->pending_len + len > EXT4_PENDING ||
			       to != w->pending_at + w->pending_len))
		r = ext4_out_flush(w, err);
	if (r < 0)
		return r;
	if (len >= EXT4_OUT_DIRECT)
		return ext4_pwrite(w, data, len, to, err);
	if (!w->pending_len)
		w->pending_at = to;
	memcpy(w->pending + w->pending_len, data, len);
	w->pending_len += len;
	return 0;
}

static int ext4_out_zero(struct ext4_writer *w, size_t len, uint64_t to, struct coffer_error *err)
{
	static const uint8_t zero[EXT4_BLOCK];

	return len ? ext4_out(w, zero, len, to, err) : 0;
}

static size_t ext4_file_tail(const struct ext4_file *file)
{
	return (size_t)(-file->pos & (EXT4_BLOCK - 1));
}

int ext4_file_pad(struct ext4_writer *w, struct ext4_file *file, struct coffer_error *err)
{
	size_t tail = ext4_file_tail(file);

	file->pos += tail;
	return ext4_out_zero(w, tail, file->tail_at, err);
}

/* @gap zeroes and @len bytes to where @at is in the image */
static int ext4_file_put(struct ext4_writer *w, struct ext4_file *file, uint64_t at, size_t gap,
			 const uint8_t *data, size_t len, struct coffer_error *err)
{
	int r = ext4_out_zero(w, gap, at, err);

	if (r == 0)
		r = ext4_out(w, data, len, at + gap, err);
	file->tail_at = at + gap + len;
	return r;
}

/* Some of @data at @off. Return: bytes, or negative errno */
static ssize_t ext4_file_some(struct ext4_writer *w, struct ext4_file *file, const uint8_t *data,
			      size_t len, uint64_t off, struct coffer_error *err)
{
	size_t tail = ext4_file_tail(file), gap = (size_t)(off % EXT4_BLOCK), room;
	struct ext4_extent run = { 0 };
	int r;

	if (off - file->pos < tail) {
		gap = (size_t)(off - file->pos);
		room = tail - gap;
		len = len < room ? len : room;
		r = ext4_file_put(w, file, file->tail_at, gap, data, len, err);
		return r < 0 ? r : (ssize_t)len;
	}
	r = ext4_file_pad(w, file, err);
	if (r == 0)
		r = ext4_map_append(w, &file->map, off / EXT4_BLOCK,
				    (gap + len + EXT4_BLOCK - 1) / EXT4_BLOCK, &run, err);
	if (r < 0)
		return r;
	room = (size_t)run.count * EXT4_BLOCK - gap;
	len = len < room ? len : room;
	r = ext4_file_put(w, file, run.physical * EXT4_BLOCK, gap, data, len, err);
	return r < 0 ? r : (ssize_t)len;
}

/* Bytes from @off to the end of its block, @len at most. */
static size_t ext4_block_rest(uint64_t off, size_t len)
{
	size_t rest = EXT4_BLOCK - (size_t)(off % EXT4_BLOCK);

	return rest < len ? rest : len;
}

/* How many zeroes @data begins with, up to the end of a block or all of it. */
static size_t ext4_zeroes(const uint8_t *data, size_t len, uint64_t off)
{
	size_t n = 0;

	while (n < len) {
		size_t step = ext4_block_rest(off + n, len - n);

		if (data[n] || memcmp(data + n, data + n + 1, step - 1) != 0)
			break;
		n += step;
	}
	return n;
}

/* How much of it comes before a hole. */
static size_t ext4_before_hole(const uint8_t *data, size_t len, uint64_t off)
{
	size_t n = ext4_block_rest(off, len);

	while (n < len) {
		size_t zeroes = ext4_zeroes(data + n, len - n, off + n);

		if (zeroes >= EXT4_HOLE_MIN)
			break;
		n += zeroes ? zeroes : ext4_block_rest(off + n, len - n);
	}
	return n;
}

/* Zeroes that need not be written: where the file has no block yet, and going on from a hole or
 * enough for one. */
static size_t ext4_file_skip(const struct ext4_file *file, const uint8_t *data, size_t len,
			     uint64_t off)
{
	size_t zeroes;

	if (off - file->pos < ext4_file_tail(file))
		return 0;
	zeroes = ext4_zeroes(data, len, off);
	return zeroes >= EXT4_HOLE_MIN || off > file->pos ? zeroes : 0;
}

int ext4_file_write(struct ext4_writer *w, struct ext4_file *file, const void *data, size_t len,
		    uint64_t off, struct coffer_error *err)
{
	const uint8_t *p = data;

	if (off < file->pos)
		return err_internal(err, "a file's bytes come in the wrong order");
	while (len) {
		ssize_t n = (ssize_t)ext4_file_skip(file, p, len, off);

		if (n == 0) {
			n = ext4_file_some(w, file, p, ext4_before_hole(p, len, off), off, err);
			if (n < 0)
				return (int)n;
			file->pos = off + (uint64_t)n;
		}
		p += n;
		len -= (size_t)n;
		off += (uint64_t)n;
	}
	return 0;
}
