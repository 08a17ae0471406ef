/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/view.c - what others see of a container through the process that stands for it
 *
 * Clients enter the mount namespace of a container's pid and take its root for the container's:
 * podman cp does. So it has to be that: the root of the document with the binds over it. What the
 * sentry keeps for itself, the files of a tmpfs or of /proc, is not there.
 *
 * Callers: init.c.
 */
#define LOG_CATEGORY "view"
#include "oci/inside/view.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/ns.h"
#include "base/path.h"

/* Return: descriptor of a copy that is nowhere as yet, or negative errno */
static int view_take(int fd, const char *file, bool read_only, struct coffer_error *err)
{
	struct mount_attr attr = { .attr_set = read_only ? MOUNT_ATTR_RDONLY : 0 };
	autoclose int tree = open_tree(fd, file, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
						 AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW |
						 AT_RECURSIVE);

	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, "take %s of the container's files", *file ? file : "a directory");
	return steal_fd(&tree);
}

static int view_put(int tree, int at, struct coffer_error *err)
{
	if (move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(err, "mount the container's files");
	return 0;
}

/* Where the sentry alone has the mount point there is nothing to be seen from outside; and by now
 * the program runs and may have changed what is there. */
static void view_bind(int root, const struct trees_bind *b)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int at = path_open_in_root(root, b->destination, O_PATH | O_CLOEXEC, 0, NULL);
	autoclose int tree = at < 0 ? -1 : view_take(b->fd, b->file, b->read_only, &err);

	if (tree >= 0)
		view_put(tree, at, &err);
	if (err.kind != COFFER_ERR_NONE)
		log_debug("%s: %s", b->destination, err.message);
}

int view_enter(const struct trees *trees, bool read_only, struct coffer_error *err)
{
	autoclose int root = view_take(trees->fds[0], "", read_only, err);
	int r = root < 0 ? root : view_put(root, trees->fds[0], err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < trees->nbinds; i++)
		view_bind(root, &trees->binds[i]);
	if (fchdir(root) < 0)
		return err_sys(err, "enter the container's root");
	return ns_pivot(err);
}
