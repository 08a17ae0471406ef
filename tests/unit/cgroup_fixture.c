/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/cgroup_fixture.c - control groups for the tests, on this host's hierarchies
 */
#include "cgroup_fixture.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

int group_setup(void **state)
{
	static int count;
	struct group *g = calloc(1, sizeof(*g));

	if (!g || oci_spec_default(&g->spec, &g->err) < 0)
		return -1;
	oci_linux_get(g->spec);
	snprintf(g->id, sizeof(g->id), "t%d-%d", (int)getpid(), count++);
	snprintf(g->path, sizeof(g->path), "/coffer-cgroup-test/%s", g->id);
	*state = g;
	return oci_str_set(&g->spec->linux_->cgroups_path, g->path, &g->err);
}

int group_teardown(void **state)
{
	struct group *g = *state;

	if (g->cg) {
		cgroup_kill(g->cg, SIGKILL, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		cgroup_remove(g->cg, NULL);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	cgroup_free(g->cg);
	oci_spec_free(g->spec);
	free(g);
	return 0;
}

static int group_run_on_v2(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", CGROUP_ROOT, "tmpfs", 0, NULL) < 0 ||
		    umount2(CGROUP_ROOT, MNT_DETACH) < 0 ||
		    mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL) < 0) {
			perror("mount cgroup2");
			_exit(77);
		}
		fprintf(stderr, "-- on cgroup v2 alone\n");
		exit(run());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int group_both(int (*run)(void))
{
	const char *dirs[] = { CGROUP_ROOT, CGROUP_ROOT "/unified", CGROUP_ROOT "/pids" };
	bool writable = false;
	struct statfs fs;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		writable |= access(dirs[i], W_OK) == 0;
	if (geteuid() != 0 || !writable) {
		printf("skipped: control groups take root's rights\n");
		return 77;
	}
	r = run();
	if (r != 0 || (statfs(CGROUP_ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC))
		return r;
	return group_run_on_v2(run);
}

int group_plan(struct group *g)
{
	const struct cgroup_plan_args args = { .spec = g->spec, .id = g->id };

	err_clear(&g->err);
	return cgroup_plan(&args, &g->cg, &g->err);
}

void group_make(struct group *g)
{
	if (group_plan(g) < 0 || !g->cg ||
	    cgroup_create(g->cg, g->spec->linux_->resources, &g->err) < 0)
		fail_msg("%s", g->err.message);
}

pid_t group_spawn(struct group *g, int (*fn)(void))
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int ready[2], fd = cgroup_clone_fd(g->cg);
	char byte;
	pid_t pid;

	if (fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)fd;
	}
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0) {
		if (cgroup_enter(g->cg, &g->err) < 0 || write(ready[1], "x", 1) != 1)
			_exit(99);
		if (fn)
			_exit(fn());
		for (;;)
			pause();
	}
	assert_true(pid > 0);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

int group_reap(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char *group_file(struct group *g, enum cgroup_controller controller, const char *v1,
		       const char *v2)
{
	struct cgroup_tree *t = cgroup_find(g->cg, controller);
	const char *file = t ? v1 : v2;
	static char text[65536];
	char *data;
	size_t len;

	t = t ? t : cgroup_unified(g->cg);
	if (!t || io_read_file(cgroup_tree_fd(t), file, sizeof(text) - 1, &data, &len, NULL) < 0)
		return NULL;
	memcpy(text, data, len + 1);
	free(data);
	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = '\0';
	return text;
}

bool group_has(struct group *g, enum cgroup_controller controller)
{
	const struct cgroup_tree *v2 = cgroup_unified(g->cg);
	char file[256], words[1024], word[64];
	autofree char *text = NULL;

	if (cgroup_find(g->cg, controller))
		return true;
	if (!v2)
		return false;
	snprintf(file, sizeof(file), "%.*s/cgroup.controllers", (int)v2->root_len, v2->dir);
	if (io_read_file(AT_FDCWD, file, 1000, &text, NULL, NULL) < 0)
		return false;
	snprintf(words, sizeof(words), " %.*s ", (int)strcspn(text, "\n"), text);
	snprintf(word, sizeof(word), " %s ",
		 controller == CGROUP_BLKIO ? "io" : cgroup_controller_name(controller));
	return strstr(words, word);
}

bool group_is_gone(const struct oci_strv *words)
{
	for (size_t i = 2; i < words->n; i++) {
		if (access(strchr(words->v[i], '/'), F_OK) == 0) {
			print_message("left: %s\n", words->v[i]);
			return false;
		}
	}
	return true;
}
