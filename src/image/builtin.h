/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/builtin.h - COFFER_IMAGE_BUILTIN: busybox, which machines have built in
 */
#ifndef IMAGE_BUILTIN_H
#define IMAGE_BUILTIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "coffer/image.h"

/* What coffer_image_id() says of it; the digest of builtin_config. */
extern const char builtin_id[];
extern const char builtin_config[];

/* builtin_is_named() - Whether @canonical is its name, if the store has none such */
bool builtin_is_named(struct coffer_images *images, const char *canonical);
/* builtin_open() - @platform: as for coffer_image_find(). Errors: not-found */
int builtin_open(struct coffer_images *images, const char *platform, struct coffer_image **out,
		 struct coffer_error *err);
/* builtin_size() - Bytes of its archive; 0 when that is not there */
uint64_t builtin_size(void);

#endif /* IMAGE_BUILTIN_H */
