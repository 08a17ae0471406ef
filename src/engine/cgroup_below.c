/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_below.c - a further process into groups that the container has made below its own
 *
 * Words are "[CONTROLLER,...:]PATH": without controllers the path counts in
 * every hierarchy (but v2, where it stands beside v1 and controls nothing),
 * and is the only word.  The container can change what is below its group at
 * any time, so a path is opened beneath it.
 *
 * Caller: launch.c, in the child, which enters by itself.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/cgroup_internal.h"

static int cgroup_below_enter(struct cgroup_tree *t, const char *path, struct coffer_error *err)
{
	static const char file[] = "cgroup.procs";
	int dir = cgroup_tree_fd(t);
	autofree char *inside = NULL;
	autoclose int fd = -1;

	if (dir < 0)
		return err_sysn(err, dir, "open %s", t->dir);
	path += strspn(path, "/");
	inside = *path ? path_join(path, file) : strdup(file);
	if (!inside)
		return err_nomem(err);
	fd = path_open_beneath(dir, inside, O_WRONLY, 0, err);
	if (fd == -EXDEV)
		return err_invalid(err, "%s is not a sub cgroup path", path);
	if (fd == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
			       "adding pid to %s/%s: no such file or directory", t->dir, inside);
	if (fd < 0)
		return err_wrap(err, "%s", t->dir);
	return write(fd, "0", 1) < 0 ? err_sys(err, "enter %s/%s", t->dir, path) : 0;
}

/* Return: the tree that has one of the controllers, or NULL */
static struct cgroup_tree *cgroup_below_find(const struct cgroup *cg, const char *name, size_t len)
{
	autofree char *word = strndup(name, len);

	for (size_t i = 0; word && i < cg->n; i++) {
		struct cgroup_tree *t = &cg->trees[i];

		if (!cgroup_tree_is_v2(t) && (strcmp(t->names, word) == 0 ||
					      (t->controllers & cgroup_parse_controllers(word))))
			return t;
	}
	return NULL;
}

static int cgroup_below_some(const struct cgroup *cg, const char *names, const char *path,
			     struct coffer_error *err)
{
	int r = 0;

	for (const char *p = names; r == 0 && p < path; p += strcspn(p, ",:") + 1) {
		int len = (int)strcspn(p, ",:");
		struct cgroup_tree *t = cgroup_below_find(cg, p, (size_t)len);

		r = t ? cgroup_below_enter(t, path, err)
		      : err_invalid(err, "unknown controller %.*s", len, p);
	}
	return r;
}

static int cgroup_below_all(const struct cgroup *cg, const char *path, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cg->n; i++) {
		if (!cgroup_tree_is_v2(&cg->trees[i]) || cg->n == 1)
			r = cgroup_below_enter(&cg->trees[i], path, err);
	}
	return r;
}

int cgroup_enter_below(const struct cgroup *cg, const char *const *words, size_t n,
		       struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *colon = strchr(words[i], ':');

		if (colon)
			r = cgroup_below_some(cg, words[i], colon + 1, err);
		else if (n > 1)
			r = err_invalid(err, "%s: several need a controller each", words[i]);
		else
			r = cgroup_below_all(cg, words[i], err);
	}
	return r < 0 ? err_wrap(err, "cgroup") : 0;
}
