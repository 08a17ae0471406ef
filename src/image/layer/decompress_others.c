/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/decompress_others.c - zstd and xz data
 *
 * Both let the data say how much memory unpacking it takes, so both have a
 * limit: what their strongest ordinary levels need.
 *
 * Callers: decompress.c.
 */
#include <lzma.h>
#include <zstd.h>

#include "image/layer/decompress.h"

#define ZSTD_WINDOW_LOG 27			/* 128 MiB: as zstd -d has it */
#define XZ_MEMORY	((uint64_t)128 << 20) /* xz -9 takes 65 MiB */

static int zstd_start(void **state, struct coffer_error *err)
{
	ZSTD_DCtx *z = ZSTD_createDCtx();

	if (!z)
		return err_nomem(err);
	ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	*state = z;
	return 0;
}

static int zstd_step(void *state, struct decompress_span *s, struct coffer_error *err)
{
	ZSTD_inBuffer in = { .src = s->in, .size = s->in_len };
	ZSTD_outBuffer out = { .dst = s->out, .size = s->out_len };
	size_t r = ZSTD_decompressStream(state, &out, &in);

	if (ZSTD_isError(r))
		return err_invalid(err, "damaged zstd data: %s", ZSTD_getErrorName(r));
	s->in += in.pos;
	s->in_len -= in.pos;
	s->out += out.pos;
	s->out_len -= out.pos;
	return r == 0 ? DECOMPRESS_END : 0;
}

static void zstd_stop(void *state)
{
	ZSTD_freeDCtx(state);
}

const struct decompress_format decompress_zstd = {
	.name = "zstd", .magic = { 0x28, 0xb5, 0x2f, 0xfd }, .magic_len = 4,
	.start = zstd_start, .step = zstd_step, .stop = zstd_stop,
};

static int xz_start(void **state, struct coffer_error *err)
{
	lzma_stream *z = calloc(1, sizeof(*z));

	/* One stream at a time: what comes between and after them is looked at outside. */
	if (!z || lzma_stream_decoder(z, XZ_MEMORY, 0) != LZMA_OK) {
		free(z);
		return err_nomem(err);
	}
	*state = z;
	return 0;
}

static int xz_step(void *state, struct decompress_span *s, struct coffer_error *err)
{
	lzma_stream *z = state;
	lzma_ret r;

	z->next_in = s->in;
	z->avail_in = s->in_len;
	z->next_out = s->out;
	z->avail_out = s->out_len;
	r = lzma_code(z, LZMA_RUN);
	s->in = z->next_in;
	s->in_len = z->avail_in;
	s->out = z->next_out;
	s->out_len = z->avail_out;
	if (r == LZMA_OK || r == LZMA_BUF_ERROR)
		return 0;
	if (r == LZMA_STREAM_END)
		return lzma_stream_decoder(z, XZ_MEMORY, 0) == LZMA_OK ? DECOMPRESS_END
									: err_nomem(err);
	if (r == LZMA_MEM_ERROR)
		return err_nomem(err);
	return err_invalid(err, "damaged xz data: %s",
			   r == LZMA_MEMLIMIT_ERROR    ? "it needs too much memory"
			   : r == LZMA_OPTIONS_ERROR   ? "unknown options"
			   : r == LZMA_DATA_ERROR      ? "invalid data"
						       : "unreadable");
}

static void xz_stop(void *state)
{
	lzma_end(state);
	free(state);
}

const struct decompress_format decompress_xz = {
	.name = "xz", .magic = { 0xfd, '7', 'z', 'X', 'Z', 0 }, .magic_len = 6,
	.start = xz_start, .step = xz_step, .stop = xz_stop,
};
