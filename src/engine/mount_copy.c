/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_copy.c - tmpcopyup: what a directory of the image holds, into a tmpfs
 *
 * The tmpfs is mounted nowhere yet, so nobody sees it half full.  The image is
 * hostile and others may change it while we read: every step is one name in an
 * open directory, links are not followed, what was opened is looked at again,
 * and other file systems are not entered.  Depth and number of entries have a
 * limit; the bytes have that of the tmpfs.  Nodes of devices are refused: a
 * tmpfs without nodev would bring them to life.
 *
 * Owners, modes, times, extended attributes and hard links are kept.
 *
 * Caller: mount.c.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/mount_internal.h"

#define MOUNT_COPY_DEPTH_MAX   64
#define MOUNT_COPY_ENTRIES_MAX 65536
#define MOUNT_COPY_LINKS_MAX   1024 /* files with several names; more than that are copied apart */
#define MOUNT_COPY_XATTR_MAX   65536

/* A file with several names that has been copied once, in directory @path of the copy. */
struct mount_copy_link {
	ino_t ino;
	char *path; /* owned; from the copy's root */
};

struct mount_copy {
	dev_t dev;
	int to; /* borrowed; root of the copy */
	unsigned entries;
	struct mount_copy_link links[MOUNT_COPY_LINKS_MAX];
	size_t nlinks;
};

static int mount_copy_directory(struct mount_copy *c, int from, int to, const char *path,
				unsigned depth, struct coffer_error *err);

/* ---- what belongs to a file beside its bytes ---- */

/* Those that the tmpfs or the namespace has no room for are left behind. */
static int mount_copy_xattrs(int from, int to, struct coffer_error *err)
{
	static char names[MOUNT_COPY_XATTR_MAX], value[MOUNT_COPY_XATTR_MAX];
	ssize_t n = flistxattr(from, names, sizeof(names)), len;

	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(err, "list extended attributes");
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		len = fgetxattr(from, name, value, sizeof(value));
		if (len < 0 && errno == ENODATA)
			continue;
		if (len < 0)
			return err_sys(err, "read %s", name);
		if (fsetxattr(to, name, value, (size_t)len, 0) < 0 && errno != ENOTSUP &&
		    errno != EPERM)
			return err_sys(err, "set %s", name);
	}
	return 0;
}

/* The mode after the owner, which takes the set-id bits away; times last. */
static int mount_copy_finish(int from, int to, const struct stat *st, struct coffer_error *err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(err, "set the owner");
	if (fchmod(to, st->st_mode & 07777) < 0)
		return err_sys(err, "set the mode");
	r = mount_copy_xattrs(from, to, err);
	if (r == 0 && futimens(to, times) < 0)
		return err_sys(err, "set the times");
	return r;
}

/* ---- kinds of entries ---- */

static int mount_copy_bytes(int from, int to, struct coffer_error *err)
{
	ssize_t n;

	do
		n = sendfile(to, from, NULL, 1 << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? err_sys(err, "copy") : 0;
}

static int mount_copy_open(int dir, const char *name, int flags, const struct stat *was,
			   struct coffer_error *err)
{
	autoclose int fd = openat(dir, name,
				  flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "open");
	if (st.st_ino != was->st_ino || st.st_dev != was->st_dev ||
	    (st.st_mode & S_IFMT) != (was->st_mode & S_IFMT))
		return err_sysn(err, ESTALE, "open");
	return steal_fd(&fd);
}

static int mount_copy_file(int from, int to, const char *name, const struct stat *st,
			   struct coffer_error *err)
{
	autoclose int in = mount_copy_open(from, name, 0, st, err);
	autoclose int out = -1;
	int r;

	if (in < 0)
		return in;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		return err_sys(err, "create");
	r = mount_copy_bytes(in, out, err);
	return r < 0 ? r : mount_copy_finish(in, out, st, err);
}

static int mount_copy_symlink(int from, int to, const char *name, const struct stat *st,
			      struct coffer_error *err)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[PATH_MAX];
	ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_sys(err, "read the link");
	target[n] = '\0';
	if (symlinkat(target, to, name) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "make the link");
	return 0;
}

/* Pipes and sockets: a name, an owner and a mode. */
static int mount_copy_node(int to, const char *name, const struct stat *st,
			   struct coffer_error *err)
{
	if (mknodat(to, name, (st->st_mode & S_IFMT) | 0600, 0) < 0 ||
	    fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to, name, st->st_mode & 07777, 0) < 0)
		return err_sys(err, "make");
	return 0;
}

