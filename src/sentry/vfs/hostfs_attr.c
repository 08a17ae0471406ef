/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_attr.c - owner, mode, size and times of the host's files
 *
 * By the inode's own descriptor, so no name is involved; as ourselves first, then by the gofer.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/hostfs.h"

#define HOSTFS_FCHMODAT2 452 /* which the C library does not know yet */

static int hostfs_ask(struct hostfs_inode *h, enum gofer_op op, const uint64_t args[4])
{
	return (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = op, .fd = h->fd, .fd2 = -1,
		.args = { args[0], args[1], args[2], args[3] } });
}

/* Without the call: by a descriptor that is more than O_PATH. */
static int hostfs_chmod_open(struct hostfs_inode *h, mode_t mode)
{
	bool dir = S_ISDIR(h->inode.attr.st_mode), reg = S_ISREG(h->inode.attr.st_mode);
	int fd = dir ? hostfs_dir_fd(h) : reg ? hostfs_data_get(h, false) : -EOPNOTSUPP;
	int r;

	if (fd < 0)
		return fd;
	r = fchmod(fd, mode) < 0 ? -errno : 0;
	if (dir)
		close(fd);
	else
		hostfs_data_put(h, false);
	return r;
}

int hostfs_chmod(struct hostfs_inode *h, mode_t mode)
{
	const uint64_t args[4] = { mode };
	int r = (int)syscall(HOSTFS_FCHMODAT2, h->fd, "", mode, AT_EMPTY_PATH) < 0 ? -errno : 0;
	struct stat st;

	if (r == -ENOSYS && !kernel.gofer)
		return hostfs_chmod_open(h, mode);
	/* The bit of a group that we are not in is dropped without a word. */
	if (r == 0 && (mode & S_ISGID) && kernel.gofer &&
	    fstatat(h->fd, "", &st, AT_EMPTY_PATH) == 0 && !(st.st_mode & S_ISGID))
		r = -EPERM;
	if (r == -ENOSYS || hostfs_denied(r))
		r = hostfs_ask(h, GOFER_CHMOD, args);
	return r;
}

int hostfs_chown(struct hostfs_inode *h, uid_t uid, gid_t gid)
{
	const uint64_t args[4] = { uid, gid };
	int r = fchownat(h->fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;

	return hostfs_denied(r) ? hostfs_ask(h, GOFER_CHOWN, args) : r;
}

static int hostfs_truncate(struct hostfs_inode *h, uint64_t size)
{
	int fd, r;

	if (size > INT64_MAX)
		return -EINVAL;
	fd = hostfs_data_get(h, true);
	if (fd < 0)
		return fd;
	r = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
	hostfs_data_put(h, true);
	return r;
}

static struct timespec hostfs_time(const struct inode_attr *attr, unsigned set, unsigned now,
				   const struct timespec *time)
{
	if (attr->mask & now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	if (attr->mask & set)
		return *time;
	return (struct timespec){ .tv_nsec = UTIME_OMIT };
}

static int hostfs_utimes(struct hostfs_inode *h, const struct inode_attr *attr)
{
	const struct timespec times[2] = {
		hostfs_time(attr, ATTR_ATIME, ATTR_ATIME_NOW, &attr->atime),
		hostfs_time(attr, ATTR_MTIME, ATTR_MTIME_NOW, &attr->mtime),
	};
	const uint64_t args[4] = { (uint64_t)times[0].tv_sec, (uint64_t)times[0].tv_nsec,
				   (uint64_t)times[1].tv_sec, (uint64_t)times[1].tv_nsec };
	int r = utimensat(h->fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;

	return hostfs_denied(r) ? hostfs_ask(h, GOFER_UTIMES, args) : r;
}

int hostfs_setattr(struct inode *inode, const struct inode_attr *attr)
{
	const unsigned times = ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW;
	struct hostfs_inode *h = hostfs_of(inode);
	int r = 0;

	if (attr->mask & ATTR_SIZE)
		r = hostfs_truncate(h, attr->size);
	if (r == 0 && (attr->mask & ATTR_SIZE))
		mm_invalidate(&inode->mapping, PAGE_UP(attr->size), UINT64_MAX);
	if (r == 0 && (attr->mask & (ATTR_UID | ATTR_GID)))
		r = hostfs_chown(h, attr->mask & ATTR_UID ? attr->uid : UINT32_MAX,
				 attr->mask & ATTR_GID ? attr->gid : UINT32_MAX);
	if (r == 0 && (attr->mask & ATTR_MODE))
		r = hostfs_chmod(h, attr->mode & 07777);
	if (r == 0 && (attr->mask & times))
		r = hostfs_utimes(h, attr);
	hostfs_refresh(inode);
	return r;
}
