/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_gofer.h - directories of the host, gofers that hold them, and a process without capabilities
 *
 * Below dir: "t", the tree that a test changes; "ro", which is read-only; "one", a tree of the file
 * "seen" alone; "ports"; and "outside", which nobody may reach.
 */
#ifndef TESTS_SENTRY_GOFER_H
#define TESTS_SENTRY_GOFER_H

#include "base/cleanup.h"
#include "sentry/gofer/wire.h"
#include "sentry_tree.h"

enum { TREE_SHARED, TREE_READ_ONLY, TREE_FILE, TREES };
enum { GOFERS_MAX = 2 };

static char dir[] = "/tmp/coffer-hostfs-XXXXXX";
static struct tree shared;

static inline void gofer_tree_open(unsigned number, unsigned flags, struct tree *t)
{
	struct super *super;

	assert_int_equal(hostfs_new(number, flags, &super), 0);
	tree_open(t, super);
}

static inline int gofer_path_open(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

/* @n gofers, started while there are rights for it; the first one serves the kernel. */
static inline void gofers_begin(struct child *children, struct gofer **gofers, size_t n)
{
	struct gofer_tree trees[TREES] = {
		[TREE_SHARED] = { 0 },
		[TREE_READ_ONLY] = { .read_only = true },
		[TREE_FILE] = { .file = "seen" },
	};
	static const char *const names[TREES] = { "t", "ro", "one" };
	struct gofer_config config = { .trees = trees, .ntrees = TREES, .log_fd = -1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	int sockets[GOFERS_MAX];

	assert_true(n <= GOFERS_MAX);
	if (geteuid() != 0) {
		print_message("needs root for files of several users\n");
		exit(77);
	}
	umask(0);
	assert_non_null(mkdtemp(dir));
	host_start();
	assert_int_equal(host("cd %s && mkdir t ro one ports && echo secret >outside && chmod 600 "
			      "outside && echo read >ro/file && echo this >one/seen && echo that "
			      ">one/unseen",
			      dir), 0);
	for (size_t i = 0; i < TREES; i++)
		trees[i].fd = gofer_path_open(names[i]);
	config.ports_fd = gofer_path_open("ports");
	for (size_t i = 0; i < n; i++)
		if (gofer_start(&config, &children[i], &sockets[i], &err) < 0)
			fail_msg("%s", err.message);
	for (size_t i = 0; i < TREES; i++)
		close(trees[i].fd);
	close(config.ports_fd);
	drop_capabilities();
	for (size_t i = 0; i < n; i++)
		if (gofer_attach(sockets[i], &gofers[i], &err) < 0)
			fail_msg("%s", err.message);
	kernel.gofer = gofers[0];
	gofer_tree_open(TREE_SHARED, 0, &shared);
}

/* @child: the kernel's gofer, which ends with it */
static inline void gofers_end(struct child *child)
{
	siginfo_t si;

	tree_close(&shared);
	gofer_free(kernel.gofer);
	kernel.gofer = NULL;
	assert_int_equal(child_wait(child, deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(si.si_code, CLD_EXITED);
	assert_int_equal(si.si_status, 0);
	host("rm -rf %s", dir);
}

#endif /* TESTS_SENTRY_GOFER_H */
