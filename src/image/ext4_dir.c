/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/ext4_dir.c - from a directory tree to an ext4 image
 *
 * The tree is walked twice: once to measure what it needs, then to write it.
 * When it changes in between, the image has the second state, or the build
 * fails for want of room; it never has half a file.  Both walks see a file's
 * data as the same segments (holes stay holes) and count hard links once.
 *
 * Extended attributes are read through /proc/self/fd, the only way that works
 * for every type of file without following or opening it.
 *
 * Callers: container and the build tools, with ext4_build_from_dir() only.
 */
#include "image/ext4.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "image/ext4_writer.h"
#include "image/inode_map.h"
#include "image/tree.h"

#define EXT4_BUILD_XATTRS_MAX 64

/* Attributes that ext4 can hold; others (of other file systems) are left behind. */
static const char *const ext4_build_prefixes[] = {
	"user.", "security.", "trusted.", "system.posix_acl_access", "system.posix_acl_default",
};

struct ext4_measure {
	uint64_t blocks;
	uint32_t inodes;
	struct inode_map links;
	size_t depth;
	size_t dir_len[TREE_DEPTH_MAX + 1]; /* bytes of records of the directories entered */
};

struct ext4_build {
	const struct ext4_build_args *args;
	uint32_t uid, gid; /* the caller's */
	struct ext4_writer *w;
	struct inode_map links;
	size_t depth;
	struct ext4_dir *dirs[TREE_DEPTH_MAX + 1];
	struct ext4_xattrs dir_xattrs[TREE_DEPTH_MAX + 1]; /* owned */
};

static uint64_t ext4_build_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

/*
 * Open what the walker saw as a regular file.  In between it may have become
 * anything, so opening must not block, and the identity is checked after.
 */
static int ext4_build_open(const struct tree_entry *e, int *fd, struct coffer_error *err)
{
	autoclose int f = -1;
	struct stat st;

	f = openat(e->parent, e->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f < 0)
		return err_sys(err, "open");
	if (fstat(f, &st) < 0)
		return err_sys(err, "stat");
	if (!S_ISREG(st.st_mode) || st.st_ino != e->st.stx_ino)
		return err_set(err, COFFER_ERR_INVALID_STATE, ESTALE, "changed while it was read");
	*fd = steal_fd(&f);
	return 0;
}

/* The next segment of data at or after @off. Return: 1, 0 for none, negative errno */
static int ext4_build_segment(int fd, uint64_t size, bool sparse, uint64_t *off, uint64_t *len,
			      struct coffer_error *err)
{
	off_t from = (off_t)*off, to = (off_t)size;

	if (*off >= size)
		return 0;
	if (sparse) {
		from = lseek(fd, from, SEEK_DATA);
		if (from < 0 && errno == ENXIO)
			return 0;
		if (from < 0)
			return err_sys(err, "find data");
		to = lseek(fd, from, SEEK_HOLE);
		if (to < 0)
			return err_sys(err, "find hole");
	}
	/* Whole blocks, but no byte beyond the size that was seen first. */
	*off = (uint64_t)from & ~(uint64_t)(EXT4_BLOCK - 1);
	if (*off >= size)
		return 0;
	to = (off_t)(((uint64_t)to + EXT4_BLOCK - 1) & ~(uint64_t)(EXT4_BLOCK - 1));
	*len = ((uint64_t)to < size ? (uint64_t)to : size) - *off;
	return 1;
}

static bool ext4_build_is_sparse(const struct statx *st)
{
	return st->stx_blocks * 512 < st->stx_size;
}

static void ext4_build_xattr_path(const struct tree_entry *e, char *path, size_t room)
{
	snprintf(path, room, "/proc/self/fd/%d/%s", e->parent, e->name);
}

/* ---- measuring ---- */

/* An entry's record in the directory that holds it. */
static void ext4_measure_record(struct ext4_measure *m, const char *name)
{
	size_t *len = &m->dir_len[m->depth];
	size_t record = ext4_dirent_len(strlen(name));

	if (*len % EXT4_BLOCK + record > EXT4_BLOCK)
		*len += -*len & (EXT4_BLOCK - 1);
	*len += record;
}

