/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/file.c - descriptors: opening, closing, doubling; the table of the family
 *
 * fcntl(2), ioctl(2) and what is about sizes and syncing have files of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "sentry/syscalls/file_calls.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/memfd.h"

#define FILE_TMPFILE_BIT 020000000u /* O_TMPFILE without O_DIRECTORY */
#define FILE_OPEN_KNOWN                                                                   \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK |      \
	 O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT | 0100000 | O_DIRECTORY | O_NOFOLLOW |     \
	 O_NOATIME | O_CLOEXEC | O_PATH | FILE_TMPFILE_BIT)

/* file_open_flags() - What cannot be asked for together */
static int file_open_flags(uint32_t flags)
{
	if (flags & O_PATH)
		return 0;
	if ((flags & FILE_TMPFILE_BIT) &&
	    ((flags & O_TMPFILE) != O_TMPFILE || (flags & O_CREAT) || !(flags & O_ACCMODE)))
		return -EINVAL;
	if (!(flags & FILE_TMPFILE_BIT) &&
	    (flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		return -EINVAL;
	return 0;
}

static long file_do_open(struct task *task, int dirfd, uint64_t addr, uint32_t flags,
			 uint32_t mode, unsigned resolve)
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	struct file *file = NULL;
	int r = file_open_flags(flags);

	if (r == 0)
		r = user_path(task->mm, addr, &arg.text);
	/* With RESOLVE_IN_ROOT a path from "/" on begins at the descriptor as well. */
	if (r == 0)
		r = walk_task(&arg.walk, task, dirfd, resolve & WALK_IN_ROOT ? "." : arg.text);
	if (r == 0)
		r = vfs_open(&arg.walk, arg.text, flags, mode, resolve, &file);
	return r ? r : fd_install(task, file, flags & O_CLOEXEC, 0);
}

static long file_open(struct task *task, const uint64_t args[6])
{
	return file_do_open(task, AT_FDCWD, args[0], (uint32_t)args[1] & FILE_OPEN_KNOWN,
			    (uint32_t)args[2], 0);
}

static long file_creat(struct task *task, const uint64_t args[6])
{
	return file_do_open(task, AT_FDCWD, args[0], O_CREAT | O_WRONLY | O_TRUNC,
			    (uint32_t)args[1], 0);
}

static long file_openat(struct task *task, const uint64_t args[6])
{
	return file_do_open(task, (int)args[0], args[1], (uint32_t)args[2] & FILE_OPEN_KNOWN,
			    (uint32_t)args[3], 0);
}

/* file_open_how() - openat2(2)'s argument; a longer one of a later kernel if the rest is zero */
static int file_open_how(struct task *task, uint64_t addr, uint64_t size, struct open_how *how)
{
	char rest[256];
	int r;

	if (size < sizeof(*how))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	r = user_read(task->mm, how, addr, sizeof(*how));
	for (uint64_t at = sizeof(*how); at < size && r == 0;) {
		uint64_t n = size - at < sizeof(rest) ? size - at : sizeof(rest);

		r = user_read(task->mm, rest, addr + at, n);
		for (uint64_t i = 0; i < n && r == 0; i++)
			if (rest[i])
				r = -E2BIG;
		at += n;
	}
	return r;
}

static int file_resolve(uint64_t resolve, unsigned *walk)
{
	static const struct {
		uint64_t bit;
		unsigned walk;
	} bits[] = {
		{ RESOLVE_NO_XDEV, WALK_NO_XDEV },
		{ RESOLVE_NO_MAGICLINKS, WALK_NO_MAGICLINKS },
		{ RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS | WALK_NO_MAGICLINKS },
		{ RESOLVE_BENEATH, WALK_BENEATH },
		{ RESOLVE_IN_ROOT, WALK_IN_ROOT },
	};

	*walk = 0;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		if (resolve & bits[i].bit)
			*walk |= bits[i].walk;
		resolve &= ~bits[i].bit;
	}
	if ((*walk & WALK_BENEATH) && (*walk & WALK_IN_ROOT))
		return -EINVAL;
	if (resolve == RESOLVE_CACHED)
		return -EAGAIN;
	return resolve ? -EINVAL : 0;
}

static long file_openat2(struct task *task, const uint64_t args[6])
{
	struct open_how how;
	unsigned resolve;
	int r = file_open_how(task, args[2], args[3], &how);

	if (r < 0)
		return r;
	if ((how.flags & ~(uint64_t)FILE_OPEN_KNOWN) || (how.mode & ~(uint64_t)07777))
		return -EINVAL;
	if (how.mode && !(how.flags & (O_CREAT | FILE_TMPFILE_BIT)))
		return -EINVAL;
	if ((how.flags & O_PATH) &&
	    (how.flags & ~(uint64_t)(O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)))
		return -EINVAL;
	r = file_resolve(how.resolve, &resolve);
	if (r < 0)
		return r;
	return file_do_open(task, (int)args[0], args[1], (uint32_t)how.flags, (uint32_t)how.mode,
			    resolve);
}

static long file_close(struct task *task, const uint64_t args[6])
{
	return fd_close(task, (int)args[0]);
}

/* file_unshare() - A table of its own for CLOSE_RANGE_UNSHARE */
static int file_unshare(struct task *task)
{
	struct fdtable *copy = fdtable_copy(task->files), *old;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&kernel.tasks_lock);
	old = task->files;
	task->files = copy;
	pthread_mutex_unlock(&kernel.tasks_lock);
	fdtable_put(old);
	return 0;
}

