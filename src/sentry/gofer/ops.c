/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/ops.c - what the gofer does with its rights
 *
 * One row an operation: what a request must have, and the function. The working directory is
 * /proc/self/fd, where the name "7" is the object of descriptor 7 itself, whatever it is and
 * wherever it has been moved: that is how calls that know only paths are given an object, and no path
 * of the host is ever walked. A name that comes with a request is opened first, without following
 * a link, and then treated the same.
 *
 * Sockets are in gofer/ports.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sentry/gofer/wire.h"

static const struct jail_call ops_rows[] = {
	JAIL(openat), JAIL(newfstatat), JAIL_IF(fcntl, 1, UINT32_MAX, F_DUPFD_CLOEXEC),
	JAIL(mkdirat), JAIL(mknodat), JAIL(symlinkat), JAIL(linkat), JAIL(unlinkat),
	JAIL(renameat2), JAIL(fchownat), JAIL(fchmodat), JAIL(utimensat),
	JAIL(getxattr), JAIL(setxattr), JAIL(listxattr), JAIL(removexattr),
};
const struct jail_list gofer_ops_calls = JAIL_LIST(ops_rows);

struct gofer_held gofer_held = { .ports = -1 };

void gofer_name(int fd, char name[GOFER_FD_NAME_MAX])
{
	snprintf(name, GOFER_FD_NAME_MAX, "%d", fd);
}

