/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount.c - the mounts of a container, inside its root only
 *
 *	target path --openat2 in root--> descriptor --mount on the descriptor
 *
 * The image is hostile: any component of a target may be a link.  A target is
 * resolved once, strictly below the root, to a descriptor; the mount goes to
 * that descriptor, never to a path, so nothing can lead it elsewhere.  And
 * nothing comes to lie over /proc but a procfs, or over single files of it:
 * programs in the container trust what they read and write there.
 *
 * A new file system takes mount(2) on /proc/self/fd/N, one call.  A bind takes
 * open_tree(2): its flags are set while it is still detached, so there is no
 * moment at which a read-only bind can be written.
 *
 * What a user namespace refuses is replaced where the host has the same thing:
 * see mount_fallbacks.
 *
 * Callers: the child's stages; device.c, terminal.c and rootfs.c use the small
 * ones.  The plan is made in mount_plan.c.
 */
#include "engine/mount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/mount_internal.h"

#define MOUNT_PROC_ROOT_INO 1

/* ---- places ---- */

/* @flags: O_NOFOLLOW to have a link at the end itself */
static int mount_open_target(int rootfd, const char *path, bool dir, int flags, struct stat *st,
			     struct coffer_error *err)
{
	autoclose int fd = path_open_in_root(rootfd, path, O_PATH | flags, 0, NULL);
	bool made = fd == -ENOENT;
	struct stat root;

	if (made)
		fd = dir ? path_mkdirs_in_root(rootfd, path, 0755, err) :
			   path_mkfile_in_root(rootfd, path, 0644, err);
	else if (fd < 0)
		return err_sysn(err, fd, "open %s", path);
	if (fd >= 0 && made && flags) {
		/* Whoever made it: what bears the name now. */
		close_fd(&fd);
		fd = path_open_in_root(rootfd, path, O_PATH | flags, 0, err);
	}
	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0 || fstat(rootfd, &root) < 0)
		return err_sys(err, "stat %s", path);
	if (st->st_ino == root.st_ino && st->st_dev == root.st_dev)
		return err_invalid(err, "%s is the container's root itself", path);
	return steal_fd(&fd);
}

int mount_target(int rootfd, const char *path, bool dir, struct coffer_error *err)
{
	struct stat st;

	return mount_open_target(rootfd, path, dir, 0, &st, err);
}

int mount_target_itself(int rootfd, const char *path, bool dir, struct coffer_error *err)
{
	struct stat st = { 0 };
	autoclose int fd = mount_open_target(rootfd, path, dir, O_NOFOLLOW, &st, err);

	if (fd >= 0 && (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode) != dir))
		return err_sysn(err, dir ? ENOTDIR : EEXIST, "%s must be mounted on ordinary %s",
				path, dir ? "directory" : "file");
	return steal_fd(&fd);
}

/* Is @path, with its needless slashes, @clean? */
static bool mount_is_path(const char *path, const char *clean)
{
	while (*path && *clean) {
		if (*path == '/' && path[1] == '/')
			path++;
		else if (*path++ != *clean++)
			return false;
	}
	return !*clean && !path[strspn(path, "/")];
}

/* Files that stand-ins (lxcfs, a checkpoint's) are commonly bound over. */
static bool mount_may_cover(const char *path)
{
	static const char *const files[] = {
		"/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo",
		"/proc/net/dev", "/proc/slabinfo", "/proc/stat", "/proc/swaps",
		"/proc/sys/crypto/fips_enabled", "/proc/sys/kernel/ns_last_pid", "/proc/uptime",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (mount_is_path(path, files[i]))
			return true;
	return false;
}

static bool mount_is_procfs_root(int fd)
{
	struct statfs fs;
	struct stat st;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC && fstat(fd, &st) == 0 &&
	       st.st_ino == MOUNT_PROC_ROOT_INO;
}

/*
 * Before anything but a new procfs is mounted. @tree: the bind, or -1.  Nothing comes into a
 * procfs but over the files above, and to /proc only a procfs comes.
 */
static int mount_guard_proc(const char *path, int target, int tree, struct coffer_error *err)
{
	struct statfs below;
	bool inside;

	if (fstatfs(target, &below) < 0)
		return err_sys(err, "stat %s", path);
	inside = below.f_type == PROC_SUPER_MAGIC;
	if (!inside && !mount_is_path(path, "/proc"))
		return 0;
	if (inside && mount_may_cover(path))
		return 0;
	if (tree >= 0 && mount_is_procfs_root(tree) && (!inside || mount_is_procfs_root(target)))
		return 0;
	return err_sysn(err, EPERM, "%s cannot be mounted because it is inside /proc", path);
}

/* ---- mounting ---- */

int mount_at(int target, const char *source, const char *type, unsigned long flags,
	     const char *data)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	return mount(source, path, type, flags, data);
}

