/* SPDX-License-Identifier: Apache-2.0 */
/* The walk and the writer hold against hostile, odd and changing trees. */
#include "image_check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

#include "image/ext4_writer.h"
#include "base/inode_map.h"
#include "image/tree.h"

static char seen[4096];

static int note_enter(void *data, const struct tree_entry *entry, struct coffer_error *err)
{
	strcat(strcat(seen, entry->name), "{ ");
	return 0;
}

static int note_leave(void *data, struct coffer_error *err)
{
	strcat(seen, "} ");
	return 0;
}

static int note_entry(void *data, const struct tree_entry *entry, struct coffer_error *err)
{
	strcat(strcat(seen, entry->name), " ");
	return !strcmp(entry->name, "stop") ? err_invalid(err, "told to stop") : 0;
}

static const struct tree_ops note_ops = { note_enter, note_leave, note_entry };

static void test_order_and_links(void **state)
{
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(mkdirat(s->tree, "b", 0755), 0);
	assert_int_equal(mkdirat(s->tree, "b/x", 0755), 0);
	put_file(s->tree, "b/a", 0, 0, 0);
	put_file(s->tree, "c", 0, 0, 0);
	assert_int_equal(symlinkat("/", s->tree, "a"), 0);
	assert_int_equal(symlinkat("b", s->tree, "d"), 0);
	seen[0] = '\0';
	assert_int_equal(tree_walk(s->tree, &note_ops, NULL, &e), 0);
	assert_string_equal(seen, ".{ a b{ a x{ } } c d } ");

	put_file(s->tree, "b/x/stop", 0, 0, 0);
	assert_int_equal(tree_walk(s->tree, &note_ops, NULL, &e), -EINVAL);
	assert_string_equal(e.message, "/b/x/stop: told to stop");
}

static void test_depth_limit(void **state)
{
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int fd = dup(s->tree);

	for (int i = 0; i < TREE_DEPTH_MAX + 5; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0755), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	assert_int_equal(ext4_build_from_dir(s->tree, s->image, &(struct ext4_build_args){ 0 }, &e),
			 -ELOOP);
}

/* What is mounted in the tree is not part of it. */
static void test_mounts_stay_out(void **state)
{
	struct scratch *s = *state;
	char path[128], inner[160];
	ext2_filsys fs;

	assert_int_equal(mkdirat(s->tree, "mnt", 0755), 0);
	assert_int_equal(mkdirat(s->tree, "bind", 0755), 0);
	assert_int_equal(mkdirat(s->tree, "real", 0755), 0);
	put_file(s->tree, "real/here", 0, 1, 'x');
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip(); /* needs root */
	snprintf(path, sizeof(path), "%s/tree/mnt", s->path);
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	snprintf(inner, sizeof(inner), "%s/alien", path);
	assert_int_equal(mkdir(inner, 0755), 0);
	snprintf(inner, sizeof(inner), "%s/tree/bind", s->path);
	snprintf(path, sizeof(path), "%s/tree/real", s->path);
	assert_int_equal(mount(path, inner, NULL, MS_BIND, NULL), 0);
	build_ok(s, NULL);
	umount2(inner, MNT_DETACH);
	snprintf(path, sizeof(path), "%s/tree/mnt", s->path);
	umount2(path, MNT_DETACH);

	fs = image_open(s);
	assert_int_not_equal(image_lookup(fs, "/mnt"), 0);
	assert_int_equal(image_lookup(fs, "/mnt/alien"), 0);
	assert_int_not_equal(image_lookup(fs, "/bind"), 0);
	assert_int_equal(image_lookup(fs, "/bind/here"), 0);
	assert_int_not_equal(image_lookup(fs, "/real/here"), 0);
	ext2fs_close_free(&fs);
}

struct mischief {
	struct scratch *s;
	bool stop;
};

/* Swap a directory, a file, a fifo and links to the outside under one name. */
static void *mischief_run(void *data)
{
	struct mischief *m = data;
	int fd = m->s->tree;

	while (!__atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
		mkdirat(fd, "x", 0755);
		mkdirat(fd, "x/y", 0755);
		unlinkat(fd, "x/y", AT_REMOVEDIR);
		unlinkat(fd, "x", AT_REMOVEDIR);
		if (symlinkat("../secret", fd, "x") < 0)
			continue;
		unlinkat(fd, "x", 0);
		mkfifoat(fd, "x", 0600);
		unlinkat(fd, "x", 0);
		put_file(fd, "x", 0, 9000, 'x');
		put_file(fd, "grow", 0, 20000, 'g');
		unlinkat(fd, "x", 0);
		unlinkat(fd, "grow", 0);
	}
	return NULL;
}

