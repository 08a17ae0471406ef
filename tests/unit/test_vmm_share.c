/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers of shared directories, fakes: their jail, and whose death is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "vmm_fake.h"

static char share_dir[64];
static bool share_readonly;

static void share_make(const char *mode)
{
	char path[80];
	int fd;

	strcpy(share_dir, "/tmp/coffer-test-XXXXXX");
	assert_non_null(mkdtemp(share_dir));
	snprintf(path, sizeof(path), "%s/mode", share_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, mode, strlen(mode)), strlen(mode));
	close(fd);
	share_readonly = false;
}

static void share_remove(void)
{
	assert_int_equal(path_remove_tree(AT_FDCWD, share_dir, NULL), 0);
}

static void change_add_share(struct vmm_config *cfg)
{
	cfg->shares[0] = (struct vmm_share){ .fd = open(share_dir, O_PATH | O_CLOEXEC),
					     .readonly = share_readonly, .tag = "data" };
	cfg->nshares = 1;
	snprintf(cfg->virtiofsd, sizeof(cfg->virtiofsd), "%s", VMM_FAKE_VIRTIOFSD);
}

/* Also waits for it. */
static void expect_running(struct run *run, struct vmm_status *status)
{
	assert_true(run_record(run, status));
	if (status->kind != VMM_STATUS_RUNNING)
		fail_msg("start failed: %s", status->error.message);
	assert_int_equal(status->nprocesses, 2);
	assert_string_equal(status->processes[0].name, "qemu");
	assert_string_equal(status->processes[1].name, "virtiofsd");
	assert_string_equal(status->processes[1].tag, "data");
	assert_true(status->processes[0].pid > 0 && status->processes[1].pid > 0);
}

static void test_all_end_together(void **state)
{
	struct vmm_status status;
	struct run run;

	share_make("serve");
	run_start(&run, "idle", change_add_share);
	expect_running(&run, &status);
	/* Nothing of theirs but the three files that there always are. */
	assert_int_equal(run_count_files(run.vm), 3);
	close_fd(&run.lifetime);
	run_expect_gone(status.processes[0].pid);
	run_expect_gone(status.processes[1].pid);
	run_expect_end(&run, 0);
	share_remove();
}

static void test_monitor_killed(void **state)
{
	struct vmm_status status;
	struct run run;

	share_make("serve");
	run_start(&run, "idle", change_add_share);
	expect_running(&run, &status);
	kill(run.pid, SIGKILL);
	run_expect_gone(status.processes[0].pid);
	run_expect_gone(status.processes[1].pid);
	assert_int_equal(run_wait(&run), 128 + SIGKILL);
	run_clean(&run);
	share_remove();
}

static void expect_death(const char *name, int sig)
{
	bool server = strcmp(name, "virtiofsd") == 0;
	struct vmm_status status, end;
	struct run run;

	share_make("serve");
	run_start(&run, "idle", change_add_share);
	expect_running(&run, &status);
	kill(status.processes[server].pid, sig);
	assert_true(run_record(&run, &end));
	assert_int_equal(end.kind, VMM_STATUS_DIED);
	assert_string_equal(end.processes[0].name, name);
	assert_string_equal(end.processes[0].tag, server ? "data" : "");
	assert_int_equal(end.processes[0].pid, status.processes[server].pid);
	assert_int_equal(end.processes[0].exit_code, -1);
	assert_int_equal(end.processes[0].signal, sig);
	assert_non_null(strstr(end.error.message, name));
	run_expect_gone(status.processes[0].pid);
	run_expect_gone(status.processes[1].pid);
	run_expect_end(&run, 1);
	share_remove();
}

static void test_server_killed(void **state)
{
	expect_death("virtiofsd", SIGKILL);
}

/* The server ends in order, because of it. */
static void test_machine_killed(void **state)
{
	expect_death("qemu", SIGKILL);
}

static void expect_exit(const char *mode, int code, const char *message)
{
	struct vmm_status status;
	struct run run;

	share_make(mode);
	run_start(&run, "idle", change_add_share);
	do
		assert_true(run_record(&run, &status));
	while (status.kind == VMM_STATUS_RUNNING);
	assert_int_equal(status.kind, VMM_STATUS_DIED);
	assert_string_equal(status.processes[0].name, "virtiofsd");
	assert_int_equal(status.processes[0].exit_code, code);
	assert_int_equal(status.processes[0].signal, 0);
	assert_int_equal(strncmp(status.error.message, message, strlen(message)), 0);
	run_expect_end(&run, 1);
	share_remove();
}

static void test_server_gives_up(void **state)
{
	expect_exit("exit 5", 5, "virtiofsd of share data exited with status 5: cannot go on");
	expect_exit("exit 0", 0, "virtiofsd of share data exited with status 0: cannot go on");
}

