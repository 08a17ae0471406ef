/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path.c - making, removing, moving and reading names; the table of the family
 *
 * Attributes, directories and looking have files of their own. Calls without a directory are the
 * ones with it, of AT_FDCWD.
 */
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/path_calls.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/permission.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static long path_do_create(struct task *task, int dirfd, uint64_t addr, struct vfs_create *args)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_get(&arg, task, dirfd, addr);

	return r < 0 ? r : vfs_create(&arg.walk, arg.text, args);
}

static long path_do_mkdir(struct task *task, int dirfd, uint64_t addr, uint64_t mode)
{
	struct vfs_create args = { .mode = S_IFDIR | ((uint32_t)mode & 01777) };

	return path_do_create(task, dirfd, addr, &args);
}

static long path_mkdir(struct task *task, const uint64_t args[6])
{
	return path_do_mkdir(task, AT_FDCWD, args[0], args[1]);
}

static long path_mkdirat(struct task *task, const uint64_t args[6])
{
	return path_do_mkdir(task, (int)args[0], args[1], args[2]);
}

static long path_do_mknod(struct task *task, int dirfd, uint64_t addr, uint32_t mode, uint32_t dev)
{
	struct vfs_create args = { .mode = mode & (S_IFMT | 07777) };

	switch (mode & S_IFMT) {
	case 0:
		args.mode |= S_IFREG;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	case S_IFCHR:
	case S_IFBLK:
		args.rdev = dev;
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	return path_do_create(task, dirfd, addr, &args);
}

static long path_mknod(struct task *task, const uint64_t args[6])
{
	return path_do_mknod(task, AT_FDCWD, args[0], (uint32_t)args[1], (uint32_t)args[2]);
}

static long path_mknodat(struct task *task, const uint64_t args[6])
{
	return path_do_mknod(task, (int)args[0], args[1], (uint32_t)args[2], (uint32_t)args[3]);
}

static long path_do_symlink(struct task *task, uint64_t target, int dirfd, uint64_t addr)
{
	autofree char *text = NULL;
	struct vfs_create args = { .mode = S_IFLNK | 0777 };
	int r = user_path(task->mm, target, &text);

	if (r < 0)
		return r;
	if (!*text)
		return -ENOENT;
	args.target = text;
	return path_do_create(task, dirfd, addr, &args);
}

static long path_symlink(struct task *task, const uint64_t args[6])
{
	return path_do_symlink(task, args[0], AT_FDCWD, args[1]);
}

static long path_symlinkat(struct task *task, const uint64_t args[6])
{
	return path_do_symlink(task, args[0], (int)args[1], args[2]);
}

static long path_do_unlink(struct task *task, int dirfd, uint64_t addr, bool dir)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	int r = path_arg_get(&arg, task, dirfd, addr);

	return r < 0 ? r : vfs_unlink(&arg.walk, arg.text, dir);
}

static long path_unlink(struct task *task, const uint64_t args[6])
{
	return path_do_unlink(task, AT_FDCWD, args[0], false);
}

static long path_rmdir(struct task *task, const uint64_t args[6])
{
	return path_do_unlink(task, AT_FDCWD, args[0], true);
}

