/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_archive_unpack.c - an archive that may do anything but leave its directory
 *
 * First byte: options; the rest is the archive.  Beside the destination lies a
 * directory with a file; after each run both are as they were, and nothing
 * else is there.  What a distrusted archive makes gives nobody a right, and a
 * file that was there before has got no second name.  Checksums of headers are
 * made right, or few would get in.
 */
#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/unpack.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_FILE_MAX (1u << 20)
#define FUZZ_BLOCK    512
#define FUZZ_MAGIC    257 /* where a header has it, and its checksum */
#define FUZZ_CHECKSUM 148
#define FUZZ_TEXT     "untouched"

static char fuzz_path[] = "/tmp/fuzz-unpack-XXXXXX";
static int fuzz_dir = -1;
static struct stat fuzz_other;

static void fuzz_cleanup(void)
{
	path_remove_tree(AT_FDCWD, fuzz_path, NULL);
}

static void fuzz_setup(void)
{
	const struct rlimit file = { FUZZ_FILE_MAX, FUZZ_FILE_MAX };

	if (!mkdtemp(fuzz_path))
		abort();
	atexit(fuzz_cleanup);
	fuzz_dir = open(fuzz_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fuzz_dir < 0 || mkdirat(fuzz_dir, "other", 0755) < 0 ||
	    io_swap_file(fuzz_dir, "other/file", FUZZ_TEXT, strlen(FUZZ_TEXT), 0644, NULL) < 0 ||
	    fstatat(fuzz_dir, "other/file", &fuzz_other, 0) < 0)
		abort();
	setrlimit(RLIMIT_FSIZE, &file);
	signal(SIGXFSZ, SIG_IGN);
}

static void fuzz_check(void)
{
	autofree char *text = NULL;
	struct stat st;

	assert(fstatat(fuzz_dir, "other/file", &st, 0) == 0);
	assert(st.st_ino == fuzz_other.st_ino && st.st_nlink == 1 && st.st_uid == fuzz_other.st_uid);
	assert(st.st_mode == fuzz_other.st_mode && st.st_mtim.tv_sec == fuzz_other.st_mtim.tv_sec);
	assert(io_read_file(fuzz_dir, "other/file", FUZZ_FILE_MAX, &text, NULL, NULL) == 0);
	assert(strcmp(text, FUZZ_TEXT) == 0);
	/* Itself, its parent, dest, other; no more directories, and no files that count here. */
	assert(fstat(fuzz_dir, &st) == 0 && st.st_nlink == 4);
	assert(fstatat(fuzz_dir, "other", &st, 0) == 0 && st.st_nlink == 2);
}

static int fuzz_look(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	assert(!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode));
	assert(S_ISLNK(st->st_mode) || !(st->st_mode & 07000));
	assert(st->st_uid == geteuid());
	return 0;
}

static void fuzz_check_rights(int kept)
{
	char path[sizeof(fuzz_path) + 8];
	struct stat st;

	snprintf(path, sizeof(path), "%s/dest", fuzz_path);
	nftw(path, fuzz_look, 16, FTW_PHYS);
	assert(fstat(kept, &st) == 0 && st.st_nlink <= 1 && (st.st_mode & 07777) == 0600);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree uint8_t *copy = malloc(size + 1);
	struct unpack_options o;
	autoclose int fd = -1, dest = -1, kept = -1;

	if (size < 1 || !copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	fuzz_fix_checksums(copy, size - 1);
	if (fuzz_dir < 0)
		fuzz_setup();
	o = (struct unpack_options){
		.gzip = data[0] & 1,
		.keep_owners = data[0] & 2,
		.keep_types = data[0] & 4,
		.absolute = data[0] & 8,
		.rooted = data[0] & 16,
		.root = data[0] & 32 ? "root" : NULL,
		.distrust = data[0] & 64,
	};
	fd = memfd_create("archive", MFD_CLOEXEC);
	if (fd < 0 || io_write_full(fd, copy, size - 1) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    mkdirat(fuzz_dir, "dest", 0755) < 0 || symlinkat("../other", fuzz_dir, "dest/out") < 0 ||
	    io_swap_file(fuzz_dir, "dest/kept", FUZZ_TEXT, strlen(FUZZ_TEXT), 0600, NULL) < 0)
		abort();
	kept = openat(fuzz_dir, "dest/kept", O_PATH | O_CLOEXEC);
	dest = openat(fuzz_dir, "dest", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unpack_tree(fd, dest, &o, NULL, NULL);
	fuzz_check();
	if (o.distrust && !o.keep_owners)
		fuzz_check_rights(kept);
	assert(path_remove_tree(fuzz_dir, "dest", NULL) == 0);
	return 0;
}
