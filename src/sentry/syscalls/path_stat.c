/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path_stat.c - looking at files: stat, access, statfs
 *
 * struct stat and struct statfs are laid out as the host's, x86-64's.
 */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/path_calls.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/permission.h"

#define PATH_ST_VALID	 0x20
#define PATH_ST_RELATIME 4096
#define PATH_ST_NOATIME	 1024
#define PATH_ST_NODIRATIME 2048

/* What is looked at: of a path, or an open file without one. */
struct path_seen {
	struct stat st;
	int mount; /* number; 0: none */
	bool mount_root;
};

static void path_see_mount(struct path_seen *seen, struct mount *mount, struct dentry *dentry)
{
	seen->mount = mount ? mount->id : 0;
	seen->mount_root = mount && dentry == mount->root;
}

static int path_see_file(struct task *task, int fd, struct path_seen *seen)
{
	autofile struct file *file = fd_get_path(task, fd);

	if (!file)
		return -EBADF;
	path_see_mount(seen, file->mount, file->dentry);
	return file_stat(file, &seen->st);
}

static int path_see(struct task *task, int dirfd, uint64_t addr, int flags,
		    struct path_seen *seen)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r;

	if ((flags & AT_EMPTY_PATH) && dirfd >= 0) {
		char first = 0;

		r = addr ? user_read(task->mm, &first, addr, 1) : 0;
		if (r == 0 && !first)
			return path_see_file(task, dirfd, seen);
	}
	r = path_arg_walk(&arg, task, dirfd, addr, path_arg_flags(flags));
	if (r < 0)
		return r;
	path_see_mount(seen, arg.walk.path.mount, arg.walk.path.dentry);
	return vfs_stat(&arg.walk.path, &seen->st);
}

static long path_do_stat(struct task *task, int dirfd, uint64_t addr, uint64_t out, int flags)
{
	struct path_seen seen;
	int r;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	r = path_see(task, dirfd, addr, flags, &seen);
	return r < 0 ? r : user_write(task->mm, out, &seen.st, sizeof(seen.st));
}

long path_stat(struct task *task, const uint64_t args[6])
{
	return path_do_stat(task, AT_FDCWD, args[0], args[1], 0);
}

long path_lstat(struct task *task, const uint64_t args[6])
{
	return path_do_stat(task, AT_FDCWD, args[0], args[1], AT_SYMLINK_NOFOLLOW);
}

long path_fstat(struct task *task, const uint64_t args[6])
{
	struct path_seen seen;
	int r = path_see_file(task, (int)args[0], &seen);

	return r < 0 ? r : user_write(task->mm, args[1], &seen.st, sizeof(seen.st));
}

long path_newfstatat(struct task *task, const uint64_t args[6])
{
	return path_do_stat(task, (int)args[0], args[1], args[2], (int)args[3]);
}

static struct statx_timestamp path_statx_time(const struct timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->tv_sec, .tv_nsec = (uint32_t)t->tv_nsec };
}

long path_statx(struct task *task, const uint64_t args[6])
{
	const int known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
	unsigned flags = (unsigned)args[2];
	struct path_seen seen;
	struct statx out;
	int r;

	if ((flags & ~(unsigned)known) ||
	    (flags & AT_STATX_SYNC_TYPE) == (unsigned)AT_STATX_SYNC_TYPE ||
	    (args[3] & STATX__RESERVED))
		return -EINVAL;
	r = path_see(task, (int)args[0], args[1], (int)flags, &seen);
	if (r < 0)
		return r;
	out = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID,
		.stx_blksize = (uint32_t)seen.st.st_blksize,
		.stx_nlink = (uint32_t)seen.st.st_nlink,
		.stx_uid = seen.st.st_uid,
		.stx_gid = seen.st.st_gid,
		.stx_mode = (uint16_t)seen.st.st_mode,
		.stx_ino = seen.st.st_ino,
		.stx_size = (uint64_t)seen.st.st_size,
		.stx_blocks = (uint64_t)seen.st.st_blocks,
		.stx_attributes = seen.mount_root ? STATX_ATTR_MOUNT_ROOT : 0,
		.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT,
		.stx_atime = path_statx_time(&seen.st.st_atim),
		.stx_mtime = path_statx_time(&seen.st.st_mtim),
		.stx_ctime = path_statx_time(&seen.st.st_ctim),
		.stx_rdev_major = major(seen.st.st_rdev),
		.stx_rdev_minor = minor(seen.st.st_rdev),
		.stx_dev_major = major(seen.st.st_dev),
		.stx_dev_minor = minor(seen.st.st_dev),
		.stx_mnt_id = (uint64_t)seen.mount,
	};
	return user_write(task->mm, args[4], &out, sizeof(out));
}

