/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_print.c - /proc/PID/mounts and mountinfo
 *
 * The table is copied as a list of references first: names need tree locks, which are not taken
 * under the lock of mounts.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "sentry/vfs/mount.h"

static const struct {
	unsigned flag;
	const char *name;
} mount_print_flags[] = {
	{ MNT_NOSUID, ",nosuid" },	   { MNT_NODEV, ",nodev" },
	{ MNT_NOEXEC, ",noexec" },	   { MNT_NOATIME, ",noatime" },
	{ MNT_NODIRATIME, ",nodiratime" }, { MNT_RELATIME, ",relatime" },
};

/* mount_print_text() - Blanks and backslashes as octal numbers */
static int mount_print_text(struct buf *out, const char *s)
{
	int r = 0;

	for (; *s && r == 0; s++) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#')
			r = buf_printf(out, "\\%03o", (unsigned)*s);
		else
			r = buf_append(out, s, 1);
	}
	return r;
}

static int mount_print_options(struct buf *out, const struct mount *mount)
{
	unsigned flags = mount_flags(mount);
	int r = buf_printf(out, flags & MNT_READ_ONLY ? "ro" : "rw");

	for (size_t i = 0; i < ARRAY_SIZE(mount_print_flags) && r == 0; i++)
		if (flags & mount_print_flags[i].flag)
			r = buf_printf(out, "%s", mount_print_flags[i].name);
	return r;
}

/* What is printed of one mount, found under the lock. */
struct mount_line {
	struct mount *mount; /* reference */
	int parent;
};

static int mount_print_info(struct buf *out, const struct mount_line *line, const char *point,
			    char *root)
{
	struct mount *mount = line->mount;
	int r = dentry_path_name(mount->root, root, PATH_MAX);

	if (r >= 0)
		r = buf_printf(out, "%d %d %u:%u ", mount->id, line->parent,
			       major(mount->super->dev), minor(mount->super->dev));
	if (r == 0)
		r = mount_print_text(out, root);
	if (r == 0)
		r = buf_printf(out, " ");
	if (r == 0)
		r = mount_print_text(out, point);
	if (r == 0)
		r = buf_printf(out, " ");
	if (r == 0)
		r = mount_print_options(out, mount);
	if (r == 0)
		r = buf_printf(out, " - %s ", mount->super->ops->type);
	if (r == 0)
		r = mount_print_text(out, mount->source);
	if (r == 0)
		r = buf_printf(out, " %s\n", mount->super->read_only ? "ro" : "rw");
	return r;
}

static int mount_print_mounts(struct buf *out, const struct mount *mount, const char *point)
{
	int r = mount_print_text(out, mount->source);

	if (r == 0)
		r = buf_printf(out, " ");
	if (r == 0)
		r = mount_print_text(out, point);
	if (r == 0)
		r = buf_printf(out, " %s ", mount->super->ops->type);
	if (r == 0)
		r = mount_print_options(out, mount);
	return r == 0 ? buf_printf(out, " 0 0\n") : r;
}

static struct mount_line *mount_print_collect(struct mount_table *t, unsigned *n)
{
	struct mount_line *lines;

	pthread_rwlock_rdlock(&mounts_lock);
	lines = calloc(t->count, sizeof(*lines));
	*n = 0;
	for (struct mount *at = t->first; lines && at; at = at->next) {
		lines[*n].mount = mount_get(at);
		lines[*n].parent = at->parent ? at->parent->id : at->id;
		++*n;
	}
	pthread_rwlock_unlock(&mounts_lock);
	return lines;
}

int mount_print(struct mount_table *t, const struct vfs_path *root, bool info, struct buf *out)
{
	autofree char *point = malloc(2 * PATH_MAX);
	autofree struct mount_line *lines = NULL;
	unsigned n = 0;
	int r = 0;

	if (point)
		lines = mount_print_collect(t, &n);
	if (!lines)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct mount *mount = lines[i].mount;
		struct vfs_path top = { mount, mount->root };
		int len = -ENOMEM;

		if (r == 0)
			len = vfs_path_name(&top, root, point, PATH_MAX);
		/* What lies outside of a chroot is not shown. */
		if (len > 0 && point[0] == '/')
			r = info ? mount_print_info(out, &lines[i], point, point + PATH_MAX) :
				   mount_print_mounts(out, mount, point);
		mount_put(mount);
	}
	return r;
}
