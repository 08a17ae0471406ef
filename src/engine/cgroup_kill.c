/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_kill.c - signal, list and freeze the processes of the container's groups
 *
 * One hierarchy is asked, since a process of the container is in every one:
 * v2 where there is one, else that of the v1 freezer.  Before processes are
 * signalled one by one they are frozen, so that nobody forks away between the
 * listing and the signal.
 *
 * Callers: container.c.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_FREEZE_BUDGET (USEC_PER_SEC / 2)
#define CGROUP_PAUSE_BUDGET  (10 * USEC_PER_SEC)
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

/* ---- list ---- */

static int cgroup_add_pid(struct cgroup_pid_list *list, pid_t pid, struct coffer_error *err)
{
	pid_t *v;

	if (list->n == CGROUP_PIDS_MAX)
		return err_sysn(err, E2BIG, "list processes");
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 32;
		v = reallocarray(list->v, list->cap, sizeof(*v));
		if (!v)
			return err_nomem(err);
		list->v = v;
	}
	list->v[list->n++] = pid;
	return 0;
}

static int cgroup_list_pids(int parent, const char *name, int fd, void *data,
			    struct coffer_error *err)
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
	r = cgroup_list_pids(-1, NULL, fd, list, err);
	return r < 0 ? r : cgroup_tree_walk(fd, cgroup_list_pids, list, err);
}

int cgroup_pids(const struct cgroup *cg, pid_t **pids, size_t *n, struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_main_tree(cg);
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

/* ---- freeze ---- */

static int cgroup_v2_freeze(struct cgroup_tree *t, bool on, usec_t budget,
			    struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(budget));
	int r = io_write_file(t->fd, "cgroup.freeze", on ? "1" : "0", err);

	if (r < 0)
		return err_wrap(err, "%s", t->dir);
	while (cgroup_event(t->fd, "frozen") != on) {
		if (deadline_left(deadline) == 0)
			return err_timeout(err, "%s does not %s", t->dir, on ? "freeze" : "thaw");
		usleep(500);
	}
	return 0;
}

int cgroup_freeze(const struct cgroup *cg, bool on, struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_unified(cg);
	int fd = t ? cgroup_tree_fd(t) : -ENOENT;

	if (!t)
		return err_unsupported(err, "the container has no cgroup that can be frozen");
	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	return cgroup_v2_freeze(t, on, CGROUP_PAUSE_BUDGET, err);
}

int cgroup_frozen(const struct cgroup *cg, struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_unified(cg);
	int fd = t ? cgroup_tree_fd(t) : -ENOENT;

	return fd >= 0 && cgroup_event(fd, "frozen");
}

/* ---- kill ---- */

static int cgroup_signal_all(struct cgroup_tree *t, int sig, struct coffer_error *err)
{
	struct cgroup_pid_list list = { 0 };
	bool was_frozen = cgroup_event(t->fd, "frozen");
	int r;

	if (!was_frozen)
		cgroup_v2_freeze(t, true, CGROUP_FREEZE_BUDGET, NULL);
	r = cgroup_tree_pids(t, &list, err);
	for (size_t i = 0; r == 0 && i < list.n; i++) {
		if (kill(list.v[i], sig) < 0 && errno != ESRCH)
			r = err_sys(err, "send signal %d to process %d", sig, (int)list.v[i]);
	}
	if (!was_frozen || sig == SIGKILL)
		cgroup_v2_freeze(t, false, 0, NULL);
	free(list.v);
	return r;
}

int cgroup_kill(const struct cgroup *cg, int sig, struct coffer_error *err)
{
	struct cgroup_tree *t = cg->exists ? cgroup_main_tree(cg) : NULL;
	int fd = t ? cgroup_tree_fd(t) : -ENOENT;

	if (fd < 0)
		return fd == -ENOENT ? fd : err_sysn(err, fd, "open %s", t->dir);
	/* In one stroke, since Linux 5.14. */
	if (sig == SIGKILL && io_write_file(t->fd, "cgroup.kill", "1", NULL) == 0)
		return 0;
	return cgroup_signal_all(t, sig, err);
}
