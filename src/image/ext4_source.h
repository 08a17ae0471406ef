/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_source.h - reading what the tree walker found
 */
#ifndef IMAGE_EXT4_SOURCE_H
#define IMAGE_EXT4_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/sysmacros.h>

#include "image/ext4.h"
#include "image/ext4_writer.h"
#include "image/tree.h"

/* ext4_source_check() - Return: -ECANCELED when the caller has had enough, else 0 */
static inline int ext4_source_check(const struct ext4_build_args *args, struct coffer_error *err)
{
	if (!args->is_cancelled || !args->is_cancelled(args->data))
		return 0;
	return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
}

static inline uint64_t ext4_source_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

/* ext4_source_is_sparse() - Whether the file may have holes */
static inline bool ext4_source_is_sparse(const struct statx *st)
{
	return st->stx_blocks * 512 < st->stx_size;
}

/* ext4_source_open() - Open what was seen as a regular file; -ESTALE when it is that no more */
int ext4_source_open(const struct tree_entry *e, int *fd, struct coffer_error *err);

/**
 * ext4_source_segment() - The next stretch of data at or after an offset, in whole blocks
 * @fd:		The file
 * @size:	Its size when it was first seen; nothing beyond is returned
 * @sparse:	Ask for holes; without, all is one stretch
 * @off:	In: where to look; out: where the stretch begins
 * @len:	Set to its length
 *
 * Return: 1, 0 when there is no more data, or negative errno
 */
int ext4_source_segment(int fd, uint64_t size, bool sparse, uint64_t *off, uint64_t *len,
			struct coffer_error *err);

/* ext4_source_has_xattrs() - Return: 1 when there may be some, 0, or negative errno */
int ext4_source_has_xattrs(const struct tree_entry *e, struct coffer_error *err);
/* ext4_source_xattrs() - Read those that ext4 can hold into @out, owned by the caller */
int ext4_source_xattrs(const struct tree_entry *e, struct ext4_xattrs *out,
		       struct coffer_error *err);
void ext4_source_xattrs_free(struct ext4_xattrs *x);

#endif /* IMAGE_EXT4_SOURCE_H */
