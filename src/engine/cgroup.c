/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup.c - the container's control group, whatever version the host has
 *
 * Chooses the driver (a table of functions) and the paths, keeps them as
 * words, and does to every group in turn what is asked.  A container without
 * a group can still be created on a host that gives us none, as long as its
 * document asks for nothing there; its processes then end with its pid
 * namespace.  Rootless, what we have no right to is left out with a warning.
 *
 * Callers: container.c.
 */
#define LOG_CATEGORY "engine"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "engine/cgroup_internal.h"

#define CGROUP_END_BUDGET (5 * USEC_PER_SEC)

#define CGROUP_DEFAULT_PARENT "coffer"
#define CGROUP_V2_WORD	      "cgroup2" /* in the place of controllers */

DEFINE_CLEANUP(struct cgroup *, cgroup_free);
#define autocgroup CLEANUP(cgroup_freep)

/* ---- driver "cgroupfs": paths as the document gives them ---- */

/*
 * Absolute: below each hierarchy's root.  Relative: below where we are; with v2
 * alone below our parent, because a group with processes cannot have children
 * with limits.
 */
static int cgroup_fs_set_path(const struct cgroup *cg, struct cgroup_tree *t, const char *path,
			      char *self, struct coffer_error *err)
{
	autofree char *line = NULL, *full = NULL;
	const char *own;
	size_t n;

	if (path[0] == '/')
		return cgroup_tree_set_path(t, path, err);
	line = strdup(self);
	if (!line)
		return err_nomem(err);
	own = cgroup_path_below_mount(t, cgroup_find_line(line, t));
	n = strlen(own);
	while (cg->n == 1 && cgroup_tree_is_v2(t) && n > 0 && own[n] != '/')
		n--;
	if (asprintf(&full, "%.*s/%s", (int)n, own, path) < 0)
		return err_nomem(err);
	return cgroup_tree_set_path(t, full, err);
}

static int cgroup_fs_plan(struct cgroup *cg, const struct cgroup_plan_args *args,
			  struct coffer_error *err)
{
	const char *path = args->spec->linux_->cgroups_path;
	autofree char *fallback = NULL, *self = NULL;
	int r = 0;

	/* What an ordinary user may make is where he is. */
	if (!path && asprintf(&fallback, "%s" CGROUP_DEFAULT_PARENT "/%s", cg->rootless ? "" : "/",
			      args->id) < 0)
		return err_nomem(err);
	if (!path)
		path = fallback;
	if (strlen(path) >= CGROUP_PATH_MAX)
		return err_invalid(err, "linux.cgroupsPath: %d bytes or more", CGROUP_PATH_MAX);
	if (strchr(path, ':'))
		return err_unsupported(err, "linux.cgroupsPath: %s is for systemd", path);
	if (path[0] != '/')
		r = io_read_file(AT_FDCWD, "/proc/self/cgroup", CGROUP_FILE_MAX, &self, NULL, err);
	for (size_t i = 0; r == 0 && i < cg->n; i++) {
		r = cgroup_fs_set_path(cg, &cg->trees[i], path, self, err);
		/* The default's parent is ours, whoever made it. */
		if (fallback)
			cg->trees[i].made = 2;
		else if (r == 0)
			cgroup_tree_count_missing(&cg->trees[i]);
	}
	return r < 0 ? err_wrap(err, "linux.cgroupsPath") : 0;
}

static const struct cgroup_ops cgroup_fs_ops = {
	.name = "cgroupfs",
	.plan = cgroup_fs_plan,
};

static const struct cgroup_ops *const cgroup_drivers[] = {
	[ENGINE_CGROUPFS] = &cgroup_fs_ops,
	[ENGINE_SYSTEMD] = &cgroup_systemd_ops,
};

/* ---- plan ---- */

struct cgroup_tree *cgroup_unified(const struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++) {
		if (cgroup_tree_is_v2(&cg->trees[i]))
			return &cg->trees[i];
	}
	return NULL;
}

struct cgroup_tree *cgroup_find(const struct cgroup *cg, enum cgroup_controller controller)
{
	for (size_t i = 0; i < cg->n; i++) {
		if (cg->trees[i].controllers & 1U << controller)
			return &cg->trees[i];
	}
	return NULL;
}

const char *cgroup_freezer_dir(const struct cgroup *cg)
{
	const struct cgroup_tree *t = cgroup_unified(cg);

	if (!t)
		t = cgroup_find(cg, CGROUP_FREEZER);
	return t ? t->dir : NULL;
}

static bool cgroup_is_asked_for(const struct oci_linux *l)
{
	const struct oci_resources *r = l->resources;

	return l->cgroups_path ||
	       (r && (r->memory || r->cpu || r->pids || r->block_io || r->network ||
		      r->hugepage_limits.n || r->rdma.n || r->unified.n || r->devices.n));
}

static void cgroup_free_words(struct oci_strv *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct oci_strv){ 0 };
}