/* Whatever happens, the walk does not hang, does not leave the tree, and never writes rubbish. */
static void test_changing_tree(void **state)
{
	struct scratch *s = *state;
	struct mischief m = { .s = s };
	int good = 0, bad = 0;
	pthread_t thread;

	assert_int_equal(mkdirat(s->dirfd, "secret", 0755), 0);
	put_file(s->dirfd, "secret/y", 0, 10, 's');
	assert_int_equal(pthread_create(&thread, NULL, mischief_run, &m), 0);
	for (int i = 0; i < 300; i++) {
		struct coffer_error e = COFFER_ERROR_INIT;
		struct ext4_build_args args = { 0 };
		struct ext2_inode_large in = { 0 };
		ext2_filsys fs;
		ext2_ino_t ino;

		if (ext4_build_from_dir(s->tree, s->image, &args, &e) < 0) {
			assert_true(e.message[0] == '/' || strstr(e.message, "full"));
			bad++;
			continue;
		}
		good++;
		fs = image_open(s);
		ino = image_lookup(fs, "/x/y");
		if (ino) {
			ext2fs_read_inode_full(fs, ino, EXT2_INODE(&in), sizeof(in));
			assert_true(S_ISDIR(in.i_mode));
		}
		ext2fs_close_free(&fs);
		if (good % 20 == 0)
			assert_int_equal(run_e2fsck(s), 0);
	}
	__atomic_store_n(&m.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	path_remove_tree(s->dirfd, "secret", NULL);
	assert_true(good + bad == 300 && good > 0);
}

static void test_writer_refuses(void **state)
{
	static const char *const names[] = { "", ".", "..", "a/b", "/" };
	static const struct ext4_xattrs none;
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct ext4_format format = { .blocks = 10, .grow = true, .inodes = 20 };
	struct ext4_meta meta = { .mode = S_IFDIR | 0755 };
	CLEANUP(ext4_writer_freep) struct ext4_writer *w = NULL;
	struct ext4_dir *root, *dir;
	char long_name[300];
	uint32_t ino;

	memset(long_name, 'n', sizeof(long_name));
	long_name[256] = '\0';
	assert_int_equal(ext4_writer_open(s->image, &format, &w, &e), 0);
	assert_int_equal(ext4_dir_open(w, NULL, "", &meta, &root, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(ext4_writer_symlink(w, root, names[i], &meta, "t", &none, &ino, &e),
				 -EINVAL);
	assert_int_equal(ext4_dir_open(w, root, long_name, &meta, &dir, &e), -EINVAL);
	assert_int_equal(ext4_writer_symlink(w, root, "l", &meta, "", &none, &ino, &e), -EINVAL);
	/* Open directories: not an image yet. */
	assert_int_equal(ext4_writer_finish(w, &e), -EBUSY);
}

/* Front ends that asked for too little get an error, not a broken image. */
static void test_writer_full(void **state)
{
	static const struct ext4_xattrs none;
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct ext4_format format = { .blocks = 1, .grow = true, .inodes = 1 };
	struct ext4_meta meta = { .mode = S_IFREG | 0644 };
	CLEANUP(ext4_writer_freep) struct ext4_writer *w = NULL;
	struct ext4_file *file;
	struct ext4_dir *root;
	char name[16];
	uint32_t ino;
	int r = 0;

	put_file(s->tree, "data", 0, 4 << 20, 'x');
	assert_int_equal(ext4_writer_open(s->image, &format, &w, &e), 0);
	assert_int_equal(ext4_dir_open(w, NULL, "", &meta, &root, &e), 0);
	assert_int_equal(ext4_file_open(w, root, "f", &meta, &file, &e), 0);
	{
		autoclose int fd = openat(s->tree, "data", O_RDONLY | O_CLOEXEC);

		assert_int_equal(ext4_file_copy(w, file, fd, 0, 8 << 20, &e), -ENOSPC);
	}
	for (int i = 0; i < 1000 && r == 0; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		r = ext4_writer_symlink(w, root, name, &meta, "t", &none, &ino, &e);
	}
	assert_int_equal(r, -ENOSPC);
}

static void test_short_source(void **state)
{
	struct scratch *s = *state;
	struct coffer_error e = COFFER_ERROR_INIT;
	struct ext4_format format = { .blocks = 1000, .grow = true, .inodes = 1 };
	struct ext4_meta meta = { .mode = S_IFREG | 0644 };
	CLEANUP(ext4_writer_freep) struct ext4_writer *w = NULL;
	autoclose int fd = -1;
	struct ext4_file *file;
	struct ext4_dir *root;

	put_file(s->tree, "data", 0, 5000, 'x');
	fd = openat(s->tree, "data", O_RDONLY | O_CLOEXEC);
	assert_int_equal(ext4_writer_open(s->image, &format, &w, &e), 0);
	assert_int_equal(ext4_dir_open(w, NULL, "", &meta, &root, &e), 0);
	assert_int_equal(ext4_file_open(w, root, "f", &meta, &file, &e), 0);
	assert_int_equal(ext4_file_copy(w, file, fd, 0, 1 << 20, &e), -ESTALE);
}

static void test_inode_map(void **state)
{
	CLEANUP(inode_map_free) struct inode_map map = { 0 };

	assert_int_equal(inode_map_get(&map, 1, 2), 0);
	for (uint32_t i = 1; i < 5000; i++)
		assert_int_equal(inode_map_put(&map, i % 3, i, i), 0);
	for (uint32_t i = 1; i < 5000; i++) {
		assert_int_equal(inode_map_get(&map, i % 3, i), i);
		assert_int_equal(inode_map_get(&map, 7, i), 0);
	}
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(test_order_and_links),
		image_test(test_depth_limit),
		image_test(test_mounts_stay_out),
		image_test(test_changing_tree),
		image_test(test_writer_refuses),
		image_test(test_writer_full),
		image_test(test_short_source),
		cmocka_unit_test(test_inode_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
