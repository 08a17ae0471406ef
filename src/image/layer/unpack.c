/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/unpack.c - one layer over a directory
 *
 *	reader.h --> entry --> parent opened --> unpack_make.c
 *	                 '---> whiteout ------> unpack_hide.c
 *
 * The kernel resolves each parent with the directory as its root, so a symbolic
 * link on the way (/bin -> usr/bin) leads where it would lead in a container,
 * and never out; what it names is made if it is missing.  The same goes for
 * images (stack_path.c).  The entry itself is one component in its parent.
 *
 * Directories get their times at the end, when nothing is made in them any more.
 *
 * For a process of its own (container/bundle.c): modes are the umask's, too, and
 * without rights over everything in the directory modes may be in the way.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "image/layer/unpack.h"

/* Of directories. A name by way of a link may have twice as many made, and path.c removes 512. */
#define UNPACK_DEPTH_MAX 250

static void unpack_free(struct unpack *u)
{
	for (size_t i = 0; i < u->nlate; i++)
		free(u->late[i].path);
	free(u->late);
	close_fd(&u->parent_fd);
	unpack_file_drop(u);
	inode_map_free(&u->made);
}

/* ---- directories' times ---- */

int unpack_remember(struct unpack *u, const char *path, int fd, const struct timespec *mtime,
		    struct coffer_error *err)
{
	struct unpack_late *l;
	struct stat st;
	bool known;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat");
	known = inode_map_get(&u->made, st.st_ino, UNPACK_KNOWN);
	if (known && !mtime)
		return 0;
	if (!known && inode_map_put(&u->made, st.st_ino, UNPACK_KNOWN, 1) < 0)
		return err_nomem(err);
	if (u->nlate == u->late_room) {
		size_t room = u->late_room ? u->late_room * 2 : 256;

		l = reallocarray(u->late, room, sizeof(*l));
		if (!l)
			return err_nomem(err);
		u->late = l;
		u->late_room = room;
	}
	l = &u->late[u->nlate];
	*l = (struct unpack_late){ .path = strdup(path),
				   .dev = st.st_dev,
				   .ino = st.st_ino,
				   .mtime = mtime ? *mtime : st.st_mtim };
	if (!l->path)
		return err_nomem(err);
	u->nlate++;
	return 0;
}

/* ---- parents ---- */

static int unpack_open(const struct unpack *u, const char *path)
{
	if (!*path)
		return fcntl(u->dir, F_DUPFD_CLOEXEC, 0);
	return path_open_in_root(u->dir, path, O_PATH | O_DIRECTORY, 0, NULL);
}

static int unpack_count(const char *path, size_t n)
{
	int slashes = 0;

	for (size_t i = 0; i < n; i++)
		slashes += path[i] == '/';
	return slashes;
}

static int unpack_depth(int fd, struct coffer_error *err)
{
	char proc[32], path[PATH_MAX];
	ssize_t n;

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path));
	if (n == sizeof(path) || (n < 0 && errno == ENAMETOOLONG))
		return INT_MAX;
	if (n < 0)
		return err_sys(err, "read %s", proc);
	return unpack_count(path, (size_t)n);
}

/* By links a name may be much deeper than it looks. */
static int unpack_check_depth(const struct unpack *u, int fd, struct coffer_error *err)
{
	int base = unpack_depth(u->dir, err), depth = base < 0 ? base : unpack_depth(fd, err);

	if (depth < 0)
		return depth;
	return depth - base > UNPACK_DEPTH_MAX ? err_invalid(err, "nested too deep") : 0;
}