/* path_real_cred() - What access(2) asks for: the real ids, with the rights they would have. NULL:
 * no memory */
static struct cred *path_real_cred(const struct task *task)
{
	struct cred *cred = task->cred, *copy;
	uint64_t caps = cred->cap_effective;

	if (!(cred->securebits & SECBIT_NO_SETUID_FIXUP))
		caps = cred->uid == 0 ? cred->cap_permitted : 0;
	if (cred->fsuid == cred->uid && cred->fsgid == cred->gid && cred->cap_effective == caps)
		return cred_get(cred);
	copy = cred_copy(cred, cred->ngroups);
	if (copy) {
		copy->fsuid = cred->uid;
		copy->fsgid = cred->gid;
		copy->cap_effective = caps;
	}
	return copy;
}

static long path_do_access(struct task *task, int dirfd, uint64_t addr, int mode, int flags)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	struct cred *cred;
	int r;

	if ((mode & ~(R_OK | W_OK | X_OK)) ||
	    (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	cred = flags & AT_EACCESS ? cred_get(task->cred) : path_real_cred(task);
	if (!cred)
		return -ENOMEM;
	r = path_arg_get(&arg, task, dirfd, addr);
	arg.walk.cred = cred;
	if (r == 0)
		r = vfs_walk(&arg.walk, arg.text,
			     path_arg_flags(flags & ~AT_EACCESS));
	if (r == 0 && mode)
		r = permission_path(&arg.walk.path, cred, mode);
	cred_put(cred);
	return r;
}

long path_access(struct task *task, const uint64_t args[6])
{
	return path_do_access(task, AT_FDCWD, args[0], (int)args[1], 0);
}

long path_faccessat(struct task *task, const uint64_t args[6])
{
	return path_do_access(task, (int)args[0], args[1], (int)args[2], 0);
}

long path_faccessat2(struct task *task, const uint64_t args[6])
{
	return path_do_access(task, (int)args[0], args[1], (int)args[2], (int)args[3]);
}

static long path_statfs_flags(const struct mount *mount)
{
	static const struct {
		unsigned mount;
		long st;
	} bits[] = {
		{ MNT_READ_ONLY, 1 },
		{ MNT_NOSUID, 2 },
		{ MNT_NODEV, 4 },
		{ MNT_NOEXEC, 8 },
		{ MNT_NOATIME, PATH_ST_NOATIME },
		{ MNT_NODIRATIME, PATH_ST_NODIRATIME },
		{ MNT_RELATIME, PATH_ST_RELATIME },
	};
	long flags = PATH_ST_VALID;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (mount_flags(mount) & bits[i].mount)
			flags |= bits[i].st;
	return flags;
}

static long path_do_statfs(struct task *task, struct mount *mount, uint64_t addr)
{
	struct statfs out = { .f_bsize = 4096, .f_frsize = 4096, .f_namelen = NAME_MAX };
	struct super *super = mount->super;
	int r = super->ops->statfs ? super->ops->statfs(super, &out) : 0;

	if (r < 0)
		return r;
	out.f_flags = path_statfs_flags(mount) | (super->read_only ? 1 : 0);
	out.f_fsid.__val[0] = (int)super->dev;
	return user_write(task->mm, addr, &out, sizeof(out));
}

long path_statfs(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_walk(&arg, task, AT_FDCWD, args[0], 0);

	return r < 0 ? r : path_do_statfs(task, arg.walk.path.mount, args[1]);
}

long path_fstatfs(struct task *task, const uint64_t args[6])
{
	autofile struct file *file = fd_get_path(task, (int)args[0]);
	struct statfs pipe = { .f_type = 0x50495045, .f_bsize = 4096, .f_frsize = 4096,
			       .f_namelen = NAME_MAX };

	if (!file)
		return -EBADF;
	return file->mount ? path_do_statfs(task, file->mount, args[1]) :
			     user_write(task->mm, args[1], &pipe, sizeof(pipe));
}
