/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/mkext4.c - build tool: mkext4 DIRECTORY IMAGE
 *
 * Packs a directory as the built-in root file system: owned by root whoever
 * builds it, and the same bytes every time.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "image/ext4.h"

#define MKEXT4_FREE  (256 * 1024) /* the guest has a layer of its own for what it writes */
#define MKEXT4_EPOCH 1

static int mkext4_pack(const char *dir, const char *image, struct coffer_error *err)
{
	static const struct ext4_build_args args = { .extra_bytes = MKEXT4_FREE,
						     .owner = EXT4_OWNER_CALLER_TO_ROOT,
						     .reproducible = true,
						     .epoch = MKEXT4_EPOCH };
	autoclose int dirfd = -1, out = -1;

	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, "open %s", dir);
	out = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return err_sys(err, "create %s", image);
	return ext4_build_from_dir(dirfd, out, &args, err);
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (argc != 3) {
		fprintf(stderr, "usage: mkext4 DIRECTORY IMAGE\n");
		return 2;
	}
	if (mkext4_pack(argv[1], argv[2], &err) < 0) {
		fprintf(stderr, "mkext4: %s\n", err.message);
		return 1;
	}
	return 0;
}