int gofer_object(const struct gofer_work *work, int *close)
{
	int fd;

	*close = -1;
	if (!work->name)
		return work->fd;
	fd = openat(work->fd, work->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*close = fd;
	return fd;
}

/* The object as a path; *@owned keeps it open. Return: 0 or negative errno */
static int ops_object_name(const struct gofer_work *work, int *owned, char name[GOFER_FD_NAME_MAX])
{
	int fd = gofer_object(work, owned);

	if (fd < 0)
		return fd;
	gofer_name(fd, name);
	return 0;
}

static long ops_result(int r)
{
	return r < 0 ? -errno : 0;
}

static long ops_tree(struct gofer_work *work)
{
	uint64_t number = work->request->args[0];
	int fd;

	if (number >= gofer_held.ntrees)
		return -ENOENT;
	fd = fcntl(gofer_held.trees[number], F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	work->result_fd = fd;
	return 0;
}

/* Only what has no side effects when it is opened. */
static long ops_open(struct gofer_work *work)
{
	const int may = O_ACCMODE | O_APPEND | O_DIRECTORY | O_SYNC | O_DSYNC | O_NOATIME;
	int flags = (int)work->request->args[0];
	char name[GOFER_FD_NAME_MAX];
	autoclose int owned = -1;
	struct stat st;
	int fd = gofer_object(work, &owned);

	if (fd < 0)
		return fd;
	if (flags & O_PATH) {
		work->result_fd = steal_fd(&owned);
		return work->result_fd < 0 ? -EINVAL : 0;
	}
	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -ENXIO;
	gofer_name(fd, name);
	fd = openat(AT_FDCWD, name, (flags & may) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	work->result_fd = fd;
	return 0;
}

static long ops_stat(struct gofer_work *work)
{
	autoclose int owned = -1;
	int fd = gofer_object(work, &owned);

	if (fd < 0)
		return fd;
	if (work->reply_size < sizeof(struct stat))
		return -EINVAL;
	if (fstatat(fd, "", (struct stat *)(void *)work->reply, AT_EMPTY_PATH) < 0)
		return -errno;
	work->reply_len = sizeof(struct stat);
	return 0;
}

static int ops_make(struct gofer_work *work, mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return mkdirat(work->fd, work->name, mode & 0777);
	case S_IFLNK:
		return symlinkat(work->data, work->fd, work->name);
	case S_IFREG:
		return mknodat(work->fd, work->name, S_IFREG | (mode & 0777), 0);
	case S_IFIFO:
	case S_IFSOCK:
		return mknodat(work->fd, work->name, mode & (S_IFMT | 0777), 0);
	case S_IFCHR: /* an overlay's whiteout, which needs no right */
		if (!work->request->args[3])
			return mknodat(work->fd, work->name, S_IFCHR | (mode & 0777), 0);
		__attribute__((fallthrough));
	default: /* a device of the host's, for whoever reaches the directory there */
		errno = EPERM;
		return -1;
	}
}

/* What changing the owner takes away of the mode is put back. */
static long ops_give(int fd, const struct stat *st, mode_t mode, uid_t uid, gid_t gid)
{
	char name[GOFER_FD_NAME_MAX];
	struct stat now;

	if ((uid != (uid_t)-1 && uid != st->st_uid) || (gid != (gid_t)-1 && gid != st->st_gid))
		if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
			return -errno;
	if (S_ISLNK(mode))
		return 0;
	if (fstatat(fd, "", &now, AT_EMPTY_PATH) < 0)
		return -errno;
	gofer_name(fd, name);
	/* A directory may have got a bit from its parent, which is for the sentry to say */
	if ((mode & 07777) != (now.st_mode & 07777))
		return ops_result(fchmodat(AT_FDCWD, name, mode & 07777, 0));
	return 0;
}

long gofer_give(int dir, const char *name, mode_t mode, uid_t uid, gid_t gid)
{
	autoclose int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	long r;

	if (fd < 0 || fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if ((st.st_mode & S_IFMT) != (mode & S_IFMT) || st.st_uid != gofer_held.uid ||
	    (S_ISREG(st.st_mode) && (st.st_size || st.st_nlink != 1)))
		return -ESTALE;
	r = ops_give(fd, &st, mode, uid, gid);
	if (r < 0)
		unlinkat(dir, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
	return r;
}

static long ops_create(struct gofer_work *work)
{
	const uint64_t *args = work->request->args;
	mode_t mode = (mode_t)args[0];

	if (ops_make(work, mode) < 0)
		return -errno;
	return gofer_give(work->fd, work->name, mode, (uid_t)args[1], (gid_t)args[2]);
}

static long ops_chown(struct gofer_work *work)
{
	autoclose int owned = -1;
	int fd = gofer_object(work, &owned);

	if (fd < 0)
		return fd;
	return ops_result(fchownat(fd, "", (uid_t)work->request->args[0],
				   (gid_t)work->request->args[1], AT_EMPTY_PATH));
}

static long ops_chmod(struct gofer_work *work)
{
	char name[GOFER_FD_NAME_MAX];
	autoclose int owned = -1;
	int r = ops_object_name(work, &owned, name);

	return r < 0 ? r : ops_result(fchmodat(AT_FDCWD, name,
					       (mode_t)work->request->args[0] & 07777, 0));
}

static long ops_utimes(struct gofer_work *work)
{
	const uint64_t *args = work->request->args;
	const struct timespec times[2] = { { (time_t)args[0], (long)args[1] },
					   { (time_t)args[2], (long)args[3] } };
	char name[GOFER_FD_NAME_MAX];
	autoclose int owned = -1;
	int r = ops_object_name(work, &owned, name);

	return r < 0 ? r : ops_result(utimensat(AT_FDCWD, name, times, 0));
}

static long ops_link(struct gofer_work *work)
{
	char name[GOFER_FD_NAME_MAX];

	gofer_name(work->fd2, name);
	return ops_result(linkat(AT_FDCWD, name, work->fd, work->name, AT_SYMLINK_FOLLOW));
}

static long ops_unlink(struct gofer_work *work)
{
	return ops_result(unlinkat(work->fd, work->name,
				   (int)work->request->args[0] & AT_REMOVEDIR));
}

static long ops_rename(struct gofer_work *work)
{
	/* The C library has another call for no flags */
	return ops_result((int)syscall(SYS_renameat2, work->fd, work->name, work->fd2, work->name2,
				       (unsigned)work->request->args[0]));
}

static long ops_reply(struct gofer_work *work, ssize_t n)
{
	if (n < 0)
		return -errno;
	work->reply_len = work->reply_size ? (size_t)n : 0;
	return n;
}

static long ops_getxattr(struct gofer_work *work)
{
	char self[GOFER_FD_NAME_MAX];

	gofer_name(work->fd, self);
	return ops_reply(work, getxattr(self, work->name, work->reply, work->reply_size));
}

static long ops_setxattr(struct gofer_work *work)
{
	char self[GOFER_FD_NAME_MAX];

	gofer_name(work->fd, self);
	return ops_result(setxattr(self, work->name, work->data, work->data_len,
				   (int)work->request->args[0]));
}

static long ops_listxattr(struct gofer_work *work)
{
	char self[GOFER_FD_NAME_MAX];

	gofer_name(work->fd, self);
	return ops_reply(work, listxattr(self, work->reply, work->reply_size));
}

static long ops_removexattr(struct gofer_work *work)
{
	char self[GOFER_FD_NAME_MAX];

	gofer_name(work->fd, self);
	return ops_result(removexattr(self, work->name));
}

enum { NEED_FD = 1, NEED_NAME = 2, NEED_TWO = 4, NEED_NAME2 = 8, MAY_NAME = 16, ATTRIBUTE = 32 };

static const struct ops_row {
	gofer_handler handler;
	unsigned has; /* NEED_* ... */
} ops_table[GOFER_OP_COUNT] = {
	[GOFER_TREE] = { ops_tree, 0 },
	[GOFER_OPEN] = { ops_open, NEED_FD | MAY_NAME },
	[GOFER_STAT] = { ops_stat, NEED_FD | MAY_NAME },
	[GOFER_CREATE] = { ops_create, NEED_FD | NEED_NAME },
	[GOFER_CHOWN] = { ops_chown, NEED_FD | MAY_NAME },
	[GOFER_CHMOD] = { ops_chmod, NEED_FD | MAY_NAME },
	[GOFER_UTIMES] = { ops_utimes, NEED_FD | MAY_NAME },
	[GOFER_LINK] = { ops_link, NEED_FD | NEED_NAME | NEED_TWO },
	[GOFER_UNLINK] = { ops_unlink, NEED_FD | NEED_NAME },
	[GOFER_RENAME] = { ops_rename, NEED_FD | NEED_NAME | NEED_TWO | NEED_NAME2 },
	[GOFER_GETXATTR] = { ops_getxattr, NEED_FD | NEED_NAME | ATTRIBUTE },
	[GOFER_SETXATTR] = { ops_setxattr, NEED_FD | NEED_NAME | ATTRIBUTE },
	[GOFER_LISTXATTR] = { ops_listxattr, NEED_FD },
	[GOFER_REMOVEXATTR] = { ops_removexattr, NEED_FD | NEED_NAME | ATTRIBUTE },
	[GOFER_CONNECT] = { gofer_connect, NEED_FD | MAY_NAME },
	[GOFER_BIND] = { gofer_bind, NEED_FD | NEED_NAME },
	[GOFER_DIAL] = { gofer_dial, 0 },
	[GOFER_LISTEN] = { gofer_listen, 0 },
	[GOFER_UNLISTEN] = { gofer_unlisten, 0 },
};

static bool ops_is_component(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Attributes may have a slash in their name. */
static bool ops_name_fits(const char *name, unsigned has)
{
	if (!name)
		return !(has & NEED_NAME);
	if (!(has & (NEED_NAME | MAY_NAME)))
		return false;
	return (has & ATTRIBUTE) || ops_is_component(name);
}

long gofer_perform(struct gofer_work *work)
{
	uint32_t op = work->request->op;
	unsigned has;

	if (op >= GOFER_OP_COUNT)
		return -EINVAL;
	has = ops_table[op].has;
	if (((has & NEED_FD) && work->fd < 0) || ((has & NEED_TWO) && work->fd2 < 0))
		return -EBADF;
	if (!ops_name_fits(work->name, has))
		return -EINVAL;
	if (!(has & NEED_NAME2) != !work->name2 || (work->name2 && !ops_is_component(work->name2)))
		return -EINVAL;
	return ops_table[op].handler(work);
}
