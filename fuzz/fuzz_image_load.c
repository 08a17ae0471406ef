/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_image_load.c - archives that may hold anything become whole images or nothing
 *
 * What is taken is in the store without a fault; what is not leaves no blob
 * there.  Checksums of headers are made right, or few would get in.
 */
#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "image/images.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_BLOCK    512
#define FUZZ_MAGIC    257 /* where a header has it, and its checksum */
#define FUZZ_CHECKSUM 148

static struct coffer_images *fuzz_images;
static char fuzz_dir[] = "/dev/shm/coffer-fuzz-XXXXXX";

static void fuzz_end(void)
{
	char command[96];

	coffer_images_close(fuzz_images);
	snprintf(command, sizeof(command), "rm -rf %s", fuzz_dir);
	assert(system(command) == 0);
}

static void fuzz_begin(void)
{
	struct coffer_images_config config = COFFER_IMAGES_CONFIG_INIT;

	if (fuzz_images)
		return;
	assert(mkdtemp(fuzz_dir));
	setenv("XDG_CONFIG_HOME", fuzz_dir, 1);
	config.dir = fuzz_dir;
	assert(coffer_images_open(&config, &fuzz_images, NULL) == 0);
	atexit(fuzz_end);
}

static void fuzz_fix_checksums(uint8_t *p, size_t n)
{
	for (; n >= FUZZ_BLOCK; p += FUZZ_BLOCK, n -= FUZZ_BLOCK) {
		unsigned sum = 0;
		char text[8];

		if (memcmp(p + FUZZ_MAGIC, "ustar", 5) != 0)
			continue;
		memset(p + FUZZ_CHECKSUM, ' ', sizeof(text));
		for (size_t i = 0; i < FUZZ_BLOCK; i++)
			sum += p[i];
		snprintf(text, sizeof(text), "%06o", sum);
		memcpy(p + FUZZ_CHECKSUM, text, sizeof(text) - 1);
	}
}

static int fuzz_count(const char *folder)
{
	char path[96];
	autoclosedir DIR *d = NULL;
	int n = -2; /* "." and ".." */

	snprintf(path, sizeof(path), "%s/%s", fuzz_dir, folder);
	d = opendir(path);
	assert(d);
	while (readdir(d))
		n++;
	return n;
}

static void fuzz_load(int fd)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = coffer_images_load(fuzz_images, fd, NULL, NULL, NULL, &err);

	assert(r == 0 || (err.kind != COFFER_ERR_NONE && err.message[0]));
	assert(fuzz_count("parts") == 0 && fuzz_count("leases") == 0);
	if (r < 0) {
		assert(fuzz_count("blobs/sha256") == 0 && fuzz_count("blobs/sha512") == 0);
		return;
	}
	assert(coffer_images_check(fuzz_images, false, NULL, NULL, NULL) == 0);
	assert(store_prune(fuzz_images->store, true, NULL, NULL) == 0);
	assert(fuzz_count("blobs/sha256") == 0 && fuzz_count("blobs/sha512") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
	autofree uint8_t *copy = malloc(size + 1);

	fuzz_begin();
	memcpy(copy, data, size);
	fuzz_fix_checksums(copy, size);
	assert(io_write_full(fd, copy, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	fuzz_load(fd);
	return 0;
}