static int mount_copy_subdirectory(struct mount_copy *c, int from, int to, const char *name,
				   const char *path, const struct stat *st, unsigned depth,
				   struct coffer_error *err)
{
	autoclose int in = mount_copy_open(from, name, O_DIRECTORY, st, err);
	autoclose int out = -1;
	int r;

	if (in < 0)
		return in;
	if (mkdirat(to, name, 0700) < 0)
		return err_sys(err, "create");
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return err_sys(err, "open the copy");
	r = mount_copy_directory(c, in, out, path, depth + 1, err);
	return r < 0 ? r : mount_copy_finish(in, out, st, err);
}

/* ---- several names for one file ---- */

/* Return: 1 when the file is there by another name and now by this one, too; 0; -errno */
static int mount_copy_known(struct mount_copy *c, int to, const char *name, const char *path,
			    const struct stat *st, struct coffer_error *err)
{
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	for (size_t i = 0; i < c->nlinks; i++) {
		if (c->links[i].ino != st->st_ino)
			continue;
		if (linkat(c->to, c->links[i].path, to, name, 0) < 0)
			return err_sys(err, "link");
		return 1;
	}
	if (c->nlinks == MOUNT_COPY_LINKS_MAX)
		return 0;
	c->links[c->nlinks].path = strdup(path);
	if (!c->links[c->nlinks].path)
		return err_nomem(err);
	c->links[c->nlinks++].ino = st->st_ino;
	return 0;
}

/* ---- walk ---- */

static int mount_copy_entry(struct mount_copy *c, int from, int to, const char *name,
			    const char *path, unsigned depth, struct coffer_error *err)
{
	struct stat st;
	int r;

	if (++c->entries > MOUNT_COPY_ENTRIES_MAX)
		return err_sysn(err, E2BIG, "more than %d entries", MOUNT_COPY_ENTRIES_MAX);
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat");
	r = mount_copy_known(c, to, name, path, &st, err);
	if (r != 0)
		return r < 0 ? r : 0;
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		if (st.st_dev != c->dev)
			return 0; /* a mount of its own stays where it is */
		return mount_copy_subdirectory(c, from, to, name, path, &st, depth, err);
	case S_IFREG:
		return st.st_dev != c->dev ? 0 : mount_copy_file(from, to, name, &st, err);
	case S_IFLNK:
		return mount_copy_symlink(from, to, name, &st, err);
	case S_IFIFO:
	case S_IFSOCK:
		return mount_copy_node(to, name, &st, err);
	default:
		return err_unsupported(err, "it is a device");
	}
}

static int mount_copy_directory(struct mount_copy *c, int from, int to, const char *path,
				unsigned depth, struct coffer_error *err)
{
	int dup = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclosedir DIR *d = dup < 0 ? NULL : fdopendir(dup);
	struct dirent *de;
	int r = 0;

	if (!d) {
		close_fd(&dup);
		return err_sys(err, "read directory");
	}
	if (depth > MOUNT_COPY_DEPTH_MAX)
		return err_sysn(err, ELOOP, "nested too deep");
	while (r == 0 && (de = readdir(d))) {
		autofree char *sub = NULL;

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (asprintf(&sub, "%s%s%s", path, path[0] ? "/" : "", de->d_name) < 0)
			return err_nomem(err);
		r = mount_copy_entry(c, from, to, de->d_name, sub, depth, err);
		if (r < 0)
			err_wrap(err, "%s", de->d_name);
	}
	return r;
}

int mount_copy_up(int below, int root, struct coffer_error *err)
{
	/* Both came as places only. */
	autoclose int from = openat(below, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int to = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct mount_copy *c = NULL;
	struct stat st, own;
	int r;

	if (from < 0 || to < 0 || fstat(from, &st) < 0 || fstat(to, &own) < 0)
		return err_sys(err, "open the directories");
	/* The mode was an option of the mount; the owner is one, too, unless it is ours. */
	if (own.st_uid == geteuid() && own.st_gid == getegid() &&
	    fchown(to, st.st_uid, st.st_gid) < 0)
		return err_sys(err, "set the owner");
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(err);
	c->dev = st.st_dev;
	c->to = to;
	r = mount_copy_directory(c, from, to, "", 0, err);
	for (size_t i = 0; i < c->nlinks; i++)
		free(c->links[i].path);
	free(c);
	return r;
}