static void expect_look(bool readonly, const char *new)
{
	struct vmm_status status;
	char words[200];
	struct run run;

	share_make("look");
	share_readonly = readonly;
	run_start(&run, "idle", change_add_share);
	do
		assert_true(run_record(&run, &status));
	while (status.kind == VMM_STATUS_RUNNING);
	snprintf(words, sizeof(words),
		 "fd4=no /share=1 /proc=2 /share/new=%s /new=EROFS /etc/passwd=ENOENT "
		 "/proc/self/fd=ok /proc/sys/fs/file-max=ok uid=0", new);
	if (!strstr(status.error.message, words))
		fail_msg("%s\n%s", status.error.message, words);
	run_expect_end(&run, 1);
	share_remove();
}

static void test_jail(void **state)
{
	expect_look(false, "ok");
	expect_look(true, "EROFS");
}

static void as_root(void)
{
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_int_equal(setresgid(0, 0, 0), 0);
}

static void as_nobody(void (*test)(void **state))
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(setresgid(65534, 65534, 0), 0);
	assert_int_equal(setresuid(65534, 65534, 0), 0);
	if (eaccess(VMM_FAKE_VIRTIOFSD, X_OK) < 0) {
		as_root();
		print_message("%s is out of an ordinary user's reach\n", VMM_FAKE_VIRTIOFSD);
		skip();
	}
	/* As after an execve; else the files in /proc are root's. */
	prctl(PR_SET_DUMPABLE, 1);
	test(NULL);
	as_root();
}

static void test_ordinary_user(void **state)
{
	as_nobody(test_jail);
	as_nobody(test_server_killed);
	as_nobody(test_monitor_killed);
}

/* --- a single file --- */

static const char *share_file;

static void change_one_file(struct vmm_config *cfg)
{
	change_add_share(cfg);
	strcpy(cfg->shares[0].file, share_file);
}

static void expect_file_refused(const char *file, const char *words)
{
	struct vmm_status status;
	struct run run;

	share_file = file;
	run_start(&run, "idle", change_one_file);
	assert_true(run_record(&run, &status));
	assert_int_equal(status.kind, VMM_STATUS_FAILED);
	assert_int_not_equal(status.error.kind, COFFER_ERR_UNSUPPORTED);
	if (!strstr(status.error.message, words))
		fail_msg("%s", status.error.message);
	run_expect_end(&run, 1);
}

/* What a name led to when it was looked at may be a link by now. */
static void test_one_file(void **state)
{
	struct vmm_status status;
	char path[80];
	struct run run;

	share_make("look");
	share_file = "mode";
	run_start(&run, "idle", change_one_file);
	do
		assert_true(run_record(&run, &status));
	while (status.kind == VMM_STATUS_RUNNING);
	assert_non_null(strstr(status.error.message, "/share=1 /proc=2 /share/new=EROFS "));
	run_expect_end(&run, 1);
	snprintf(path, sizeof(path), "%s/link", share_dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	expect_file_refused("link", "link: not a regular file");
	expect_file_refused("..", "");
	expect_file_refused("missing", "missing: No such file or directory");
	share_remove();
}

/* --- bad starts --- */

static void change_share_file(struct vmm_config *cfg)
{
	change_add_share(cfg);
	cfg->shares[0].fd = open("/proc/self/exe", O_RDONLY);
}

static void change_no_server(struct vmm_config *cfg)
{
	change_add_share(cfg);
	strcpy(cfg->virtiofsd, "/nonexistent/virtiofsd");
}

static void change_closed_share(struct vmm_config *cfg)
{
	change_add_share(cfg);
	cfg->shares[0].fd = 900;
}

static void test_bad_starts(void **state)
{
	static const struct {
		void (*change)(struct vmm_config *);
		const char *message;
	} cases[] = {
		{ change_share_file, "share data: not a directory" },
		{ change_no_server, "virtiofsd /nonexistent/virtiofsd: No such file or directory" },
		{ change_closed_share, "share data: descriptor 900: Bad file descriptor" },
	};

	share_make("serve");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmm_status status;
		struct run run;

		run_start(&run, "idle", cases[i].change);
		assert_true(run_record(&run, &status));
		assert_int_equal(status.kind, VMM_STATUS_FAILED);
		assert_string_equal(status.error.message, cases[i].message);
		run_expect_end(&run, 1);
	}
	share_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_end_together),
		cmocka_unit_test(test_monitor_killed),
		cmocka_unit_test(test_server_killed),
		cmocka_unit_test(test_machine_killed),
		cmocka_unit_test(test_server_gives_up),
		cmocka_unit_test(test_jail),
		cmocka_unit_test(test_ordinary_user),
		cmocka_unit_test(test_one_file),
		cmocka_unit_test(test_bad_starts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
