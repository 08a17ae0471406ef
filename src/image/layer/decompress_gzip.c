/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/decompress_gzip.c - gzip data, with zlib and with what is faster
 *
 * Most of the time that a pull takes goes into this.  ISA-L needs less than
 * half of zlib's, so it is used where it is installed; nothing depends on it.
 *
 * Callers: decompress.c.
 */
#include <pthread.h>
#include <string.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "base/symbols.h"
#include "image/layer/decompress.h"

static int gzip_start(void **state, struct coffer_error *err)
{
	z_stream *z = calloc(1, sizeof(*z));

	if (!z || inflateInit2(z, 15 + 16) != Z_OK) { /* 16: with gzip's header */
		free(z);
		return err_nomem(err);
	}
	*state = z;
	return 0;
}

static int gzip_step(void *state, struct decompress_span *s, struct coffer_error *err)
{
	z_stream *z = state;
	int r;

	z->next_in = (uint8_t *)(uintptr_t)s->in;
	z->avail_in = (uInt)s->in_len;
	z->next_out = s->out;
	z->avail_out = (uInt)s->out_len;
	r = inflate(z, Z_NO_FLUSH);
	s->in = z->next_in;
	s->in_len = z->avail_in;
	s->out = z->next_out;
	s->out_len = z->avail_out;
	if (r == Z_OK || r == Z_BUF_ERROR)
		return 0;
	if (r == Z_STREAM_END)
		return inflateReset(z) == Z_OK ? DECOMPRESS_END : err_internal(err, "reset zlib");
	return r == Z_MEM_ERROR ? err_nomem(err)
				: err_invalid(err, "damaged gzip data: %s", z->msg ? z->msg : "?");
}

static void gzip_stop(void *state)
{
	inflateEnd(state);
	free(state);
}

#define GZIP_MAGIC .magic = { 0x1f, 0x8b, 8 }, .magic_len = 3

const struct decompress_format decompress_gzip = {
	.name = "gzip", GZIP_MAGIC, .start = gzip_start, .step = gzip_step, .stop = gzip_stop,
};

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/igzip_lib.h>

#define GZIP_FAST_LIBRARY "libisal.so.2"

static struct {
	void (*init)(struct inflate_state *state);
	void (*reset)(struct inflate_state *state);
	int (*inflate)(struct inflate_state *state);
} gzip_fast;
static bool gzip_has_fast;

static void gzip_fast_load(void)
{
	static const struct symbol symbols[] = {
		{ "isal_inflate_init", &gzip_fast.init },
		{ "isal_inflate_reset", &gzip_fast.reset },
		{ "isal_inflate", &gzip_fast.inflate },
	};

	gzip_has_fast = symbols_load(GZIP_FAST_LIBRARY, symbols, ARRAY_SIZE(symbols), NULL) == 0;
}

static int gzip_fast_start(void **state, struct coffer_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct inflate_state *z;

	pthread_once(&once, gzip_fast_load);
	if (!gzip_has_fast)
		return -ENOSYS;
	z = malloc(sizeof(*z));
	if (!z)
		return err_nomem(err);
	gzip_fast.init(z);
	z->crc_flag = ISAL_GZIP;
	*state = z;
	return 0;
}

static int gzip_fast_step(void *state, struct decompress_span *s, struct coffer_error *err)
{
	struct inflate_state *z = state;
	int r;

	z->next_in = (uint8_t *)(uintptr_t)s->in;
	z->avail_in = (uint32_t)s->in_len;
	z->next_out = s->out;
	z->avail_out = (uint32_t)s->out_len;
	r = gzip_fast.inflate(z);
	s->in = z->next_in;
	s->in_len = z->avail_in;
	s->out = z->next_out;
	s->out_len = z->avail_out;
	if (r < 0)
		return err_invalid(err, "damaged gzip data: %s",
				   r == ISAL_INCORRECT_CHECKSUM ? "incorrect checksum"
				   : r == ISAL_INVALID_WRAPPER	? "incorrect header"
								: "invalid code");
	if (z->block_state != ISAL_BLOCK_FINISH)
		return 0;
	gzip_fast.reset(z);
	return DECOMPRESS_END;
}

static void gzip_fast_stop(void *state)
{
	free(state);
}
#else
static int gzip_fast_start(void **state, struct coffer_error *err)
{
	return -ENOSYS;
}
#define gzip_fast_step NULL
#define gzip_fast_stop NULL
#endif

const struct decompress_format decompress_gzip_fast = {
	.name = "gzip", GZIP_MAGIC,
	.start = gzip_fast_start, .step = gzip_fast_step, .stop = gzip_fast_stop,
};