/* Cut @path in two. Return: its last component; @parent: the rest */
static const char *unpack_split(const char *path, char parent[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	memcpy(parent, path, n);
	parent[n] = '\0';
	return slash ? slash + 1 : path;
}

/* Have u->parent_fd be the directory that @path is in. @make: also if it is missing; else that is
 * -ENOENT without an error filled */
static int unpack_enter(struct unpack *u, const char *path, bool make, struct coffer_error *err)
{
	char parent[PATH_MAX];
	struct stat st;
	int fd, r;

	if (strlen(path) >= PATH_MAX || unpack_count(path, strlen(path)) > UNPACK_DEPTH_MAX)
		return err_invalid(err, "nested too deep");
	u->name = unpack_split(path, parent);
	if (u->parent_fd >= 0 && strcmp(u->parent, parent) == 0)
		return 0;
	close_fd(&u->parent_fd);
	fd = unpack_open(u, parent);
	if (fd == -ENOENT && make)
		fd = path_mkdirs_in_root(u->dir, parent, 0755, err);
	else if (fd == -ENOTDIR && make)
		err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR,
			"something on its way is no directory");
	else if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		err_sysn(err, fd, "open %.200s", parent);
	if (fd < 0)
		return fd == -ENOTDIR && !make ? -ENOENT : fd;
	u->parent_fd = fd;
	r = unpack_check_depth(u, fd, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %.200s", parent);
	u->parent_ino = st.st_ino;
	memcpy(u->parent, parent, strlen(parent) + 1);
	/* What changes in a directory that this layer does not name leaves its times alone. */
	return unpack_remember(u, parent, fd, NULL, err);
}

/* ---- entries ---- */

static int unpack_hide(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	int r;

	if (e->kind == LAYER_OPAQUE) {
		/* It may be what is removed. */
		close_fd(&u->parent_fd);
		return unpack_hide_below(u, unpack_open(u, e->path), err);
	}
	r = unpack_enter(u, e->path, false, err);
	if (r == 0)
		r = unpack_hide_name(u, err);
	/* There is nothing to be hidden. */
	return r == -ENOENT ? 0 : r;
}

static int unpack_hard_link(struct unpack *u, const struct layer_entry *e, struct coffer_error *err)
{
	char parent[PATH_MAX];
	const char *name = unpack_split(e->target, parent);
	autoclose int dir = unpack_open(u, parent);

	if (dir < 0)
		return err_sysn(err, dir, "link to %.200s", e->target);
	return unpack_make_link(u, dir, name, e, err);
}

static int unpack_entry(void *data, const struct layer_entry *e, struct coffer_error *err)
{
	struct unpack *u = data;
	int r;

	if (e->kind == LAYER_WHITEOUT || e->kind == LAYER_OPAQUE)
		return unpack_hide(u, e, err);
	if (!*e->path)
		return unpack_make_root(u, e, err);
	r = unpack_enter(u, e->path, true, err);
	if (r == 0)
		r = e->kind == LAYER_HARDLINK ? unpack_hard_link(u, e, err)
					      : unpack_make(u, e, err);
	return r < 0 ? r : unpack_hide_spare(u, err);
}

/* ---- the layer ---- */

/* A later entry may have taken it away: the same directory only. */
static int unpack_set_late(const struct unpack *u, const struct unpack_late *l,
			   struct coffer_error *err)
{
	autoclose int fd = unpack_open(u, l->path);
	const struct timespec times[2] = { l->mtime, l->mtime };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != l->dev || st.st_ino != l->ino)
		return 0;
	if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		return err_sys(err, "%.200s: set the times", l->path);
	return 0;
}

int layer_unpack(const struct layer_source *layer, int dir, bool chown,
		 const struct settings_limits *limits, struct layer_used *used,
		 const struct layer_watch *watch, struct coffer_error *err)
{
	static const struct layer_ops ops = { .entry = unpack_entry,
					      .data = unpack_file_data,
					      .end = unpack_file_end };
	CLEANUP(unpack_free)
	struct unpack u = { .dir = dir, .chown = chown, .parent_fd = -1, .file_fd = -1 };
	int r = layer_read(layer, limits, used, watch, &ops, &u, NULL, err);

	/* In order, since the last word counts. */
	for (size_t i = 0; r == 0 && i < u.nlate; i++)
		r = unpack_set_late(&u, &u.late[i], err);
	return r;
}
