/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine's sandbox beside a monitor that dies or lies.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "sandbox/vm.h"

static char vm_root[64];

static int vm_setup(void **state)
{
	char link[80];

	strcpy(vm_root, "/tmp/coffer-test-XXXXXX");
	assert_non_null(mkdtemp(vm_root));
	snprintf(link, sizeof(link), "%s/coffer-vmm", vm_root);
	assert_int_equal(symlink(VM_FAKE_MONITOR, link), 0);
	assert_int_equal(setenv("COFFER_BINDIR", vm_root, 1), 0);
	return 0;
}

static int vm_teardown(void **state)
{
	return path_remove_tree(AT_FDCWD, vm_root, NULL);
}

static struct sandbox *vm_boot(const char *mode, struct rundir **dir)
{
	struct sandbox_config cfg = { .cpus = 1, .memory = UINT64_C(128) << 20, .machine = "auto",
				      .kernel = "/dev/null", .initrd = "/dev/null",
				      .archive_fd = -1, .cancel_fd = -1 };
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *run = path_join(vm_root, "run");
	struct sandbox *sb;

	if (rundir_create(run, mode, dir, &err) < 0)
		fail_msg("%s", err.message);
	cfg.dir = *dir;
	if (sandbox_vm_new(&cfg, &sb, &err) < 0 || sb->ops->boot(sb, &err) < 0)
		fail_msg("%s", err.message);
	return sb;
}

static void vm_free(struct sandbox *sb, struct rundir *dir)
{
	sb->ops->free(sb);
	rundir_remove(dir);
}

static void test_lies(void **state)
{
	static const struct {
		const char *mode;
		enum sandbox_end_kind end;
		const char *process, *message;
	} cases[] = {
		{ "exit", SANDBOX_END_PROCESS, "coffer-vmm", "coffer-vmm ended with status 3" },
		{ "short", SANDBOX_END_PROCESS, "coffer-vmm", "coffer-vmm does not answer" },
		{ "kind", SANDBOX_END_PROCESS, "coffer-vmm", "coffer-vmm does not answer" },
		{ "hung-up", SANDBOX_END_PROCESS, "coffer-vmm", "coffer-vmm does not answer" },
		{ "died", SANDBOX_END_PROCESS, "???????????????",
		  "coffer-vmm reported an odd error" },
		{ "failed", SANDBOX_END_PROCESS, "coffer-vmm", "it ?[2J cannot" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct sandbox_cost cost;
		struct sandbox_end end;
		struct rundir *dir;
		struct sandbox *sb = vm_boot(cases[i].mode, &dir);

		assert_true(sb->ops->ready(sb, &err) < 0);
		assert_int_equal(sb->ops->end(sb, &end, &err), 0);
		assert_int_equal(end.kind, cases[i].end);
		assert_string_equal(end.process, cases[i].process);
		if (!strstr(end.error.message, cases[i].message))
			fail_msg("%s: %s", cases[i].mode, end.error.message);
		assert_non_null(memchr(end.console, '\0', sizeof(end.console)));
		assert_non_null(memchr(end.tag, '\0', sizeof(end.tag)));
		assert_false(end.oom);
		sb->ops->stop(sb);
		assert_true(sb->ops->cost(sb, &cost, &err) < 0);
		vm_free(sb, dir);
	}
}

/* More processes than there can be, of odd names and numbers. */
static void test_many_processes(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_cost cost;
	struct rundir *dir;
	struct sandbox *sb = vm_boot("many", &dir);

	/* It takes that in; the greeting never comes. */
	sb->ops->explain(sb, &err);
	assert_int_equal(sb->ops->cost(sb, &cost, &err), 0);
	assert_int_equal(cost.nprocesses, 1);
	assert_string_equal(cost.processes[0].process, "coffer-vmm");
	vm_free(sb, dir);
}

struct watcher {
	struct sandbox *sb;
	struct sandbox_end end;
};

static void *watch(void *data)
{
	struct watcher *w = data;
	autoclose int fd = w->sb->ops->end_fd(w->sb, NULL);

	if (fd < 0 || io_wait(fd, POLLIN, USEC_INFINITY) <= 0)
		return NULL;
	return w->sb->ops->end(w->sb, &w->end, NULL) == 0 ? w : NULL;
}

/* Watchers in threads of their own, while others ask and one stops. */
static void test_threads(void **state)
{
	enum { N = 8 };
	struct watcher w[N] = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_cost cost;
	struct sandbox_end end;
	struct rundir *dir;
	struct sandbox *sb = vm_boot("run", &dir);
	pthread_t threads[N];
	void *result;

	for (int i = 0; i < N; i++) {
		w[i].sb = sb;
		assert_int_equal(pthread_create(&threads[i], NULL, watch, &w[i]), 0);
	}
	/* Its first word may take longer than anybody waits for the last one. */
	do {
		assert_int_equal(sb->ops->end(sb, &end, &err), -EBUSY);
		assert_int_equal(sb->ops->cost(sb, &cost, &err), 0);
	} while (cost.nprocesses < 2);
	assert_int_equal(cost.nprocesses, 2);
	assert_string_equal(cost.processes[1].process, "qemu");
	assert_true(cost.processes[1].rss > 0);
	sb->ops->stop(sb);
	for (int i = 0; i < N; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, &w[i]);
		assert_int_equal(w[i].end.kind, SANDBOX_END_ASKED);
		assert_int_equal(w[i].end.error.kind, COFFER_ERR_NONE);
	}
	sb->ops->stop(sb);
	vm_free(sb, dir);
}

