/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_cgroup.c - mounts of type "cgroup": what the host has, as the container may see it
 *
 *	v2 alone         one cgroup2
 *	v1, or both      a tmpfs with a directory for each hierarchy, named as on the host, and
 *	                 a link for each controller of those that share one
 *
 * With a cgroup namespace a hierarchy is mounted anew and shows the
 * container's group as its root.  Without one, v1 is bound from the
 * container's own group, and v2 shows the host's tree, as it does to whoever
 * looks into /proc/self/cgroup.  Where the kernel refuses the mount (a user
 * namespace that owns no cgroup namespace) the host's is bound, and then
 * read-only unless it is the container's group alone: what a rootless user may
 * write in there is more than this container's.
 *
 * Caller: mount.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/cgroup_internal.h"
#include "engine/mount_internal.h"

#define MOUNT_CGROUP_FLAGS ((unsigned long)(MS_NOSUID | MS_NODEV | MS_NOEXEC))

/* A mount of a hierarchy in the making. */
struct mount_cgroup {
	const struct mount_plan *plan;
	bool own; /* there is a cgroup namespace */
};

static unsigned long mount_cgroup_flags(const struct mount_plan *m)
{
	return m->options.flags & (MOUNT_CGROUP_FLAGS | MS_RDONLY | MS_RELATIME | MS_NOATIME);
}

static int mount_cgroup_bind(const struct mount_cgroup *c, const char *dir, bool readonly,
			     int target, struct coffer_error *err)
{
	struct mount_attr attr = mount_options_attr(&c->plan->options);
	autoclose int tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (readonly)
		attr.attr_set |= MOUNT_ATTR_RDONLY;
	attr.propagation = MS_PRIVATE;
	attr.attr_clr &= MOUNT_ATTR__ATIME;
	if (tree < 0 || mount_set_attr(tree, false, &attr) < 0 || mount_attach(tree, target) < 0)
		return err_sys(err, "bind %s", dir);
	return 0;
}

static bool mount_cgroup_refused(int errnum)
{
	return errnum == EPERM || errnum == EBUSY;
}

/* @dir: the container's group on the host, whose first @mount_len bytes are the mount point */
static int mount_cgroup_v2(const struct mount_cgroup *c, const char *dir, size_t mount_len,
			   int target, struct coffer_error *err)
{
	char root[PATH_MAX];

	if (mount_at(target, "cgroup", "cgroup2", mount_cgroup_flags(c->plan),
		     c->plan->options.data) == 0)
		return 0;
	if (!mount_cgroup_refused(errno))
		return err_sys(err, "cgroup2");
	if (c->own && strlen(dir) > mount_len)
		return mount_cgroup_bind(c, dir, false, target, err);
	snprintf(root, sizeof(root), "%.*s", (int)mount_len, dir);
	return mount_cgroup_bind(c, root, true, target, err);
}

static int mount_cgroup_v1(const struct mount_cgroup *c, const struct cgroup_hierarchy *h,
			   int target, struct coffer_error *err)
{
	bool named = strncmp(h->names, "name=", 5) == 0, whole = strlen(h->dir) == h->mount_len;
	char data[256];

	if (!c->own)
		return mount_cgroup_bind(c, h->dir, whole, target, err);
	snprintf(data, sizeof(data), "%s%s", named ? "none," : "", h->names);
	if (mount_at(target, "cgroup", "cgroup", mount_cgroup_flags(c->plan), data) == 0)
		return 0;
	if (!mount_cgroup_refused(errno))
		return err_sys(err, "cgroup \"%s\"", data);
	return mount_cgroup_bind(c, h->dir, whole, target, err);
}

/* "cpu,cpuacct" is also found as "cpu" and as "cpuacct". */
static int mount_cgroup_link(int top, const char *names, const char *dir, struct coffer_error *err)
{
	char copy[256], *rest = copy, *word;

	if (!strchr(dir, ',') || strlen(names) >= sizeof(copy))
		return 0;
	memcpy(copy, names, strlen(names) + 1);
	while ((word = strsep(&rest, ",")))
		if (symlinkat(dir, top, word) < 0 && errno != EEXIST)
			return err_sys(err, "link %s", word);
	return 0;
}

static int mount_cgroup_one(const struct mount_cgroup *c, const struct cgroup_hierarchy *h, int top,
			    struct coffer_error *err)
{
	autoclose int target = -1;
	char path[PATH_MAX];
	const char *name;
	int r;

	snprintf(path, sizeof(path), "%.*s", (int)h->mount_len, h->dir);
	name = strrchr(path, '/');
	name = name ? name + 1 : path;
	if (mkdirat(top, name, 0755) < 0 && errno != EEXIST)
		return err_sys(err, "mkdir %s", name);
	target = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(err, "open %s", name);
	if (h->names[0])
		r = mount_cgroup_v1(c, h, target, err);
	else
		r = mount_cgroup_v2(c, h->dir, h->mount_len, target, err);
	if (r == 0)
		r = mount_cgroup_link(top, h->names, name, err);
	return r < 0 ? err_wrap(err, "%s", name) : 0;
}

/* The tmpfs that holds the directories. Return: its root, mounted on @target, or -errno */
static int mount_cgroup_top(const struct mount_plan *m, int target, const char *label,
			    struct coffer_error *err)
{
	struct mount_plan top = { .type = "tmpfs", .source = "cgroup" };
	autoclose int tree = -1;

	top.options.flags = mount_cgroup_flags(m);
	tree = mount_new_detached(&top, "mode=755", label, err);
	if (tree >= 0 && mount_attach(tree, target) < 0)
		return err_sys(err, "mount a tmpfs");
	return steal_fd(&tree);
}

static int mount_cgroup_all(struct mount_plan *m, const struct cgroup *cg, bool own, int target,
			    const char *label, struct coffer_error *err)
{
	struct mount_cgroup c = { .plan = m, .own = own };
	struct cgroup_hierarchy h;
	autoclose int top = -1;
	int r = 0;

	if (!cgroup_hierarchy(cg, 0, &h))
		return err_unsupported(err, "the host has no cgroups mounted");
	if (!h.names[0] && !cgroup_hierarchy(cg, 1, &h))
		return mount_cgroup_v2(&c, h.dir, h.mount_len, target, err);
	top = mount_cgroup_top(m, target, label, err);
	if (top < 0)
		return top;
	for (size_t i = 0; r == 0 && cgroup_hierarchy(cg, i, &h); i++)
		r = mount_cgroup_one(&c, &h, top, err);
	if (r == 0 && m->options.flags & MS_RDONLY)
		m->late = steal_fd(&top);
	return r;
}

int mount_cgroup(struct mount_plan *m, const struct mount_plans *plans, int target,
		 struct coffer_error *err)
{
	struct cgroup *found = NULL;
	struct cgroup_hierarchy first;
	int r = 0;

	/* A container without groups of its own still gets to see what there is. */
	if (!plans->cgroup || !cgroup_hierarchy(plans->cgroup, 0, &first)) {
		found = calloc(1, sizeof(*found));
		r = found ? cgroup_discover(found, err) : err_nomem(err);
	}
	if (r == 0)
		r = mount_cgroup_all(m, found ? found : plans->cgroup, plans->cgroup_namespace,
				     target, plans->label, err);
	cgroup_free(found);
	return r;
}
