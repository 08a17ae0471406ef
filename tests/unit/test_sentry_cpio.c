/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives in the application kernel: what cpio(1) makes is unpacked, what lies is refused
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "sentry/mm/memfile.h"
#include "sentry/vfs/cpio.h"
#include "sentry_tree.h"

static char dir[] = "/tmp/coffer-cpio-XXXXXX";

struct archive {
	char data[65536];
	size_t n;
};

/* An entry as it would be right; what is wrong about it is in the name or the numbers. */
static void add(struct archive *a, const char *name, unsigned mode, const char *data, unsigned nlink,
		unsigned ino)
{
	size_t len = data ? strlen(data) : 0;

	a->n += (size_t)sprintf(a->data + a->n,
				"070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ino, mode,
				1, 2, nlink, 1000000000, len, 8, 1, 0, 0, strlen(name) + 1, 0);
	strcpy(a->data + a->n, name);
	a->n += strlen(name) + 1;
	while (a->n & 3)
		a->data[a->n++] = 0;
	if (data)
		memcpy(a->data + a->n, data, len);
	a->n += len;
	while (a->n & 3)
		a->data[a->n++] = 0;
}

static void open_memory(struct tree *t)
{
	struct super *super;

	assert_int_equal(tmpfs_new(0, 0755, &super), 0);
	tree_open(t, super);
}

static int unpack_fd(struct tree *t, int fd)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct vfs_path root;
	int r;

	mount_table_root(t->mounts, &root);
	r = cpio_unpack(fd, &root, &err);
	path_put(&root);
	if (r < 0)
		assert_true(err.message[0]);
	return r;
}

static int unpack(struct tree *t, struct archive *a)
{
	int fd = memfd_create("archive", MFD_CLOEXEC), r;

	assert_int_equal(write(fd, a->data, a->n), (ssize_t)a->n);
	r = unpack_fd(t, fd);
	close(fd);
	return r;
}

static void test_real_archive(void **state)
{
	struct tree t;
	struct stat st;
	char path[64], target[16] = "";
	int fd;

	if (host("command -v cpio >/dev/null && cd %s && mkdir -p r/a/b && cd r && echo hello >a/f && ln a/f "
		 "a/b/g && ln -s f a/l && mkfifo a/p && seq 1 50000 >big && chmod 2751 a/b && TZ=UTC touch -d "
		 "2001-02-03 a/f && find . | cpio -o -H newc >../archive 2>/dev/null", dir) != 0) {
		print_message("needs cpio\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/archive", dir);
	fd = open(path, O_RDONLY);
	open_memory(&t);
	assert_int_equal(unpack_fd(&t, fd), 0);
	close(fd);
	assert_string_equal(t_list(&t, "/", NULL, NULL), "a big");
	assert_string_equal(t_list(&t, "/a", NULL, NULL), "b f l p");
	assert_content(&t, "/a/f", "hello\n");
	assert_content(&t, "/a/b/g", "hello\n");
	assert_int_equal(t_lstat(&t, "/a/f", &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtim.tv_sec, 981158400);
	assert_int_equal(t_lstat(&t, "/a/b", &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 02751);
	assert_int_equal(t_lstat(&t, "/a/p", &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(T_ON(&t, "/a/l", WALK_NOFOLLOW,
			      inode->ops->readlink(inode, target, sizeof(target))), 1);
	assert_int_equal(t_lstat(&t, "/big", &st), 0);
	assert_int_equal(st.st_size, 288894);
	tree_close(&t);
}

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int result;
	} rows[] = {
		{ "ok", 0 },	     { "/ok", 0 },	  { "./ok", 0 },       { "d//ok", 0 },
		{ "d/./ok", 0 },     { "d/ok/", 0 },	  { "../x", -EBADMSG }, { "d/../x", -EBADMSG },
		{ "l/x", -EBADMSG }, { "f/x", -EBADMSG }, { "none/x", -EBADMSG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct archive a = { .n = 0 };
		struct tree t;

		add(&a, "d", S_IFDIR | 0755, NULL, 2, 1);
		add(&a, "l", S_IFLNK | 0777, "/", 1, 2);
		add(&a, "f", S_IFREG | 0644, "data", 1, 3);
		add(&a, rows[i].name, S_IFREG | 0644, "content", 1, 4);
		add(&a, "TRAILER!!!", 0, NULL, 1, 0);
		open_memory(&t);
		assert_int_equal(unpack(&t, &a), rows[i].result);
		assert_int_equal(t_exists(&t, "/x"), -ENOENT);
		tree_close(&t);
	}
}

static void test_what_is_there(void **state)
{
	struct archive a = { .n = 0 }, b = { .n = 0 };
	struct tree t;

	add(&a, "d", S_IFDIR | 0700, NULL, 2, 1);
	add(&a, "d", S_IFDIR | 0755, NULL, 2, 1);
	add(&a, "f", S_IFREG | 0644, "first", 1, 2);
	add(&a, "f", S_IFREG | 0644, "second", 1, 3);
	add(&a, "l", S_IFLNK | 0777, "f", 1, 4);
	add(&a, "l", S_IFREG | 0644, "no link", 1, 5);
	add(&a, "h1", S_IFREG | 0644, NULL, 2, 6);
	add(&a, "h2", S_IFREG | 0644, "both", 2, 6);
	add(&a, "TRAILER!!!", 0, NULL, 1, 0);
	open_memory(&t);
	assert_int_equal(unpack(&t, &a), 0);
	assert_content(&t, "/f", "second");
	assert_content(&t, "/l", "no link");
	assert_content(&t, "/h1", "both");
	add(&b, "d", S_IFREG | 0644, "x", 1, 1);
	assert_int_equal(unpack(&t, &b), -EBADMSG);
	tree_close(&t);
}

static void test_damaged(void **state)
{
	struct archive good = { .n = 0 };

	add(&good, "d", S_IFDIR | 0755, NULL, 2, 1);
	add(&good, "d/f", S_IFREG | 0644, "some data", 1, 2);
	add(&good, "d/l", S_IFLNK | 0777, "f", 1, 3);
	add(&good, "TRAILER!!!", 0, NULL, 1, 0);
	/* Cut anywhere */
	for (size_t n = 0; n < good.n - 16; n++) {
		struct archive a = good;
		struct tree t;

		a.n = n;
		open_memory(&t);
		assert_int_equal(unpack(&t, &a), -EBADMSG);
		tree_close(&t);
	}
	/* Every byte of it another one: whatever that is */
	for (size_t i = 0; i < good.n; i++) {
		struct archive a = good;
		struct tree t;

		a.data[i] = (char)(a.data[i] + 1 + (int)(i % 7));
		open_memory(&t);
		unpack(&t, &a);
		tree_close(&t);
	}
}

static int group_setup(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	umask(022);
	assert_non_null(mkdtemp(dir));
	host_start();
	if (memfile_new(0, &kernel.memory, &err) < 0)
		fail_msg("%s", err.message);
	return 0;
}

static int group_teardown(void **state)
{
	host("rm -rf %s", dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_archive),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_is_there),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