/* Return: whether there was memory for it; NULL is an empty word */
static bool cgroup_add_word(struct oci_strv *w, const char *word)
{
	w->v[w->n] = strdup(word ? word : "");
	return w->v[w->n] && ++w->n;
}

/*
 * "2 21 memory /sys/fs/cgroup/memory/a/b": made (0: shared), bytes of the mount point, names,
 * directory
 */
static bool cgroup_add_tree_word(struct oci_strv *w, const struct cgroup_tree *t)
{
	unsigned made = t->shared ? 0 : t->made ? t->made : 1;
	autofree char *word = NULL;

	if (asprintf(&word, "%u %zu %s %s", made, t->root_len,
		     cgroup_tree_is_v2(t) ? CGROUP_V2_WORD : t->names, t->dir) < 0)
		return false;
	return cgroup_add_word(w, word);
}

static int cgroup_make_words(struct cgroup *cg, struct coffer_error *err)
{
	struct oci_strv *w = &cg->words;
	bool ok;

	cgroup_free_words(w);
	if (cg->n == 0 && !cg->ops->stop)
		return 0;
	w->v = calloc(2 + cg->n + 1, sizeof(*w->v));
	ok = w->v && cgroup_add_word(w, cg->ops->name) && cgroup_add_word(w, cg->unit);
	for (size_t i = 0; ok && i < cg->n; i++)
		ok = cgroup_add_tree_word(w, &cg->trees[i]);
	return ok ? 0 : err_nomem(err);
}

/* Before anything is recorded: what is shared must never be taken for ours. */
static int cgroup_check_trees(struct cgroup *cg, bool share, struct coffer_error *err)
{
	const struct cgroup_tree *busy = NULL;

	for (size_t i = 0; i < cg->n; i++) {
		int r = cgroup_tree_check(&cg->trees[i], share, err);

		if (r < 0)
			return r;
		if (r > 0 && !busy)
			busy = &cg->trees[i];
	}
	if (!busy)
		return 0;
	log_warning("container's cgroup is not empty: %s: it is shared with others", busy->dir);
	for (size_t i = 0; i < cg->n; i++)
		cg->trees[i].shared = true;
	return 0;
}

int cgroup_plan(const struct cgroup_plan_args *args, struct cgroup **out, struct coffer_error *err)
{
	const char *named = args->spec->linux_->cgroups_path;
	bool asked = cgroup_is_asked_for(args->spec->linux_);
	autocgroup struct cgroup *cg = calloc(1, sizeof(*cg));
	int r;

	*out = NULL;
	if (!cg)
		return err_nomem(err);
	if ((unsigned)args->manager >= ARRAY_SIZE(cgroup_drivers) || !cgroup_drivers[args->manager])
		return err_unsupported(err, "the systemd cgroup driver is not built in");
	cg->ops = cgroup_drivers[args->manager];
	cg->rootless = args->rootless;
	cg->optional = !asked;
	cg->owned = !cg->rootless && cgroup_find_owner(args->spec, &cg->owner);
	cg->account = named && !args->own_kernel && !cg->ops->start;
	r = cgroup_discover(cg, err);
	if (r < 0)
		return r;
	if (cg->n == 0 && (!asked || args->rootless))
		return 0;
	if (cg->n == 0)
		return err_unsupported(err, "no cgroup hierarchy is mounted");
	r = cg->ops->plan(cg, args, err);
	if (r == 0)
		r = cgroup_check_trees(cg, named && !cg->ops->start, err);
	if (r == 0)
		r = cgroup_make_words(cg, err);
	if (r < 0)
		return err_wrap(err, "cgroup");
	*out = steal_ptr(cg);
	return 0;
}

const struct oci_strv *cgroup_save(const struct cgroup *cg)
{
	return &cg->words;
}

/* ---- open ---- */

static int cgroup_open_tree(const char *word, struct cgroup_tree *t, struct coffer_error *err)
{
	char names[128];
	size_t root_len;
	unsigned made;
	const char *dir = strchr(word, '/');

	if (!dir || sscanf(word, "%u %zu %127s", &made, &root_len, names) != 3 || root_len < 1 ||
	    root_len + 1 >= strlen(dir) || dir[root_len] != '/' ||
	    strlen(dir) >= CGROUP_PATH_MAX || made > CGROUP_PATH_MAX || strstr(dir, "/../"))
		return err_invalid(err, "unreadable cgroup \"%s\"", word);
	if (strcmp(names, CGROUP_V2_WORD) == 0)
		names[0] = '\0';
	*t = (struct cgroup_tree){ .names = strdup(names), .dir = strdup(dir),
				   .controllers = cgroup_parse_controllers(names),
				   .root_len = root_len, .fd = -1, .made = made,
				   .shared = made == 0 };
	return t->names && t->dir ? 0 : err_nomem(err);
}

