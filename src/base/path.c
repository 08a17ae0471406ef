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
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATH_RETRIES    64
#define PATH_DEPTH_MAX  512 /* directories held open by path_remove_tree() */

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

int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, struct coffer_error *err)
{
	int fd = path_openat2(dirfd, path, flags, mode, RESOLVE_BENEATH);

	return fd < 0 ? err_sysn(err, fd, "open %s", path) : fd;
}

/*
 * Makes every missing directory of the first @len bytes of @path.  Each prefix
 * is opened from the root again, because a component may be a link whose
 * target can only be resolved there.
 */
static int path_mkdirs_prefix(int rootfd, const char *path, size_t len, mode_t mode,
			      struct coffer_error *err)
{
	autofree char *copy = strndup(path, len);
	autoclose int fd = -1;
	size_t end = 0;
	int r;

	if (!copy)
		return err_nomem(err);
	/* Common case first: everything is there. */
	r = path_openat2(rootfd, len ? copy : ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	if (r != -ENOENT)
		return r < 0 ? err_sysn(err, r, "open directory %s", copy) : r;
	fd = path_openat2(rootfd, ".", O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
	while (fd >= 0) {
		size_t start = end + strspn(copy + end, "/");
		char cut;

		if (!copy[start])
			return steal_fd(&fd);
		end = start + strcspn(copy + start, "/");
		cut = copy[end];
		copy[end] = '\0';
		if (strcmp(copy + start, "..") != 0 && mkdirat(fd, copy + start, mode) < 0 &&
		    errno != EEXIST)
			return err_sys(err, "mkdir %s", copy);
		close_fd(&fd);
		fd = path_openat2(rootfd, copy, O_PATH | O_DIRECTORY, 0, RESOLVE_IN_ROOT);
		if (fd < 0)
			break;
		copy[end] = cut;
	}
	return err_sysn(err, fd, "open directory %s", copy);
}

int path_mkdirs_in_root(int rootfd, const char *path, mode_t mode, struct coffer_error *err)
{
	return path_mkdirs_prefix(rootfd, path, strlen(path), mode, err);
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

/* Goes on after a failure, so that as much as possible is gone; reports the first. */
static int path_remove_at(int dirfd, const char *name, dev_t dev, unsigned depth,
			  struct coffer_error *err)
{
	autoclose int fd = -1;
	struct stat st;
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
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", name);
	if (st.st_dev != dev)
		return err_sysn(err, EXDEV, "remove %s: a file system is mounted there", name);
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

char *path_join(const char *a, const char *b)
{
	char *s;

	return asprintf(&s, "%s/%s", a, b) < 0 ? NULL : s;
}
