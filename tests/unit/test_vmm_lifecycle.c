/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole monitors around a fake QEMU: every way to start badly and to end.
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
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/kvm_probe.h"
#include "vmm_fake.h"

/* --- bad starts --- */

static void change_no_qemu(struct vmm_config *cfg)
{
	strcpy(cfg->qemu, "/nonexistent/qemu");
}

static void change_no_path(struct vmm_config *cfg)
{
	cfg->qemu[0] = '\0';
	setenv("PATH", "/nonexistent:relative", 1);
}

static void change_closed_kernel(struct vmm_config *cfg)
{
	cfg->kernel_fd = 900;
}

static void change_no_dir(struct vmm_config *cfg)
{
	strcat(cfg->vm_dir, "/missing");
}

static void change_kvm(struct vmm_config *cfg)
{
	cfg->machine = VMM_MACHINE_QEMU_KVM;
}

static void change_directory_disk(struct vmm_config *cfg)
{
	cfg->disks[0] = (struct vmm_disk){ .fd = open("/", O_RDONLY), .serial = "root" };
	cfg->ndisks = 1;
}

static void change_readonly_disk(struct vmm_config *cfg)
{
	cfg->disks[0] = (struct vmm_disk){ .fd = open("/proc/self/exe", O_RDONLY),
					   .serial = "root" };
	cfg->ndisks = 1;
}

static void test_bad_starts(void **state)
{
	static const struct {
		const char *mode;
		void (*change)(struct vmm_config *);
		enum coffer_error_kind kind;
		const char *message;
	} cases[] = {
		{ "idle", change_no_qemu, COFFER_ERR_NOT_FOUND,
		  "qemu /nonexistent/qemu: No such file or directory" },
		{ "idle", change_no_path, COFFER_ERR_NOT_FOUND,
		  "qemu-system-x86_64: not found in PATH (/nonexistent:relative); install the "
		  "package qemu-system-x86" },
		{ "idle", change_closed_kernel, COFFER_ERR_INTERNAL,
		  "kernel: descriptor 900: Bad file descriptor" },
		{ "badkernel", NULL, COFFER_ERR_INVALID_ARGUMENT,
		  "kernel: neither a bzImage nor an x86-64 ELF file" },
		{ "idle", change_directory_disk, COFFER_ERR_INVALID_ARGUMENT,
		  "disk root: neither a file nor a block device" },
		{ "idle", change_readonly_disk, COFFER_ERR_INVALID_ARGUMENT,
		  "disk root: must be opened for reading and writing" },
		{ "refuse", NULL, COFFER_ERR_INTERNAL,
		  "qemu: cannot set up guest memory 'mem': Cannot allocate memory" },
		{ "mute", NULL, COFFER_ERR_INTERNAL,
		  "qemu exited with status 3 before the machine ran" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *path = strdup(getenv("PATH"));
		struct coffer_error err;
		struct run run;

		run_start(&run, cases[i].mode, cases[i].change);
		setenv("PATH", path, 1);
		assert_true(run_status(&run, &err));
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.kind, cases[i].kind);
		assert_false(run_status(&run, &err));
		run_expect_end(&run, 1);
	}
}

static void test_missing_directory(void **state)
{
	struct coffer_error err;
	struct run run;

	run_start(&run, "idle", change_no_dir);
	assert_true(run_status(&run, &err));
	assert_int_equal(err.kind, COFFER_ERR_NOT_FOUND);
	run_expect_end(&run, 1);
}

static void test_kvm_where_it_cannot_work(void **state)
{
	struct coffer_error err;
	struct run run;

	if (kvm_probe(NULL) == 0)
		skip();
	run_start(&run, "idle", change_kvm);
	assert_true(run_status(&run, &err));
	assert_int_equal(strncmp(err.message, "machine qemu-kvm does not work here: ", 37), 0);
	run_expect_end(&run, 1);
}

static char taken_dir[80];

static void change_to_taken_dir(struct vmm_config *cfg)
{
	snprintf(cfg->vm_dir, sizeof(cfg->vm_dir), "%s", taken_dir);
}

/* A monitor that finds another's sockets takes nothing away. */
static void test_taken_directory(void **state)
{
	struct coffer_error err;
	struct run run, other;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	strcpy(taken_dir, run.vm);
	run_start(&other, "idle", change_to_taken_dir);
	assert_true(run_status(&other, &err));
	assert_int_equal(err.err, EADDRINUSE);
	run_expect_end(&other, 1);
	assert_int_equal(run_count_files(run.vm), 3);
	close_fd(&run.lifetime);
	run_expect_end(&run, 0);
}

/* --- ends --- */

