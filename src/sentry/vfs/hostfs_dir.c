/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_dir.c - directories of the host that are open
 *
 * Each has a descriptor of its own, whose place is the host's, and a block of entries. The offset a
 * guest sees is the host's cookie, so that seeking works as it does there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/vfs/hostfs.h"

#define HOSTFS_DIR_BLOCK 8192

struct hostfs_dir {
	struct file file;
	int fd;		  /* owned */
	char *block;	  /* owned; offset_lock, as the rest */
	size_t pos, len;  /* of it */
	int64_t at;	  /* the offset of what is at pos */
};

int hostfs_dir_fd(struct hostfs_inode *h)
{
	int fd = openat(h->fd, ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;

	if (r < 0 && hostfs_denied(r))
		r = (int)gofer_call(kernel.gofer, &(struct gofer_call){
			.op = GOFER_OPEN, .fd = h->fd, .fd2 = -1,
			.args = { O_RDONLY | O_DIRECTORY } });
	return r;
}

/* Return: 1 there is an entry at pos, 0 the end, or negative errno */
static int hostfs_dir_fill(struct hostfs_dir *d)
{
	ssize_t n;

	if (d->at != d->file.offset) {
		d->pos = d->len = 0;
		if (lseek(d->fd, d->file.offset, SEEK_SET) < 0)
			return -errno;
		d->at = d->file.offset;
	}
	if (d->pos < d->len)
		return 1;
	if (!d->block)
		d->block = malloc(HOSTFS_DIR_BLOCK);
	if (!d->block)
		return -ENOMEM;
	n = getdents64(d->fd, d->block, HOSTFS_DIR_BLOCK);
	d->pos = 0;
	d->len = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n > 0;
}

static int hostfs_dir_readdir(struct file *file, struct dir_sink *sink)
{
	struct hostfs_dir *d = (struct hostfs_dir *)file;
	struct hostfs *fs = hostfs_super(file->inode);
	dev_t dev = hostfs_of(file->inode)->dev;
	int r;

	while ((r = hostfs_dir_fill(d)) > 0) {
		struct dirent64 *e = (struct dirent64 *)(void *)(d->block + d->pos);

		if (sink->emit(sink, e->d_name, strlen(e->d_name), hostfs_ino(fs, dev, e->d_ino),
			       e->d_type, e->d_off) != 0)
			return 0;
		d->pos += e->d_reclen;
		d->at = file->offset = e->d_off;
	}
	return r;
}

/* A seek shows what there is now, also where it leads to the same place. */
static int64_t hostfs_dir_seek(struct file *file, int64_t offset, int whence)
{
	struct hostfs_dir *d = (struct hostfs_dir *)file;
	int64_t r = file_seek_plain(file, offset, whence);

	if (r >= 0 && !(whence == SEEK_CUR && !offset)) {
		pthread_mutex_lock(&file->offset_lock);
		d->at = -1;
		pthread_mutex_unlock(&file->offset_lock);
	}
	return r;
}

static int hostfs_dir_fsync(struct file *file, bool data_only)
{
	int fd = ((struct hostfs_dir *)file)->fd;

	return (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
}

static void hostfs_dir_release(struct file *file)
{
	struct hostfs_dir *d = (struct hostfs_dir *)file;

	close_fd(&d->fd);
	hostfs_fd_count(-1);
	free(d->block);
	file_free_common(file);
	free(d);
}

static const struct file_ops hostfs_dir_file_ops = {
	.readdir = hostfs_dir_readdir,
	.seek = hostfs_dir_seek,
	.fsync = hostfs_dir_fsync,
	.release = hostfs_dir_release,
};

int hostfs_open_dir(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		    struct task *task, struct file **out)
{
	struct hostfs_dir *d;
	int fd = hostfs_fd_room() ? hostfs_dir_fd(hostfs_of(inode)) : -ENFILE;

	if (fd < 0)
		return fd;
	d = calloc(1, sizeof(*d));
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	d->fd = fd;
	hostfs_fd_count(1);
	file_init(&d->file, &hostfs_dir_file_ops, flags, path, inode);
	*out = &d->file;
	return 0;
}
