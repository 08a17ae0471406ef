/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/xattr.c - extended attributes
 *
 * Who may see and change which: user.* as the file's permissions say and on files and directories
 * only, trusted.* with CAP_SYS_ADMIN, security.* read by all. ACLs (system.*) are not supported, as
 * on a file system mounted without them.
 */
#include <linux/capability.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/open.h"

static int xattr_may_user(const struct vfs_path *path, const struct cred *cred, bool change)
{
	const struct inode *inode = path->dentry->inode;
	mode_t mode = inode->attr.st_mode;

	if (!S_ISREG(mode) && !S_ISDIR(mode))
		return change ? -EPERM : -ENODATA;
	if (change && S_ISDIR(mode) && (mode & S_ISVTX) && !permission_owner(inode, cred))
		return -EPERM;
	return permission_path(path, cred, change ? MAY_WRITE : MAY_READ);
}

static int xattr_may(const struct vfs_path *path, const struct cred *cred, const char *name,
		     bool change)
{
	if (change && ((mount_flags(path->mount) & MNT_READ_ONLY) ||
		       path->dentry->inode->super->read_only))
		return -EROFS;
	if (!strcmp(name, "user.") || !strcmp(name, "trusted.") || !strcmp(name, "security."))
		return -EINVAL;
	if (!strncmp(name, "user.", 5))
		return xattr_may_user(path, cred, change);
	if (!strncmp(name, "trusted.", 8))
		return cred_capable(cred, CAP_SYS_ADMIN) ? 0 : change ? -EPERM : -ENODATA;
	if (!strncmp(name, "security.", 9)) {
		if (!change)
			return 0;
		return cred_capable(cred, strcmp(name, "security.capability") ? CAP_SYS_ADMIN :
										 CAP_SETFCAP) ?
			       0 :
			       -EPERM;
	}
	return -EOPNOTSUPP;
}

/* What all have in common: where, the name, and who asks. */
struct xattr_call {
	struct path_arg path;
	struct file *file; /* reference: its path is meant; else path's */
	struct vfs_path at; /* borrowed */
	char name[XATTR_NAME_MAX + 1];
};

static void xattr_call_end(struct xattr_call *c)
{
	path_arg_end(&c->path);
	file_put(c->file);
}
#define autoxattr CLEANUP(xattr_call_end)

enum xattr_where { XATTR_PATH, XATTR_LINK, XATTR_FD };

/* xattr_begin() - @where says what @target is; @name 0: none is wanted */
static int xattr_begin(struct xattr_call *c, struct task *task, enum xattr_where where,
		       uint64_t target, uint64_t name)
{
	long r = 0;

	if (name)
		r = user_string(task->mm, c->name, name, sizeof(c->name));
	if (r < 0)
		return r == -ENAMETOOLONG ? -ERANGE : (int)r;
	if (name && !c->name[0])
		return -ERANGE;
	if (where != XATTR_FD) {
		r = path_arg_walk(&c->path, task, AT_FDCWD, target,
				  where == XATTR_LINK ? WALK_NOFOLLOW : 0);
		c->at = c->path.walk.path;
		return (int)r;
	}
	c->file = fd_get(task, (int)target);
	if (!c->file)
		return -EBADF;
	if (!c->file->dentry)
		return -EOPNOTSUPP;
	c->at = (struct vfs_path){ c->file->mount, c->file->dentry };
	return 0;
}

static long xattr_set(struct task *task, const uint64_t args[6], enum xattr_where where)
{
	autoxattr struct xattr_call c = { .file = NULL };
	autofree char *value = NULL;
	struct inode *inode;
	uint64_t size = args[3];
	int flags = (int)args[4], r;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	value = malloc(size + 1);
	if (!value)
		return -ENOMEM;
	r = user_read(task->mm, value, args[2], size);
	if (r == 0)
		r = xattr_begin(&c, task, where, args[0], args[1]);
	if (r == 0)
		r = xattr_may(&c.at, task->cred, c.name, true);
	if (r)
		return r;
	inode = c.at.dentry->inode;
	if (!inode->ops->setxattr)
		return -EOPNOTSUPP;
	r = inode->ops->setxattr(inode, c.name, value, size, flags);
	if (r == 0)
		vfs_notify_path(c.at.dentry, IN_ATTRIB);
	return r;
}

/* xattr_reply() - @r bytes of @buf, or an error, to the guest */
static long xattr_reply(struct task *task, uint64_t addr, const void *buf, uint64_t size, long r)
{
	int e;

	if (r <= 0 || !size)
		return r;
	e = user_write(task->mm, addr, buf, (size_t)r);
	return e < 0 ? e : r;
}

static long xattr_get(struct task *task, const uint64_t args[6], enum xattr_where where)
{
	autoxattr struct xattr_call c = { .file = NULL };
	autofree char *value = NULL;
	uint64_t size = args[3] < XATTR_SIZE_MAX ? args[3] : XATTR_SIZE_MAX;
	struct inode *inode;
	int r = xattr_begin(&c, task, where, args[0], args[1]);

	if (r == 0)
		r = xattr_may(&c.at, task->cred, c.name, false);
	if (r)
		return r;
	inode = c.at.dentry->inode;
	if (!inode->ops->getxattr)
		return -EOPNOTSUPP;
	value = malloc(size + 1);
	if (!value)
		return -ENOMEM;
	return xattr_reply(task, args[2], value, size,
			   inode->ops->getxattr(inode, c.name, value, size));
}

