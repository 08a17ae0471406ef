/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/ext4fs.c - an ext4 image as a file system, read-only
 */
#include <errno.h>
#include <unistd.h>

#include "sentry/vfs/vfs.h"

int ext4fs_new(int image_fd, struct super **out)
{
	close(image_fd);
	return -ENOSYS;
}
