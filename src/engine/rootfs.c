/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/rootfs.c - the container's root: prepared, hidden parts, entered
 *
 *	rootfs_prepare()  propagation, then the directory as a mount over "/"
 *	(mounts, devices, terminal: others)
 *	rootfs_hide()     masked and read-only paths
 *	rootfs_set_readonly()
 *	rootfs_enter()    pivot_root, or a change of root where that cannot work
 *
 * Over "/", names still lead into the old root, because that is where our
 * process' root stays; everything in the new one goes by its descriptor.  No
 * path has to be walked, no mount on the way has to be made private.
 *
 * pivot_root(2) refuses when the current root is the kernel's first one, as in
 * a guest that runs from its initramfs.  Then everything else is unmounted and
 * our root changed to the mount that lies there: the same result, only that
 * the (empty of mounts) initramfs stays below, where no path leads.
 *
 * Callers: the child's stages.
 */
#include "engine/rootfs.h"

#include <fcntl.h>
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
#include "engine/device.h"
#include "engine/mount.h"
#include "spec/mount_options.h"

#define ROOTFS_MOUNTINFO_MAX ((size_t)4 << 20)
#define ROOTFS_DEFAULT_PROPAGATION ((unsigned long)(MS_PRIVATE | MS_REC))

static int rootfs_propagate(const char *word, struct coffer_error *err)
{
	unsigned long flags = ROOTFS_DEFAULT_PROPAGATION;

	if (word && mount_propagation_parse(word, &flags) < 0)
		return err_invalid(err, "linux.rootfsPropagation: unknown word %s", word);
	/* An unbindable root could not be bound; that comes when it is entered. */
	if (flags & MS_UNBINDABLE)
		flags = ROOTFS_DEFAULT_PROPAGATION;
	if (mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, "set the propagation of /");
	/* Onto a shared one the root could not be pivoted. */
	if (flags & MS_SHARED && mount(NULL, "/", NULL, MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make / private");
	return 0;
}

/* Return: descriptor of the root, a mount of its own now, on @target */
static int rootfs_mount(const char *path, int tree, const char *target, struct coffer_error *err)
{
	struct mount_attr private = { .propagation = MS_PRIVATE };
	autoclose int root = -1;
	struct stat st;

	if (tree >= 0)
		root = fcntl(tree, F_DUPFD_CLOEXEC, 0);
	else
		root = open_tree(AT_FDCWD, path,
				 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (root < 0 || fstat(root, &st) < 0)
		return err_sys(err, "open root.path %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_sysn(err, ENOTDIR, "open root.path %s", path);
	if (mount_setattr(root, "", AT_EMPTY_PATH, &private, sizeof(private)) < 0)
		return err_sys(err, "make the root private");
	if (move_mount(root, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys(err, "mount root.path %s", path);
	return steal_fd(&root);
}

int rootfs_prepare(const char *path, int tree, const char *word, struct coffer_error *err)
{
	int r = rootfs_propagate(word, err);

	return r < 0 ? r : rootfs_mount(path, tree, "/", err);
}

int rootfs_prepare_shared(const char *path, int tree, struct coffer_error *err)
{
	return rootfs_mount(path, tree, path, err);
}

/* The mount that @path is on, or nothing mounted there would stay within this namespace. */
static int rootfs_isolate(const char *path, struct coffer_error *err)
{
	autofree char *point = strdup(path);
	char *end;

	if (!point)
		return err_nomem(err);
	while (mount(NULL, point, NULL, MS_PRIVATE, NULL) < 0) {
		/* No mount point: one above it is. */
		if (errno != EINVAL || strcmp(point, "/") == 0)
			return err_sys(err, "make %s private", point);
		end = strrchr(point, '/');
		end[end == point ? 1 : 0] = '\0';
	}
	return 0;
}

int rootfs_show(int rootfd, const char *path, struct coffer_error *err)
{
	autofree char *real = realpath(path, NULL);
	int r;

	if (!real)
		return err_sys(err, "find root.path %s", path);
	/* The host's own root is what they know already. */
	if (strcmp(real, "/") == 0)
		return 0;
	r = rootfs_isolate(real, err);
	if (r == 0 && move_mount(rootfd, "", AT_FDCWD, real, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		r = err_sys(err, "move the root over %s", real);
	return r;
}

/* ---- hidden parts ---- */

/* A mount of ours, not the image's, that lies over what is masked: first itself, then bound. */
struct rootfs_mask {
	int tree;
	bool attached;
};

struct rootfs_masks {
	struct rootfs_mask null;  /* the host's /dev/null */
	struct rootfs_mask empty; /* a file system without files */
	const char *label;
};

/* Read-only, which a device's data is not, but its owner and mode are: they are the host's. */
static int rootfs_open_null(int *null, struct coffer_error *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	autoclose int tree = open_tree(AT_FDCWD, "/dev/null",
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	struct stat st;

	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(err, "open /dev/null");
	if (!device_is_null(&st))
		return err_invalid(err, "/dev/null of the host is something else");
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
		return err_sys(err, "make /dev/null read-only");
	*null = steal_fd(&tree);
	return 0;
}

static int rootfs_make_empty(const char *label, int *empty, struct coffer_error *err)
{
	static const char *const words[][2] = {
		{ "nr_blocks", "1" },
		{ "nr_inodes", "1" },
		{ "mode", "0755" },
	};
	autoclose int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	for (size_t i = 0; fs >= 0 && i < ARRAY_SIZE(words); i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, words[i][0], words[i][1], 0) < 0)
			return err_sys(err, "set %s", words[i][0]);
	if (fs >= 0 && label && fsconfig(fs, FSCONFIG_SET_STRING, "context", label, 0) < 0)
		return err_sys(err, "set context");
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(err, "make an empty file system");
	*empty = fsmount(fs, FSMOUNT_CLOEXEC,
			 MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				 MOUNT_ATTR_NOEXEC);
	return *empty < 0 ? err_sys(err, "make an empty file system") : 0;
}

/* @source, which is a descriptor and no path, bound onto @target */
static int rootfs_bind(int source, int target)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", source);
	return mount_at(target, path, NULL, MS_BIND, NULL);
}

static int rootfs_put_mask(struct rootfs_mask *m, int target, struct coffer_error *err)
{
	if ((m->attached ? rootfs_bind(m->tree, target) : mount_attach(m->tree, target)) < 0)
		return err_sys(err, "mount over it");
	m->attached = true;
	return 0;
}

/* A file vanishes below /dev/null, a directory below an empty tmpfs. */
static int rootfs_mask(int rootfd, const char *path, struct rootfs_masks *m,
		       struct coffer_error *err)
{
	autoclose int target = path_open_in_root(rootfd, path, O_PATH, 0, err);
	struct rootfs_mask *mask;
	struct stat st;
	int r = 0;

	if (target == -ENOENT || target == -ENOTDIR)
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return err_sys(err, "stat %s", path);
	mask = S_ISDIR(st.st_mode) ? &m->empty : &m->null;
	if (mask->tree < 0)
		r = S_ISDIR(st.st_mode) ? rootfs_make_empty(m->label, &mask->tree, err) :
					  rootfs_open_null(&mask->tree, err);
	if (r == 0)
		r = rootfs_put_mask(mask, target, err);
	return r < 0 ? err_wrap(err, "mask %s", path) : 0;
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
	struct rootfs_masks m = { { .tree = -1 }, { .tree = -1 }, linux_->mount_label };
	int r = 0;

	for (size_t i = 0; r == 0 && i < linux_->readonly_paths.n; i++)
		r = rootfs_protect(rootfd, linux_->readonly_paths.v[i], err);
	for (size_t i = 0; r == 0 && i < linux_->masked_paths.n; i++)
		r = rootfs_mask(rootfd, linux_->masked_paths.v[i], &m, err);
	close_fd(&m.null.tree);
	close_fd(&m.empty.tree);
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
 * The root lies over "/" already, and that is the root of a mount, so everything leads to us:
 * names, ".." and setns(2).  From a chroot the rest of the tree would stay in the namespace; there
 * rootfs_propagate() has failed, which the kernel grants on the root of a mount only.
 */
static int rootfs_move(int rootfd, struct coffer_error *err)
{
	int r = rootfs_unmount_others(err);

	if (r < 0)
		return r;
	if (fchdir(rootfd) < 0 || chroot(".") < 0)
		return err_sys(err, "change to the new root");
	return 0;
}

/* pivot_root(2) refuses where the kernel's first root is still "/". */
static bool rootfs_is_first(int errnum)
{
	struct statfs fs;

	return errnum == EINVAL && statfs("/", &fs) == 0 &&
	       (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

static int rootfs_pivot(int rootfd, struct coffer_error *err)
{
	autoclose int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || fchdir(rootfd) < 0)
		return err_sys(err, "open the root");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return rootfs_is_first(errno) ? rootfs_move(rootfd, err) :
						err_sys(err, "pivot_root");
	/* The old root lies over the new one now; its end must not be told to its peers. */
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return err_sys(err, "detach the old root");
	return 0;
}

int rootfs_enter(int rootfd, bool no_pivot, const char *word, struct coffer_error *err)
{
	unsigned long flags = 0;
	int r = no_pivot ? rootfs_move(rootfd, err) : rootfs_pivot(rootfd, err);

	if (r < 0)
		return r;
	if (chdir("/") < 0)
		return err_sys(err, "change to the root");
	if (word && mount_propagation_parse(word, &flags) == 0 &&
	    mount(NULL, "/", NULL, flags, NULL) < 0)
		return err_sys(err, "linux.rootfsPropagation: set %s", word);
	return 0;
}

int rootfs_enter_shared(int rootfd, struct coffer_error *err)
{
	if (fchdir(rootfd) < 0 || chroot(".") < 0)
		return err_sys(err, "change to the root");
	return 0;
}
