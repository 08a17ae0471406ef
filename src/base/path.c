/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/path.c - path resolution by descriptor, confined to a root
 *
 * openat2(2) does the confining; the kernel has it since 5.6 and coffer needs
 * it, so its absence is an error and never a silent fall-back.  EAGAIN (a
 * rename raced with "..") is retried a few times.
 */
#include "base/path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_RETRIES    64
#define PATH_LINKS_MAX  40 /* as many as the kernel follows */
#define PATH_PROC_ROOT_INO 1
#define PATH_NAME_ROOM  (NAME_MAX + 2) /* for one that is too long, so that it is refused */
#define PATH_DEPTH_MAX  512 /* directories held open by path_remove_tree() */
#define PATH_MADE_MAX   250 /* in each other by one call: they have to be removable */

static int path_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	/* O_TMPFILE has the bit of O_DIRECTORY in it. */
	bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = creates ? mode & 07777 : 0,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < PATH_RETRIES; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int path_open_in_root(int rootfd, const char *path, int flags, mode_t mode, struct coffer_error *err)
{
	int fd = path_openat2(rootfd, *path ? path : ".", flags, mode, RESOLVE_IN_ROOT);

	return fd < 0 ? err_sysn(err, fd, "open %s", path) : fd;
}

int path_open_plain(int rootfd, const char *path, int flags, struct coffer_error *err)
{
	int fd = path_openat2(rootfd, *path ? path : ".", flags, 0,
			      RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? err_sysn(err, fd, "open %s", path) : fd;
}

int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct coffer_error *err)
{
	int fd = path_openat2(dirfd, path, flags, mode, RESOLVE_BENEATH);

	return fd < 0 ? err_sysn(err, fd, "open %s", path) : fd;
}

int path_open_proc(const char *path, int flags, struct coffer_error *err)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;
	int fd;

	if (proc < 0 || fstatfs(proc, &fs) < 0 || fstat(proc, &st) < 0)
		return err_sys(err, "open /proc");
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PATH_PROC_ROOT_INO)
		return err_sysn(err, EXDEV, "open /proc/%s: /proc is not a procfs", path);
	fd = path_openat2(proc, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	return fd < 0 ? err_sysn(err, fd, "open /proc/%s", path) : fd;
}

/* A path that is walked from the root and made on the way. */
struct path_walk {
	int rootfd;
	char done[PATH_MAX]; /* resolved so far; "" is the root */
	char rest[PATH_MAX]; /* what comes after it */
	unsigned links, made;
};

/* The next name of w->rest, cut out of it; "" at the end. */
static void path_walk_next(struct path_walk *w, char name[PATH_NAME_ROOM])
{
	size_t start = strspn(w->rest, "/"), len = strcspn(w->rest + start, "/");

	snprintf(name, PATH_NAME_ROOM, "%.*s", (int)len, w->rest + start);
	memmove(w->rest, w->rest + start + len, strlen(w->rest + start + len) + 1);
}

static bool path_walk_at_end(const struct path_walk *w)
{
	return !w->rest[strspn(w->rest, "/")];
}

static int path_walk_open(const struct path_walk *w, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s%s", w->done, w->done[0] && name[0] ? "/" : "",
		     name) >= PATH_MAX)
		return -ENAMETOOLONG;
	return path_openat2(w->rootfd, path[0] ? path : ".", O_PATH, 0, RESOLVE_IN_ROOT);
}

/* @name in @dir is a link that leads nowhere: go on where it points. Return: 0 or -errno */
static int path_walk_follow(struct path_walk *w, int dir, const char *name)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (++w->links > PATH_LINKS_MAX)
		return -ELOOP;
	if (snprintf(rest, sizeof(rest), "%s/%s", target, w->rest) >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(w->rest, rest, strlen(rest) + 1);
	if (target[0] == '/')
		w->done[0] = '\0';
	return 0;
}

/*
 * One more name: made where it is missing, a directory unless it is the last and @file is wanted.
 * The kernel resolves it from the root each time, because it may be a link whose target can only
 * be resolved there.
 */
static int path_walk_step(struct path_walk *w, const char *name, bool file, mode_t mode)
{
	autoclose int dir = -1, fd = path_walk_open(w, name);
	size_t n;
	int r;

	if (fd == -ENOENT) {
		if (w->made++ == PATH_MADE_MAX)
			return -ELOOP;
		dir = path_walk_open(w, "");
		if (dir < 0)
			return dir;
		r = file && path_walk_at_end(w) ? mknodat(dir, name, S_IFREG | mode, 0) :
						  mkdirat(dir, name, file ? 0755 : mode);
		if (r < 0 && errno != EEXIST)
			return -errno;
		if (r < 0 && (r = path_walk_follow(w, dir, name)) != -EINVAL)
			return r; /* EINVAL: no link, somebody was faster */
	} else if (fd < 0) {
		return fd;
	}
	n = strlen(w->done);
	if (snprintf(w->done + n, PATH_MAX - n, "%s%s", n ? "/" : "", name) >= (int)(PATH_MAX - n))
		return -ENAMETOOLONG;
	return 0;
}