/* xattr_hide() - Names that @task may not see go. Return: what is left */
static long xattr_hide(const struct task *task, char *list, long len)
{
	char *out = list, *end = list + len;

	while (list < end) {
		char *next = list + strlen(list) + 1;

		if (strncmp(list, "trusted.", 8) != 0 || cred_capable(task->cred, CAP_SYS_ADMIN)) {
			memmove(out, list, (size_t)(next - list));
			out += next - list;
		}
		list = next;
	}
	return out - (end - len);
}

static long xattr_list(struct task *task, const uint64_t args[6], enum xattr_where where)
{
	autoxattr struct xattr_call c = { .file = NULL };
	autofree char *list = NULL;
	uint64_t size = args[2];
	struct inode *inode;
	long r = xattr_begin(&c, task, where, args[0], 0);

	if (r)
		return r;
	inode = c.at.dentry->inode;
	if (!inode->ops->listxattr)
		return 0;
	list = malloc(XATTR_LIST_MAX);
	if (!list)
		return -ENOMEM;
	r = inode->ops->listxattr(inode, list, XATTR_LIST_MAX);
	if (r > 0)
		r = xattr_hide(task, list, r);
	if (r > 0 && size && (uint64_t)r > size)
		return -ERANGE;
	return xattr_reply(task, args[1], list, size, r);
}

static long xattr_remove(struct task *task, const uint64_t args[6], enum xattr_where where)
{
	autoxattr struct xattr_call c = { .file = NULL };
	struct inode *inode;
	int r = xattr_begin(&c, task, where, args[0], args[1]);

	if (r == 0)
		r = xattr_may(&c.at, task->cred, c.name, true);
	if (r)
		return r;
	inode = c.at.dentry->inode;
	if (!inode->ops->removexattr)
		return -EOPNOTSUPP;
	r = inode->ops->removexattr(inode, c.name);
	if (r == 0)
		vfs_notify_path(c.at.dentry, IN_ATTRIB);
	return r;
}

/* Each in three forms: of a path, of a link itself, of a descriptor. */
#define XATTR_FORMS(op)                                                          \
	static long xattr_##op##_path(struct task *task, const uint64_t args[6]) \
	{                                                                        \
		return xattr_##op(task, args, XATTR_PATH);                       \
	}                                                                        \
	static long xattr_##op##_link(struct task *task, const uint64_t args[6]) \
	{                                                                        \
		return xattr_##op(task, args, XATTR_LINK);                       \
	}                                                                        \
	static long xattr_##op##_fd(struct task *task, const uint64_t args[6])   \
	{                                                                        \
		return xattr_##op(task, args, XATTR_FD);                         \
	}

XATTR_FORMS(set)
XATTR_FORMS(get)
XATTR_FORMS(list)
XATTR_FORMS(remove)

static const struct syscall_row xattr_rows[] = {
	{ SYS_setxattr, "setxattr", xattr_set_path,
	  { ARG_PATH, ARG_STR, ARG_IN, ARG_UINT, ARG_HEX } },
	{ SYS_lsetxattr, "lsetxattr", xattr_set_link,
	  { ARG_PATH, ARG_STR, ARG_IN, ARG_UINT, ARG_HEX } },
	{ SYS_fsetxattr, "fsetxattr", xattr_set_fd,
	  { ARG_FD, ARG_STR, ARG_IN, ARG_UINT, ARG_HEX } },
	{ SYS_getxattr, "getxattr", xattr_get_path, { ARG_PATH, ARG_STR, ARG_OUT, ARG_UINT } },
	{ SYS_lgetxattr, "lgetxattr", xattr_get_link, { ARG_PATH, ARG_STR, ARG_OUT, ARG_UINT } },
	{ SYS_fgetxattr, "fgetxattr", xattr_get_fd, { ARG_FD, ARG_STR, ARG_OUT, ARG_UINT } },
	{ SYS_listxattr, "listxattr", xattr_list_path, { ARG_PATH, ARG_OUT, ARG_UINT } },
	{ SYS_llistxattr, "llistxattr", xattr_list_link, { ARG_PATH, ARG_OUT, ARG_UINT } },
	{ SYS_flistxattr, "flistxattr", xattr_list_fd, { ARG_FD, ARG_OUT, ARG_UINT } },
	{ SYS_removexattr, "removexattr", xattr_remove_path, { ARG_PATH, ARG_STR } },
	{ SYS_lremovexattr, "lremovexattr", xattr_remove_link, { ARG_PATH, ARG_STR } },
	{ SYS_fremovexattr, "fremovexattr", xattr_remove_fd, { ARG_FD, ARG_STR } },
};

const struct syscall_family syscalls_xattr = SYSCALL_FAMILY("Extended attributes", xattr_rows);
