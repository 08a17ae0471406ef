/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole monitors around a fake QEMU: every way to start badly and to end.
 *
 * The fake is this same program, recognised by QEMU's first option; what it
 * does is said at the end of the kernel command line.  It speaks QMP on
 * descriptor 3 as far as the monitor asks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "vmm/kvm_probe.h"
#include "vmm/monitor.h"
#include "vmm/qemu_args.h"

#define BUDGET (2 * USEC_PER_SEC)

/* --- the fake --- */

static void fake_say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(9);
}

static void fake_answer(const char *line)
{
	const char *id = strstr(line, "\"id\":");
	char text[128];

	if (strstr(line, "\"quit\""))
		_exit(0);
	if (strstr(line, "\"stop\""))
		fake_say(QEMU_FD_QMP, "{\"event\": \"STOP\"}\n");
	if (strstr(line, "\"cont\""))
		fake_say(QEMU_FD_QMP, "{\"event\": \"RESUME\"}\n");
	snprintf(text, sizeof(text), "{\"return\": {\"running\": true}, \"id\": %d}\n",
		 id ? atoi(id + 5) : 0);
	fake_say(QEMU_FD_QMP, text);
}

static void fake_serve(const char *mode)
{
	char line[512];
	size_t n = 0;

	fake_say(QEMU_FD_QMP, "{\"QMP\": {}}\n");
	while (n < sizeof(line) && read(QEMU_FD_QMP, line + n, 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n - 1] = '\0';
		n = 0;
		fake_answer(line);
		if (!strstr(line, "query-status") || strstr(mode, "idle"))
			continue;
		fake_say(QEMU_FD_CONSOLE, "[ 1.0] hello from the guest\n");
		if (strstr(mode, "panic"))
			fake_say(QEMU_FD_CONSOLE, "[ 2.0] Kernel panic - not syncing: test\n");
		if (strstr(mode, "crash"))
			kill(getpid(), SIGKILL), abort();
		if (strstr(mode, "novsock"))
			close(QEMU_FD_VSOCK);
		else if (strstr(mode, "garbage"))
			fake_say(QEMU_FD_QMP, "}{\n");
		else
			fake_say(QEMU_FD_QMP,
				 "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
	}
	pause();
}

static int fake_main(int argc, char **argv)
{
	const char *mode = "";

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-append"))
			mode = strstr(argv[i + 1], "fake=");
	if (strstr(mode, "refuse")) {
		fake_say(STDERR_FILENO, "qemu: cannot set up guest memory 'mem': Cannot allocate memory\n");
		return 1;
	}
	if (strstr(mode, "mute"))
		return 3;
	fake_serve(mode);
	return 0;
}

/* --- a monitor in a child --- */

struct run {
	char dir[64], vm[80];
	int lifetime, status; /* our ends */
	pid_t pid;
	int kernel;
};

static char self[PATH_MAX];

static int make_kernel(const char *dir, bool good)
{
	static const char head[64] = { '\177', 'E', 'L', 'F', 2, [18] = 62 };
	int fd = openat(open(dir, O_PATH | O_DIRECTORY), "kernel", O_RDWR | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, good ? head : "#!/bin/sh\n\n", good ? sizeof(head) : 11),
			 good ? sizeof(head) : 11);
	return fd;
}

static void run_start(struct run *run, const char *mode, void (*change)(struct vmm_config *))
{
	struct vmm_config cfg;
	struct tsc_sample tsc;
	int life[2], status[2];

	strcpy(run->dir, "/tmp/coffer-test-XXXXXX");
	assert_non_null(mkdtemp(run->dir));
	assert_int_equal(chmod(run->dir, 0755), 0);
	snprintf(run->vm, sizeof(run->vm), "%s/vm", run->dir);
	assert_int_equal(mkdir(run->vm, 0700), 0);
	run->kernel = make_kernel(run->dir, !strstr(mode, "badkernel"));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, life), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status), 0);
	run->lifetime = life[0];
	run->status = status[0];
	vmm_config_init(&cfg);
	strcpy(cfg.id, "test");
	cfg.machine = VMM_MACHINE_QEMU_TCG;
	cfg.kernel_fd = run->kernel;
	cfg.initrd_fd = dup(run->kernel);
	cfg.lifetime_fd = life[1];
	cfg.status_fd = status[1];
	snprintf(cfg.vm_dir, sizeof(cfg.vm_dir), "%s", run->vm);
	snprintf(cfg.qemu, sizeof(cfg.qemu), "%s", self);
	snprintf(cfg.cmdline, sizeof(cfg.cmdline), "fake=%s", mode);
	if (change)
		change(&cfg);
	fflush(NULL);
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (run->pid == 0) {
		close(life[0]);
		close(status[0]);
		signal(SIGPIPE, SIG_IGN);
		tzset();
		tsc_take(&tsc);
		_exit(monitor_run(&cfg, clock_now(), &tsc));
	}
	close(life[1]);
	close(status[1]);
	close(cfg.initrd_fd);
}