/* The first @len bytes of @path with all that is missing. Return: O_PATH descriptor or -errno */
static int path_make(int rootfd, const char *path, size_t len, bool file, mode_t mode,
		     struct coffer_error *err)
{
	struct path_walk w = { .rootfd = rootfd };
	char name[PATH_NAME_ROOM];
	int fd, r = 0;

	if (len >= PATH_MAX)
		return err_sysn(err, ENAMETOOLONG, "make %s", path);
	memcpy(w.rest, path, len);
	/* Common case first: everything is there. */
	fd = path_walk_open(&w, w.rest);
	while (fd == -ENOENT && r == 0) {
		path_walk_next(&w, name);
		if (!name[0])
			break;
		r = path_walk_step(&w, name, file, mode);
	}
	if (r < 0)
		return err_sysn(err, r, "make %.*s", (int)len, path);
	if (fd == -ENOENT)
		fd = path_walk_open(&w, "");
	return fd < 0 ? err_sysn(err, fd, "open %.*s", (int)len, path) : fd;
}

static int path_mkdirs_prefix(int rootfd, const char *path, size_t len, mode_t mode,
			      struct coffer_error *err)
{
	autoclose int fd = path_make(rootfd, path, len, false, mode, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sysn(err, ENOTDIR, "open directory %.*s", (int)len, path);
	return steal_fd(&fd);
}

int path_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct coffer_error *err)
{
	return path_mkdirs_prefix(rootfd, path, strlen(path), mode, err);
}

int path_mkfile_in_root(int rootfd, const char *path, mode_t mode, struct coffer_error *err)
{
	return path_make(rootfd, path, strlen(path), true, mode, err);
}

int path_parent_in_root(int rootfd, const char *path, bool create, const char **name,
			struct coffer_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(slash - path) : 0;
	autofree char *parent = NULL;
	int fd;

	if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
		return err_invalid(err, "path %s: no final name", path);
	*name = last;
	if (create)
		return path_mkdirs_prefix(rootfd, path, len, 0755, err);
	parent = strndup(path, len);
	if (!parent)
		return err_nomem(err);
	fd = path_openat2(rootfd, len ? parent : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	return fd < 0 ? err_sysn(err, fd, "open directory %s", parent) : fd;
}

int path_mkdirs(const char *path, mode_t mode, struct coffer_error *err)
{
	autofree char *copy = strdup(path);

	if (!copy)
		return err_nomem(err);
	for (char *p = copy + 1; copy[0]; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(err, "mkdir %s", copy);
		*p = c;
		if (c == '\0')
			break;
	}
	return 0;
}

static int path_remove_at(int dirfd, const char *name, dev_t dev, unsigned depth,
			  struct coffer_error *err);

static int path_remove_children(int fd, dev_t dev, unsigned depth, struct coffer_error *err)
{
	autoclosedir DIR *d = fdopendir(fd);
	struct dirent *de;
	int r, first = 0;

	if (!d) {
		r = err_sys(err, "read directory");
		close(fd);
		return r;
	}
	while ((de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		r = path_remove_at(dirfd(d), de->d_name, dev, depth + 1, first < 0 ? NULL : err);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

/* The same file system may be mounted there once more, so its number alone tells nothing. */
static int path_check_no_mount(int fd, const char *name, dev_t dev, unsigned depth,
			       struct coffer_error *err)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0)
		return err_sys(err, "stat %s", name);
	if (makedev(st.stx_dev_major, st.stx_dev_minor) != dev ||
	    (depth > 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)))
		return err_sysn(err, EXDEV, "remove %s: a file system is mounted there", name);
	return 0;
}

/* Goes on after a failure, so that as much as possible is gone; reports the first. */
static int path_remove_at(int dirfd, const char *name, dev_t dev, unsigned depth,
			  struct coffer_error *err)
{
	autoclose int fd = -1;
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(err, "remove %s", name);
	if (depth > PATH_DEPTH_MAX)
		return err_sysn(err, ELOOP, "remove %s: nested too deep", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open directory %s", name);
	r = path_check_no_mount(fd, name, dev, depth, err);
	if (r < 0)
		return r;
	r = path_remove_children(steal_fd(&fd), dev, depth, err);
	if (r < 0)
		return err_wrap(err, "%s", name);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, "remove directory %s", name);
	return 0;
}

int path_remove_tree(int dirfd, const char *name, struct coffer_error *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "stat %s", name);
	return path_remove_at(dirfd, name, st.st_dev, 0, err);
}

const char *path_clean(const char *name, size_t max, char out[PATH_MAX])
{
	size_t len = 0, n;

	for (const char *p = name; *p; p += n) {
		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.'))
			continue;
		if (n == 2 && p[0] == '.' && p[1] == '.')
			return "its name leads up";
		if (n > NAME_MAX || len + n + 1 > max || len + n + 2 > PATH_MAX)
			return "its name is too long";
		if (len)
			out[len++] = '/';
		memcpy(out + len, p, n);
		len += n;
	}
	out[len] = '\0';
	return NULL;
}

char *path_join(const char *a, const char *b)
{
	char *s;

	return asprintf(&s, "%s/%s", a, b) < 0 ? NULL : s;
}
