/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/unpack_entry.c - one entry of an archive, made in a directory
 *
 * Things are made under a new name and never opened under an old one: what is
 * in the way is removed first (a directory in the place of a directory stays).
 * Only a file that can't be removed, because it is a mount point, is written
 * in its place, once it is known to be a regular file.
 *
 * Order: data, owner, mode, attributes, times; a change of owner takes the
 * set-user-id bit and capabilities away, a write the times.
 *
 * Callers: archive/unpack.c.
 */
#define LOG_CATEGORY "archive"
#include "archive/unpack_entry.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "archive/xattrs.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"

#define UNPACK_NSEC 1000000000L

int unpack_entry_damaged(struct archive *a, struct coffer_error *err)
{
	const char *why = archive_error_string(a);

	return err_invalid(err, "damaged archive: %s", why ? why : "unreadable");
}

static struct timespec unpack_time(bool set, time_t sec, long nsec)
{
	if (!set)
		return (struct timespec){ .tv_nsec = UTIME_OMIT };
	if (nsec <= 0 || nsec >= UNPACK_NSEC)
		return (struct timespec){ .tv_sec = sec };
	/* Of "-1.25" libarchive makes -1 and 0.25, where time counts on from -2 by 0.75. */
	if (sec < 0)
		return (struct timespec){ .tv_sec = sec - 1, .tv_nsec = UNPACK_NSEC - nsec };
	return (struct timespec){ .tv_sec = sec, .tv_nsec = nsec };
}

static void unpack_entry_times(struct unpack_entry *u)
{
	struct archive_entry *e = u->entry;

	u->times[0] = unpack_time(archive_entry_atime_is_set(e), archive_entry_atime(e),
				  archive_entry_atime_nsec(e));
	u->times[1] = unpack_time(archive_entry_mtime_is_set(e), archive_entry_mtime(e),
				  archive_entry_mtime_nsec(e));
}

/* ---- what is in the way ---- */