/* Return: true with the next record, false at the end */
static bool run_status(struct run *run, struct coffer_error *err)
{
	ssize_t n;

	if (io_wait(run->status, POLLIN, deadline_in(10 * USEC_PER_SEC)) <= 0)
		fail_msg("no status within 10 s");
	n = io_read_full(run->status, err, sizeof(*err));
	assert_true(n == 0 || n == sizeof(*err));
	return n > 0;
}

static void run_expect_running(struct run *run)
{
	struct coffer_error err;

	assert_true(run_status(run, &err));
	if (err.kind != COFFER_ERR_NONE)
		fail_msg("start failed: %s", err.message);
}

/* The QEMU of a monitor: its only child. */
static pid_t run_machine_pid(const struct run *run)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", run->pid, run->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return atoi(text);
}

static bool process_lives(pid_t pid)
{
	char path[64], text[512] = "";
	const char *state;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, text, sizeof(text) - 1);
	close(fd);
	state = strrchr(text, ')');
	return state && state[2] != 'Z' && state[2] != 'X';
}

static void expect_gone(pid_t pid)
{
	usec_t deadline = deadline_in(BUDGET);

	while (process_lives(pid)) {
		if (deadline_left(deadline) == 0)
			fail_msg("process %d is still there", pid);
		usleep(1000);
	}
}

static unsigned count_files(const char *path)
{
	autoclosedir DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

/* Wait for the monitor's end. Return: its exit status, 128+n for a signal */
static int run_wait(struct run *run)
{
	usec_t deadline = deadline_in(BUDGET);
	int status;

	while (waitpid(run->pid, &status, WNOHANG) == 0) {
		if (deadline_left(deadline) == 0) {
			kill(run->pid, SIGKILL);
			fail_msg("the monitor is still there");
		}
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_clean(struct run *run)
{
	close_fd(&run->lifetime);
	close_fd(&run->status);
	close_fd(&run->kernel);
	assert_int_equal(path_remove_tree(AT_FDCWD, run->dir, NULL), 0);
}

static void run_expect_end(struct run *run, int exit_status)
{
	assert_int_equal(run_wait(run), exit_status);
	assert_int_equal(count_files(run->vm), 0);
	run_clean(run);
}

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

/* --- ends --- */

static void test_parent_dies(void **state)
{
	struct run run;
	pid_t machine;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	assert_int_equal(count_files(run.vm), 3);
	machine = run_machine_pid(&run);
	close_fd(&run.lifetime);
	expect_gone(machine);
	run_expect_end(&run, 0);
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

static void test_monitor_killed(void **state)
{
	struct run run;
	pid_t machine;

	run_start(&run, "idle", NULL);
	run_expect_running(&run);
	machine = run_machine_pid(&run);
	kill(run.pid, SIGKILL);
	expect_gone(machine);
	assert_int_equal(run_wait(&run), 128 + SIGKILL);
	run_clean(&run);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_starts),
		cmocka_unit_test(test_missing_directory),
		cmocka_unit_test(test_kvm_where_it_cannot_work),
		cmocka_unit_test(test_parent_dies),
		cmocka_unit_test(test_parent_dies_during_start),
		cmocka_unit_test(test_sigterm),
		cmocka_unit_test(test_monitor_killed),
		cmocka_unit_test(test_machine_killed),
		cmocka_unit_test(test_unasked_ends),
		cmocka_unit_test(test_lost_vsock),
	};

	if (argc > 1 && !strcmp(argv[1], "-nodefaults"))
		return fake_main(argc, argv);
	if (!realpath("/proc/self/exe", self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
