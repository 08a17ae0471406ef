/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: random calls on a file system in memory and on the host's, each answering the same.
 *
 * The host's side works below a root directory of its own (chroot), so that absolute links mean the
 * same there. Objects are told apart by inode number; a descriptor of each host object is kept,
 * so that no number is used twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry_world.h"

#define STEPS	30000
#define OBJECTS 8192

struct same {
	uint64_t host, ours;
	int fd; /* keeps the number */
};

static struct world *world;
static struct same same[OBJECTS];
static unsigned nsame;
static unsigned seed;
static char detail[256]; /* of the last step */

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 10) % n;
}

/* pick_path() - Few names, so that they meet; links, dots and slashes in every place */
static const char *pick_path(char *buf)
{
	static const char *const names[] = { "a", "b", "c", "d", "a", "b", "..", ".", "l", "m", "" };
	unsigned n = 1 + pick(4);

	*buf = 0;
	if (pick(4) == 0)
		strcat(buf, "/");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			strcat(buf, "/");
		strcat(buf, names[pick(ARRAY_SIZE(names))]);
	}
	if (pick(6) == 0)
		strcat(buf, "/");
	return buf;
}

/* check_same() - Two objects that one path leads to are one object ever after */
static void check_same(const struct stat *host, const struct stat *ours, int fd)
{
	assert_int_equal(host->st_mode & S_IFMT, ours->st_mode & S_IFMT);
	if (!S_ISDIR(host->st_mode))
		assert_int_equal(host->st_nlink, ours->st_nlink);
	if (S_ISREG(host->st_mode) || S_ISLNK(host->st_mode))
		assert_int_equal(host->st_size, ours->st_size);
	for (unsigned i = 0; i < nsame; i++) {
		assert_int_equal(same[i].host == host->st_ino, same[i].ours == ours->st_ino);
		if (same[i].host == host->st_ino) {
			if (fd >= 0)
				close(fd);
			return;
		}
	}
	assert_true(nsame < OBJECTS);
	same[nsame++] = (struct same){ host->st_ino, ours->st_ino, fd };
}

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static struct walk walk_of(void)
{
	return world_walk(world, &world->root);
}

static void step_make(const char *path, int *host, int *ours)
{
	char target[64];

	switch (pick(3)) {
	case 0:
		*host = result(mkdir(path, 0755));
		*ours = world_make(world, &world->root, path, S_IFDIR | 0755, NULL);
		break;
	case 1:
		*host = result(mknod(path, S_IFREG | 0644, 0));
		*ours = world_make(world, &world->root, path, S_IFREG | 0644, NULL);
		break;
	default:
		if (!*pick_path(target))
			strcpy(target, "x");
		snprintf(detail, sizeof(detail), "to %s", target);
		*host = result(symlink(target, path));
		*ours = world_make(world, &world->root, path, S_IFLNK | 0777, target);
		break;
	}
}

static void step_remove(const char *path, int *host, int *ours)
{
	struct walk walk = walk_of();
	bool dir = pick(2);

	*host = result(dir ? rmdir(path) : unlink(path));
	*ours = vfs_unlink(&walk, path, dir);
	walk_end(&walk);
}

static void step_link(const char *path, int *host, int *ours)
{
	struct walk from = walk_of(), to = walk_of();
	char other[64];

	pick_path(other);
	snprintf(detail, sizeof(detail), "to %s", other);
	*host = result(link(path, other));
	*ours = vfs_walk(&from, path, WALK_NOFOLLOW);
	if (*ours == 0)
		*ours = vfs_link(&from, &to, other);
	walk_end(&from);
	walk_end(&to);
}

static void step_rename(const char *path, int *host, int *ours)
{
	static const unsigned flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, 3 };
	struct walk from = walk_of(), to = walk_of();
	unsigned flag = flags[pick(ARRAY_SIZE(flags))];
	char other[64];

	pick_path(other);
	snprintf(detail, sizeof(detail), "to %s, flags %u", other, flag);
	*host = result(renameat2(AT_FDCWD, path, AT_FDCWD, other, flag));
	*ours = vfs_rename(&from, path, &to, other, flag);
	walk_end(&from);
	walk_end(&to);
}

static void step_stat(const char *path, int *host, int *ours)
{
	bool follow = pick(2);
	struct vfs_path found;
	struct stat a, b;
	int fd = open(path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));

	*host = result(fd);
	*ours = world_find(world, &world->root, path, follow ? 0 : WALK_NOFOLLOW, &found);
	if (*ours)
		return;
	assert_int_equal(vfs_stat(&found, &b), 0);
	path_put(&found);
	if (*host == 0) {
		assert_int_equal(fstat(fd, &a), 0);
		check_same(&a, &b, fd);
	}
}