/* What every inode costs: itself, and a block when there may be attributes. */
static int ext4_measure_inode(struct ext4_measure *m, const struct tree_entry *e,
			      struct coffer_error *err)
{
	char path[sizeof("/proc/self/fd/") + 16 + EXT4_NAME_MAX];
	ssize_t n;

	m->inodes++;
	ext4_build_xattr_path(e, path, sizeof(path));
	n = llistxattr(path, NULL, 0);
	if (n < 0 && errno == ENOENT && access("/proc/self/fd", F_OK) < 0)
		return err_unsupported(err, "/proc is not mounted");
	m->blocks += n > 0;
	return 0;
}

static int ext4_measure_file(struct ext4_measure *m, const struct tree_entry *e,
			     struct coffer_error *err)
{
	uint64_t off = 0, len = 0, segments = 0;
	autoclose int fd = -1;
	int r;

	if (!ext4_build_is_sparse(&e->st)) {
		m->blocks += (e->st.stx_size + EXT4_BLOCK - 1) / EXT4_BLOCK;
		return 0;
	}
	r = ext4_build_open(e, &fd, err);
	if (r < 0)
		return r;
	while ((r = ext4_build_segment(fd, e->st.stx_size, true, &off, &len, err)) > 0) {
		m->blocks += (len + EXT4_BLOCK - 1) / EXT4_BLOCK;
		off += len;
		segments++;
	}
	/* Nodes of a tree that grew by splitting are half full. */
	if (segments > EXT4_TREE_INLINE)
		m->blocks += segments / (EXT4_TREE_LEAF / 2) + 2;
	return r;
}

static int ext4_measure_enter(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_measure *m = data;

	if (m->depth)
		ext4_measure_record(m, e->name);
	m->dir_len[++m->depth] = ext4_dirent_len(1) + ext4_dirent_len(2);
	return ext4_measure_inode(m, e, err);
}

static int ext4_measure_leave(void *data, struct coffer_error *err)
{
	struct ext4_measure *m = data;

	m->blocks += (m->dir_len[m->depth--] + EXT4_BLOCK - 1) / EXT4_BLOCK;
	return 0;
}

static int ext4_measure_entry(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_measure *m = data;
	uint64_t dev = ext4_build_dev(&e->st);
	int r;

	ext4_measure_record(m, e->name);
	if (e->st.stx_nlink > 1) {
		if (inode_map_get(&m->links, dev, e->st.stx_ino))
			return 0;
		if (inode_map_put(&m->links, dev, e->st.stx_ino, 1) < 0)
			return err_nomem(err);
	}
	r = ext4_measure_inode(m, e, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->st.stx_mode))
		return ext4_measure_file(m, e, err);
	if (S_ISLNK(e->st.stx_mode) && e->st.stx_size > EXT4_FAST_LINK)
		m->blocks++;
	return 0;
}

static void ext4_measure_free(struct ext4_measure *m)
{
	inode_map_free(&m->links);
}

/* ---- writing ---- */

static struct timespec ext4_build_time(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

static struct ext4_meta ext4_build_meta(const struct ext4_build *b, const struct statx *st)
{
	bool squash = b->args->owner == EXT4_OWNER_CALLER_TO_ROOT;

	return (struct ext4_meta){
		.mode = st->stx_mode,
		.uid = squash && st->stx_uid == b->uid ? 0 : st->stx_uid,
		.gid = squash && st->stx_gid == b->gid ? 0 : st->stx_gid,
		.atime = ext4_build_time(&st->stx_atime),
		.mtime = ext4_build_time(&st->stx_mtime),
		.ctime = ext4_build_time(&st->stx_ctime),
	};
}

static void ext4_build_xattrs_free(struct ext4_xattrs *x)
{
	for (size_t i = 0; i < x->count; i++) {
		free((void *)(uintptr_t)x->list[i].name);
		free((void *)(uintptr_t)x->list[i].value);
	}
	free((void *)(uintptr_t)x->list);
	*x = (struct ext4_xattrs){ 0 };
}

static bool ext4_build_wants_xattr(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ext4_build_prefixes); i++) {
		if (!strncmp(name, ext4_build_prefixes[i], strlen(ext4_build_prefixes[i])))
			return true;
	}
	return false;
}

