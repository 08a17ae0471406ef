/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path_attr.c - changing modes, owners and times
 */
#include <string.h>
#include <sys/time.h>
#include <utime.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/path_calls.h"

/* path_set() - Of a path */
static long path_set(struct task *task, int dirfd, uint64_t addr, int flags,
		     struct inode_attr *attr)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_walk(&arg, task, dirfd, addr, path_arg_flags(flags));

	if (r < 0)
		return r;
	if ((attr->mask & ATTR_MODE) && S_ISLNK(arg.walk.path.dentry->inode->attr.st_mode))
		return -EOPNOTSUPP;
	return vfs_setattr(&arg.walk.path, task->cred, attr);
}

/* path_set_file() - Of an open file; one without a name has its attributes for itself */
static long path_set_file(struct task *task, struct file *file, struct inode_attr *attr)
{
	struct vfs_path path;

	if (!file)
		return -EBADF;
	if (!file->dentry)
		return file->inode && file->inode->ops->setattr ?
			       file->inode->ops->setattr(file->inode, attr) :
			       0;
	path = (struct vfs_path){ file->mount, file->dentry };
	return vfs_setattr(&path, task->cred, attr);
}

static long path_do_chmod(struct task *task, int dirfd, uint64_t addr, uint64_t mode, int flags)
{
	struct inode_attr attr = { .mask = ATTR_MODE, .mode = (uint32_t)mode & 07777 };

	return path_set(task, dirfd, addr, flags, &attr);
}

long path_chmod(struct task *task, const uint64_t args[6])
{
	return path_do_chmod(task, AT_FDCWD, args[0], args[1], 0);
}

long path_fchmodat(struct task *task, const uint64_t args[6])
{
	return path_do_chmod(task, (int)args[0], args[1], args[2], 0);
}

long path_fchmodat2(struct task *task, const uint64_t args[6])
{
	if (args[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return path_do_chmod(task, (int)args[0], args[1], args[2], (int)args[3]);
}

long path_fchmod(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct inode_attr attr = { .mask = ATTR_MODE, .mode = (uint32_t)args[1] & 07777 };

	return path_set_file(task, file, &attr);
}

static struct inode_attr path_owner(uint64_t uid, uint64_t gid)
{
	struct inode_attr attr = { .uid = (uint32_t)uid, .gid = (uint32_t)gid };

	if (attr.uid != UINT32_MAX)
		attr.mask |= ATTR_UID;
	if (attr.gid != UINT32_MAX)
		attr.mask |= ATTR_GID;
	return attr;
}

static long path_do_chown(struct task *task, int dirfd, uint64_t addr, uint64_t uid, uint64_t gid,
			  int flags)
{
	struct inode_attr attr = path_owner(uid, gid);

	return path_set(task, dirfd, addr, flags, &attr);
}

long path_chown(struct task *task, const uint64_t args[6])
{
	return path_do_chown(task, AT_FDCWD, args[0], args[1], args[2], 0);
}

long path_lchown(struct task *task, const uint64_t args[6])
{
	return path_do_chown(task, AT_FDCWD, args[0], args[1], args[2], AT_SYMLINK_NOFOLLOW);
}

long path_fchownat(struct task *task, const uint64_t args[6])
{
	if (args[4] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return path_do_chown(task, (int)args[0], args[1], args[2], args[3], (int)args[4]);
}

long path_fchown(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get(task, (int)args[0]);
	struct inode_attr attr = path_owner(args[1], args[2]);

	return path_set_file(task, file, &attr);
}

/* path_time() - One of utimensat(2)'s two: @set and @now are the bits for it */
static int path_time(const struct timespec *t, unsigned set, unsigned now, unsigned *mask)
{
	if (t->tv_nsec == UTIME_OMIT)
		return 0;
	if (t->tv_nsec != UTIME_NOW && (t->tv_nsec < 0 || t->tv_nsec > 999999999))
		return -EINVAL;
	*mask |= t->tv_nsec == UTIME_NOW ? now : set;
	return 0;
}

/* path_set_times() - @times NULL: now. Without a path: of the descriptor itself */
static long path_set_times(struct task *task, int dirfd, uint64_t addr, int flags,
			   const struct timespec *times)
{
	struct inode_attr attr = { .mask = 0 };
	int r;

	if (times) {
		attr.atime = times[0];
		attr.mtime = times[1];
		r = path_time(&times[0], ATTR_ATIME, ATTR_ATIME_NOW, &attr.mask);
		if (r == 0)
			r = path_time(&times[1], ATTR_MTIME, ATTR_MTIME_NOW, &attr.mask);
		if (r < 0 || !attr.mask)
			return r;
	} else {
		attr.mask = ATTR_ATIME_NOW | ATTR_MTIME_NOW;
	}
	if (!addr && dirfd != AT_FDCWD) {
		autofile struct file *file = fd_get(task, dirfd);

		return flags ? -EINVAL : path_set_file(task, file, &attr);
	}
	return path_set(task, dirfd, addr, flags, &attr);
}

long path_utimensat(struct task *task, const uint64_t args[6])
{
	struct timespec times[2];
	int r = 0;

	if (args[3] & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (args[2])
		r = user_read(task->mm, times, args[2], sizeof(times));
	return r < 0 ? r : path_set_times(task, (int)args[0], args[1], (int)args[3],
					  args[2] ? times : NULL);
}

static long path_set_timevals(struct task *task, int dirfd, uint64_t addr, uint64_t times_addr)
{
	struct timeval values[2];
	struct timespec times[2];
	int r;

	if (!times_addr)
		return path_set_times(task, dirfd, addr, 0, NULL);
	r = user_read(task->mm, values, times_addr, sizeof(values));
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		if (values[i].tv_usec < 0 || values[i].tv_usec >= 1000000)
			return -EINVAL;
		times[i].tv_sec = values[i].tv_sec;
		times[i].tv_nsec = values[i].tv_usec * 1000;
	}
	return path_set_times(task, dirfd, addr, 0, times);
}

long path_utimes(struct task *task, const uint64_t args[6])
{
	return path_set_timevals(task, AT_FDCWD, args[0], args[1]);
}

long path_futimesat(struct task *task, const uint64_t args[6])
{
	return path_set_timevals(task, (int)args[0], args[1], args[2]);
}

long path_utime(struct task *task, const uint64_t args[6])
{
	struct timespec times[2] = { { 0 } };
	struct utimbuf buf;
	int r;

	if (!args[1])
		return path_set_times(task, AT_FDCWD, args[0], 0, NULL);
	r = user_read(task->mm, &buf, args[1], sizeof(buf));
	if (r < 0)
		return r;
	times[0].tv_sec = buf.actime;
	times[1].tv_sec = buf.modtime;
	return path_set_times(task, AT_FDCWD, args[0], 0, times);
}
