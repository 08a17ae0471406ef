/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount.c - the mounts of a container, inside its root only
 *
 *	parent: spec --> struct mount_plan (words sorted, sources joined, refusals)
 *	child:  target path --openat2 in root--> descriptor --mount on the descriptor
 *
 * The image is hostile: any component of a target may be a link.  A target is
 * resolved once, strictly below the root, to a descriptor; the mount goes to
 * that descriptor, never to a path, so nothing can lead it elsewhere.
 *
 * A new file system takes mount(2) on /proc/self/fd/N, one call.  A bind takes
 * open_tree(2): its flags are set while it is still detached, so there is no
 * moment at which a read-only bind can be written.
 *
 * Deliberately absent: idmapped mounts.
 *
 * Callers: container.c plans, the child's stages mount; device.c, terminal.c
 * and rootfs.c use the small ones below.
 */
#include "engine/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

/* ---- parent ---- */

static int mount_plan_one(const struct oci_mount *m, const char *bundle, struct mount_plan *out,
			  struct coffer_error *err)
{
	int r;

	if (!m->destination)
		return err_invalid(err, "no destination");
	if (m->uid_mappings.n || m->gid_mappings.n)
		return err_unsupported(err, "uidMappings: idmapped mounts are not supported");
	out->target = m->destination;
	out->type = m->type;
	out->source = m->source;
	r = mount_options_parse(&m->options, &out->options, err);
	if (r < 0)
		return r;
	if (out->type && strcmp(out->type, "rbind") == 0)
		out->options.flags |= MS_BIND | MS_REC;
	if (out->type && strcmp(out->type, "bind") == 0)
		out->options.flags |= MS_BIND;
	/* "cgroup" is how documents for both versions ask for whatever is there. */
	if (out->type && strcmp(out->type, "cgroup") == 0)
		out->type = "cgroup2";
	if (!(out->options.flags & MS_BIND))
		return out->type ? 0 : err_invalid(err, "neither a type nor a bind");
	out->type = NULL;
	if (!out->source)
		return err_invalid(err, "a bind without a source");
	if (out->source[0] != '/') {
		out->owned = path_join(bundle, out->source);
		if (!out->owned)
			return err_nomem(err);
		out->source = out->owned;
	}
	return 0;
}

int mount_plan_spec(const struct oci_spec *spec, const char *bundle, struct mount_plans *out,
		    struct coffer_error *err)
{
	int r;

	*out = (struct mount_plans){ 0 };
	if (spec->mounts.n == 0)
		return 0;
	out->v = calloc(spec->mounts.n, sizeof(*out->v));
	if (!out->v)
		return err_nomem(err);
	for (; out->n < spec->mounts.n; out->n++) {
		r = mount_plan_one(&spec->mounts.v[out->n], bundle, &out->v[out->n], err);
		if (r < 0) {
			/* Counted, so that what it owns is freed with the others. */
			r = err_wrap(err, "mounts[%zu]", out->n);
			out->n++;
			return r;
		}
	}
	return 0;
}

void mount_plans_free(struct mount_plans *plans)
{
	for (size_t i = 0; i < plans->n; i++) {
		mount_options_free(&plans->v[i].options);
		free(plans->v[i].owned);
	}
	free(plans->v);
	*plans = (struct mount_plans){ 0 };
}

/* ---- child ---- */

static int mount_make_target(int rootfd, const char *path, bool dir, struct coffer_error *err)
{
	autoclose int made = -1;
	const char *name;

	if (dir)
		return path_mkdirs_in_root(rootfd, path, 0755, err);
	made = path_parent_in_root(rootfd, path, true, &name, err);
	if (made < 0)
		return made;
	close_fd(&made);
	/* The parents exist now; a dangling link at the end is made where it points. */
	made = path_open_in_root(rootfd, path, O_CREAT | O_RDONLY | O_NOCTTY | O_NONBLOCK, 0644,
				 err);
	if (made < 0)
		return made;
	return path_open_in_root(rootfd, path, O_PATH, 0, err);
}