static int ext4_build_read_xattr(const char *path, const char *name, struct ext4_xattr *x,
				 struct coffer_error *err)
{
	autofree char *copy = strdup(name), *value = malloc(EXT4_XATTR_MAX);
	void *fit;
	ssize_t n;

	if (!copy || !value)
		return err_nomem(err);
	n = lgetxattr(path, name, value, EXT4_XATTR_MAX);
	if (n < 0)
		return err_sys(err, "read extended attribute %s", name);
	fit = realloc(value, (size_t)n + 1);
	if (!fit)
		return err_nomem(err);
	steal_ptr(value);
	*x = (struct ext4_xattr){ .name = steal_ptr(copy), .value = fit, .len = (size_t)n };
	return 0;
}

static int ext4_build_read_listed(const char *path, const char *names, size_t len,
				  struct ext4_xattrs *out, struct coffer_error *err)
{
	struct ext4_xattr *list = calloc(EXT4_BUILD_XATTRS_MAX, sizeof(*list));

	if (!list)
		return err_nomem(err);
	out->list = list;
	for (const char *n = names; n < names + len; n += strlen(n) + 1) {
		int r;

		if (!ext4_build_wants_xattr(n))
			continue;
		if (out->count == EXT4_BUILD_XATTRS_MAX)
			return err_unsupported(err, "more than %d extended attributes",
					       EXT4_BUILD_XATTRS_MAX);
		r = ext4_build_read_xattr(path, n, &list[out->count], err);
		if (r < 0)
			return r;
		out->count++;
	}
	return 0;
}

static int ext4_build_read_xattrs(const struct tree_entry *e, struct ext4_xattrs *out,
				  struct coffer_error *err)
{
	char path[sizeof("/proc/self/fd/") + 16 + EXT4_NAME_MAX];
	autofree char *names = NULL;
	ssize_t n;
	int r;

	*out = (struct ext4_xattrs){ 0 };
	ext4_build_xattr_path(e, path, sizeof(path));
	n = llistxattr(path, NULL, 0);
	if (n == 0 || (n < 0 && errno == EOPNOTSUPP))
		return 0;
	names = calloc(1, EXT4_XATTR_MAX + 1);
	if (!names)
		return err_nomem(err);
	n = llistxattr(path, names, EXT4_XATTR_MAX);
	if (n < 0)
		return err_sys(err, "list extended attributes");
	r = ext4_build_read_listed(path, names, (size_t)n, out, err);
	if (r < 0)
		ext4_build_xattrs_free(out);
	return r;
}

static int ext4_build_file(struct ext4_build *b, const struct tree_entry *e,
			   const struct ext4_xattrs *xattrs, uint32_t *ino,
			   struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	bool sparse = ext4_build_is_sparse(&e->st);
	uint64_t off = 0, len = 0;
	struct ext4_file *file = NULL;
	autoclose int fd = -1;
	int r;

	r = ext4_build_open(e, &fd, err);
	if (r == 0)
		r = ext4_file_open(b->w, b->dirs[b->depth], e->name, &meta, &file, err);
	if (r < 0)
		return r;
	while ((r = ext4_build_segment(fd, e->st.stx_size, sparse, &off, &len, err)) > 0) {
		r = ext4_file_copy(b->w, file, fd, off, len, err);
		if (r < 0)
			return r;
		off += len;
	}
	if (r < 0)
		return r;
	return ext4_file_close(b->w, file, e->st.stx_size, xattrs, ino, err);
}

static int ext4_build_symlink(struct ext4_build *b, const struct tree_entry *e,
			      const struct ext4_xattrs *xattrs, uint32_t *ino,
			      struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	char target[EXT4_BLOCK + 1];
	ssize_t n;

	n = readlinkat(e->parent, e->name, target, sizeof(target) - 1);
	if (n < 0)
		return err_sys(err, "read symbolic link");
	target[n] = '\0';
	return ext4_writer_symlink(b->w, b->dirs[b->depth], e->name, &meta, target, xattrs, ino,
				   err);
}

static int ext4_build_node(struct ext4_build *b, const struct tree_entry *e,
			   const struct ext4_xattrs *xattrs, uint32_t *ino,
			   struct coffer_error *err)
{
	struct ext4_meta meta = ext4_build_meta(b, &e->st);

