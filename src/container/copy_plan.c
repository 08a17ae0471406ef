/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_plan.c - what a copy makes of its two paths
 *
 * Nothing is copied or opened here; both sides are only asked what a path is.
 * In between that may change: whoever copies then finds out, and neither side
 * writes outside of the directory the plan names.
 *
 * Callers: copy.c.
 */
#include "container/copy_plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"

#define COPY_LINKS_MAX 40 /* as the kernel's */

/* A path and what its end says. */
struct copy_path {
	char path[PATH_MAX]; /* without it */
	char dir[PATH_MAX];
	const char *name;    /* last component, in path; "": there is none */
	bool wants_dir;      /* ended in a slash, or must be one anyway */
	bool contents;       /* ended in "/.": what is in it is meant */
};

static int copy_path_check(const struct copy_side *side, const char *text,
			   struct coffer_error *err)
{
	if (!*text)
		return err_invalid(err, "path on the %s: empty", side->where);
	if (strlen(text) + 2 > PATH_MAX)
		return err_invalid(err, "path on the %s: longer than %d", side->where,
				   PATH_MAX - 2);
	return 0;
}

/* Cut "/", "/." at the end; "/" and "." are left. */
static void copy_path_trim(struct copy_path *p)
{
	size_t n = strlen(p->path);

	for (;;) {
		if (n > 1 && p->path[n - 1] == '/') {
			n--;
			p->wants_dir = true;
		} else if (n > 1 && p->path[n - 1] == '.' && p->path[n - 2] == '/') {
			n -= n > 2 ? 2 : 1;
			p->wants_dir = p->contents = true;
		} else {
			break;
		}
	}
	p->path[n] = '\0';
}

static void copy_path_split(struct copy_path *p)
{
	const char *slash = strrchr(p->path, '/');

	p->name = slash ? slash + 1 : p->path;
	if (!slash)
		snprintf(p->dir, sizeof(p->dir), ".");
	else
		snprintf(p->dir, sizeof(p->dir), "%.*s", (int)(slash == p->path ? 1 : slash - p->path),
			 p->path);
	if (*p->name && strcmp(p->name, ".") != 0 && strcmp(p->name, "..") != 0)
		return;
	p->name = "";
	p->wants_dir = p->contents = true;
}

static int copy_path_parse(const struct copy_side *side, const char *text, struct copy_path *p,
			   struct coffer_error *err)
{
	int r = copy_path_check(side, text, err);

	if (r < 0)
		return r;
	p->wants_dir = p->contents = false;
	snprintf(p->path, sizeof(p->path), "%s%s", side->absolute && *text != '/' ? "/" : "", text);
	copy_path_trim(p);
	copy_path_split(p);
	return 0;
}

int copy_plan_path(const struct copy_side *side, const char *path, char out[static PATH_MAX],
		   struct coffer_error *err)
{
	struct copy_path p;
	int r = copy_path_parse(side, path, &p, err);

	if (r == 0)
		memcpy(out, p.path, sizeof(p.path));
	return r;
}

static int copy_stat(const struct copy_side *side, const char *path, bool follow,
		     struct coffer_path_stat *st, struct coffer_error *err)
{
	*st = (struct coffer_path_stat){ .size = sizeof(*st) };
	return side->stat(side->data, path, follow, st, err);
}

/* @st: of the source */
static int copy_plan_source(const struct copy_side *side, const struct copy_path *p,
			    bool follow_link, struct copy_plan *plan, struct coffer_error *err)
{
	struct coffer_path_stat st;
	int r;

	memcpy(plan->source, p->path, sizeof(plan->source));
	plan->follow = follow_link || p->wants_dir;
	r = copy_stat(side, plan->source, plan->follow, &st, err);
	if (r < 0)
		return r;
	plan->is_dir = S_ISDIR(st.mode);
	if (p->wants_dir && !plan->is_dir)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR, "%s: not a directory",
			       p->path);
	if (S_ISSOCK(st.mode))
		return err_unsupported(err, "%s: a socket has no content", p->path);
	return 0;
}

/* Have @p be what the link that it is leads to, as far as there is something. */
static int copy_plan_resolve(const struct copy_side *side, struct copy_path *p,
			     struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	char next[PATH_MAX + sizeof(((struct coffer_path_stat *)0)->link_target) + 1];
	struct coffer_path_stat st;

	for (int i = 0; i < COPY_LINKS_MAX; i++) {
		int r = copy_stat(side, p->path, false, &st, &own);

		if (r < 0 && own.kind != COFFER_ERR_NOT_FOUND) {
			if (err)
				*err = own;
			return r;
		}
		if (r < 0 || !S_ISLNK(st.mode))
			return 0;
		if (st.link_target[0] == '/')
			snprintf(next, sizeof(next), "%s", st.link_target);
		else
			snprintf(next, sizeof(next), "%s%s%s", p->dir,
				 strcmp(p->dir, "/") == 0 ? "" : "/", st.link_target);
		r = copy_path_parse(side, next, p, err);
		if (r < 0)
			return r;
	}
	return err_sysn(err, ELOOP, "%s", p->path);
}

/* The target is no directory: it is to be made, or made anew. */
static int copy_plan_beside(const struct copy_side *side, struct copy_path *p,
			    struct copy_plan *plan, struct coffer_error *err)
{
	int r = copy_plan_resolve(side, p, err);

	if (r < 0)
		return r;
	if (!*p->name)
		return err_sysn(err, ENOENT, "%s", p->path);
	if (strlen(p->name) > NAME_MAX)
		return err_sysn(err, ENAMETOOLONG, "%s", p->name);
	memcpy(plan->dir, p->dir, sizeof(plan->dir));
	memcpy(plan->name, p->name, strlen(p->name) + 1);
	return 0;
}

static int copy_plan_target(const struct copy_side *side, const char *target,
			    const struct copy_path *source, struct copy_plan *plan,
			    struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_path_stat st;
	struct copy_path p;
	int r = copy_path_parse(side, target, &p, err);

	if (r < 0)
		return r;
	r = copy_stat(side, p.path, true, &st, &own);
	if (r < 0 && own.kind != COFFER_ERR_NOT_FOUND) {
		if (err)
			*err = own;
		return r;
	}
	if (r == 0 && S_ISDIR(st.mode)) {
		memcpy(plan->dir, p.path, sizeof(plan->dir));
		snprintf(plan->name, sizeof(plan->name), "%s", source->contents ? "" : source->name);
		return 0;
	}
	if (r == 0 && plan->is_dir)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR,
			       "%s: cannot copy a directory over a file", p.path);
	if (p.wants_dir && !plan->is_dir)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOTDIR,
			       r == 0 ? "%s: not a directory" : "%s: no such directory", p.path);
	return copy_plan_beside(side, &p, plan, err);
}

int copy_plan_make(const struct copy_side *from, const char *source, bool follow_link,
		   const struct copy_side *to, const char *target, struct copy_plan *plan,
		   struct coffer_error *err)
{
	struct copy_path p;
	int r = copy_path_parse(from, source, &p, err);

	if (r == 0 && strlen(p.name) > NAME_MAX)
		r = err_sysn(err, ENAMETOOLONG, "%s", p.name);
	if (r == 0)
		r = copy_plan_source(from, &p, follow_link, plan, err);
	return r < 0 ? r : copy_plan_target(to, target, &p, plan, err);
}
