/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_kill.c - list and signal the processes of the container's groups
 *
 * One hierarchy is asked, since a process of the container is in every one:
 * v2 where there is one, else that of the v1 freezer.  Before processes are
 * signalled one by one they are frozen, so that nobody forks away between the
 * listing and the signal.
 *
 * Callers: container.c, control.c; the removal of a group that has processes
 * left.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_FREEZE_BUDGET (USEC_PER_SEC / 2)
#define CGROUP_PIDS_MAX	     ((size_t)1 << 22) /* the kernel's most */

struct cgroup_pid_list {
	pid_t *v;
	size_t n, cap;
};

static struct cgroup_tree *cgroup_main_tree(const struct cgroup *cg)
{
	struct cgroup_tree *t = cgroup_unified(cg);

	if (!t)
		t = cgroup_find(cg, CGROUP_FREEZER);
	return t ? t : cg->n > 0 ? &cg->trees[0] : NULL;
}

bool cgroup_is_shared(const struct cgroup *cg)
{
	struct cgroup_tree *t = cg->exists ? cgroup_main_tree(cg) : NULL;

	return t && (t->shared || cgroup_tree_is_marked(t));
}

/* ---- list ---- */

static int cgroup_add_pid(struct cgroup_pid_list *list, pid_t pid, struct coffer_error *err)
{
	pid_t *v;

	if (list->n == CGROUP_PIDS_MAX)
		return err_sysn(err, E2BIG, "list processes");
	if (!list->v || list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 32;
		v = reallocarray(list->v, list->cap, sizeof(*v));
		if (!v)
			return err_nomem(err);
		list->v = v;
	}
	list->v[list->n++] = pid;
	return 0;
}

static int cgroup_list_pids(int fd, void *data, struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = io_read_file(fd, "cgroup.procs", (size_t)64 << 20, &text, NULL, NULL);
	long pid;

	/* EOPNOTSUPP: a threaded group, whose processes its domain lists */
	if (r < 0)
		return r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP ?
			       0 : err_sysn(err, r, "list processes");
	for (char *p = text, *end; r == 0 && *p; p = end + (*end == '\n')) {
		pid = strtol(p, &end, 10);
		if (end == p)
			break;
		/* 0: a process of another pid namespace, not ours to name */
		if (pid > 0)
			r = cgroup_add_pid(data, (pid_t)pid, err);
	}
	return r;
}

static int cgroup_tree_pids(struct cgroup_tree *t, struct cgroup_pid_list *list,
			    struct coffer_error *err)
{
	int fd = cgroup_tree_fd(t), r;

	if (fd < 0)
		return fd == -ENOENT ? 0 : err_sysn(err, fd, "open %s", t->dir);
	r = cgroup_list_pids(fd, list, err);
	return r < 0 ? r : cgroup_tree_walk(fd, cgroup_list_pids, list, err);
}

int cgroup_pids(const struct cgroup *cg, pid_t **pids, size_t *n, struct coffer_error *err)
{
	struct cgroup_tree *t = cg->exists ? cgroup_main_tree(cg) : NULL;
	struct cgroup_pid_list list = { 0 };
	int r = t ? cgroup_tree_pids(t, &list, err) : 0;

	if (r < 0) {
		free(list.v);
		return r;
	}
	*pids = list.v;
	*n = list.n;
	return 0;
}

/* ---- kill ---- */

static int cgroup_signal_listed(struct cgroup_tree *t, int sig, struct coffer_error *err)
{
	struct cgroup_pid_list list = { 0 };
	int r = cgroup_tree_pids(t, &list, err);

	for (size_t i = 0; r == 0 && i < list.n; i++) {
		if (kill(list.v[i], sig) < 0 && errno != ESRCH)
			r = err_sys(err, "send signal %d to process %d", sig, (int)list.v[i]);
	}
	free(list.v);
	return r;
}

static int cgroup_signal_all(const struct cgroup *cg, struct cgroup_tree *t, int sig,
			     struct coffer_error *err)
{
	bool was_frozen = cgroup_frozen(cg, NULL) > 0;
	int r;

	/* What cannot be frozen in time is signalled all the same. */
	if (!was_frozen)
		cgroup_freeze_for(cg, true, CGROUP_FREEZE_BUDGET, NULL);
	r = cgroup_signal_listed(t, sig, err);
	if (!was_frozen || sig == SIGKILL)
		cgroup_thaw(cg);
	return r;
}

int cgroup_kill(const struct cgroup *cg, int sig, struct coffer_error *err)
{
	struct cgroup_tree *t = cg->exists ? cgroup_main_tree(cg) : NULL;
	int fd = t ? cgroup_tree_fd(t) : -ENOENT;

	if (fd < 0)
		return fd == -ENOENT ? fd : err_sysn(err, fd, "open %s", t->dir);
	/* In one stroke, since Linux 5.14; also what v2 has frozen, not what v1 has. */
	if (sig == SIGKILL && io_write_file(fd, "cgroup.kill", "1", NULL) == 0) {
		if (cgroup_find(cg, CGROUP_FREEZER))
			cgroup_thaw(cg);
		return 0;
	}
	return cgroup_signal_all(cg, t, sig, err);
}

void cgroup_rescue(const struct cgroup *cg)
{
	struct cgroup_tree *freezer = cgroup_find(cg, CGROUP_FREEZER);
	struct cgroup_pid_list list = { 0 };

	for (size_t i = 0; freezer && cg->exists && i < cg->n; i++) {
		if (&cg->trees[i] != freezer)
			cgroup_tree_pids(&cg->trees[i], &list, NULL);
	}
	for (size_t i = 0; i < list.n; i++) {
		if (cgroup_tree_add(freezer, list.v[i], NULL) == 0)
			kill(list.v[i], SIGKILL);
	}
	free(list.v);
}

static int cgroup_thaw_visit(int fd, void *data, struct coffer_error *err)
{
	io_write_file(fd, "freezer.state", "THAWED", NULL);
	return 0;
}

void cgroup_tree_kill(struct cgroup_tree *t)
{
	int fd = cgroup_tree_fd(t);

	if (fd < 0)
		return;
	if (cgroup_tree_is_v2(t) && io_write_file(fd, "cgroup.kill", "1", NULL) == 0)
		return;
	cgroup_signal_listed(t, SIGKILL, NULL);
	if (t->controllers & 1U << CGROUP_FREEZER) {
		cgroup_thaw_visit(fd, NULL, NULL);
		cgroup_tree_walk(fd, cgroup_thaw_visit, NULL, NULL);
	}
}