int mount_target(int rootfd, const char *path, bool dir, struct coffer_error *err)
{
	autoclose int fd = path_open_in_root(rootfd, path, O_PATH, 0, err);
	struct stat st, root;

	if (fd == -ENOENT)
		fd = mount_make_target(rootfd, path, dir, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || fstat(rootfd, &root) < 0)
		return err_sys(err, "stat %s", path);
	if (st.st_ino == root.st_ino && st.st_dev == root.st_dev)
		return err_invalid(err, "%s is the container's root itself", path);
	return steal_fd(&fd);
}

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

static int mount_set_attr(int fd, bool tree, const struct mount_attr *attr)
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

static int mount_bind(const struct mount_plan *m, int rootfd, struct coffer_error *err)
{
	unsigned recursive = m->options.flags & MS_REC ? AT_RECURSIVE : 0;
	struct mount_attr attr = mount_options_attr(&m->options);
	autoclose int tree = -1, target = -1;
	struct stat st;
	int r;

	tree = open_tree(AT_FDCWD, m->source,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);
	if (tree < 0 || fstat(tree, &st) < 0)
		return err_sys(err, "open the source %s", m->source);
	target = mount_target(rootfd, m->target, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	if (mount_set_attr(tree, false, &attr) < 0)
		return err_sys(err, "set the options");
	r = mount_finish(tree, m, err);
	if (r < 0)
		return r;
	if (mount_attach(tree, target) < 0)
		return err_sys(err, "bind %s", m->source);
	return 0;
}

/* A tmpfs over a directory of the image looks like that directory unless told otherwise. */
static int mount_data(const struct mount_plan *m, int target, char data[MOUNT_DATA_MAX],
		      struct coffer_error *err)
{
	const char *given = m->options.data ? m->options.data : "";
	struct stat st;
	int n;

	if (strcmp(m->type, "tmpfs") != 0 || strncmp(given, "mode=", 5) == 0 ||
	    strstr(given, ",mode=")) {
		n = snprintf(data, MOUNT_DATA_MAX, "%s", given);
	} else {
		if (fstat(target, &st) < 0)
			return err_sys(err, "stat");
		n = snprintf(data, MOUNT_DATA_MAX, "mode=%04o%s%s",
			     (unsigned)st.st_mode & 07777, given[0] ? "," : "", given);
	}
	return n < MOUNT_DATA_MAX ? 0 : err_invalid(err, "options are longer than a page");
}

static int mount_filesystem(const struct mount_plan *m, int rootfd, struct coffer_error *err)
{
	autoclose int target = mount_target(rootfd, m->target, true, err);
	autoclose int top = -1;
	char data[MOUNT_DATA_MAX];
	int r;

	if (target < 0)
		return target;
	r = mount_data(m, target, data, err);
	if (r < 0)
		return r;
	if (mount_at(target, m->source ? m->source : m->type, m->type, m->options.flags,
		     data[0] ? data : NULL) < 0)
		return err_sys(err, "%s \"%s\"", m->type, data);
	if (!m->options.propagation && !m->options.all.attr_set && !m->options.all.attr_clr)
		return 0;
	/* @target still means the directory below the new mount. */
	top = path_open_in_root(rootfd, m->target, O_PATH, 0, err);
	return top < 0 ? top : mount_finish(top, m, err);
}

int mount_all(const struct mount_plans *plans, int rootfd, struct coffer_error *err)
{
	int r;

	for (size_t i = 0; i < plans->n; i++) {
		const struct mount_plan *m = &plans->v[i];

		if (m->type)
			r = mount_filesystem(m, rootfd, err);
		else
			r = mount_bind(m, rootfd, err);
		if (r < 0)
			return err_wrap(err, "mounts[%zu] on %s", i, m->target);
	}
	return 0;
}
