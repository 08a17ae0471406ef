/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/entry.h - what libarchive read, checked
 */
#ifndef IMAGE_LAYER_ENTRY_H
#define IMAGE_LAYER_ENTRY_H

#include <archive_entry.h>
#include <limits.h>
#include <stdbool.h>

#include "image/layer/reader.h"

struct entry_space {
	char path[PATH_MAX], target[PATH_MAX];
	struct ext4_xattr xattrs[LAYER_XATTRS_MAX];
};

/**
 * entry_check() - What @a is
 * @name_max:	Bytes of a path
 * @out:	Filled; borrows from @a and @space
 *
 * Return: 1, 0: it is left out, or negative errno; the error does not name it
 */
int entry_check(struct archive_entry *a, uint32_t name_max, struct entry_space *space,
		struct layer_entry *out, struct coffer_error *err);

#endif /* IMAGE_LAYER_ENTRY_H */
