/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_engine_cgroup.c - control groups: paths, processes, signals, the end
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "cgroup_fixture.h"

/* ---- paths ---- */

static void test_words(void **state)
{
	struct group *g = *state;
	struct oci_strv words = { 0 };
	struct cgroup *later;

	group_make(g);
	for (size_t i = 0; i < cgroup_save(g->cg)->n; i++)
		oci_strv_add(&words, cgroup_save(g->cg)->v[i], &g->err);
	assert_true(words.n >= 3);
	assert_string_equal(words.v[0], "cgroupfs");
	for (size_t i = 2; i < words.n; i++)
		assert_int_equal(access(strchr(words.v[i], '/'), F_OK), 0);
	assert_int_equal(cgroup_open(&words, &later, &g->err), 0);
	assert_int_equal(later->n, g->cg->n);
	for (size_t i = 0; i < later->n; i++) {
		assert_string_equal(later->trees[i].dir, g->cg->trees[i].dir);
		assert_string_equal(later->trees[i].names, g->cg->trees[i].names);
		assert_int_equal(later->trees[i].controllers, g->cg->trees[i].controllers);
		assert_int_equal(later->trees[i].made, g->cg->trees[i].made);
	}
	assert_int_equal(cgroup_remove(later, &g->err), 0);
	assert_true(group_is_gone(&words));
	/* A second time, and by whoever made it: nothing is left to do. */
	assert_int_equal(cgroup_remove(later, &g->err), 0);
	assert_int_equal(cgroup_kill(later, SIGKILL, &g->err), -ENOENT);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	cgroup_free(later);
	oci_strv_set(&words, NULL, NULL);
}

static void test_words_unreadable(void **state)
{
	static const char *const bad[][4] = {
		{ "nobody", "", "1 14 cgroup2 /sys/fs/cgroup/a", NULL },
		{ "cgroupfs", "", "1 14 cgroup2 /sys/fs/cgroup", NULL },
		{ "cgroupfs", "", "1 99 cgroup2 /sys/fs/cgroup/a", NULL },
		{ "cgroupfs", "", "1 14 cgroup2 /sys/fs/cgroup/../../a", NULL },
		{ "cgroupfs", "", "1 14 cgroup2", NULL },
		{ "cgroupfs", "", "", NULL },
		{ "cgroupfs", NULL },
	};
	struct group *g = *state;
	struct oci_strv words = { 0 };

	assert_int_equal(cgroup_open(&words, &g->cg, &g->err), 0);
	assert_null(g->cg);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(oci_strv_set(&words, bad[i], &g->err), 0);
		assert_int_equal(cgroup_open(&words, &g->cg, &g->err), -EINVAL);
		assert_null(g->cg);
	}
	oci_strv_set(&words, NULL, NULL);
}

static void test_paths(void **state)
{
	struct group *g = *state;
	char **path = &g->spec->linux_->cgroups_path;
	static const char *const bad[] = { "/..", "/a/../b", "a/..", "/", "//", "/a/./b", ".." };
	char odd[160], tidy[160];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		oci_str_set(path, bad[i], &g->err);
		assert_int_equal(group_plan(g), -EINVAL);
		assert_non_null(strstr(g->err.message, "linux.cgroupsPath"));
	}
	oci_str_set(path, "a:b:c", &g->err);
	assert_int_equal(group_plan(g), -EOPNOTSUPP);
	/* Slashes do not count; names that only look like dots are names. */
	snprintf(odd, sizeof(odd), "//coffer-cgroup-test///..%s/", g->id);
	snprintf(tidy, sizeof(tidy), "/coffer-cgroup-test/..%s", g->id);
	oci_str_set(path, odd, &g->err);
	group_make(g);
	for (size_t i = 0; i < g->cg->n; i++) {
		const struct cgroup_tree *t = &g->cg->trees[i];

		assert_string_equal(t->dir + t->root_len, tidy);
	}
}