static void test_monitor_killed(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_cost cost;
	struct sandbox_end end;
	struct rundir *dir;
	struct sandbox *sb = vm_boot("run", &dir);
	autoclose int fd = sb->ops->end_fd(sb, NULL);

	assert_int_equal(sb->ops->cost(sb, &cost, &err), 0);
	assert_int_equal(kill(cost.processes[0].pid, SIGKILL), 0);
	assert_true(io_wait(fd, POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0);
	assert_int_equal(sb->ops->end(sb, &end, &err), 0);
	assert_string_equal(end.process, "coffer-vmm");
	assert_int_equal(end.signal, SIGKILL);
	assert_int_equal(end.exit_code, -1);
	assert_string_equal(end.error.message, "coffer-vmm was killed by signal 9 (Killed)");
	/* Stopped afterwards, it still ended so. */
	sb->ops->stop(sb);
	assert_int_equal(sb->ops->end(sb, &end, &err), 0);
	assert_int_equal(end.signal, SIGKILL);
	vm_free(sb, dir);
}

/* --- shares --- */

static void test_shares(void **state)
{
	static struct sandbox_config cfg;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *link = path_join(vm_root, "link");
	autoclose int a = open(vm_root, O_PATH | O_CLOEXEC), b = -1, root = open("/", O_PATH);
	autoclose int file = open("/proc/self/exe", O_PATH);
	const char *tag, *other;

	assert_int_equal(symlink(vm_root, link), 0);
	b = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(sandbox_config_share(&cfg, a, true, &tag, &err), 0);
	assert_string_equal(tag, "share0");
	assert_int_equal(sandbox_config_share(&cfg, root, true, &other, &err), 0);
	assert_string_equal(other, "share1");
	assert_true(cfg.shares[0].read_only);
	/* The same by another name, and writable for one is writable for both. */
	assert_int_equal(sandbox_config_share(&cfg, b, false, &other, &err), 0);
	assert_ptr_equal(other, tag);
	assert_int_equal(cfg.nshares, 2);
	assert_false(cfg.shares[0].read_only);
	assert_true(cfg.shares[1].read_only);
	assert_int_equal(sandbox_config_share(&cfg, file, false, &other, &err), -ENOTDIR);
	assert_int_equal(sandbox_config_share(&cfg, -1, false, &other, &err), -EBADF);
	cfg.ndisks = SANDBOX_DISKS_MAX;
	assert_int_equal(sandbox_config_share(&cfg, b, false, &other, &err), 0);
	b = (close_fd(&b), open("/proc", O_PATH | O_CLOEXEC));
	assert_int_equal(sandbox_config_share(&cfg, b, false, &other, &err), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_many_processes),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_monitor_killed),
		cmocka_unit_test(test_shares),
	};

	return cmocka_run_group_tests(tests, vm_setup, vm_teardown);
}
