/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A monitor in a child process, with a fake QEMU.
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
#include "vmm/monitor.h"
#include "vmm_fake.h"

#define BUDGET (60 * USEC_PER_SEC)

static int make_kernel(const char *dir, bool good)
{
	static const char head[64] = { '\177', 'E', 'L', 'F', 2, [18] = 62 };
	int fd = openat(open(dir, O_PATH | O_DIRECTORY), "kernel", O_RDWR | O_CREAT, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, good ? head : "#!/bin/sh\n\n", good ? sizeof(head) : 11),
			 good ? sizeof(head) : 11);
	return fd;
}

void run_start(struct run *run, const char *mode, void (*change)(struct vmm_config *))
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
	snprintf(cfg.qemu, sizeof(cfg.qemu), "%s", VMM_FAKE_QEMU);
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

bool run_record(struct run *run, struct vmm_status *status)
{
	ssize_t n;

	if (io_wait(run->status, POLLIN, deadline_in(BUDGET)) <= 0)
		fail_msg("no status");
	n = io_read_full(run->status, status, sizeof(*status));
	assert_true(n == 0 || n == sizeof(*status));
	return n > 0;
}

bool run_status(struct run *run, struct coffer_error *err)
{
	struct vmm_status status;

	if (!run_record(run, &status))
		return false;
	*err = status.error;
	return true;
}

void run_expect_running(struct run *run)
{
	struct coffer_error err;

	assert_true(run_status(run, &err));
	if (err.kind != COFFER_ERR_NONE)
		fail_msg("start failed: %s", err.message);
	assert_string_equal(err.message, "qemu-tcg");
}

pid_t run_machine_pid(const struct run *run)
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

void run_expect_gone(pid_t pid)
{
	usec_t deadline = deadline_in(BUDGET);

	while (process_lives(pid)) {
		if (deadline_left(deadline) == 0)
			fail_msg("process %d is still there", pid);
		usleep(1000);
	}
}

unsigned run_count_files(const char *path)
{
	autoclosedir DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

int run_wait(struct run *run)
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

void run_clean(struct run *run)
{
	close_fd(&run->lifetime);
	close_fd(&run->status);
	close_fd(&run->kernel);
	assert_int_equal(path_remove_tree(AT_FDCWD, run->dir, NULL), 0);
}

void run_expect_end(struct run *run, int exit_status)
{
	assert_int_equal(run_wait(run), exit_status);
	assert_int_equal(run_count_files(run->vm), 0);
	run_clean(run);
}
