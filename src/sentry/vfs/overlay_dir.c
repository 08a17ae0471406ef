/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_dir.c - directories of an overlay that are open
 *
 * The list of names is made when reading begins, and again after a rewind: offsets are places in it,
 * behind those of "." and "..".
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/vfs/overlay.h"

struct overlay_dir {
	struct file file;
	struct overlay_list list; /* offset_lock */
	bool listed;
};

static int overlay_dir_readdir(struct file *file, struct dir_sink *sink)
{
	struct overlay_dir *d = (struct overlay_dir *)file;

	if (!d->listed || file->offset == 0) {
		int r;

		overlay_list_free(&d->list);
		r = overlay_list_read(overlay_of(file->inode), &d->list);
		if (r < 0)
			return r;
		d->listed = true;
	}
	if (!dir_emit_dots(file, sink))
		return 0;
	while ((uint64_t)file->offset - 2 < d->list.n) {
		const struct overlay_entry *e = &d->list.entries[file->offset - 2];

		if (!e->hidden && sink->emit(sink, d->list.names + e->name, e->len, e->ino, e->type,
					     file->offset + 1) != 0)
			return 0;
		file->offset++;
	}
	return 0;
}

/* What was made below it is in the upper layer's directory. */
static int overlay_dir_fsync(struct file *file, bool data_only)
{
	struct inode *upper = overlay_upper(overlay_of(file->inode));
	autofile struct file *real = NULL;
	int r;

	if (!upper)
		return 0;
	r = upper->ops->open(upper, NULL, 0, NULL, &real);
	return r == 0 && real->ops->fsync ? real->ops->fsync(real, data_only) : r;
}

static void overlay_dir_release(struct file *file)
{
	struct overlay_dir *d = (struct overlay_dir *)file;

	overlay_list_free(&d->list);
	file_free_common(file);
	free(d);
}

static const struct file_ops overlay_dir_file_ops = {
	.readdir = overlay_dir_readdir,
	.fsync = overlay_dir_fsync,
	.release = overlay_dir_release,
};

int overlay_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		     struct task *task, struct file **out)
{
	struct overlay_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &overlay_dir_file_ops, flags, path, inode);
	*out = &d->file;
	return 0;
}