static void step_open(const char *path, int *host, int *ours)
{
	static const struct {
		uint64_t host;
		unsigned ours;
	} resolves[] = {
		{ 0, 0 },
		{ 0, 0 },
		{ RESOLVE_BENEATH, WALK_BENEATH },
		{ RESOLVE_IN_ROOT, WALK_IN_ROOT },
		{ RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS },
	};
	static const unsigned flags[] = { O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_PATH };
	unsigned how = pick(3), resolve = pick(ARRAY_SIZE(resolves));
	struct walk walk = walk_of();
	struct file *file = NULL;
	struct stat a, b;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (pick(3) == 0)
			how |= flags[i];
	if (!(how & O_CREAT) || (how & O_PATH))
		how &= ~(unsigned)(O_EXCL | O_CREAT);
	if (how & O_PATH)
		how &= O_PATH | O_DIRECTORY | O_NOFOLLOW;
	if (how & O_CREAT)
		how &= ~(unsigned)O_DIRECTORY;
	struct open_how open_how = { .flags = how | O_CLOEXEC, .mode = how & O_CREAT ? 0644 : 0,
				     .resolve = resolves[resolve].host };
	int dir = -1, fd;

	snprintf(detail, sizeof(detail), "flags %o, resolve %u", how, resolve);
	/* From the directory "a", if there is one, or from the root. */
	if (pick(2) && world_find(world, &world->root, "a", WALK_DIRECTORY, &walk.start) == 0)
		dir = open("a", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = (int)syscall(SYS_openat2, dir < 0 ? AT_FDCWD : dir, path, &open_how, sizeof(open_how));
	*host = result(fd);
	*ours = vfs_open(&walk, path, how, 0644, resolves[resolve].ours, &file);
	walk_end(&walk);
	close_fd(&dir);
	if (*host == 0 && *ours == 0) {
		assert_int_equal(fstat(fd, &a), 0);
		assert_int_equal(file_stat(file, &b), 0);
		check_same(&a, &b, fd);
	}
	file_put(file);
}

static const struct {
	const char *name;
	void (*step)(const char *path, int *host, int *ours);
} steps[] = {
	{ "make", step_make },	   { "make", step_make }, { "remove", step_remove },
	{ "link", step_link },	   { "stat", step_stat }, { "rename", step_rename },
	{ "rename", step_rename }, { "stat", step_stat }, { "open", step_open },
	{ "open", step_open },
};

/* Differs with the host's file system, and with its age. */
static bool tolerated(int host, int ours)
{
	/* rename of or over a directory that is not empty; either is allowed. */
	return (host == -EEXIST || host == -ENOTEMPTY) && (ours == -EEXIST || ours == -ENOTEMPTY);
}

struct names {
	char **name;
	size_t n;
	struct dir_sink sink;
};

static int names_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned char type, int64_t next)
{
	struct names *names = container_of(sink, struct names, sink);

	names->name = realloc(names->name, (names->n + 1) * sizeof(char *));
	names->name[names->n++] = strndup(name, len);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* compare_dirs() - What is in @path, and beneath it */
static void compare_dirs(const char *path)
{
	struct names ours = { .sink.emit = names_emit };
	struct file *file;
	struct dirent **list;
	int n = scandir(path, &list, NULL, NULL);

	assert_true(n >= 0);
	assert_int_equal(world_open(world, &world->root, path, O_RDONLY | O_DIRECTORY, 0, &file), 0);
	assert_int_equal(file->ops->readdir(file, &ours.sink), 0);
	file_put(file);
	assert_int_equal(n, ours.n);
	qsort(ours.name, ours.n, sizeof(char *), by_name);
	struct names host = { .n = 0 };

	for (int i = 0; i < n; i++)
		names_emit(&host.sink, list[i]->d_name, strlen(list[i]->d_name), 0, 0, 0);
	qsort(host.name, host.n, sizeof(char *), by_name);
	for (int i = 0; i < n; i++) {
		struct stat st;
		char below[PATH_MAX];

		assert_string_equal(host.name[i], ours.name[i]);
		snprintf(below, sizeof(below), "%s/%s", path, host.name[i]);
		if (host.name[i][0] != '.' && lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			compare_dirs(below);
		free(list[i]);
		free(host.name[i]);
		free(ours.name[i]);
	}
	free(list);
	free(host.name);
	free(ours.name);
}

static void run(void **state)
{
	char path[128];

	world = world_new();
	for (unsigned i = 0; i < STEPS; i++) {
		unsigned at = pick(ARRAY_SIZE(steps));
		int host = 0, ours = 0;

		pick_path(path);
		unsigned before = seed;

		detail[0] = 0;
		steps[at].step(path, &host, &ours);
		if (host != ours && !tolerated(host, ours)) {
			print_error("step %u (seed %u): %s %s: host %s, ours %s; %s\n", i, before,
				    steps[at].name, path, strerrorname_np(-host),
				    strerrorname_np(-ours), detail);
			fail();
		}
		if (i % 1000 == 0)
			compare_dirs("/");
	}
	compare_dirs("/");
	world_free(world);
}

/* enter() - A directory of the host as root; needs a user namespace or root */
static int enter(char *dir, int *old)
{
	*old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*old < 0 || !mkdtemp(dir))
		return -1;
	if (chroot(dir) < 0 && (unshare(CLONE_NEWUSER) < 0 || chroot(dir) < 0))
		return -1;
	return chdir("/");
}

static void leave(const char *dir, int old)
{
	if (fchdir(old) == 0 && chroot(".") == 0) {
		char command[PATH_MAX + 16];

		snprintf(command, sizeof(command), "rm -rf %s", dir);
		if (system(command) != 0)
			print_error("%s is left\n", dir);
	}
	close(old);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(run) };
	char shm[] = "/dev/shm/coffer-names-XXXXXX", tmp[] = "/tmp/coffer-names-XXXXXX";
	char *dir = access("/dev/shm", W_OK) == 0 ? shm : tmp;
	int old = -1, r;

	seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	umask(0);
	if (enter(dir, &old) < 0) {
		printf("no root directory of its own for the host's side: %s\n", strerror(errno));
		return 77;
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	leave(dir, old);
	return r;
}
