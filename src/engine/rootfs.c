/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/rootfs.c - the container's root: prepared, hidden parts, entered
 *
 *	rootfs_prepare()  propagation, then the directory bound onto itself
 *	(mounts, devices, terminal: others)
 *	rootfs_hide()     masked and read-only paths
 *	rootfs_set_readonly()
 *	rootfs_enter()    pivot_root, or a move where that cannot work
 *
 * pivot_root(2) refuses when the current root is the kernel's first one, as in
 * a guest that runs from its initramfs.  Then the new root is taken as a
 * detached tree, everything else is unmounted and the tree is put over "/":
 * the same result, only that the (empty of mounts) initramfs stays below,
 * where no path leads.  An agent that moves itself to a root of its own at
 * boot gets the shorter way.
 *
 * Callers: the child's stages.
 */
#include "engine/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "engine/mount.h"
#include "engine/mount_options.h"

#define ROOTFS_MOUNTINFO_MAX ((size_t)4 << 20)
#define ROOTFS_DEFAULT_PROPAGATION ((unsigned long)(MS_PRIVATE | MS_REC))

/* pivot_root(2) wants the mount that holds the root not to be shared. */
static int rootfs_unshare_parent(const char *path, struct coffer_error *err)
{
	char copy[PATH_MAX];
	char *slash;

	if (!realpath(path, copy))
		return err_sys(err, "resolve %s", path);
	/* The mount point is somewhere up the path; elsewhere the call says EINVAL. */
	while (mount(NULL, copy[0] ? copy : "/", NULL, MS_PRIVATE, NULL) < 0) {
		slash = strrchr(copy, '/');
		if (errno != EINVAL || !slash || !copy[0])
			return err_sys(err, "make the mount of %s private", path);
		*slash = '\0';
	}
	return 0;
}

static int rootfs_propagate(const char *path, const char *word, struct coffer_error *err)
{
	unsigned long flags = ROOTFS_DEFAULT_PROPAGATION;

	if (word && mount_propagation_parse(word, &flags) < 0)
		return err_invalid(err, "linux.rootfsPropagation: unknown word %s", word);
	/* An unbindable root could not be bound; that comes when it is entered. */
	if (flags & MS_UNBINDABLE)
		flags = ROOTFS_DEFAULT_PROPAGATION;
	if (mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, "set the propagation of /");
	if (flags == ROOTFS_DEFAULT_PROPAGATION || flags == (MS_SLAVE | MS_REC))
		return 0;
	return rootfs_unshare_parent(path, err);
}

int rootfs_prepare(const char *path, const char *word, struct coffer_error *err)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };
	autoclose int tree = -1;
	struct stat st;
	int r;

	r = rootfs_propagate(path, word, err);
	if (r < 0)
		return r;
	tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(err, "open root.path %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sysn(err, ENOTDIR, "open root.path %s", path);
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0)
		return err_sys(err, "make the root private");
	if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "bind root.path %s", path);
	return steal_fd(&tree);
}

/* The first masked directory gets an empty file system, the others are bound to that one. */
static int rootfs_mask_directory(int rootfd, const char *path, int target, int *empty,
				 struct coffer_error *err)
{
	char source[32];