	return ext4_writer_node(b->w, b->dirs[b->depth], e->name, &meta,
				makedev(e->st.stx_rdev_major, e->st.stx_rdev_minor), xattrs, ino,
				err);
}

static int ext4_build_entry(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	CLEANUP(ext4_build_xattrs_free) struct ext4_xattrs xattrs = { 0 };
	struct ext4_build *b = data;
	uint64_t dev = ext4_build_dev(&e->st);
	uint32_t ino = 0;
	int r;

	if (e->st.stx_nlink > 1)
		ino = inode_map_get(&b->links, dev, e->st.stx_ino);
	if (ino)
		return ext4_writer_link(b->w, b->dirs[b->depth], e->name, ino, err);

	r = ext4_build_read_xattrs(e, &xattrs, err);
	if (r < 0)
		return r;
	if (S_ISREG(e->st.stx_mode))
		r = ext4_build_file(b, e, &xattrs, &ino, err);
	else if (S_ISLNK(e->st.stx_mode))
		r = ext4_build_symlink(b, e, &xattrs, &ino, err);
	else
		r = ext4_build_node(b, e, &xattrs, &ino, err);
	if (r < 0)
		return r;
	if (e->st.stx_nlink > 1 && inode_map_put(&b->links, dev, e->st.stx_ino, ino) < 0)
		return err_nomem(err);
	return 0;
}

static int ext4_build_enter(void *data, const struct tree_entry *e, struct coffer_error *err)
{
	struct ext4_build *b = data;
	struct ext4_meta meta = ext4_build_meta(b, &e->st);
	struct ext4_dir *parent = b->depth ? b->dirs[b->depth] : NULL;
	int r;

	r = ext4_build_read_xattrs(e, &b->dir_xattrs[b->depth + 1], err);
	if (r < 0)
		return r;
	b->depth++;
	return ext4_dir_open(b->w, parent, e->name, &meta, &b->dirs[b->depth], err);
}

static int ext4_build_leave(void *data, struct coffer_error *err)
{
	struct ext4_build *b = data;
	int r;

	r = ext4_dir_close(b->w, b->dirs[b->depth], &b->dir_xattrs[b->depth], err);
	ext4_build_xattrs_free(&b->dir_xattrs[b->depth]);
	b->depth--;
	return r;
}

static void ext4_build_free(struct ext4_build *b)
{
	for (size_t i = 0; i <= TREE_DEPTH_MAX; i++)
		ext4_build_xattrs_free(&b->dir_xattrs[i]);
	inode_map_free(&b->links);
	if (b->w)
		ext4_writer_free(b->w);
}

int ext4_build_from_dir(int dirfd, int out_fd, const struct ext4_build_args *args,
			struct coffer_error *err)
{
	static const struct tree_ops measure_ops = { .enter = ext4_measure_enter,
						     .leave = ext4_measure_leave,
						     .entry = ext4_measure_entry };
	static const struct tree_ops build_ops = { .enter = ext4_build_enter,
						   .leave = ext4_build_leave,
						   .entry = ext4_build_entry };
	CLEANUP(ext4_measure_free) struct ext4_measure m = { 0 };
	CLEANUP(ext4_build_free) struct ext4_build b = { .args = args };
	struct ext4_format format = { .grow = true };
	int r;

	if (args->reproducible && args->epoch <= 0)
		return err_invalid(err, "a reproducible image needs a time after 1970");
	b.uid = geteuid();
	b.gid = getegid();
	r = tree_walk(dirfd, &measure_ops, &m, err);
	if (r < 0)
		return r;

	format.blocks = m.blocks + (args->extra_bytes + EXT4_BLOCK - 1) / EXT4_BLOCK;
	format.inodes = m.inodes + (uint32_t)(args->extra_bytes / 16384);
	format.reproducible = args->reproducible;
	format.epoch = args->epoch;
	r = ext4_writer_open(out_fd, &format, &b.w, err);
	if (r == 0)
		r = tree_walk(dirfd, &build_ops, &b, err);
	if (r == 0)
		r = ext4_writer_finish(b.w, err);
	return r;
}