static int cgroup_open_words(struct cgroup *cg, const struct oci_strv *words,
			     struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(cgroup_drivers) && !cg->ops; i++) {
		if (cgroup_drivers[i] && strcmp(cgroup_drivers[i]->name, words->v[0]) == 0)
			cg->ops = cgroup_drivers[i];
	}
	if (!cg->ops || words->n < 2)
		return err_invalid(err, "unreadable cgroup words \"%s\" ...", words->v[0]);
	cg->unit = strdup(words->v[1]);
	cg->trees = calloc(words->n, sizeof(*cg->trees));
	if (!cg->unit || !cg->trees)
		return err_nomem(err);
	for (size_t i = 2; r == 0 && i < words->n; i++) {
		cg->trees[cg->n].fd = -1;
		r = cgroup_open_tree(words->v[i], &cg->trees[cg->n++], err);
	}
	cg->exists = true;
	return r < 0 ? r : cgroup_make_words(cg, err);
}

int cgroup_open(const struct oci_strv *words, struct cgroup **out, struct coffer_error *err)
{
	autocgroup struct cgroup *cg = NULL;
	int r;

	*out = NULL;
	if (words->n == 0)
		return 0;
	cg = calloc(1, sizeof(*cg));
	if (!cg)
		return err_nomem(err);
	r = cgroup_open_words(cg, words, err);
	if (r < 0)
		return r;
	*out = steal_ptr(cg);
	return 0;
}

void cgroup_free(struct cgroup *cg)
{
	if (!cg)
		return;
	for (size_t i = 0; i < cg->n; i++)
		cgroup_tree_free(&cg->trees[i]);
	free(cg->trees);
	free(cg->unit);
	cgroup_free_words(&cg->words);
	free(cg);
}

/* ---- make, change, remove ---- */

/* Nothing is there to kill or remove any more. */
static void cgroup_forget(struct cgroup *cg)
{
	for (size_t i = 0; i < cg->n; i++)
		cgroup_tree_free(&cg->trees[i]);
	cg->n = 0;
	cg->exists = false;
}

static int cgroup_make_all(struct cgroup *cg, struct coffer_error *err)
{
	struct cgroup_tree *v2;
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < cg->n) {
		r = cgroup_tree_make(&cg->trees[done], !cg->ops->start, err);
		done += r == 0;
	}
	v2 = cgroup_unified(cg);
	/* A manager has put the process there already. */
	if (r == 0 && cg->rootless && v2 && !cg->ops->start)
		r = cgroup_tree_may_enter(v2, err);
	if (r == 0)
		return 0;
	/* What was made before the failure goes again; the rest was never ours. */
	while (done-- > 0)
		cgroup_tree_remove(&cg->trees[done], deadline_in(0), NULL);
	return r;
}

static int cgroup_make_trees(struct cgroup *cg, struct coffer_error *err)
{
	int r = cgroup_make_all(cg, err);

	if (r < 0)
		cgroup_forget(cg);
	if ((r == -EACCES || r == -EPERM || r == -EROFS) && (cg->optional || cg->rootless)) {
		log_debug("no cgroup: %s", err ? err->message : "");
		err_clear(err);
		return cgroup_make_words(cg, err);
	}
	if (r < 0)
		return err_wrap(err, "cgroup");
	cg->exists = true;
	return cgroup_make_words(cg, err);
}

int cgroup_set_up(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err)
{
	int r = cgroup_make_trees(cg, err);
	struct cgroup_tree *v2 = cgroup_unified(cg);

	if (r == 0 && cg->account && v2)
		cgroup_v2_enable_all(v2);
	if (r == 0)
		r = cgroup_limit(cg, res, err);
	if (r == 0 && cg->owned && v2 && cg->n == 1 && !v2->shared)
		r = cgroup_delegate(v2, cg->owner, err);
	return r;
}

int cgroup_create(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err)
{
	int r = cg->ops->start ? 0 : cgroup_set_up(cg, res, err);

	if (r < 0 && cg->exists) {
		cgroup_remove(cg, NULL);
		cgroup_forget(cg);
	}
	return r;
}

int cgroup_update(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err)
{
	int r = cg->ops->update ? cg->ops->update(cg, res, err) : 0;

	if (r == 0)
		r = cgroup_limit(cg, res, err);
	if (r == 0)
		r = cgroup_limit_devices(cg, res, err);
	return r;
}

int cgroup_remove(struct cgroup *cg, struct coffer_error *err)
{
	/* One for all: a process that stays does so in every hierarchy. */
	usec_t deadline = deadline_in(clock_budget(CGROUP_END_BUDGET));
	bool shared = cgroup_is_shared(cg);
	int r = 0, step;

	if (!cg->exists)
		return 0;
	/* A manager would kill whoever is in its unit, which goes when it is empty. */
	if (cg->ops->stop && !shared)
		r = cg->ops->stop(cg, err);
	for (size_t i = 0; i < cg->n; i++) {
		struct coffer_error *e = r < 0 ? NULL : err;

		step = shared ? cgroup_tree_leave(&cg->trees[i], e) :
				cgroup_tree_remove(&cg->trees[i], deadline, e);
		r = r < 0 ? r : step;
	}
	return r < 0 ? err_wrap(err, "cgroup") : 0;
}