static void test_relative_path(void **state)
{
	struct group *g = *state;
	struct cgroup *inner;
	struct group below = { .spec = g->spec };
	int status;
	pid_t pid;

	group_make(g);
	pid = fork();
	if (pid == 0) {
		struct cgroup_tree *v2 = cgroup_unified(g->cg);
		bool alone = g->cg->n == 1;
		const char *expected = alone ? "/coffer-cgroup-test/rel" : NULL;
		char full[256];

		snprintf(full, sizeof(full), "%s/rel", g->path);
		if (cgroup_enter(g->cg, &g->err) < 0 ||
		    (v2 && cgroup_tree_add(v2, getpid(), &g->err) < 0))
			_exit(1);
		oci_str_set(&g->spec->linux_->cgroups_path, "rel", &g->err);
		if (group_plan(&below) < 0)
			_exit(2);
		inner = below.cg;
		for (size_t i = 0; i < inner->n; i++) {
			const struct cgroup_tree *t = &inner->trees[i];

			if (strcmp(t->dir + t->root_len, expected ? expected : full) != 0)
				_exit(3);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_default_path(void **state)
{
	struct group *g = *state;
	char end[128];

	oci_str_set(&g->spec->linux_->cgroups_path, NULL, &g->err);
	group_make(g);
	snprintf(end, sizeof(end), "/coffer/%s", g->id);
	for (size_t i = 0; i < g->cg->n; i++) {
		const struct cgroup_tree *t = &g->cg->trees[i];

		assert_string_equal(t->dir + t->root_len, end);
	}
}

/* ---- groups that exist ---- */

static void test_in_use(void **state)
{
	struct group *g = *state, other = { .spec = g->spec };
	pid_t pid;

	group_make(g);
	/* In use between plan and create. */
	assert_int_equal(group_plan(&other), 0);
	pid = group_spawn(g, NULL);
	assert_int_equal(cgroup_create(other.cg, NULL, &other.err), -EEXIST);
	/* Whoever could not make it does not take it down. */
	assert_int_equal(cgroup_kill(other.cg, SIGKILL, NULL), -ENOENT);
	assert_int_equal(cgroup_remove(other.cg, NULL), 0);
	cgroup_free(other.cg);
	assert_int_equal(kill(pid, 0), 0);
	for (size_t i = 0; i < g->cg->n; i++)
		assert_int_equal(access(g->cg->trees[i].dir, F_OK), 0);
	cgroup_kill(g->cg, SIGKILL, NULL);
	group_reap(pid);
}

static void test_in_use_by_default(void **state)
{
	struct group *g = *state, other = { .spec = g->spec };
	pid_t pid;

	oci_str_set(&g->spec->linux_->cgroups_path, NULL, &g->err);
	group_make(g);
	pid = group_spawn(g, NULL);
	snprintf(other.id, sizeof(other.id), "%s", g->id);
	assert_int_equal(group_plan(&other), -EEXIST);
	assert_null(other.cg);
	assert_non_null(strstr(other.err.message, "it has processes"));
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(group_reap(pid), 128 + SIGTERM);
}

static void test_shared(void **state)
{
	struct group *g = *state, other = { .spec = g->spec };
	struct cgroup *later;
	pid_t pid;

	group_make(g);
	pid = group_spawn(g, NULL);
	assert_false(cgroup_is_shared(g->cg));
	assert_int_equal(group_plan(&other), 0);
	assert_int_equal(cgroup_save(other.cg)->v[2][0], '0');
	assert_int_equal(cgroup_create(other.cg, NULL, &other.err), 0);
	/* Both know, and so does whoever opens it later. */
	assert_true(cgroup_is_shared(other.cg));
	assert_true(cgroup_is_shared(g->cg));
	assert_int_equal(cgroup_open(cgroup_save(other.cg), &later, &g->err), 0);
	assert_true(cgroup_is_shared(later));
	/* Busy is fine, and nobody is hurt. */
	assert_int_equal(cgroup_remove(later, &g->err), 0);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_int_equal(kill(pid, 0), 0);
	for (size_t i = 0; i < g->cg->n; i++)
		assert_int_equal(access(g->cg->trees[i].dir, F_OK), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	group_reap(pid);
	/* The last one takes it away. */
	assert_int_equal(cgroup_remove(other.cg, &g->err), 0);
	assert_true(group_is_gone(cgroup_save(g->cg)));
	cgroup_free(later);
	cgroup_free(other.cg);
}

static void test_shared_before(void **state)
{
	struct group *g = *state, other = { .spec = g->spec };
	pid_t pid;

	group_make(g);
	pid = group_spawn(g, NULL);
	group_make(&other);
	cgroup_free(other.cg);
	other.cg = NULL;
	assert_int_equal(kill(pid, SIGKILL), 0);
	group_reap(pid);
	/* Who finds it empty has it alone. */
	group_make(&other);
	assert_false(cgroup_is_shared(other.cg));
	cgroup_free(other.cg);
}

static void test_left_over(void **state)
{
	struct group *g = *state, other = { .spec = g->spec };

	group_make(g);
	assert_int_equal(cgroup_freeze(g->cg, true, &g->err), 0);
	assert_int_equal(group_plan(&other), -EBUSY);
	assert_non_null(strstr(other.err.message, "unexpectedly frozen"));
	assert_int_equal(cgroup_freeze(g->cg, false, &g->err), 0);
	group_make(&other);
	assert_int_equal(cgroup_remove(other.cg, &g->err), 0);
	assert_true(group_is_gone(cgroup_save(g->cg)));
	cgroup_free(other.cg);
}

/* ---- processes ---- */

static void test_place(void **state)
{
	struct group *g = *state;
	autofree char *text = NULL;
	char file[64], expected[160];
	pid_t pid, *pids, other;
	size_t n, lines = 0;

	group_make(g);
	assert_false(cgroup_needs_place(g->cg));
	pid = group_spawn(g, NULL);
	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	assert_int_equal(io_read_file(AT_FDCWD, file, 65536, &text, NULL, &g->err), 0);
	snprintf(expected, sizeof(expected), ":%s\n", g->path);
	for (char *p = text; (p = strstr(p, expected)); p++)
		lines++;
	assert_int_equal(lines, g->cg->n);
	other = group_spawn(g, NULL);
	assert_int_equal(cgroup_pids(g->cg, &pids, &n, &g->err), 0);
	assert_int_equal(n, 2);
	assert_true((pids[0] == pid && pids[1] == other) || (pids[1] == pid && pids[0] == other));
	free(pids);
	/* One that could not be cloned into it. */
	assert_int_equal(cgroup_join(g->cg, other, pid, &g->err), 0);
	assert_int_equal(cgroup_kill(g->cg, SIGTERM, &g->err), 0);
	assert_int_equal(group_reap(pid), 128 + SIGTERM);
	assert_int_equal(group_reap(other), 128 + SIGTERM);
	assert_int_equal(cgroup_pids(g->cg, &pids, &n, &g->err), 0);
	assert_int_equal(n, 0);
	free(pids);
}

/* The container has a group of its own with a controller: its own root takes no process. */
static void test_join_busy(void **state)
{
	struct group *g = *state;
	struct cgroup_tree *v2;
	char inner[256], procs[300], number[16], file[64];
	autofree char *text = NULL;
	pid_t init, other;

	group_make(g);
	v2 = cgroup_unified(g->cg);
	if (!v2)
		skip();
	cgroup_v2_enable(v2, "hugetlb.max");
	snprintf(inner, sizeof(inner), "%s/inner", v2->dir);
	assert_int_equal(mkdir(inner, 0755), 0);
	init = group_spawn(g, NULL);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", inner);
	snprintf(number, sizeof(number), "%d", (int)init);
	assert_int_equal(io_write_file(AT_FDCWD, procs, number, &g->err), 0);
	if (io_write_file(v2->fd, "cgroup.subtree_control", "+hugetlb", NULL) < 0) {
		print_message("no hugetlb on v2 here\n");
		skip();
	}
	other = fork();
	if (other == 0)
		for (;;)
			pause();
	assert_int_equal(cgroup_join(g->cg, other, init, &g->err), 0);
	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)other);
	assert_int_equal(io_read_file(AT_FDCWD, file, 65536, &text, NULL, &g->err), 0);
	assert_non_null(strstr(text, "/inner\n"));
	/* Init elsewhere is no place to follow to. */
	assert_int_equal(cgroup_join(g->cg, other, getpid(), &g->err), -EBUSY);
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	group_reap(init);
	group_reap(other);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_true(group_is_gone(cgroup_save(g->cg)));
}

static void test_hierarchies(void **state)
{
	struct group *g = *state;
	struct cgroup_hierarchy h;
	size_t i;

	assert_false(cgroup_hierarchy(NULL, 0, &h));
	group_make(g);
	for (i = 0; cgroup_hierarchy(g->cg, i, &h); i++) {
		assert_string_equal(h.dir + h.mount_len, g->path);
		assert_true(h.fd >= 0);
		assert_true(h.names[0] || cgroup_unified(g->cg));
	}
	assert_int_equal(i, g->cg->n);
}

/* ---- freezer ---- */

static void exit_by_signal(int sig)
{
	_exit(7);
}


static void test_freeze(void **state)
{
	struct group *g = *state;
	pid_t pid;

	group_make(g);
	signal(SIGUSR1, exit_by_signal); /* the child's, from its beginning */
	pid = group_spawn(g, NULL);
	signal(SIGUSR1, SIG_DFL);
	assert_int_equal(cgroup_frozen(g->cg, &g->err), 0);
	assert_int_equal(cgroup_freeze(g->cg, true, &g->err), 0);
	assert_int_equal(cgroup_frozen(g->cg, &g->err), 1);
	/* A signal waits until it goes on. */
	assert_int_equal(cgroup_kill(g->cg, SIGUSR1, &g->err), 0);
	assert_int_equal(cgroup_frozen(g->cg, &g->err), 1);
	usleep(20000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(cgroup_freeze(g->cg, false, &g->err), 0);
	assert_int_equal(cgroup_frozen(g->cg, &g->err), 0);
	assert_int_equal(group_reap(pid), 7);
}

static void test_kill_frozen(void **state)
{
	struct group *g = *state;
	pid_t pid;

	group_make(g);
	pid = group_spawn(g, NULL);
	assert_int_equal(cgroup_freeze(g->cg, true, &g->err), 0);
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	assert_int_equal(group_reap(pid), 128 + SIGKILL);
}

/* By the other switch, as other programs do it. */
static void test_kill_frozen_by_v1(void **state)
{
	struct group *g = *state;
	struct cgroup_tree *v1;
	pid_t pid;

	group_make(g);
	v1 = cgroup_find(g->cg, CGROUP_FREEZER);
	if (!v1) {
		print_message("no v1 freezer here\n");
		skip();
	}
	pid = group_spawn(g, NULL);
	assert_int_equal(io_write_file(v1->fd, "freezer.state", "FROZEN", &g->err), 0);
	assert_int_equal(cgroup_frozen(g->cg, &g->err), 1);
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	assert_int_equal(group_reap(pid), 128 + SIGKILL);
}

/* Somebody has moved a process to a frozen group of his. */
static void test_rescue(void **state)
{
	struct group *g = *state;
	struct cgroup_tree *v1;
	char foreign[256], file[300], number[16];
	pid_t pid;

	group_make(g);
	v1 = cgroup_find(g->cg, CGROUP_FREEZER);
	cgroup_rescue(g->cg); /* nobody */
	if (!v1) {
		print_message("no v1 freezer here\n");
		skip();
	}
	pid = group_spawn(g, NULL);
	snprintf(foreign, sizeof(foreign), "%s-foreign", v1->dir);
	assert_int_equal(mkdir(foreign, 0755), 0);
	snprintf(file, sizeof(file), "%s/cgroup.procs", foreign);
	snprintf(number, sizeof(number), "%d", (int)pid);
	assert_int_equal(io_write_file(AT_FDCWD, file, number, &g->err), 0);
	snprintf(file, sizeof(file), "%s/freezer.state", foreign);
	assert_int_equal(io_write_file(AT_FDCWD, file, "FROZEN", &g->err), 0);
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	usleep(20000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	cgroup_rescue(g->cg);
	assert_int_equal(group_reap(pid), 128 + SIGKILL);
	/* The kernel may take a process out of its group a moment after it can be waited for. */
	while (rmdir(foreign) < 0) {
		assert_int_equal(errno, EBUSY);
		usleep(1000);
	}
}

/* ---- the end ---- */

static int fork_bomb(void)
{
	signal(SIGTERM, SIG_IGN);
	while (true) {
		if (fork() < 0)
			usleep(100);
	}
	return 0;
}

/* Without cgroup.kill: v1's way, one by one. */
static void test_fork_bomb(void **state)
{
	struct group *g = *state;
	struct cgroup_tree *v2;
	pid_t pid;

	oci_pids_get(g->spec)->limit = 40;
	if (group_plan(g) == 0 && !group_has(g, CGROUP_PIDS)) {
		print_message("no pids controller here\n");
		skip();
	}
	cgroup_free(g->cg);
	g->cg = NULL;
	group_make(g);
	v2 = cgroup_unified(g->cg);
	pid = group_spawn(g, fork_bomb);
	usleep(30000);
	if (v2)
		v2->controllers = 0;
	for (size_t i = 0; v2 && i < g->cg->n; i++) {
		if (&g->cg->trees[i] != v2)
			continue;
		/* Out of sight: it only has to be removed in the end. */
		free(v2->names);
		v2->names = strdup("name=hidden");
	}
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	assert_int_equal(group_reap(pid), 128 + SIGKILL);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_true(group_is_gone(cgroup_save(g->cg)));
}

static void test_nested(void **state)
{
	struct group *g = *state;
	int fd, deep = 300;
	pid_t pid;

	group_make(g);
	for (size_t i = 0; i < g->cg->n; i++) {
		struct cgroup_tree *t = &g->cg->trees[i];

		if (!cgroup_tree_is_v2(t) && !(t->controllers & 1U << CGROUP_PIDS))
			continue;
		fd = dup(cgroup_tree_fd(t));
		for (int k = 0; k < deep; k++) {
			int next;

			if (mkdirat(fd, "d", 0755) < 0)
				break;
			mkdirat(fd, "e", 0755);
			next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
			close(fd);
			fd = next;
		}
		close(fd);
	}
	pid = group_spawn(g, NULL);
	assert_int_equal(cgroup_kill(g->cg, SIGKILL, &g->err), 0);
	group_reap(pid);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_true(group_is_gone(cgroup_save(g->cg)));
}

/* A process that the signal did not meet, in one hierarchy only. */
static void test_stray(void **state)
{
	struct group *g = *state;
	pid_t pid;

	group_make(g);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(cgroup_tree_add(&g->cg->trees[g->cg->n - 1], pid, &g->err), 0);
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	signal(SIGCHLD, SIG_DFL);
	assert_true(group_is_gone(cgroup_save(g->cg)));
	assert_int_equal(kill(pid, 0), -1);
}

/* ---- ordinary users ---- */

static int exit_well(void)
{
	return 0;
}

static int warnings;

static void count_warnings(enum log_level level, const char *category, const char *msg, void *data)
{
	warnings += level == LOG_LEVEL_WARNING;
}

static int rootless_child(struct group *g, bool rootless)
{
	struct cgroup_plan_args args = { .spec = g->spec, .id = g->id, .rootless = rootless };
	int r;

	log_set_sink(count_warnings, NULL);
	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 90;
	r = cgroup_plan(&args, &g->cg, &g->err);
	if (r == 0 && g->cg)
		r = cgroup_create(g->cg, g->spec->linux_->resources, &g->err);
	if (!rootless)
		return r == -EACCES ? 0 : 91;
	if (r < 0)
		return 92;
	if (g->cg && (cgroup_clone_fd(g->cg) >= 0 || cgroup_enter(g->cg, NULL) < 0 ||
		      cgroup_kill(g->cg, SIGKILL, NULL) != -ENOENT ||
		      cgroup_remove(g->cg, NULL) < 0))
		return 93;
	return warnings == 1 ? 0 : 94;
}

/* A group that is his, with his process below it: as systemd delegates. */
static int rootless_delegated(struct group *g)
{
	struct cgroup_plan_args args = { .spec = g->spec, .id = "inner", .rootless = true };
	const char *v2 = cgroup_unified(g->cg)->dir;
	char file[320], leaf[300];

	snprintf(leaf, sizeof(leaf), "%s/leaf", v2);
	snprintf(file, sizeof(file), "%s/cgroup.procs", leaf);
	if (mkdir(leaf, 0755) < 0 || io_write_file(AT_FDCWD, file, "0", NULL) < 0 ||
	    chown(v2, 65534, 65534) < 0)
		return 80;
	snprintf(file, sizeof(file), "%s/cgroup.procs", v2);
	if (chown(file, 65534, 65534) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return 81;
	oci_str_set(&g->spec->linux_->cgroups_path, NULL, NULL);
	if (cgroup_plan(&args, &g->cg, &g->err) < 0 || !g->cg)
		return 82;
	snprintf(file, sizeof(file), "%s/coffer/inner", v2);
	if (strcmp(cgroup_unified(g->cg)->dir, file) != 0)
		return 83;
	if (cgroup_create(g->cg, NULL, &g->err) < 0 || cgroup_clone_fd(g->cg) < 0)
		return 84;
	if (group_reap(group_spawn(g, exit_well)) != 0)
		return 85;
	return cgroup_remove(g->cg, NULL) < 0 || access(file, F_OK) == 0 ? 86 : 0;
}

static void test_rootless_delegated(void **state)
{
	struct group *g = *state;
	int status;
	pid_t pid;

	group_make(g);
	if (g->cg->n != 1) {
		print_message("v1 cannot be delegated\n");
		skip();
	}
	pid = fork();
	if (pid == 0)
		_exit(rootless_delegated(g));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status >> 8, 0);
}

static void test_rootless(void **state)
{
	struct group *g = *state;
	int status;

	oci_memory_get(g->spec)->limit = (struct oci_opt_i64){ true, 64 << 20 };
	oci_pids_get(g->spec)->limit = 17;
	for (int rootless = 0; rootless < 2; rootless++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(rootless_child(g, rootless));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status >> 8, 0);
	}
}

static unsigned owner_of(const char *dir, const char *file)
{
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(stat(path, &st), 0);
	return st.st_uid;
}

/* A container that may divide its group. */
static void test_owner(void **state)
{
	struct group *g = *state;
	struct oci_linux *l = g->spec->linux_;
	uint32_t uid;
	size_t i;

	assert_false(cgroup_find_owner(g->spec, &uid));
	oci_namespace_add(g->spec, "user", NULL, &g->err);
	l->uid_mappings.v = calloc(2, sizeof(*l->uid_mappings.v));
	l->uid_mappings.n = 2;
	l->uid_mappings.v[0] = (struct oci_id_mapping){ 0, 100000, 10 };
	l->uid_mappings.v[1] = (struct oci_id_mapping){ 10, 200000, 5 };
	/* The default document's mount is read-only. */
	assert_false(cgroup_find_owner(g->spec, &uid));
	for (i = 0; i < g->spec->mounts.n; i++) {
		if (strcmp(g->spec->mounts.v[i].destination, CGROUP_ROOT) == 0)
			break;
	}
	assert_true(i < g->spec->mounts.n);
	oci_strv_set(&g->spec->mounts.v[i].options, NULL, &g->err);
	assert_true(cgroup_find_owner(g->spec, &uid));
	assert_int_equal(uid, 100000);
	g->spec->process->user.uid = 12;
	assert_true(cgroup_find_owner(g->spec, &uid));
	assert_int_equal(uid, 200002);
	group_make(g);
	assert_int_equal(owner_of(cgroup_unified(g->cg) ? cgroup_unified(g->cg)->dir :
							  g->cg->trees[0].dir, "."),
			 g->cg->n == 1 ? 200002 : 0);
	if (g->cg->n > 1)
		return;
	assert_int_equal(owner_of(g->cg->trees[0].dir, "cgroup.procs"), 200002);
	assert_int_equal(owner_of(g->cg->trees[0].dir, "cgroup.subtree_control"), 200002);
	assert_int_equal(owner_of(g->cg->trees[0].dir, "cgroup.kill"), 0);
	g->spec->process->user.uid = 15;
	assert_false(cgroup_find_owner(g->spec, &uid));
}

static int all_tests(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_words),	   TEST(test_words_unreadable),
		TEST(test_paths),	   TEST(test_relative_path),
		TEST(test_default_path),   TEST(test_in_use),
		TEST(test_in_use_by_default), TEST(test_shared),
		TEST(test_shared_before),
		TEST(test_left_over),	   TEST(test_place),
		TEST(test_join_busy),	   TEST(test_hierarchies),
		TEST(test_freeze),	   TEST(test_kill_frozen),
		TEST(test_kill_frozen_by_v1), TEST(test_rescue),
		TEST(test_fork_bomb),	   TEST(test_nested),
		TEST(test_stray),	   TEST(test_rootless),
		TEST(test_rootless_delegated), TEST(test_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return group_both(all_tests);
}
