/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_sentry_cpio.c - archives that may say anything become files, or are refused
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/vfs/cpio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct mount_table *mounts;
	struct super *super;
	struct vfs_path at;
	int r;

	if (!kernel.memory && memfile_new(0, &kernel.memory, NULL) < 0)
		abort();
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (tmpfs_new(16 << 20, 0755, &super) < 0)
		abort();
	mounts = mount_table_new(super, 0);
	mount_table_root(mounts, &at);
	r = cpio_unpack(fd, &at, &err);
	assert(r == 0 || err.message[0]);
	path_put(&at);
	mount_table_put(mounts);
	return 0;
}