static long path_unlinkat(struct task *task, const uint64_t args[6])
{
	if (args[2] & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	return path_do_unlink(task, (int)args[0], args[1], args[2] & AT_REMOVEDIR);
}

static long path_do_link(struct task *task, int from_fd, uint64_t from, int to_fd, uint64_t to,
			 int flags)
{
	autopath struct path_arg source = PATH_ARG_INIT, target = PATH_ARG_INIT;
	unsigned how = flags & AT_SYMLINK_FOLLOW ? 0 : WALK_NOFOLLOW;
	int r;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (flags & AT_EMPTY_PATH)
		how |= WALK_EMPTY;
	r = path_arg_walk(&source, task, from_fd, from, how);
	/* A descriptor may have come from somebody with more rights. */
	if (r == 0 && !*source.text && !cred_capable(task->cred, CAP_DAC_READ_SEARCH) &&
	    !permission_owner(source.walk.path.dentry->inode, task->cred))
		r = -ENOENT;
	if (r == 0)
		r = path_arg_get(&target, task, to_fd, to);
	return r < 0 ? r : vfs_link(&source.walk, &target.walk, target.text);
}

static long path_link(struct task *task, const uint64_t args[6])
{
	return path_do_link(task, AT_FDCWD, args[0], AT_FDCWD, args[1], 0);
}

static long path_linkat(struct task *task, const uint64_t args[6])
{
	return path_do_link(task, (int)args[0], args[1], (int)args[2], args[3], (int)args[4]);
}

static long path_do_rename(struct task *task, int from_fd, uint64_t from, int to_fd, uint64_t to,
			   unsigned flags)
{
	autopath struct path_arg source = PATH_ARG_INIT, target = PATH_ARG_INIT;
	int r = path_arg_get(&source, task, from_fd, from);

	if (r == 0)
		r = path_arg_get(&target, task, to_fd, to);
	if (r < 0)
		return r;
	return vfs_rename(&source.walk, source.text, &target.walk, target.text, flags);
}

static long path_rename(struct task *task, const uint64_t args[6])
{
	return path_do_rename(task, AT_FDCWD, args[0], AT_FDCWD, args[1], 0);
}

static long path_renameat(struct task *task, const uint64_t args[6])
{
	return path_do_rename(task, (int)args[0], args[1], (int)args[2], args[3], 0);
}

static long path_renameat2(struct task *task, const uint64_t args[6])
{
	return path_do_rename(task, (int)args[0], args[1], (int)args[2], args[3],
			      (unsigned)args[4]);
}

static long path_do_readlink(struct task *task, int dirfd, uint64_t addr, uint64_t buf, int size)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	autofree char *text = NULL;
	struct inode *inode;
	int r;

	if (size <= 0)
		return -EINVAL;
	r = path_arg_walk(&arg, task, dirfd, addr, WALK_NOFOLLOW | WALK_EMPTY);
	if (r < 0)
		return r;
	inode = arg.walk.path.dentry->inode;
	if (!S_ISLNK(inode->attr.st_mode) || !inode->ops->readlink)
		return *arg.text ? -EINVAL : -ENOENT;
	text = malloc(PATH_MAX);
	if (!text)
		return -ENOMEM;
	r = inode->ops->readlink(inode, text, PATH_MAX);
	if (r < 0)
		return r;
	if (r > size)
		r = size;
	size = user_write(task->mm, buf, text, (size_t)r);
	return size < 0 ? size : r;
}

static long path_readlink(struct task *task, const uint64_t args[6])
{
	return path_do_readlink(task, AT_FDCWD, args[0], args[1], (int)args[2]);
}

static long path_readlinkat(struct task *task, const uint64_t args[6])
{
	return path_do_readlink(task, (int)args[0], args[1], args[2], (int)args[3]);
}

static long path_no_handle(struct task *task, const uint64_t args[6])
{
	return -EOPNOTSUPP;
}

