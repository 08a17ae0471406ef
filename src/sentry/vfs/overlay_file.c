/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/overlay_file.c - regular files of an overlay that are open
 *
 * Each has the layer's file open and hands everything on to it. One that was opened to be read
 * before the file was copied up changes over to the upper layer's with its next read; the old one is
 * kept until it is closed, since another thread may be reading from it.
 *
 * A mapping asks the inode, not the file, where its pages are: those of a lower layer as long as there
 * is no copy. What is mapped stays mapped when one is made; like Linux's overlays, this does not
 * show a mapping made before what is written after.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sentry/vfs/overlay.h"

struct overlay_file {
	struct file file;
	struct file *_Atomic real; /* reference */
	struct file *old;	   /* reference; inode's write_lock */
	_Atomic bool lower;	   /* real is of a lower layer */
};

static struct overlay_file *overlay_file_of(struct file *file)
{
	return (struct overlay_file *)file;
}

static void overlay_count(struct overlay_inode *o, int change)
{
	pthread_mutex_lock(&o->inode.lock);
	o->lower_users += (unsigned)change;
	pthread_mutex_unlock(&o->inode.lock);
}

/* From the lower layer to the upper one. Return: 0 or negative errno */
static int overlay_file_change(struct overlay_file *f, struct inode *upper)
{
	struct inode *inode = f->file.inode;
	struct file *real = NULL;
	int r = 0;

	pthread_mutex_lock(&inode->write_lock);
	if (f->lower) {
		r = upper->ops->open(upper, NULL, O_RDONLY, NULL, &real);
		if (r == 0) {
			f->old = atomic_exchange(&f->real, real);
			f->lower = false;
			overlay_count(overlay_of(inode), -1);
		}
	}
	pthread_mutex_unlock(&inode->write_lock);
	return r;
}

static int overlay_file_real(struct file *file, struct file **real)
{
	struct overlay_file *f = overlay_file_of(file);
	struct inode *upper = atomic_load_explicit(&f->lower, memory_order_relaxed) ?
				      overlay_upper(overlay_of(file->inode)) :
				      NULL;
	int r = upper ? overlay_file_change(f, upper) : 0;

	*real = atomic_load_explicit(&f->real, memory_order_acquire);
	return r;
}

static long overlay_file_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct file *real;
	int r = overlay_file_real(file, &real);

	if (r < 0)
		return r;
	return real->ops->read ? real->ops->read(real, io, offset) : -EINVAL;
}

/* Under the inode's write_lock; what is open for writing is of the upper layer. */
static long overlay_file_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct file *real = overlay_file_of(file)->real;
	struct inode *inode = file->inode;
	struct stat st;
	long n;

	if (!real->ops->write)
		return -EINVAL;
	pthread_mutex_lock(&real->inode->write_lock);
	n = real->ops->write(real, io, offset);
	pthread_mutex_unlock(&real->inode->write_lock);
	pthread_mutex_lock(&inode->lock);
	st = inode_attr(real->inode);
	inode->attr.st_size = st.st_size;
	inode->attr.st_blocks = st.st_blocks;
	inode->attr.st_mtim = st.st_mtim;
	inode->attr.st_ctim = st.st_ctim;
	pthread_mutex_unlock(&inode->lock);
	return n;
}

static int64_t overlay_file_seek(struct file *file, int64_t offset, int whence)
{
	struct file *real;
	int64_t r = overlay_file_real(file, &real);

	if (r < 0)
		return r;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return file_seek_plain(file, offset, whence);
	r = file_seek(real, offset, whence);
	if (r < 0)
		return r;
	pthread_mutex_lock(&file->offset_lock);
	file->offset = r;
	pthread_mutex_unlock(&file->offset_lock);
	return r;
}

static int overlay_file_fsync(struct file *file, bool data_only)
{
	struct file *real = overlay_file_of(file)->real;

	/* A lower layer has nothing to be written */
	if (overlay_file_of(file)->lower || !real->ops->fsync)
		return 0;
	return real->ops->fsync(real, data_only);
}

static int overlay_file_fallocate(struct file *file, int mode, int64_t offset, int64_t len)
{
	struct file *real = overlay_file_of(file)->real;
	int r = real->ops->fallocate ? real->ops->fallocate(real, mode, offset, len) : -EOPNOTSUPP;

	overlay_refresh(file->inode);
	return r;
}

static int overlay_file_set_flags(struct file *file, uint32_t flags)
{
	struct file *real = overlay_file_of(file)->real;
	int r = real->ops->set_flags ? real->ops->set_flags(real, flags) : 0;

	if (r == 0)
		atomic_store(&real->flags, flags);
	return r;
}

static int overlay_file_host_fd(struct file *file)
{
	struct file *real;

	if (overlay_file_real(file, &real) < 0 || !real->ops->host_fd)
		return -1;
	return real->ops->host_fd(real);
}

static void overlay_file_release(struct file *file)
{
	struct overlay_file *f = overlay_file_of(file);

	if (f->lower)
		overlay_count(overlay_of(file->inode), -1);
	file_put(f->real);
	file_put(f->old);
	file_free_common(file);
	free(f);
}

static const struct file_ops overlay_file_file_ops = {
	.read = overlay_file_read,
	.write = overlay_file_write,
	.seek = overlay_file_seek,
	.fsync = overlay_file_fsync,
	.fallocate = overlay_file_fallocate,
	.set_flags = overlay_file_set_flags,
	.host_fd = overlay_file_host_fd,
	.release = overlay_file_release,
};

int overlay_open_file(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		      struct task *task, struct file **out)
{
	struct overlay_inode *o = overlay_of(inode);
	struct overlay_file *f;
	struct inode *upper;
	struct file *real;
	int r = (flags & O_ACCMODE) != O_RDONLY ? overlay_copy_up(o, UINT64_MAX) : 0;

	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	/* Counted before the layer is chosen: a copy made from now on is kept open for us. */
	overlay_count(o, 1);
	upper = overlay_upper(o);
	r = (upper ? upper : o->lower[0])->ops->open(upper ? upper : o->lower[0], NULL, flags, task,
						     &real);
	if (r < 0 || upper)
		overlay_count(o, -1);
	if (r < 0) {
		free(f);
		return r;
	}
	file_init(&f->file, &overlay_file_file_ops, flags, path, inode);
	atomic_init(&f->real, real);
	atomic_init(&f->lower, !upper);
	*out = &f->file;
	return 0;
}

static int overlay_translate(struct mappable *m, uint64_t offset, uint64_t len, bool write,
			     struct mappable_range *out)
{
	struct inode *real = overlay_real(overlay_of(container_of(m, struct inode, mapping)));

	if (!real->mapping.ops)
		return -ENODEV;
	return real->mapping.ops->translate(&real->mapping, offset, len, write, out);
}

const struct mappable_ops overlay_mappable_ops = { .translate = overlay_translate };
