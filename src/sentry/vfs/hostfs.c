/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/hostfs.c - a tree of the host as a file system
 *
 * The root is a descriptor that the gofer hands out; below it the sentry does itself what its own
 * user may, and asks the gofer for the rest (hostfs_*.c). Ids are those of the user namespace that
 * both are in, which is the container's. Without a gofer the tree's root is given by descriptor,
 * and what our user may not do is refused.
 */
#include "sentry/vfs/hostfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sentry/kernel.h"

static const struct jail_call hostfs_rows[] = {
	JAIL_IF(openat, 2, O_NOFOLLOW, O_NOFOLLOW),
	JAIL(newfstatat), JAIL(readlinkat), JAIL(getdents64), JAIL(lseek),
	JAIL(mkdirat), JAIL(mknodat), JAIL(symlinkat), JAIL(linkat), JAIL(unlinkat),
	JAIL(renameat2), JAIL(fchownat), { .name = "fchmodat2", .nr = 452 }, JAIL(utimensat),
	JAIL(fstatfs), JAIL(ftruncate), JAIL(fallocate), JAIL(fsync), JAIL(fdatasync), JAIL(syncfs),
	JAIL(fgetxattr), JAIL(flistxattr),
	JAIL(preadv2), JAIL(pwritev2), JAIL(close),
};
const struct jail_list hostfs_calls = JAIL_LIST(hostfs_rows);

static int hostfs_statfs(struct super *super, struct statfs *out)
{
	return fstatfs(hostfs_of(super->root->inode)->fd, out) < 0 ? -errno : 0;
}

static int hostfs_sync(struct super *super)
{
	autoclose int fd = hostfs_dir_fd(hostfs_of(super->root->inode));

	if (fd < 0)
		return fd;
	return syncfs(fd) < 0 ? -errno : 0;
}

static void hostfs_free(struct super *super)
{
	struct hostfs *fs = (struct hostfs *)super;

	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

static const struct super_ops hostfs_super_ops = {
	.type = "hostfs",
	.statfs = hostfs_statfs,
	.sync = hostfs_sync,
	.free = hostfs_free,
};

int hostfs_new_fd(int fd, unsigned flags, struct super **out)
{
	autoclose int owned = fd;
	struct gofer_self self;
	struct hostfs *fs;
	struct inode *root;
	struct stat st;
	int r;

	if (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return -ENOMEM;
	self = gofer_self_of(kernel.gofer);
	hostfs_set_limit(self.files);
	pthread_mutex_init(&fs->lock, NULL);
	fs->uid = self.uid;
	fs->gid = self.gid;
	fs->dev = st.st_dev;
	r = hostfs_inode_take(fs, steal_fd(&owned), &st, NULL, NULL, &root);
	if (r == 0)
		r = super_init(&fs->super, &hostfs_super_ops, root);
	if (r < 0) {
		hostfs_free(&fs->super);
		return r;
	}
	fs->super.read_only = flags & HOSTFS_READ_ONLY;
	*out = &fs->super;
	return 0;
}

int hostfs_new(unsigned tree, unsigned flags, struct super **out)
{
	long fd = gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_TREE, .fd = -1, .fd2 = -1, .args = { tree } });

	return fd < 0 ? (int)fd : hostfs_new_fd((int)fd, flags, out);
}