static const struct syscall_row path_rows[] = {
	{ SYS_stat, "stat", path_stat, { ARG_PATH, ARG_HEX } },
	{ SYS_lstat, "lstat", path_lstat, { ARG_PATH, ARG_HEX } },
	{ SYS_fstat, "fstat", path_fstat, { ARG_FD, ARG_HEX } },
	{ SYS_newfstatat, "newfstatat", path_newfstatat,
	  { ARG_DIRFD, ARG_PATH, ARG_HEX, ARG_HEX } },
	{ SYS_statx, "statx", path_statx, { ARG_DIRFD, ARG_PATH, ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_access, "access", path_access, { ARG_PATH, ARG_INT } },
	{ SYS_faccessat, "faccessat", path_faccessat, { ARG_DIRFD, ARG_PATH, ARG_INT } },
	{ SYS_faccessat2, "faccessat2", path_faccessat2,
	  { ARG_DIRFD, ARG_PATH, ARG_INT, ARG_HEX } },
	{ SYS_statfs, "statfs", path_statfs, { ARG_PATH, ARG_HEX } },
	{ SYS_fstatfs, "fstatfs", path_fstatfs, { ARG_FD, ARG_HEX } },
	{ SYS_chmod, "chmod", path_chmod, { ARG_PATH, ARG_OCT } },
	{ SYS_fchmod, "fchmod", path_fchmod, { ARG_FD, ARG_OCT } },
	{ SYS_fchmodat, "fchmodat", path_fchmodat, { ARG_DIRFD, ARG_PATH, ARG_OCT } },
	{ SYS_fchmodat2, "fchmodat2", path_fchmodat2, { ARG_DIRFD, ARG_PATH, ARG_OCT, ARG_HEX } },
	{ SYS_chown, "chown", path_chown, { ARG_PATH, ARG_INT, ARG_INT } },
	{ SYS_lchown, "lchown", path_lchown, { ARG_PATH, ARG_INT, ARG_INT } },
	{ SYS_fchown, "fchown", path_fchown, { ARG_FD, ARG_INT, ARG_INT } },
	{ SYS_fchownat, "fchownat", path_fchownat,
	  { ARG_DIRFD, ARG_PATH, ARG_INT, ARG_INT, ARG_HEX } },
	{ SYS_utime, "utime", path_utime, { ARG_PATH, ARG_HEX } },
	{ SYS_utimes, "utimes", path_utimes, { ARG_PATH, ARG_HEX } },
	{ SYS_futimesat, "futimesat", path_futimesat, { ARG_DIRFD, ARG_PATH, ARG_HEX } },
	{ SYS_utimensat, "utimensat", path_utimensat, { ARG_DIRFD, ARG_PATH, ARG_HEX, ARG_HEX } },
	{ SYS_mkdir, "mkdir", path_mkdir, { ARG_PATH, ARG_OCT } },
	{ SYS_mkdirat, "mkdirat", path_mkdirat, { ARG_DIRFD, ARG_PATH, ARG_OCT } },
	{ SYS_rmdir, "rmdir", path_rmdir, { ARG_PATH } },
	{ SYS_unlink, "unlink", path_unlink, { ARG_PATH } },
	{ SYS_unlinkat, "unlinkat", path_unlinkat, { ARG_DIRFD, ARG_PATH, ARG_HEX } },
	{ SYS_rename, "rename", path_rename, { ARG_PATH, ARG_PATH } },
	{ SYS_renameat, "renameat", path_renameat,
	  { ARG_DIRFD, ARG_PATH, ARG_DIRFD, ARG_PATH } },
	{ SYS_renameat2, "renameat2", path_renameat2,
	  { ARG_DIRFD, ARG_PATH, ARG_DIRFD, ARG_PATH, ARG_HEX }, SYSCALL_PART,
	  "no RENAME_WHITEOUT" },
	{ SYS_link, "link", path_link, { ARG_PATH, ARG_PATH } },
	{ SYS_linkat, "linkat", path_linkat,
	  { ARG_DIRFD, ARG_PATH, ARG_DIRFD, ARG_PATH, ARG_HEX } },
	{ SYS_symlink, "symlink", path_symlink, { ARG_STR, ARG_PATH } },
	{ SYS_symlinkat, "symlinkat", path_symlinkat, { ARG_STR, ARG_DIRFD, ARG_PATH } },
	{ SYS_readlink, "readlink", path_readlink, { ARG_PATH, ARG_OUT, ARG_UINT } },
	{ SYS_readlinkat, "readlinkat", path_readlinkat,
	  { ARG_DIRFD, ARG_PATH, ARG_OUT, ARG_UINT } },
	{ SYS_mknod, "mknod", path_mknod, { ARG_PATH, ARG_OCT, ARG_HEX } },
	{ SYS_mknodat, "mknodat", path_mknodat, { ARG_DIRFD, ARG_PATH, ARG_OCT, ARG_HEX } },
	{ SYS_chdir, "chdir", path_chdir, { ARG_PATH } },
	{ SYS_fchdir, "fchdir", path_fchdir, { ARG_FD } },
	{ SYS_chroot, "chroot", path_chroot, { ARG_PATH } },
	{ SYS_getcwd, "getcwd", path_getcwd, { ARG_OUT, ARG_UINT } },
	{ SYS_getdents, "getdents", path_getdents, { ARG_FD, ARG_HEX, ARG_UINT } },
	{ SYS_getdents64, "getdents64", path_getdents64, { ARG_FD, ARG_HEX, ARG_UINT } },
	{ SYS_name_to_handle_at, "name_to_handle_at", path_no_handle,
	  { ARG_DIRFD, ARG_PATH, ARG_HEX, ARG_HEX, ARG_HEX }, SYSCALL_NONE,
	  "no file system gives handles" },
};

const struct syscall_family syscalls_path = SYSCALL_FAMILY("Paths", path_rows);
