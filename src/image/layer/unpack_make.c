/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/unpack_make.c - an entry of a layer, made in its directory
 *
 * Everything is made under a name that is free, and never opened under one that
 * was there: what a lower layer or an earlier entry has there is removed first,
 * but for a directory in the place of a directory.
 *
 * Order: data, owner, mode, attributes, times; a change of owner takes the
 * set-user-id bit and capabilities away, a write both and the times.
 *
 * Callers: unpack.c, reader.h through it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "archive/xattrs.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "image/layer/unpack.h"

#define UNPACK_NAMES_MAX 65536 /* the kernel's own limit */

static int unpack_free_name(struct unpack *u, struct coffer_error *err)
{
	int r = path_remove_tree(u->parent_fd, u->name, err);

	return r < 0 ? err_wrap(err, "what is there") : 0;
}

static int unpack_set_xattrs(int fd, const struct ext4_xattr *list, size_t n,
			     struct coffer_error *err)
{
	for (size_t i = 0; i < n; i++) {
		/* A file is worth more than what this file system does not know. */
		if (fsetxattr(fd, list[i].name, list[i].value, list[i].len, 0) < 0 &&
		    errno != EOPNOTSUPP)
			return err_sys(err, "set attribute %.80s", list[i].name);
	}
	return 0;
}

static int unpack_set_owner(const struct unpack *u, int dir, const char *name, uid_t uid, gid_t gid,
			    struct coffer_error *err)
{
	if (!u->chown || fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EINVAL)
		return err_set(err, COFFER_ERR_UNSUPPORTED, EINVAL,
			       "owner %u:%u is none of the ids there are to give", uid, gid);
	return err_sys(err, "set the owner to %u:%u", uid, gid);
}

/* ---- files ---- */

void unpack_file_drop(struct unpack *u)
{
	close_fd(&u->file_fd);
	free(steal_ptr(u->file_xattrs));
}

/* Data comes between: a copy in one piece. */
static int unpack_keep_xattrs(struct unpack *u, const struct ext4_xattrs *x,
			      struct coffer_error *err)
{
	size_t size = x->count * sizeof(*x->list);
	char *p;

	u->file_nxattrs = x->count;
	if (x->count == 0)
		return 0;
	for (size_t i = 0; i < x->count; i++)
		size += strlen(x->list[i].name) + 1 + x->list[i].len;
	u->file_xattrs = malloc(size);
	if (!u->file_xattrs)
		return err_nomem(err);
	p = (char *)(u->file_xattrs + x->count);
	for (size_t i = 0; i < x->count; i++) {
		struct ext4_xattr *to = &u->file_xattrs[i];

		*to = x->list[i];
		to->name = p;
		p = stpcpy(p, x->list[i].name) + 1;
		to->value = p;
		if (to->len)
			p = mempcpy(p, x->list[i].value, to->len);
	}
	return 0;
}

