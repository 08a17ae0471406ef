/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_sentry_tar.c - tar archives that may say anything: entries are what was promised of them
 *
 * The first byte's lowest bit says whether the archive may be compressed.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/control/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A compressed archive may be long. */
#define FUZZ_ENTRIES 1000

static void fuzz_entry(struct tar *t, const struct tar_entry *e, struct coffer_error *err)
{
	uint64_t offset, end = 0;
	const char *name;
	const void *value;
	size_t pos = 0, len;
	long n;

	assert(strlen(e->path) < 4096 && strlen(e->link) < 4096);
	assert(e->mtime.tv_nsec >= 0 && e->mtime.tv_nsec < 1000000000);
	while (tar_xattr(e, &pos, &name, &value, &len))
		assert(*name && strlen(name) <= 255 && len <= 65536);
	while ((n = tar_data(t, &value, &offset, err)) > 0) {
		assert(S_ISREG(e->mode));
		assert(offset >= end && (uint64_t)n <= e->size && offset <= e->size - (uint64_t)n);
		end = offset + (uint64_t)n;
	}
	assert(n == 0 || err->message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	CLEANUP(tar_freep) struct tar *t = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct tar_entry *e;
	int r = 0;

	if (size == 0)
		return 0;
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1 ||
	    lseek(fd, 0, SEEK_SET) < 0 || tar_new(fd, &t, &err) < 0)
		abort();
	if ((data[0] & 1) && tar_gunzip(t, &err) < 0)
		abort();
	for (unsigned i = 0; i < FUZZ_ENTRIES && (r = tar_next(t, &e, &err)) > 0; i++)
		fuzz_entry(t, e, &err);
	assert(r >= 0 || err.message[0]);
	return 0;
}
