/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_place.c - a process into the container's groups
 *
 *	v2        clone3(CLONE_INTO_CGROUP): it is never anywhere else
 *	v1        the new process enters by itself, before anything else: that takes the
 *	          kernel 0.2 ms for ten hierarchies, where a write of another process's number
 *	          waits for all processors, 10 ms
 *	systemd   makes its scope around a process that is there; groups of hierarchies that it
 *	          does not care for are made then, and entered like those of v1
 *
 * A container that has made groups below its own for controllers on v2 has no
 * process in its own group, and the kernel lets none in (EBUSY): a further
 * process goes to where init is.
 *
 * Callers: container.c, exec.c, restore.c in the parent; launch.c in the child.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

int cgroup_clone_fd(const struct cgroup *cg)
{
	struct cgroup_tree *t = cgroup_unified(cg);

	return t && cg->exists && cgroup_tree_fd(t) >= 0 ? t->fd : -1;
}

bool cgroup_needs_place(const struct cgroup *cg)
{
	return cg->ops->start && !cg->exists;
}

/* Where a process is below @t's mount point. Return: malloc'd "/a/b" or "", NULL on error */
static char *cgroup_tree_where(const struct cgroup_tree *t, pid_t pid, struct coffer_error *err)
{
	autofree char *text = NULL;
	char proc[32], *where;

	snprintf(proc, sizeof(proc), "/proc/%d/cgroup", (int)pid);
	if (io_read_file(AT_FDCWD, proc, CGROUP_FILE_MAX, &text, NULL, err) < 0)
		return NULL;
	where = strdup(cgroup_path_below_mount(t, cgroup_find_line(text, t)));
	if (!where)
		err_nomem(err);
	return where;
}

int cgroup_tree_may_enter(const struct cgroup_tree *t, struct coffer_error *err)
{
	const char *path = t->dir + t->root_len;
	autofree char *own = cgroup_tree_where(t, getpid(), err);
	char procs[PATH_MAX + 32];
	size_t common = 0, i;

	if (!own)
		return err ? -err->err : -EIO;
	/* Moving takes the right to write in the nearest group above both. */
	for (i = 0; path[i] && path[i] == own[i]; i++) {
		if (path[i] == '/')
			common = i;
	}
	if (path[i] == '/' && !own[i])
		common = i;
	snprintf(procs, sizeof(procs), "%.*s/cgroup.procs", (int)(t->root_len + common), t->dir);
	return faccessat(AT_FDCWD, procs, W_OK, AT_EACCESS) < 0 ? err_sys(err, "write %s", procs) :
								  0;
}

int cgroup_place(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
		 struct coffer_error *err)
{
	struct cgroup_tree *t;
	int r = 0;

	if (cg->ops->start) {
		r = cg->ops->start(cg, pid, res, err);
		if (r == 0)
			r = cgroup_set_up(cg, res, err);
		cg->exists = true; /* half of a start must be taken down, too */
	}
	t = cgroup_unified(cg);
	if (r == 0 && t) {
		autofree char *where = cgroup_tree_where(t, pid, err);

		if (!where)
			return err ? -err->err : -EIO;
		if (strcmp(where, t->dir + t->root_len) != 0)
			r = cgroup_tree_add(t, pid, err);
	}
	return r;
}

int cgroup_move(struct cgroup *cg, pid_t pid, const struct oci_resources *res,
		struct coffer_error *err)
{
	int r = cgroup_needs_place(cg) ? cgroup_place(cg, pid, res, err) : 0;

	for (size_t i = 0; r == 0 && i < cg->n; i++)
		r = cgroup_tree_add(&cg->trees[i], pid, err);
	return r;
}

int cgroup_enter(const struct cgroup *cg, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cg->n; i++) {
		if (!cgroup_tree_is_v2(&cg->trees[i]))
			r = cgroup_tree_enter(&cg->trees[i], err);
	}
	return r < 0 ? err_wrap(err, "cgroup") : 0;
}

/* ---- beside init ---- */

static int cgroup_join_init(const struct cgroup_tree *t, pid_t pid, pid_t init,
			    struct coffer_error *err)
{
	const char *path = t->dir + t->root_len;
	autofree char *where = cgroup_tree_where(t, init, err);
	char procs[PATH_MAX + 32], number[16];

	if (!where)
		return err ? -err->err : -EIO;
	if (strncmp(where, path, strlen(path)) != 0 || where[strlen(path)] != '/')
		return err_state(err, "init is in cgroup %s, outside of the container's", where);
	snprintf(procs, sizeof(procs), "%.*s%s/cgroup.procs", (int)t->root_len, t->dir, where);
	snprintf(number, sizeof(number), "%d", (int)pid);
	return io_write_file(AT_FDCWD, procs, number, err);
}

int cgroup_join(struct cgroup *cg, pid_t pid, pid_t init, struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_unified(cg);
	int r;

	if (!t)
		return 0;
	r = cgroup_tree_add(t, pid, err);
	if (r == -EBUSY) {
		err_clear(err);
		r = cgroup_join_init(t, pid, init, err);
	} else if (r == -EACCES && cg->ops->join) {
		err_clear(err);
		r = cg->ops->join(cg, pid, err);
	}
	return r < 0 ? err_wrap(err, "cgroup") : 0;
}