static void test_parent_dies(void **state)
{
	struct run run;
	pid_t machine;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	assert_int_equal(run_count_files(run.vm), 3);
	machine = run_machine_pid(&run);
	close_fd(&run.lifetime);
	run_expect_gone(machine);
	run_expect_end(&run, 0);
}

static int log_pipe[2];

static void change_log(struct vmm_config *cfg)
{
	assert_int_equal(pipe2(log_pipe, O_CLOEXEC), 0);
	log_set_level(LOG_LEVEL_INFO);
	log_to_fd(log_pipe[1], LOG_FORMAT_TEXT);
}

/* A system call that blocks, here for a log that nobody reads, holds up the end but a while. */
static void test_parent_dies_while_stuck(void **state)
{
	static const char block[4096];
	struct coffer_error err;
	struct run run;

	run_start(&run, "idle", change_log);
	log_set_sink(NULL, NULL);
	run_expect_running(&run);
	assert_int_equal(io_set_nonblock(log_pipe[1], true), 0);
	while (write(log_pipe[1], block, sizeof(block)) > 0)
		;
	assert_int_equal(io_set_nonblock(log_pipe[1], false), 0);
	close_fd(&run.lifetime);
	assert_false(run_status(&run, &err));
	run_expect_end(&run, 0);
	close(log_pipe[0]);
	close(log_pipe[1]);
}

static void test_parent_dies_during_start(void **state)
{
	struct run run;

	run_start(&run, "idle", NULL);
	close_fd(&run.lifetime);
	run_expect_end(&run, 0);
}

static void test_sigterm(void **state)
{
	struct coffer_error err;
	struct run run;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	kill(run.pid, SIGTERM);
	assert_false(run_status(&run, &err)); /* asked for: nothing to report */
	run_expect_end(&run, 0);
}

static void expect_killed_together(const char *mode)
{
	struct run run;
	pid_t machine;

	run_start(&run, mode, NULL);
	run_expect_running(&run);
	machine = run_machine_pid(&run);
	kill(run.pid, SIGKILL);
	run_expect_gone(machine);
	assert_int_equal(run_wait(&run), 128 + SIGKILL);
	run_clean(&run);
}

static void test_monitor_killed(void **state)
{
	expect_killed_together("idle");
}

/* A QEMU that does not want to die with its monitor has no choice. */
static void test_monitor_killed_clingy(void **state)
{
	expect_killed_together("clingy");
}

static void test_machine_killed(void **state)
{
	struct coffer_error err;
	struct run run;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	kill(run_machine_pid(&run), SIGKILL);
	assert_true(run_status(&run, &err));
	assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	assert_string_equal(err.message, "qemu was killed by signal 9 (killed, or out of memory)");
	run_expect_end(&run, 1);
}

static void test_unasked_ends(void **state)
{
	static const struct {
		const char *mode;
		int exit_status;
		enum coffer_error_kind kind;
		const char *message;
	} cases[] = {
		{ "off", 0, COFFER_ERR_INTERRUPTED,
		  "the guest powered off (last on the console: [ 1.0] hello from the guest)" },
		{ "panic", 1, COFFER_ERR_INTERRUPTED,
		  "the guest's kernel panicked: Kernel panic - not syncing: test" },
		{ "garbage", 1, COFFER_ERR_INTERNAL,
		  "qemu: line is not a JSON object (last on the console: [ 1.0] hello from the guest)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct coffer_error err;
		struct run run;

		run_start(&run, cases[i].mode, NULL);
		run_expect_running(&run);
		assert_true(run_status(&run, &err));
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(err.kind, cases[i].kind);
		run_expect_end(&run, cases[i].exit_status);
	}
}

/* QEMU that cannot talk to its guest any more is ended, whatever it says itself. */
static void test_lost_vsock(void **state)
{
	struct coffer_error err;
	struct run run;

	run_start(&run, "novsock", NULL);
	run_expect_running(&run);
	assert_true(run_status(&run, &err));
	assert_int_equal(err.kind, COFFER_ERR_INTERNAL);
	assert_non_null(strstr(err.message, "vhost-user"));
	run_expect_end(&run, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_starts),
		cmocka_unit_test(test_missing_directory),
		cmocka_unit_test(test_kvm_where_it_cannot_work),
		cmocka_unit_test(test_taken_directory),
		cmocka_unit_test(test_parent_dies),
		cmocka_unit_test(test_parent_dies_during_start),
		cmocka_unit_test(test_parent_dies_while_stuck),
		cmocka_unit_test(test_sigterm),
		cmocka_unit_test(test_monitor_killed),
		cmocka_unit_test(test_monitor_killed_clingy),
		cmocka_unit_test(test_machine_killed),
		cmocka_unit_test(test_unasked_ends),
		cmocka_unit_test(test_lost_vsock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
