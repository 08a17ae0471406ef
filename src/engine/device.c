/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/device.c - the nodes and links of /dev
 *
 * A node is made with mknod(2); where that is refused (user namespaces) one
 * that the parent has made (device_tree.c), or the node of the same path
 * outside, is bound onto an empty file.  A node that is
 * there already must be the same device, or it is an error: an image does not
 * get to choose what /dev/null is.  When the spec binds a whole /dev from
 * outside, nothing is made in it.
 *
 * Caller: the child's stages.
 */
#include "engine/device.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/mount.h"

struct device {
	const char *path;
	mode_t type; /* S_IFCHR ... */
	mode_t mode;
	dev_t dev;
	uid_t uid;
	gid_t gid;
};

static const struct {
	const char *path;
	unsigned major, minor;
} device_defaults[] = {
	{ "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct {
	const char *name, *to;
} device_links[] = {
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

bool device_is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

const char *device_default(size_t i)
{
	return i < ARRAY_SIZE(device_defaults) ? device_defaults[i].path : NULL;
}

static int device_check(const struct device *d, int dirfd, const char *name,
			struct coffer_error *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "stat %s", d->path);
	if ((st.st_mode & S_IFMT) != d->type || (d->type != S_IFIFO && st.st_rdev != d->dev))
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0,
			       "%s exists and is something else", d->path);
	return 0;
}

static int device_bind(const struct device *d, int rootfd, struct coffer_error *err)
{
	autoclose int target = mount_target_itself(rootfd, d->path, false, err);
	autoclose int tree = -1;
	struct stat st;

	if (target < 0)
		return target;
	tree = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(err, "open %s outside", d->path);
	if ((st.st_mode & S_IFMT) != d->type || st.st_rdev != d->dev)
		return err_unsupported(err, "%s can't be made, and outside it is another device",
				       d->path);
	if (mount_attach(tree, target) < 0)
		return err_sys(err, "bind %s", d->path);
	return 0;
}

/* @dirfd: the directory the node goes into; its name is the last component of the path */
static int device_make_at(const struct device *d, int rootfd, int dirfd, const char *name,
			  struct coffer_error *err)
{
	if (mknodat(dirfd, name, d->type | d->mode, d->dev) < 0) {
		if (errno == EEXIST)
			return device_check(d, dirfd, name, err);
		if (errno == EPERM)
			return device_bind(d, rootfd, err);
		return err_sys(err, "mknod %s", d->path);
	}
	/* The umask is 0 here, so the mode is right; the owner is ours. */
	if ((d->uid || d->gid) && fchownat(dirfd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "chown %s", d->path);
	return 0;
}

/* A node that the parent has made. */
static int device_attach(const struct oci_device *spec, int tree, int rootfd,
			 struct coffer_error *err)
{
	autoclose int target = mount_target_itself(rootfd, spec->path, false, err);

	if (target < 0)
		return target;
	if (mount_attach(tree, target) < 0)
		return err_sys(err, "mount %s", spec->path);
	return 0;
}

static int device_make_spec(const struct oci_device *spec, int tree, int rootfd,
			    struct coffer_error *err)
{
	struct device d = {
		.path = spec->path,
		.mode = (mode_t)(spec->file_mode.set ? spec->file_mode.v & 07777 : 0666),
		.dev = makedev((unsigned)spec->major, (unsigned)spec->minor),
		.uid = spec->uid.v,
		.gid = spec->gid.v,
	};
	autoclose int dirfd = -1;
	const char *name;

	if (!spec->path || !spec->type || spec->type[1])
		return err_invalid(err, "device without a path or a type");
	/* It belongs to the container's own devpts: a link, made with the others. */
	if (strcmp(spec->path, "/dev/ptmx") == 0)
		return 0;
	if (tree >= 0)
		return device_attach(spec, tree, rootfd, err);
	switch (spec->type[0]) {
	case 'c':
	case 'u':
		d.type = S_IFCHR;
		break;
	case 'b':
		d.type = S_IFBLK;
		break;
	case 'p':
		d.type = S_IFIFO;
		break;
	default:
		return err_invalid(err, "%s: unknown type %s", spec->path, spec->type);
	}
	dirfd = path_parent_in_root(rootfd, d.path, true, &name, err);
	return dirfd < 0 ? dirfd : device_make_at(&d, rootfd, dirfd, name, err);
}

static int device_make_defaults(int rootfd, int dirfd, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(device_defaults); i++) {
		const struct device d = {
			.path = device_defaults[i].path,
			.type = S_IFCHR,
			.mode = 0666,
			.dev = makedev(device_defaults[i].major, device_defaults[i].minor),
		};

		r = device_make_at(&d, rootfd, dirfd, d.path + strlen("/dev/"), err);
	}
	return r;
}

static int device_make_links(int dirfd, struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_links); i++) {
		/* What is there stays: a devtmpfs has a /dev/ptmx that finds pts/ beside it. */
		if (symlinkat(device_links[i].to, dirfd, device_links[i].name) < 0 &&
		    errno != EEXIST)
			return err_sys(err, "link /dev/%s", device_links[i].name);
	}
	return 0;
}

static bool device_dev_is_bound(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const struct oci_mount *m = &spec->mounts.v[i];
		size_t n = strlen(m->destination);

		while (n > 1 && m->destination[n - 1] == '/')
			n--;
		if (n != 4 || strncmp(m->destination, "/dev", 4) != 0)
			continue;
		if (m->type && strcmp(m->type, "bind") == 0)
			return true;
		for (size_t k = 0; k < m->options.n; k++)
			if (strcmp(m->options.v[k], "bind") == 0 ||
			    strcmp(m->options.v[k], "rbind") == 0)
				return true;
	}
	return false;
}

int device_make_all(const struct oci_spec *spec, const int *trees, int rootfd,
		    struct coffer_error *err)
{
	autoclose int dirfd = -1;
	int r;

	if (device_dev_is_bound(spec))
		return 0;
	dirfd = path_mkdirs_in_root(rootfd, "/dev", 0755, err);
	if (dirfd < 0)
		return dirfd;
	/* Before the defaults, which leave what is there: mode and owner are the document's. */
	for (size_t i = 0; i < spec->linux_->devices.n; i++) {
		r = device_make_spec(&spec->linux_->devices.v[i], trees ? trees[i] : -1, rootfd,
				     err);
		if (r < 0)
			return err_wrap(err, "linux.devices[%zu]", i);
	}
	r = device_make_defaults(rootfd, dirfd, err);
	return r < 0 ? r : device_make_links(dirfd, err);
}
