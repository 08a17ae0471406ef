/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/file.c - open files as objects: references, waiting, attributes, offsets
 *
 * Each kind embeds struct file and fills file_ops; here is what is the same for all of them.
 */
#include "sentry/vfs/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "sentry/vfs/anon.h"
#include "sentry/vfs/bound.h"
#include "sentry/vfs/lock.h"
#include "sentry/vfs/open.h"

/* As Linux reckons: a KiB each, a tenth of the memory. */
static struct bound file_bound = { .each = 10240, .least = 8192, .most = 1u << 22 };

bool file_is_crowded(void)
{
	return bound_is_full(&file_bound);
}

unsigned file_count(unsigned *max)
{
	*max = (unsigned)bound_limit(&file_bound);
	return (unsigned)atomic_load(&file_bound.used);
}

void file_init(struct file *file, const struct file_ops *ops, uint32_t flags,
	       const struct vfs_path *path, struct inode *inode)
{
	memset(file, 0, sizeof(*file));
	bound_add(&file_bound, 1);
	file->ops = ops;
	atomic_init(&file->refs, 1);
	atomic_init(&file->flags, flags);
	pthread_mutex_init(&file->offset_lock, NULL);
	if (path && path->mount) {
		path_get(path);
		file->mount = path->mount;
		file->dentry = path->dentry;
	}
	if (inode) {
		file->inode = inode_get(inode);
		file->seekable = S_ISREG(inode->attr.st_mode) || S_ISDIR(inode->attr.st_mode);
	}
}

void file_free_common(struct file *file)
{
	struct vfs_path path = { file->mount, file->dentry };

	bound_give(&file_bound, 1);
	inode_put(file->inode);
	path_put(&path);
	pthread_mutex_destroy(&file->offset_lock);
}

void file_release_plain(struct file *file)
{
	file_free_common(file);
	free(file);
}

struct file *file_get(struct file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

void file_put(struct file *file)
{
	if (!file || atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (file->watches)
		epoll_forget(file);
	if (file->async)
		file_set_async(file, NULL, false);
	if (file->inode && atomic_load_explicit(&file->inode->locks, memory_order_relaxed))
		lock_drop_file(file);
	if (file->dentry && !(file->flags & O_PATH))
		vfs_notify_path(file->dentry,
				file_writable(file) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	if (file->counts_write)
		atomic_fetch_add(&file->inode->deny_write, 1);
	if (file->denies_write)
		inode_allow_write(file->inode);
	file->ops->release(file);
}

uint32_t file_poll(struct file *file, uint32_t mask, struct wait *wait)
{
	if (!file->ops->poll)
		return mask & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	return file->ops->poll(file, mask, wait);
}

int file_wait(struct task *task, struct file *file, uint32_t mask, usec_t deadline)
{
	struct wait wait;
	int r = 0;

	if (file->flags & O_NONBLOCK)
		return -EAGAIN;
	wait_begin(&wait, task);
	while (r == 0) {
		wait_reset(&wait);
		if (file_poll(file, mask | POLLERR | POLLHUP, &wait))
			break;
		r = wait_sleep(&wait, deadline);
	}
	wait_end(&wait);
	return r;
}

int file_stat(struct file *file, struct stat *st)
{
	struct inode *inode = file->inode;
	int r = 0;

	if (file->ops->stat)
		return file->ops->stat(file, st);
	memset(st, 0, sizeof(*st));
	if (!inode) {
		st->st_mode = 0600;
		st->st_nlink = 1;
		st->st_blksize = 4096;
		st->st_ino = (uintptr_t)&file_init >> 4 & 0xff; /* one for all of these */
		return 0;
	}
	if (inode->ops->refresh)
		r = inode->ops->refresh(inode);
	if (r < 0)
		return r;
	*st = inode_attr(inode);
	st->st_dev = inode->super ? inode->super->dev : 0;
	return 0;
}

/* file_seek_from() - The offset that @whence means; -ENXIO: there is no data behind it */
static int64_t file_seek_from(struct file *file, int64_t offset, int whence)
{
	int64_t base = 0, size = 0;
	struct stat st;
	int r;

	if (whence == SEEK_END || whence == SEEK_DATA || whence == SEEK_HOLE) {
		r = file_stat(file, &st);
		if (r < 0)
			return r;
		size = st.st_size;
	}
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = file->offset;
		break;
	case SEEK_END:
		base = size;
		break;
	case SEEK_DATA:
		return offset < 0 || offset >= size ? -ENXIO : offset;
	case SEEK_HOLE:
		return offset < 0 || offset >= size ? -ENXIO : size;
	default:
		return -EINVAL;
	}
	return __builtin_add_overflow(base, offset, &offset) || offset < 0 ? -EINVAL : offset;
}

int64_t file_seek(struct file *file, int64_t offset, int whence)
{
	return file->ops->seek ? file->ops->seek(file, offset, whence) :
				 file_seek_plain(file, offset, whence);
}

int64_t file_seek_plain(struct file *file, int64_t offset, int whence)
{
	int64_t r;

	if (!file->seekable)
		return -ESPIPE;
	pthread_mutex_lock(&file->offset_lock);
	r = file_seek_from(file, offset, whence);
	if (r >= 0)
		file->offset = r;
	pthread_mutex_unlock(&file->offset_lock);
	return r;
}

bool dir_emit_dots(struct file *file, struct dir_sink *sink)
{
	uint64_t up = file->inode->attr.st_ino;

	if (file->offset == 0) {
		if (sink->emit(sink, ".", 1, up, DT_DIR, 1))
			return false;
		file->offset = 1;
	}
	if (file->offset == 1) {
		if (file->dentry) {
			tree_read(file->dentry->super);
			if (file->dentry->parent)
				up = file->dentry->parent->inode->attr.st_ino;
			tree_unlock(file->dentry->super);
		}
		if (sink->emit(sink, "..", 2, up, DT_DIR, 2))
			return false;
		file->offset = 2;
	}
	return true;
}
