/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/bzimage.h - from a distribution's bzImage to the ELF inside it
 */
#ifndef GUEST_BZIMAGE_H
#define GUEST_BZIMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Most bytes an unpacked kernel may have. */
#define BZIMAGE_VMLINUX_MAX ((size_t)512 << 20)

/**
 * bzimage_unpack() - Decompress the payload of a bzImage
 * @img:	The bzImage
 * @len:	Its size
 * @limit:	Most bytes of output accepted
 * @out:	Set to malloc'd memory with the kernel's ELF file, owned by the caller
 * @out_len:	Set to its size
 *
 * Return: 0 or negative errno with @err filled
 */
int bzimage_unpack(const uint8_t *img, size_t len, size_t limit, uint8_t **out, size_t *out_len,
		   struct coffer_error *err);

/**
 * lz4_legacy_decode() - Decode a frame of the LZ4 "legacy" format
 * @in:		The frame, magic included
 * @in_len:	Its size
 * @out:	Room for the result
 * @out_len:	Size of the room
 *
 * Return: bytes written, or -EBADMSG when the frame is broken or does not fit
 */
long lz4_legacy_decode(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len);

#endif /* GUEST_BZIMAGE_H */
