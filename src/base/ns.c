/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/ns.c - namespaces: what this process and its children can see
 *
 * Mechanism only; who enters what is said where the jails are (vmm/jail.c, sentry/control/jail.c ...).
 * Binds use the descriptor-based calls because only these make a whole tree of
 * mounts read-only at once.
 */
#include "base/ns.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"

int ns_enter_user(struct coffer_error *err)
{
	unsigned uid = geteuid(), gid = getegid();
	char uid_map[48], gid_map[48];
	int r;

	snprintf(uid_map, sizeof(uid_map), "%u %u 1", uid, uid);
	snprintf(gid_map, sizeof(gid_map), "%u %u 1", gid, gid);
	if (unshare(CLONE_NEWUSER) < 0)
		return err_sys(err, "new user namespace");
	r = io_write_file(AT_FDCWD, "/proc/self/setgroups", "deny", err);
	if (r == 0)
		r = io_write_file(AT_FDCWD, "/proc/self/uid_map", uid_map, err);
	if (r == 0)
		r = io_write_file(AT_FDCWD, "/proc/self/gid_map", gid_map, err);
	return r;
}

int ns_enter_view(struct coffer_error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return err_sys(err, "new namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	if (errno == EINVAL)
		return err_unsupported(err, "/ is not a mount point, as in a chroot: "
					    "bind it over itself first");
	return err_sys(err, "make all mounts private");
}

int ns_take(const char *source, uint64_t attrs, struct coffer_error *err)
{
	struct mount_attr attr = { .attr_set = attrs };
	autoclose int tree = open_tree(AT_FDCWD, source,
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0)
		return err_sys(err, "take mount %s", source);
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, "restrict mount %s", source);
	return steal_fd(&tree);
}

int ns_put(int tree, const char *target, struct coffer_error *err)
{
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "mount on %s", target);
	return 0;
}

int ns_bind(const char *source, const char *target, uint64_t attrs, struct coffer_error *err)
{
	autoclose int tree = ns_take(source, attrs, err);

	return tree < 0 ? tree : ns_put(tree, target, err);
}

/* With "." twice the old root ends up on top of the new one and is the one that umount2 finds. */
int ns_pivot(struct coffer_error *err)
{
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return err_sys(err, "pivot_root");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(err, "unmount the old root");
	if (chdir("/") < 0)
		return err_sys(err, "chdir /");
	return 0;
}
