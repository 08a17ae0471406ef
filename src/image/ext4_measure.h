/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_measure.h - what a directory tree will need in an image
 */
#ifndef IMAGE_EXT4_MEASURE_H
#define IMAGE_EXT4_MEASURE_H

#include <stdint.h>

#include "image/ext4.h"

/**
 * ext4_measure_tree() - Count without writing
 * @dirfd:	The tree's root (borrowed)
 * @args:	Whether to go on is asked here
 * @blocks:	Set to the blocks its entries will need at most
 * @inodes:	Set to the inodes, the root's included
 *
 * Return: 0 or negative errno with @err naming the path
 */
int ext4_measure_tree(int dirfd, const struct ext4_build_args *args, uint64_t *blocks,
		      uint32_t *inodes, struct coffer_error *err);

#endif /* IMAGE_EXT4_MEASURE_H */