/* Return: 0 the name is free now, 1 what is there may stay, -EBUSY a mount point, other -errno */
static int unpack_clear(struct unpack_entry *u, bool want_dir, struct coffer_error *err)
{
	struct statx st;
	bool is_dir;

	if (statx(u->dir, u->name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, "stat");
	is_dir = S_ISDIR(st.stx_mode);
	if (is_dir && want_dir)
		return 1;
	if (u->keep_types && is_dir != want_dir)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, is_dir ? EISDIR : ENOTDIR,
			       is_dir ? "cannot overwrite directory with non-directory"
				      : "cannot overwrite non-directory with directory");
	/* In another mount namespace than its own, removing it would take the mount away. */
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return err_sysn(err, EBUSY, "remove what is there");
	u->removed = true;
	if (is_dir)
		return path_remove_tree(u->dir, u->name, err);
	if (unlinkat(u->dir, u->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove what is there");
	return 0;
}

/* ---- the kinds of entries ---- */

static mode_t unpack_mode(const struct unpack_entry *u)
{
	return archive_entry_mode(u->entry) & (u->distrust && !u->keep_owners ? 0777 : 07777);
}

/* Bits that creation and chown(2) do not leave alone. */
static bool unpack_special(mode_t mode)
{
	return mode & 07000;
}

static int unpack_set_xattrs(struct unpack_entry *u, int fd, struct coffer_error *err)
{
	const char *name;
	const void *value;
	size_t n;

	archive_entry_xattr_reset(u->entry);
	while (archive_entry_xattr_next(u->entry, &name, &value, &n) == ARCHIVE_OK) {
		if (!name || !xattrs_travels(name))
			continue;
		if (u->distrust && !u->keep_owners && strncmp(name, "user.", 5) != 0)
			continue;
		/* A tmpfs has no user attributes on some kernels; a file is worth more than they. */
		if (fsetxattr(fd, name, value, n, 0) < 0 && errno != EOPNOTSUPP)
			return err_sys(err, "set attribute %.80s", name);
	}
	return 0;
}

static int unpack_write_block(int fd, const void *block, size_t n, int64_t off,
			      struct coffer_error *err)
{
	const uint8_t *p = block;

	if (off < 0)
		return err_invalid(err, "data before the file's start");
	while (n > 0) {
		ssize_t k = pwrite(fd, p, n, (off_t)off);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_sys(err, "write");
		p += k;
		off += k;
		n -= (size_t)k;
	}
	return 0;
}

static int unpack_data(struct unpack_entry *u, int fd, struct coffer_error *err)
{
	int64_t size = archive_entry_size(u->entry), off = 0, end = 0;
	const void *block;
	size_t n;
	int ar, r;

	for (;;) {
		ar = archive_read_data_block(u->archive, &block, &n, &off);
		if (ar == ARCHIVE_EOF)
			break;
		if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN)
			return unpack_entry_damaged(u->archive, err);
		r = unpack_write_block(fd, block, n, off, err);
		if (r < 0)
			return r;
		end = off + (int64_t)n;
		if (n > 0)
			*u->fruitless = 0;
	}
	/* A hole at the end. */
	if (end < size && ftruncate(fd, size) < 0)
		return err_sys(err, "set the size to %lld", (long long)size);
	return 0;
}

static int unpack_finish_file(struct unpack_entry *u, int fd, bool chmod_too,
			      struct coffer_error *err)
{
	mode_t mode = unpack_mode(u);
	int r = unpack_data(u, fd, err);

	if (r < 0)
		return r;
	if (u->chown && fchown(fd, u->uid, u->gid) < 0)
		return err_sys(err, "set the owner");
	if ((chmod_too || unpack_special(mode)) && fchmod(fd, mode) < 0)
		return err_sys(err, "set the mode");
	r = unpack_set_xattrs(u, fd, err);
	if (r < 0)
		return r;
	return futimens(fd, u->times) < 0 ? err_sys(err, "set the times") : 0;
}

/* A file that is a mount point can't be replaced, only written. */
static int unpack_file_in_place(struct unpack_entry *u, struct coffer_error *err)
{
	autoclose int node = openat(u->dir, u->name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -1;
	char proc[32];
	struct stat st;

	if (node < 0 || fstat(node, &st) < 0)
		return err_sys(err, "open");
	if (!S_ISREG(st.st_mode))
		return err_sysn(err, EBUSY, "remove what is there");
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", node);
	fd = open(proc, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open");
	return unpack_finish_file(u, fd, true, err);
}

/* Hard links of an archive that is not trusted may name it. */
static int unpack_note_made(struct unpack_entry *u, int fd, struct coffer_error *err)
{
	struct stat st;

	if (!u->distrust)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	/* The number of one that was replaced may come again. */
	if (inode_map_get(u->made, st.st_dev, st.st_ino))
		return 0;
	return inode_map_put(u->made, st.st_dev, st.st_ino, 1) < 0 ? err_nomem(err) : 0;
}

static int unpack_file(struct unpack_entry *u, struct coffer_error *err)
{
	autoclose int fd = openat(u->dir, u->name,
				  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				  unpack_mode(u) & 0777);
	int r;

	if (fd < 0)
		return errno == EEXIST ? -EEXIST : err_sys(err, "create");
	/* Creation has a umask where we are not the only ones in the process. */
	r = unpack_finish_file(u, fd, u->distrust, err);
	if (r == 0)
		r = unpack_note_made(u, fd, err);
	if (r < 0)
		unlinkat(u->dir, u->name, 0);
	return r;
}

static int unpack_dir(struct unpack_entry *u, struct coffer_error *err)
{
	mode_t mode = unpack_mode(u);
	autoclose int fd = -1;
	bool made;
	int r;

	/* What is in it still has to be made, by somebody whom modes may stop. */
	u->dir_mode = mode;
	if (u->distrust)
		mode |= 0700;
	made = mkdirat(u->dir, u->name, mode & 0777) == 0;
	if (!made && errno != EEXIST)
		return err_sys(err, "make the directory");
	fd = openat(u->dir, u->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EEXIST : err_sys(err, "open");
	if (!made && u->distrust)
		return 0;
	if ((made ? u->chown : u->keep_owners) && fchown(fd, u->uid, u->gid) < 0)
		return err_sys(err, "set the owner");
	if ((!made || unpack_special(mode)) && fchmod(fd, mode) < 0)
		return err_sys(err, "set the mode");
	r = unpack_set_xattrs(u, fd, err);
	if (r < 0)
		return r;
	u->is_dir = true;
	return fstat(fd, &u->dir_st) < 0 ? err_sys(err, "stat") : 0;
}

/* Owner and times of what is not opened; its mode it has from the start. */
static int unpack_finish_node(struct unpack_entry *u, struct coffer_error *err)
{
	if (u->chown && fchownat(u->dir, u->name, u->uid, u->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "set the owner");
	if (utimensat(u->dir, u->name, u->times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "set the times");
	return 0;
}

static int unpack_symlink(struct unpack_entry *u, struct coffer_error *err)
{
	const char *target = archive_entry_symlink(u->entry);

	if (!target || !*target)
		return err_invalid(err, "a link to nothing");
	if (symlinkat(target, u->dir, u->name) < 0)
		return errno == EEXIST ? -EEXIST : err_sys(err, "make the link");
	return unpack_finish_node(u, err);
}

static int unpack_node(struct unpack_entry *u, struct coffer_error *err)
{
	mode_t type = archive_entry_filetype(u->entry);

	if (u->distrust && type != AE_IFIFO) {
		log_warning("device %s is left out", u->name);
		return 0;
	}
	if (mknodat(u->dir, u->name, type | (unpack_mode(u) & 0777),
		    type == AE_IFIFO ? 0 : archive_entry_rdev(u->entry)) < 0)
		return errno == EEXIST ? -EEXIST : err_sys(err, "make the node");
	if (u->distrust && fchmodat(u->dir, u->name, unpack_mode(u), 0) < 0)
		return err_sys(err, "set the mode");
	return unpack_finish_node(u, err);
}

/* A file that was there before could be brought to where more people may reach it. */
static int unpack_check_target(const struct unpack_entry *u, struct coffer_error *err)
{
	struct stat st;

	if (!u->distrust)
		return 0;
	if (fstatat(u->link_dir, u->link_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "link to %.200s", archive_entry_hardlink(u->entry));
	if (S_ISLNK(st.st_mode) || inode_map_get(u->made, st.st_dev, st.st_ino))
		return 0;
	return err_invalid(err, "link to %.200s: not of this archive",
			   archive_entry_hardlink(u->entry));
}

/* The target's name is not followed: a link planted there is linked itself. */
static int unpack_hardlink(struct unpack_entry *u, struct coffer_error *err)
{
	struct stat a, b;
	int r = unpack_check_target(u, err);

	if (r < 0)
		return r;
	if (linkat(u->link_dir, u->link_name, u->dir, u->name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "link to %.200s", archive_entry_hardlink(u->entry));
	/* To itself: removing it would remove the target. */
	if (fstatat(u->link_dir, u->link_name, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstatat(u->dir, u->name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
	    a.st_dev == b.st_dev)
		return 0;
	return -EEXIST;
}

typedef int (*unpack_maker)(struct unpack_entry *u, struct coffer_error *err);

static unpack_maker unpack_maker_of(struct unpack_entry *u)
{
	static const struct {
		mode_t type;
		unpack_maker make;
	} makers[] = {
		{ AE_IFREG, unpack_file },  { AE_IFDIR, unpack_dir },  { AE_IFLNK, unpack_symlink },
		{ AE_IFCHR, unpack_node },  { AE_IFBLK, unpack_node }, { AE_IFIFO, unpack_node },
	};

	if (u->link_dir >= 0)
		return unpack_hardlink;
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++)
		if (makers[i].type == archive_entry_filetype(u->entry))
			return makers[i].make;
	return NULL;
}

int unpack_entry_make(struct unpack_entry *u, struct coffer_error *err)
{
	unpack_maker make = unpack_maker_of(u);
	int r;

	if (!make)
		return err_unsupported(err, "neither file, directory, link nor device");
	unpack_entry_times(u);
	r = make(u, err);
	if (r != -EEXIST)
		return r;
	r = unpack_clear(u, make == unpack_dir, err);
	if (r == -EBUSY && make == unpack_file)
		return unpack_file_in_place(u, err);
	if (r < 0)
		return r;
	r = make(u, err);
	return r == -EEXIST ? err_sysn(err, EEXIST, "somebody else makes it, too") : r;
}
