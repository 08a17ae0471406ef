/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/unpack_hide.c - whiteouts: what lower layers had is removed
 *
 * A whiteout hides nothing of its own layer (image-spec 1.0, layer.md), wherever
 * in the archive it stands.  So what the layer has made is remembered by name;
 * of a directory that is not, only what is not goes, and the directory itself
 * if that is all; else it stays as what had to be there, without its attributes.
 *
 * Callers: unpack.c.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image/layer/unpack.h"

/* FNV-1a. Two names of a directory that meet only leave a file there. */
static uint64_t unpack_hide_hash(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h;
}

int unpack_hide_spare(struct unpack *u, struct coffer_error *err)
{
	uint64_t hash = unpack_hide_hash(u->name);

	if (inode_map_get(&u->made, u->parent_ino, hash))
		return 0;
	return inode_map_put(&u->made, u->parent_ino, hash, 1) < 0 ? err_nomem(err) : 0;
}

static int unpack_hide_at(struct unpack *u, int dir, ino_t dir_ino, const char *name,
			  struct coffer_error *err);

/* Takes @fd over. */
static int unpack_hide_children(struct unpack *u, int fd, struct coffer_error *err)
{
	autoclosedir DIR *d = fdopendir(fd);
	struct dirent *de;
	struct stat st;
	int r = 0;

	if (!d) {
		close(fd);
		return err_nomem(err);
	}
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	/* Once for each, however often it is said. */
	if (inode_map_get(&u->made, st.st_ino, UNPACK_SWEPT))
		return 0;
	if (inode_map_put(&u->made, st.st_ino, UNPACK_SWEPT, 1) < 0)
		return err_nomem(err);
	while (r == 0 && (errno = 0, de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = unpack_hide_at(u, fd, st.st_ino, de->d_name, err);
	return r < 0 || errno == 0 ? r : err_sys(err, "read the directory");
}

static int unpack_hide_at(struct unpack *u, int dir, ino_t dir_ino, const char *name,
			  struct coffer_error *err)
{
	bool made = inode_map_get(&u->made, dir_ino, unpack_hide_hash(name));
	autoclose int fd = -1;
	int r;

	if (!made && (unlinkat(dir, name, 0) == 0 || errno == ENOENT))
		return 0;
	if (!made && errno != EISDIR && errno != EPERM)
		return err_sys(err, "remove %.200s", name);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && made && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT))
		return 0;
	if (fd < 0)
		return err_sys(err, "open %.200s", name);
	r = unpack_hide_children(u, fcntl(fd, F_DUPFD_CLOEXEC, 0), err);
	if (r < 0 || made || unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return r;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(err, "remove %.200s", name);
	return unpack_make_bare(u, fd, err);
}

int unpack_hide_name(struct unpack *u, struct coffer_error *err)
{
	return unpack_hide_at(u, u->parent_fd, u->parent_ino, u->name, err);
}

int unpack_hide_below(struct unpack *u, int fd, struct coffer_error *err)
{
	autoclose int node = fd;
	int dir;

	if (node < 0)
		return 0;
	dir = openat(node, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, "open the directory");
	return unpack_hide_children(u, dir, err);
}