	if (*empty >= 0) {
		snprintf(source, sizeof(source), "/proc/self/fd/%d", *empty);
		return mount_at(target, source, NULL, MS_BIND, NULL);
	}
	if (mount_at(target, "tmpfs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		     "nr_blocks=1,nr_inodes=1,mode=755") < 0)
		return -1;
	*empty = path_open_in_root(rootfd, path, O_PATH, 0, err);
	return 0;
}

/* A file vanishes below /dev/null, a directory below an empty tmpfs. */
static int rootfs_mask(int rootfd, const char *path, int *empty, struct coffer_error *err)
{
	autoclose int target = path_open_in_root(rootfd, path, O_PATH, 0, err);
	struct stat st;
	int r;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (S_ISDIR(st.st_mode))
		r = rootfs_mask_directory(rootfd, path, target, empty, err);
	else
		r = mount_at(target, "/dev/null", NULL, MS_BIND, NULL);
	return r < 0 ? err_sys(err, "mask %s", path) : 0;
}

static int rootfs_protect(int rootfd, const char *path, struct coffer_error *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	autoclose int target = path_open_in_root(rootfd, path, O_PATH, 0, err);
	autoclose int tree = -1;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	tree = open_tree(target, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &readonly,
				      sizeof(readonly)) < 0 ||
	    mount_attach(tree, target) < 0)
		return err_sys(err, "make %s read-only", path);
	return 0;
}

int rootfs_hide(int rootfd, const struct oci_linux *linux_, struct coffer_error *err)
{
	autoclose int empty = -1;
	int r = 0;

	for (size_t i = 0; r == 0 && i < linux_->readonly_paths.n; i++)
		r = rootfs_protect(rootfd, linux_->readonly_paths.v[i], err);
	for (size_t i = 0; r == 0 && i < linux_->masked_paths.n; i++)
		r = rootfs_mask(rootfd, linux_->masked_paths.v[i], &empty, err);
	return r;
}

int rootfs_set_readonly(int rootfd, struct coffer_error *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };

	if (mount_setattr(rootfd, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_sys(err, "make the root read-only");
	return 0;
}

/* ---- entering ---- */

/* "\040" in a mountinfo path back to a blank, in place. */
static void rootfs_unescape(char *s)
{
	char *out = s;

	for (; *s; s++, out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*out = *s;
		}
	}
	*out = '\0';
}

/* Detach every mount but "/". Best effort: what hangs below another one is gone with it. */
static int rootfs_unmount_others(struct coffer_error *err)
{
	autofree char *info = NULL;
	char *line, *next, *point, *end;
	int r;

	r = io_read_file(AT_FDCWD, "/proc/self/mountinfo", ROOTFS_MOUNTINFO_MAX, &info, NULL, err);
	if (r < 0)
		return r;
	for (line = info; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		/* id, parent, device, root, then the mount point */
		point = line;
		for (int skip = 0; point && skip < 4; skip++) {
			point = strchr(point, ' ');
			point = point ? point + 1 : NULL;
		}
		if (!point)
			continue;
		end = point + strcspn(point, " ");
		*end = '\0';
		rootfs_unescape(point);
		if (strcmp(point, "/") != 0)
			umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	return 0;
}

/*
 * Only for the kernel's first root: from a chroot the rest of the tree would
 * stay in the namespace, one setns(2) away.
 */
static int rootfs_check_first(struct coffer_error *err)
{
	struct statx stx;
	struct statfs fs;

	if (statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &stx) < 0 || statfs("/", &fs) < 0)
		return err_sys(err, "stat /");
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) ||
	    (fs.f_type != RAMFS_MAGIC && fs.f_type != TMPFS_MAGIC))
		return err_sysn(err, EINVAL, "pivot_root");
	return 0;
}

static int rootfs_move(int rootfd, struct coffer_error *err)
{
	autoclose int tree = open_tree(rootfd, "",
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
					       AT_EMPTY_PATH);
	int r;

	if (tree < 0)
		return err_sys(err, "take the root out");
	r = rootfs_check_first(err);
	if (r == 0)
		r = rootfs_unmount_others(err);
	if (r < 0)
		return r;
	if (move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "move the root over /");
	if (fchdir(tree) < 0 || chroot(".") < 0)
		return err_sys(err, "change to the new root");
	return 0;
}

static int rootfs_pivot(int rootfd, struct coffer_error *err)
{
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || fchdir(rootfd) < 0)
		return err_sys(err, "open the root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return errno == EINVAL ? rootfs_move(rootfd, err) : err_sys(err, "pivot_root");
	/* The old root lies over the new one now; its end must not be told to its peers. */
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return err_sys(err, "detach the old root");
	return 0;
}

int rootfs_enter(int rootfd, const char *word, struct coffer_error *err)
{
	unsigned long flags = 0;
	int r = rootfs_pivot(rootfd, err);

	if (r < 0)
		return r;
	if (chdir("/") < 0)
		return err_sys(err, "change to the root");
	if (word && mount_propagation_parse(word, &flags) == 0 &&
	    mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, "linux.rootfsPropagation: set %s", word);
	return 0;
}
