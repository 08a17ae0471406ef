/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_check.h - what the image tests share: a scratch directory and a second opinion
 *
 * The second opinion on an image is e2fsck's, and libext2fs's reading side,
 * which shares no code with what wrote it beyond the library.
 */
#ifndef TESTS_IMAGE_CHECK_H
#define TESTS_IMAGE_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <ext2fs/ext2fs.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "image/ext4.h"

struct scratch {
	char path[64];
	int dirfd; /* of path */
	int tree;  /* of path/tree, an empty directory at first */
	int image; /* of path/image, an empty file at first */
};

static inline int scratch_setup(void **state)
{
	static struct scratch s;

	umask(0);
	strcpy(s.path, "/tmp/coffer-test-XXXXXX");
	if (!mkdtemp(s.path))
		return -1;
	s.dirfd = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(s.dirfd, "tree", 0755);
	s.tree = openat(s.dirfd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s.image = openat(s.dirfd, "image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*state = &s;
	return s.tree < 0 || s.image < 0 ? -1 : 0;
}

static inline int scratch_teardown(void **state)
{
	struct scratch *s = *state;

	path_remove_tree(s->dirfd, "tree", NULL);
	unlinkat(s->dirfd, "image", 0);
	close(s->image);
	close(s->tree);
	close(s->dirfd);
	return rmdir(s->path);
}

/* A file of @len bytes of @fill at @off. */
static inline void put_file(int dirfd, const char *name, off_t off, size_t len, char fill)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	autofree char *data = malloc(len + 1);

	assert_true(fd >= 0);
	memset(data, fill, len);
	assert_int_equal(pwrite(fd, data, len, off), len);
}

/* Return: exit status of "e2fsck -fn" on the image */
static inline int run_e2fsck(const struct scratch *s)
{
	char path[128];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/image", s->path);
	pid = fork();
	if (pid == 0) {
		setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		dup2(2, 1);
		execlp("e2fsck", "e2fsck", "-fn", path, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline ext2_filsys image_open(const struct scratch *s)
{
	ext2_filsys fs;
	char path[128];

	snprintf(path, sizeof(path), "%s/image", s->path);
	assert_int_equal(ext2fs_open(path, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs), 0);
	assert_int_equal(ext2fs_read_bitmaps(fs), 0);
	return fs;
}

/* The inode of @path, 0 when there is none. Links are not followed at the end. */
static inline ext2_ino_t image_lookup(ext2_filsys fs, const char *path)
{
	ext2_ino_t ino = 0;

	if (ext2fs_namei(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, &ino))
		return 0;
	return ino;
}

static inline struct ext2_inode_large image_stat(ext2_filsys fs, const char *path)
{
	struct ext2_inode_large inode = { 0 };
	ext2_ino_t ino = image_lookup(fs, path);

	assert_int_not_equal(ino, 0);
	assert_int_equal(ext2fs_read_inode_full(fs, ino, EXT2_INODE(&inode), sizeof(inode)), 0);
	return inode;
}

/* Read @len bytes at @off of a file. */
static inline void image_read(ext2_filsys fs, const char *path, uint64_t off, void *buf,
			      unsigned len)
{
	ext2_file_t file;
	unsigned got;

	assert_int_equal(ext2fs_file_open(fs, image_lookup(fs, path), 0, &file), 0);
	assert_int_equal(ext2fs_file_llseek(file, off, EXT2_SEEK_SET, NULL), 0);
	assert_int_equal(ext2fs_file_read(file, buf, len, &got), 0);
	assert_int_equal(got, len);
	ext2fs_file_close(file);
}

/* Build the scratch tree's image (@args: NULL for none); it must be sound. */
static inline void build_ok(const struct scratch *s, const struct ext4_build_args *args)
{
	static const struct ext4_build_args plain;
	struct coffer_error e = COFFER_ERROR_INIT;

	if (ext4_build_from_dir(s->tree, s->image, args ? args : &plain, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(run_e2fsck(s), 0);
}

#endif /* TESTS_IMAGE_CHECK_H */
