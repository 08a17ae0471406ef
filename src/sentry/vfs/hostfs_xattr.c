/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs_xattr.c - extended attributes of the host's files
 *
 * Which there are is a table of prefixes. Access control lists are not among them: the sentry, which
 * decides who may do what, does not know them, so it says that this file system has none; nor labels
 * of the host's security modules, which are none of a guest's business.
 *
 * An O_PATH descriptor is not enough for the host's calls: a file or a directory is opened, anything
 * else is left to the gofer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/kernel.h"
#include "sentry/vfs/hostfs.h"

static const struct {
	const char *prefix;
	int get, set; /* 0: ask the host */
} hostfs_attributes[] = {
	{ "user.", 0, 0 },
	{ "trusted.", 0, 0 },
	{ "security.capability", 0, 0 },
	{ "security.", -ENODATA, -EOPNOTSUPP },
	{ "", -EOPNOTSUPP, -EOPNOTSUPP },
};

/* Return: 0, or what the guest is told */
static int hostfs_attribute(const char *name, bool set)
{
	size_t i = 0;

	while (strncmp(name, hostfs_attributes[i].prefix,
		       strlen(hostfs_attributes[i].prefix)) != 0)
		i++;
	return set ? hostfs_attributes[i].set : hostfs_attributes[i].get;
}

/* Return: a descriptor for hostfs_xattr_close(), or negative errno */
static int hostfs_xattr_open(struct hostfs_inode *h)
{
	mode_t mode = h->inode.attr.st_mode;

	if (S_ISREG(mode))
		return hostfs_data_get(h, false);
	return S_ISDIR(mode) ? hostfs_dir_fd(h) : -EACCES;
}

static void hostfs_xattr_close(struct hostfs_inode *h, int fd)
{
	if (S_ISREG(h->inode.attr.st_mode))
		hostfs_data_put(h, false);
	else
		close(fd);
}

static long hostfs_xattr_ask(struct hostfs_inode *h, const struct gofer_call *call)
{
	struct gofer_call own = *call;

	own.fd = h->fd;
	own.fd2 = -1;
	return gofer_call(kernel.gofer, &own);
}

/* Rights count when the call is made, too, not only when the file was opened. */
long hostfs_getxattr(struct inode *inode, const char *name, void *value, size_t size)
{
	struct hostfs_inode *h = hostfs_of(inode);
	long r = hostfs_attribute(name, false);
	int fd;

	if (r < 0)
		return r;
	fd = hostfs_xattr_open(h);
	r = fd;
	if (fd >= 0) {
		r = fgetxattr(fd, name, value, size);
		r = r < 0 ? -errno : r;
		hostfs_xattr_close(h, fd);
	}
	if (r < 0 && hostfs_denied((int)r))
		return hostfs_xattr_ask(h, &(struct gofer_call){
			.op = GOFER_GETXATTR, .name = name, .reply = value, .reply_size = size });
	return r == -EACCES && fd < 0 ? -ENODATA : r;
}

/* Changes are rare enough for the gofer to make them all. */
int hostfs_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
		    int flags)
{
	int r = hostfs_attribute(name, true);

	return r < 0 ? r : (int)hostfs_xattr_ask(hostfs_of(inode), &(struct gofer_call){
		.op = GOFER_SETXATTR, .name = name, .data = value, .data_len = size,
		.args = { (uint64_t)flags } });
}

int hostfs_removexattr(struct inode *inode, const char *name)
{
	int r = hostfs_attribute(name, true);

	return r < 0 ? r : (int)hostfs_xattr_ask(hostfs_of(inode), &(struct gofer_call){
		.op = GOFER_REMOVEXATTR, .name = name });
}

/* What the host has, without what we say is not there. */
static size_t hostfs_filter_names(char *names, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(names + at, len - at) + 1;

		if (at + n <= len && hostfs_attribute(names + at, false) == 0) {
			memmove(names + kept, names + at, n);
			kept += n;
		}
		at += n;
	}
	return kept;
}

long hostfs_listxattr(struct inode *inode, char *list, size_t size)
{
	struct hostfs_inode *h = hostfs_of(inode);
	autofree char *names = malloc(GOFER_DATA_MAX);
	int fd = hostfs_xattr_open(h);
	long n = fd;

	if (fd >= 0) {
		n = names ? flistxattr(fd, names, GOFER_DATA_MAX) : -1;
		n = n < 0 ? -errno : n;
		hostfs_xattr_close(h, fd);
	}
	if (!names)
		return -ENOMEM;
	if (n < 0 && hostfs_denied((int)n))
		n = hostfs_xattr_ask(h, &(struct gofer_call){
			.op = GOFER_LISTXATTR, .reply = names, .reply_size = GOFER_DATA_MAX });
	if (n <= 0)
		return n == -EACCES ? 0 : n;
	n = (long)hostfs_filter_names(names, (size_t)n);
	if (!size)
		return n;
	if ((size_t)n > size)
		return -ERANGE;
	memcpy(list, names, (size_t)n);
	return n;
}