int mount_attach(int tree, int target)
{
	return move_mount(tree, "", target, "",
			  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int mount_set_attr(int fd, bool tree, const struct mount_attr *attr)
{
	struct mount_attr copy = *attr;

	if (!attr->attr_set && !attr->attr_clr && !attr->propagation)
		return 0;
	return mount_setattr(fd, "", (unsigned)(AT_EMPTY_PATH | (tree ? AT_RECURSIVE : 0)), &copy,
			     sizeof(copy));
}

/* Propagation and the words for whole trees, on the mount that @fd is the root of. */
static int mount_finish(int fd, const struct mount_plan *m, struct coffer_error *err)
{
	struct mount_attr propagation = { .propagation = m->options.propagation & ~MS_REC };

	if (mount_set_attr(fd, true, &m->options.all) < 0)
		return err_sys(err, "set the options of the whole tree");
	if (mount_set_attr(fd, (m->options.propagation & MS_REC) != 0, &propagation) < 0)
		return err_sys(err, "set the propagation");
	return 0;
}

/*
 * In a user namespace what a mount of the host forbids stays forbidden: asking for less is EPERM.
 * Again without that, then; the result is stricter than the document, never looser.
 */
static int mount_set_bind_attr(int tree, struct mount_attr attr)
{
	static const struct {
		unsigned long st;
		uint64_t attr;
	} locked[] = {
		{ ST_RDONLY, MOUNT_ATTR_RDONLY },
		{ ST_NOSUID, MOUNT_ATTR_NOSUID },
		{ ST_NODEV, MOUNT_ATTR_NODEV },
		{ ST_NOEXEC, MOUNT_ATTR_NOEXEC },
	};
	struct statvfs fs;

	if (mount_set_attr(tree, false, &attr) == 0)
		return 0;
	if (errno != EPERM || fstatvfs(tree, &fs) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(locked); i++)
		if (fs.f_flag & locked[i].st)
			attr.attr_clr &= ~locked[i].attr;
	attr.attr_clr &= ~(uint64_t)MOUNT_ATTR__ATIME;
	attr.attr_set &= ~(uint64_t)MOUNT_ATTR__ATIME;
	return mount_set_attr(tree, false, &attr);
}

static int mount_bind(struct mount_plan *m, int rootfd, struct coffer_error *err)
{
	unsigned recursive = m->options.flags & MS_REC ? AT_RECURSIVE : 0;
	autoclose int tree = steal_fd(&m->tree), target = -1;
	struct stat st;
	int r;

	if (tree < 0)
		tree = open_tree(AT_FDCWD, m->source,
				 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(err, "open the source %s", m->source);
	target = mount_target(rootfd, m->target, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	r = mount_guard_proc(m->target, target, tree, err);
	if (r < 0)
		return r;
	if (mount_set_bind_attr(tree, mount_options_attr(&m->options)) < 0)
		return err_sys(err, "set the options");
	r = mount_finish(tree, m, err);
	if (r < 0)
		return r;
	if (mount_attach(tree, target) < 0)
		return err_sys(err, "bind %s", m->source);
	return 0;
}

/*
 * The words of the document on what is mounted there already.  By a link the image would choose
 * another mount, to write to one that is read-only, or the root, to change the host's file system.
 */
static int mount_again(const struct mount_plan *m, int rootfd, struct coffer_error *err)
{
	autoclose int fd = path_open_plain(rootfd, m->target, O_PATH, err);

	if (fd < 0)
		return fd;
	if (mount_at(fd, m->source, NULL, m->options.flags, m->options.data) < 0)
		return err_sys(err, "remount");
	return mount_finish(fd, m, err);
}

/* ---- new file systems ---- */

/* The network namespace is the host's, so its /sys is ours to see, but not to mount anew. */
static int mount_host_sys(const struct mount_plan *m, int target, struct coffer_error *err)
{
	struct mount_attr attr = { .attr_set = mount_options_attr(&m->options).attr_set,
				   .propagation = MS_PRIVATE };
	autoclose int tree = open_tree(AT_FDCWD, "/sys",
				       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (tree < 0 || mount_set_attr(tree, true, &attr) < 0 || mount_attach(tree, target) < 0)
		return err_sys(err, "bind /sys");
	return 0;
}

/* gid=5 is nobody in a namespace that maps one id. */
static int mount_devpts_without_group(const struct mount_plan *m, int target,
				      struct coffer_error *err)
{
	const char *given = m->options.data ? m->options.data : "";
	const char *gid = strncmp(given, "gid=", 4) == 0 ? given : strstr(given, ",gid=");
	char data[MOUNT_DATA_MAX];

	if (!gid)
		return err_sysn(err, EINVAL, "devpts \"%s\"", given);
	snprintf(data, sizeof(data), "%.*s%s", (int)(gid - given), given,
		 gid + 1 + strcspn(gid + 1, ","));
	if (mount_at(target, "devpts", "devpts", m->options.flags, data) < 0)
		return err_sys(err, "devpts \"%s\"", data);
	return 0;
}

static const struct {
	const char *type;
	int errnum;
	int (*mount)(const struct mount_plan *m, int target, struct coffer_error *err);
} mount_fallbacks[] = {
	{ "sysfs", EPERM, mount_host_sys },
	{ "devpts", EINVAL, mount_devpts_without_group },
};

static int mount_simple(const struct mount_plan *m, int target, const char *label,
			struct coffer_error *err)
{
	char data[MOUNT_DATA_MAX];
	int r = mount_new_data(m, target, label, data, err);

	if (r < 0)
		return r;
	if (mount_at(target, m->source ? m->source : m->type, m->type, m->options.flags,
		     data[0] ? data : NULL) == 0)
		return 0;
	r = err_sys(err, "%s \"%s\"", m->type, data);
	for (size_t i = 0; i < ARRAY_SIZE(mount_fallbacks); i++)
		if (strcmp(m->type, mount_fallbacks[i].type) == 0 && -r == mount_fallbacks[i].errnum)
			return mount_fallbacks[i].mount(m, target, err);
	return r;
}

static int mount_prepared(struct mount_plan *m, int target, const char *label,
			  struct coffer_error *err)
{
	autoclose int tree = -1;
	char data[MOUNT_DATA_MAX];
	int r;

	r = mount_new_data(m, target, NULL, data, err);
	if (r < 0)
		return r;
	tree = mount_new_detached(m, data, label, err);
	if (tree < 0)
		return tree;
	if (m->options.copy_up) {
		r = mount_copy_up(target, tree, err);
		if (r < 0)
			return err_wrap(err, "tmpcopyup");
	}
	r = mount_finish(tree, m, err);
	if (r < 0)
		return r;
	if (mount_attach(tree, target) < 0)
		return err_sys(err, "%s", m->type);
	if (mount_is_late(m))
		m->late = steal_fd(&tree);
	return 0;
}

static int mount_filesystem(struct mount_plan *m, const struct mount_plans *plans, int rootfd,
			    struct coffer_error *err)
{
	const struct mount_options *o = &m->options;
	bool proc = strcmp(m->type, "proc") == 0;
	autoclose int target = -1;
	int r = 0;

	if (proc || strcmp(m->type, "sysfs") == 0)
		target = mount_target_itself(rootfd, m->target, true, err);
	else
		target = mount_target(rootfd, m->target, true, err);
	if (target < 0)
		return target;
	if (!proc)
		r = mount_guard_proc(m->target, target, -1, err);
	if (r < 0)
		return r;
	if (strcmp(m->type, "cgroup") == 0 || strcmp(m->type, "cgroup2") == 0)
		return mount_cgroup(m, plans, target, err);
	if (o->propagation || o->all.attr_set || o->all.attr_clr || o->copy_up || mount_is_late(m))
		return mount_prepared(m, target, plans->label, err);
	return mount_simple(m, target, plans->label, err);
}

static int mount_one(struct mount_plan *m, const struct mount_plans *plans, int rootfd,
		     struct coffer_error *err)
{
	if (m->options.flags & MS_REMOUNT)
		return mount_again(m, rootfd, err);
	if (m->type)
		return mount_filesystem(m, plans, rootfd, err);
	return mount_bind(m, rootfd, err);
}

static int mount_next(struct mount_plans *plans, int rootfd, struct coffer_error *err)
{
	struct mount_plan *m = &plans->v[plans->done];

	if (mount_one(m, plans, rootfd, err) < 0)
		return err_wrap(err, "mounts[%zu] on %s", plans->done, m->target);
	plans->done++;
	return 0;
}

/* A bind does too: its source may be among the caller's own files in /proc. */
static bool mount_is_offline(const struct mount_plan *m)
{
	static const char *const types[] = { "proc", "tmpfs", "devpts", "mqueue", "cgroup",
					     "cgroup2" };

	for (size_t i = 0; m->type && i < ARRAY_SIZE(types); i++)
		if (strcmp(m->type, types[i]) == 0)
			return true;
	return false;
}

int mount_offline(struct mount_plans *plans, int rootfd, struct coffer_error *err)
{
	int r = 0;

	while (r == 0 && plans->done < plans->n && mount_is_offline(&plans->v[plans->done]))
		r = mount_next(plans, rootfd, err);
	return r;
}

int mount_all(struct mount_plans *plans, int rootfd, struct coffer_error *err)
{
	int r = 0;

	while (r == 0 && plans->done < plans->n)
		r = mount_next(plans, rootfd, err);
	return r;
}

int mount_seal(struct mount_plans *plans, struct coffer_error *err)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };

	for (size_t i = 0; i < plans->n; i++) {
		if (plans->v[i].late >= 0 && mount_set_attr(plans->v[i].late, false, &readonly) < 0)
			return err_sys(err, "mounts[%zu]: make %s read-only", i,
				       plans->v[i].target);
		close_fd(&plans->v[i].late);
	}
	return 0;
}