static int unpack_make_file(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	u->file_fd = openat(u->parent_fd, u->name,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (u->file_fd < 0)
		return err_sys(err, "create");
	u->file_size = e->size;
	u->file_end = 0;
	u->file_mode = e->mode;
	u->file_uid = e->uid;
	u->file_gid = e->gid;
	u->file_mtime = e->mtime;
	return unpack_keep_xattrs(u, &e->xattrs, err);
}

int unpack_file_data(void *data, const void *bytes, size_t n, uint64_t off,
		     struct coffer_error *err)
{
	struct unpack *u = data;
	const uint8_t *p = bytes;

	while (n > 0) {
		ssize_t k = pwrite(u->file_fd, p, n, (off_t)off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(err, "write");
		p += k;
		off += (uint64_t)k;
		n -= (size_t)k;
	}
	u->file_end = off;
	return 0;
}

int unpack_file_end(void *data, struct coffer_error *err)
{
	struct unpack *u = data;
	const struct timespec times[2] = { u->file_mtime, u->file_mtime };
	int r;

	/* A hole at the end. */
	if (u->file_end < u->file_size && ftruncate(u->file_fd, (off_t)u->file_size) < 0)
		return err_sys(err, "set the size to %llu", (unsigned long long)u->file_size);
	r = unpack_set_owner(u, u->file_fd, "", u->file_uid, u->file_gid, err);
	if (r == 0 && fchmod(u->file_fd, u->file_mode & 07777) < 0)
		return err_sys(err, "set the mode");
	if (r == 0)
		r = unpack_set_xattrs(u->file_fd, u->file_xattrs, u->file_nxattrs, err);
	if (r == 0 && futimens(u->file_fd, times) < 0)
		return err_sys(err, "set the times");
	unpack_file_drop(u);
	return r;
}

/* ---- directories ---- */

/* What a lower layer said of it is not this one's. */
static int unpack_clear_xattrs(int fd, struct coffer_error *err)
{
	autofree char *names = NULL;
	ssize_t n = flistxattr(fd, NULL, 0);

	if (n <= 0)
		return 0;
	names = malloc(UNPACK_NAMES_MAX + 1);
	if (!names)
		return err_nomem(err);
	n = flistxattr(fd, names, UNPACK_NAMES_MAX);
	if (n < 0)
		return err_sys(err, "list attributes");
	names[n] = '\0';
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (xattrs_travels(name) && fremovexattr(fd, name) < 0 && errno != ENODATA)
			return err_sys(err, "remove attribute %.80s", name);
	return 0;
}

int unpack_make_bare(const struct unpack *u, int fd, struct coffer_error *err)
{
	int r = unpack_clear_xattrs(fd, err);

	if (r == 0)
		r = unpack_set_owner(u, fd, "", 0, 0, err);
	return r == 0 && fchmod(fd, 0755) < 0 ? err_sys(err, "set the mode") : r;
}

static int unpack_dress_dir(struct unpack *u, const struct layer_entry *e, int fd, bool made,
			    struct coffer_error *err)
{
	int r = made ? 0 : unpack_clear_xattrs(fd, err);

	if (r == 0)
		r = unpack_set_owner(u, fd, "", e->uid, e->gid, err);
	if (r == 0 && fchmod(fd, e->mode & 07777) < 0)
		return err_sys(err, "set the mode");
	if (r == 0)
		r = unpack_set_xattrs(fd, e->xattrs.list, e->xattrs.count, err);
	return r < 0 ? r : unpack_remember(u, e->path, fd, &e->mtime, err);
}

static int unpack_make_dir(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	bool made = mkdirat(u->parent_fd, u->name, 0700) == 0;
	autoclose int fd = -1;

	if (!made && errno != EEXIST)
		return err_sys(err, "make the directory");
	fd = openat(u->parent_fd, u->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open") : unpack_dress_dir(u, e, fd, made, err);
}

int unpack_make_root(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	autoclose int fd = openat(u->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "open") : unpack_dress_dir(u, e, fd, false, err);
}

/* ---- what is not opened ---- */

/* The mode of a link is no one's. */
static int unpack_dress_node(struct unpack *u, const struct layer_entry *e,
			     struct coffer_error *err)
{
	const struct timespec times[2] = { e->mtime, e->mtime };
	int r = unpack_set_owner(u, u->parent_fd, u->name, e->uid, e->gid, err);

	if (r < 0)
		return r;
	if (e->kind == LAYER_NODE && fchmodat(u->parent_fd, u->name, e->mode & 07777, 0) < 0)
		return err_sys(err, "set the mode");
	if (utimensat(u->parent_fd, u->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "set the times");
	return 0;
}

static int unpack_make_symlink(struct unpack *u, const struct layer_entry *e,
			       struct coffer_error *err)
{
	if (symlinkat(e->target, u->parent_fd, u->name) < 0)
		return err_sys(err, "make the link");
	return unpack_dress_node(u, e, err);
}

static int unpack_make_node(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	int r = mknodat(u->parent_fd, u->name, e->mode & (S_IFMT | 0600), e->rdev);

	/* Who may make no devices puts something there that others may be mounted on. */
	if (r < 0 && errno == EPERM && !S_ISFIFO(e->mode))
		r = mknodat(u->parent_fd, u->name, S_IFREG | 0600, 0);
	return r < 0 ? err_sys(err, "make the node") : unpack_dress_node(u, e, err);
}

/* ---- entries ---- */

static bool unpack_is_dir(const struct unpack *u)
{
	struct stat st;

	return fstatat(u->parent_fd, u->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

int unpack_make(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	static int (*const makers[])(struct unpack * u, const struct layer_entry *e,
				     struct coffer_error *err) = {
		[LAYER_DIR] = unpack_make_dir,
		[LAYER_FILE] = unpack_make_file,
		[LAYER_SYMLINK] = unpack_make_symlink,
		[LAYER_NODE] = unpack_make_node,
	};
	int r = 0;

	if (e->kind != LAYER_DIR || !unpack_is_dir(u))
		r = unpack_free_name(u, err);
	return r < 0 ? r : makers[e->kind](u, e, err);
}

int unpack_make_link(struct unpack *u, int dir, const char *name, const struct layer_entry *e,
		     struct coffer_error *err)
{
	struct stat target, here;
	int r;

	if (fstatat(dir, name, &target, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "link to %.200s", e->target);
	if (S_ISDIR(target.st_mode))
		return err_invalid(err, "link to %.200s: it is a directory", e->target);
	/* To itself: removing it would remove the target. */
	if (fstatat(u->parent_fd, u->name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
	    here.st_ino == target.st_ino && here.st_dev == target.st_dev)
		return 0;
	r = unpack_free_name(u, err);
	/* A symbolic link is linked itself. */
	if (r == 0 && linkat(dir, name, u->parent_fd, u->name, 0) < 0)
		return err_sys(err, "link to %.200s", e->target);
	return r;
}
