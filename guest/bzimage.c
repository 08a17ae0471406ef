/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/bzimage.c - find and decompress the ELF kernel inside a bzImage
 *
 * The boot protocol's header (magic "HdrS" at 0x202) says where the compressed
 * payload lies: payload_offset and payload_length count from the end of the
 * setup sectors.  The payload's own magic tells the compressor; its last four
 * bytes are the size of the ELF, so the output is allocated once.  For gzip
 * those bytes are the stream's own trailer, the others have them appended.
 *
 * Deliberately absent: bzip2, LZMA and LZO, which no current distribution uses.
 * Callers: the extract-vmlinux build tool and the fuzzer.
 */
#include "guest/bzimage.h"

#include <stdlib.h>
#include <string.h>

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"

enum {
	BZIMAGE_SETUP_SECTS = 0x1f1,
	BZIMAGE_MAGIC = 0x202,
	BZIMAGE_VERSION = 0x206,
	BZIMAGE_PAYLOAD_OFFSET = 0x248,
	BZIMAGE_PAYLOAD_LENGTH = 0x24c,
	BZIMAGE_HEADER_END = 0x250,
};

#define BZIMAGE_VERSION_MIN 0x208 /* the first with payload_offset */
#define BZIMAGE_XZ_MEMORY   ((uint64_t)256 << 20)

struct bzimage_codec {
	const char *name;
	uint8_t magic[6];
	size_t magic_len;
	size_t trailer; /* bytes after the stream that are not part of it */
	/* Return: bytes written or negative */
	long (*decode)(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);
};

static long bzimage_gzip_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)in_len };
	int r;

	z.next_out = out;
	z.avail_out = (uInt)out_len;
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	r = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return r == Z_STREAM_END ? (long)z.total_out : -EBADMSG;
}

static long bzimage_xz_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	uint64_t memory = BZIMAGE_XZ_MEMORY;
	size_t in_pos = 0, out_pos = 0;

	if (lzma_stream_buffer_decode(&memory, 0, NULL, in, &in_pos, in_len, out, &out_pos,
				      out_len) != LZMA_OK)
		return -EBADMSG;
	return (long)out_pos;
}

static long bzimage_zstd_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len)
{
	size_t n = ZSTD_decompress(out, out_len, in, in_len);

	return ZSTD_isError(n) ? -EBADMSG : (long)n;
}

static const struct bzimage_codec bzimage_codecs[] = {
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, 4, lz4_legacy_decode },
	{ "gzip", { 0x1f, 0x8b }, 2, 0, bzimage_gzip_decode },
	{ "xz", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, 4, bzimage_xz_decode },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, 4, bzimage_zstd_decode },
};

static uint32_t bzimage_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* bzimage_find_payload() - Bounds of the compressed kernel within the image */
static int bzimage_find_payload(const uint8_t *img, size_t len, const uint8_t **payload,
				size_t *payload_len, struct coffer_error *err)
{
	size_t start;

	if (len < BZIMAGE_HEADER_END || memcmp(img + BZIMAGE_MAGIC, "HdrS", 4) != 0)
		return err_invalid(err, "not a bzImage: no boot header");
	if ((img[BZIMAGE_VERSION] | img[BZIMAGE_VERSION + 1] << 8) < BZIMAGE_VERSION_MIN)
		return err_unsupported(err, "boot protocol older than 2.08");

	start = img[BZIMAGE_SETUP_SECTS] ? img[BZIMAGE_SETUP_SECTS] : 4;
	start = (start + 1) * 512 + bzimage_le32(img + BZIMAGE_PAYLOAD_OFFSET);
	*payload_len = bzimage_le32(img + BZIMAGE_PAYLOAD_LENGTH);
	if (start > len || *payload_len > len - start)
		return err_invalid(err, "bzImage is cut short: payload ends past %zu bytes", len);
	if (*payload_len < 16)
		return err_invalid(err, "bzImage has no payload");
	*payload = img + start;
	return 0;
}

static const struct bzimage_codec *bzimage_find_codec(const uint8_t *payload)
{
	for (size_t i = 0; i < ARRAY_SIZE(bzimage_codecs); i++) {
		const struct bzimage_codec *codec = &bzimage_codecs[i];

		if (!memcmp(payload, codec->magic, codec->magic_len))
			return codec;
	}
	return NULL;
}

int bzimage_unpack(const uint8_t *img, size_t len, size_t limit, uint8_t **out, size_t *out_len,
		   struct coffer_error *err)
{
	const struct bzimage_codec *codec;
	autofree uint8_t *mem = NULL;
	const uint8_t *payload = NULL;
	size_t payload_len = 0, size;
	long n;
	int r;

	r = bzimage_find_payload(img, len, &payload, &payload_len, err);
	if (r < 0)
		return r;
	codec = bzimage_find_codec(payload);
	if (!codec)
		return err_unsupported(
		    err, "kernel packed with an unknown compressor (%02x%02x%02x%02x)", payload[0],
		    payload[1], payload[2], payload[3]);

	size = bzimage_le32(payload + payload_len - 4);
	if (!size || size > limit)
		return err_invalid(err, "unpacked kernel of %zu bytes: more than %zu or none", size,
				   limit);
	mem = malloc(size);
	if (!mem)
		return err_nomem(err);
	n = codec->decode(payload, payload_len - codec->trailer, mem, size);
	if (n < 0 || (size_t)n != size)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG,
			       "kernel's %s payload is damaged", codec->name);

	*out = steal_ptr(mem);
	*out_len = size;
	return 0;
}