static long file_close_range(struct task *task, const uint64_t args[6])
{
	unsigned flags = (unsigned)args[2];
	int r = 0;

	if ((flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) ||
	    (unsigned)args[0] > (unsigned)args[1])
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE)
		r = file_unshare(task);
	if (r < 0)
		return r;
	return fd_close_range(task, (unsigned)args[0], (unsigned)args[1],
			      flags & CLOSE_RANGE_CLOEXEC);
}

static long file_dup(struct task *task, const uint64_t args[6])
{
	struct file *file = fd_get_path(task, (int)args[0]);

	return file ? fd_install(task, file, false, 0) : -EBADF;
}

static long file_dup2(struct task *task, const uint64_t args[6])
{
	struct file *file = fd_get_path(task, (int)args[0]);

	if (!file)
		return -EBADF;
	if ((int)args[0] == (int)args[1]) {
		file_put(file);
		return (int)args[1];
	}
	return fd_install_at(task, file, false, (int)args[1]);
}

static long file_dup3(struct task *task, const uint64_t args[6])
{
	struct file *file;

	if ((args[2] & ~(uint64_t)O_CLOEXEC) || (int)args[0] == (int)args[1])
		return -EINVAL;
	file = fd_get_path(task, (int)args[0]);
	if (!file)
		return -EBADF;
	return fd_install_at(task, file, args[2] & O_CLOEXEC, (int)args[1]);
}

static long file_umask(struct task *task, const uint64_t args[6])
{
	struct fs_context *fs = task->fs;
	uint32_t old;

	pthread_mutex_lock(&fs->lock);
	old = fs->umask;
	fs->umask = (uint32_t)args[0] & 0777;
	pthread_mutex_unlock(&fs->lock);
	return old;
}

static long file_memfd_create(struct task *task, const uint64_t args[6])
{
	char name[MEMFD_NAME_MAX + 1];
	unsigned flags = (unsigned)args[1];
	struct file *file;
	long r = user_string(task->mm, name, args[0], sizeof(name));

	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	r = memfd_create_file(task, name, flags, &file);
	return r < 0 ? r : fd_install(task, file, flags & MFD_CLOEXEC, 0);
}

static const struct syscall_row file_rows[] = {
	{ SYS_open, "open", file_open, { ARG_PATH, ARG_OPEN, ARG_OCT } },
	{ SYS_creat, "creat", file_creat, { ARG_PATH, ARG_OCT } },
	{ SYS_openat, "openat", file_openat, { ARG_DIRFD, ARG_PATH, ARG_OPEN, ARG_OCT } },
	{ SYS_openat2, "openat2", file_openat2, { ARG_DIRFD, ARG_PATH, ARG_HEX, ARG_UINT },
	  SYSCALL_PART, "RESOLVE_CACHED always says EAGAIN" },
	{ SYS_close, "close", file_close, { ARG_FD } },
	{ SYS_close_range, "close_range", file_close_range, { ARG_UINT, ARG_UINT, ARG_HEX } },
	{ SYS_dup, "dup", file_dup, { ARG_FD } },
	{ SYS_dup2, "dup2", file_dup2, { ARG_FD, ARG_FD } },
	{ SYS_dup3, "dup3", file_dup3, { ARG_FD, ARG_FD, ARG_OPEN } },
	{ SYS_fcntl, "fcntl", file_fcntl, { ARG_FD, ARG_INT, ARG_HEX }, SYSCALL_PART,
	  "no leases, no F_NOTIFY" },
	{ SYS_flock, "flock", file_flock, { ARG_FD, ARG_INT } },
	{ SYS_ioctl, "ioctl", file_ioctl, { ARG_FD, ARG_HEX, ARG_HEX } },
	{ SYS_lseek, "lseek", file_lseek, { ARG_FD, ARG_INT, ARG_INT } },
	{ SYS_truncate, "truncate", file_truncate_path, { ARG_PATH, ARG_INT } },
	{ SYS_ftruncate, "ftruncate", file_ftruncate, { ARG_FD, ARG_INT } },
	{ SYS_fallocate, "fallocate", file_fallocate, { ARG_FD, ARG_HEX, ARG_INT, ARG_INT } },
	{ SYS_fsync, "fsync", file_fsync, { ARG_FD } },
	{ SYS_fdatasync, "fdatasync", file_fdatasync, { ARG_FD } },
	{ SYS_sync, "sync", file_sync, { ARG_NONE } },
	{ SYS_syncfs, "syncfs", file_syncfs, { ARG_FD } },
	{ SYS_sync_file_range, "sync_file_range", file_sync_range,
	  { ARG_FD, ARG_INT, ARG_INT, ARG_HEX } },
	{ SYS_fadvise64, "fadvise64", file_fadvise, { ARG_FD, ARG_INT, ARG_INT, ARG_INT } },
	{ SYS_readahead, "readahead", file_readahead, { ARG_FD, ARG_INT, ARG_UINT } },
	{ SYS_umask, "umask", file_umask, { ARG_OCT } },
	{ SYS_memfd_create, "memfd_create", file_memfd_create, { ARG_STR, ARG_HEX }, SYSCALL_PART,
	  "no huge pages" },
};

const struct syscall_family syscalls_file = SYSCALL_FAMILY("Files and descriptors", file_rows);
