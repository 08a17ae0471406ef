/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layer_tar.h - archives made header by header, as no archiver would make them
 */
#ifndef TESTS_LAYER_TAR_H
#define TESTS_LAYER_TAR_H

#include <lzma.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "image/layer/layer.h"

#define TAR_BLOCK 512

struct tar {
	uint8_t *mem; /* owned */
	size_t len, room;
	uint8_t pax[8192]; /* records for the next entry */
	size_t pax_len;
};

struct tar_entry {
	const char *name;
	char type; /* 0: '0' */
	unsigned mode;
	int64_t uid, gid, mtime;
	const char *link;
	const void *data;
	size_t len;
	int64_t size; /* in the header; 0: len */
	int64_t major, minor;
};

static inline void tar_free(struct tar *t)
{
	free(t->mem);
	*t = (struct tar){ 0 };
}

static inline void tar_bytes(struct tar *t, const void *data, size_t n)
{
	if (t->len + n > t->room) {
		t->room = (t->len + n) * 2;
		t->mem = realloc(t->mem, t->room);
	}
	if (n && data)
		memcpy(t->mem + t->len, data, n);
	else if (n)
		memset(t->mem + t->len, 0, n);
	t->len += n;
}

/* Octal, or base 256 for what octal cannot say. */
static inline void tar_number(uint8_t *p, size_t n, int64_t v)
{
	if (v >= 0 && (uint64_t)v < UINT64_C(1) << (3 * (n - 1))) {
		for (size_t i = n - 1; i-- > 0; v >>= 3)
			p[i] = (uint8_t)('0' + (v & 7));
		return;
	}
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
	p[0] = (uint8_t)(p[0] | 0x80);
}

static inline void tar_header(struct tar *t, const struct tar_entry *e)
{
	uint8_t h[TAR_BLOCK] = { 0 };
	unsigned sum = 0;

	strncpy((char *)h, e->name, 100);
	tar_number(h + 100, 8, e->mode ? e->mode : 0644);
	tar_number(h + 108, 8, e->uid);
	tar_number(h + 116, 8, e->gid);
	tar_number(h + 124, 12, e->size ? e->size : (int64_t)e->len);
	tar_number(h + 136, 12, e->mtime);
	h[156] = (uint8_t)(e->type ? e->type : '0');
	if (e->link)
		strncpy((char *)h + 157, e->link, 100);
	memcpy(h + 257, "ustar\00000", 8);
	tar_number(h + 329, 8, e->major);
	tar_number(h + 337, 8, e->minor);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
	tar_bytes(t, h, TAR_BLOCK);
}

static inline void tar_data(struct tar *t, const void *data, size_t n)
{
	tar_bytes(t, data, n);
	tar_bytes(t, NULL, -n & (TAR_BLOCK - 1));
}

/* A record of what comes next. */
static inline void tar_pax(struct tar *t, const char *key, const void *value, size_t n)
{
	size_t len = strlen(key) + n + 3, digits = 1;

	for (size_t l = len; l >= 10; l /= 10)
		digits++;
	len += digits;
	digits = (size_t)snprintf(NULL, 0, "%zu", len);
	len = strlen(key) + n + 3 + digits;
	t->pax_len += (size_t)sprintf((char *)t->pax + t->pax_len, "%zu %s=", len, key);
	memcpy(t->pax + t->pax_len, value, n);
	t->pax_len += n;
	t->pax[t->pax_len++] = '\n';
}

static inline void tar_add(struct tar *t, const struct tar_entry *e)
{
	if (strlen(e->name) > 100)
		tar_pax(t, "path", e->name, strlen(e->name));
	if (e->link && strlen(e->link) > 100)
		tar_pax(t, "linkpath", e->link, strlen(e->link));
	if (t->pax_len) {
		tar_header(t, &(struct tar_entry){ .name = "PaxHeader", .type = 'x',
						   .len = t->pax_len });
		tar_data(t, t->pax, t->pax_len);
		t->pax_len = 0;
	}
	tar_header(t, e);
	tar_data(t, e->data, e->len);
}

static inline void tar_dir(struct tar *t, const char *name)
{
	tar_add(t, &(struct tar_entry){ .name = name, .type = '5', .mode = 0755 });
}

static inline void tar_file(struct tar *t, const char *name, const char *text)
{
	tar_add(t, &(struct tar_entry){ .name = name, .data = text, .len = strlen(text) });
}

static inline void tar_symlink(struct tar *t, const char *name, const char *to)
{
	tar_add(t, &(struct tar_entry){ .name = name, .type = '2', .mode = 0777, .link = to });
}

static inline void tar_hardlink(struct tar *t, const char *name, const char *to)
{
	tar_add(t, &(struct tar_entry){ .name = name, .type = '1', .link = to });
}

static inline void tar_end(struct tar *t)
{
	tar_bytes(t, NULL, 2 * TAR_BLOCK);
}

/* Append @n bytes as one gzip member, zstd frame or xz stream. */
static inline void tar_gzip(struct tar *out, const void *data, size_t n)
{
	z_stream z = { 0 };
	uint8_t *mem = malloc(n + n / 8 + 1024);

	deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
	z.next_in = (uint8_t *)(uintptr_t)data;
	z.avail_in = (uInt)n;
	z.next_out = mem;
	z.avail_out = (uInt)(n + n / 8 + 1024);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	tar_bytes(out, mem, z.total_out);
	deflateEnd(&z);
	free(mem);
}

static inline void tar_zstd(struct tar *out, const void *data, size_t n)
{
	size_t room = ZSTD_compressBound(n);
	uint8_t *mem = malloc(room);

	tar_bytes(out, mem, ZSTD_compress(mem, room, data, n, 1));
	free(mem);
}

static inline void tar_xz(struct tar *out, const void *data, size_t n)
{
	size_t room = lzma_stream_buffer_bound(n), used = 0;
	uint8_t *mem = malloc(room);

	if (lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, data, n, mem, &used, room) !=
	    LZMA_OK)
		abort();
	tar_bytes(out, mem, used);
	free(mem);
}

/* The bytes as a blob; its fd is the caller's. */
static inline struct layer_source tar_source(const void *data, size_t n)
{
	struct layer_source l = { .fd = memfd_create("layer", MFD_CLOEXEC), .size = n };

	if (l.fd < 0 || (n && pwrite(l.fd, data, n, 0) != (ssize_t)n))
		abort();
	strcpy(l.blob.text, "sha256:b10b");
	return l;
}

#endif /* TESTS_LAYER_TAR_H */
