/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes: errors before exec reach the parent, descriptors land where asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/spawn.h"

static void test_exec_failure_is_reported(void **state)
{
	const char *const argv[] = { "nope", NULL };
	struct spawn_args args = { .path = "/nonexistent/nope", .argv = argv };
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child c = CHILD_INIT;

	assert_int_equal(spawn_exec(&args, &c, &e), -ENOENT);
	assert_int_equal(c.pid, 0);
	assert_string_equal(e.message, "start /nonexistent/nope: execute /nonexistent/nope: "
				       "No such file or directory");
}

static char hook_word[] = "no";

static int failing_hook(void *data, struct coffer_error *err)
{
	return err_invalid(err, "hook says %s", (const char *)data);
}

static void test_hook_failure_is_reported(void **state)
{
	const char *const argv[] = { "true", NULL };
	struct spawn_args args = { .path = "/bin/true", .argv = argv, .hook = failing_hook,
				   .hook_data = hook_word };
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child c = CHILD_INIT;

	assert_int_equal(spawn_exec(&args, &c, &e), -EINVAL);
	assert_int_equal(e.kind, COFFER_ERR_INVALID_ARGUMENT);
	assert_string_equal(e.message, "start /bin/true: hook says no");
}

struct parent_hook {
	int note[2]; /* a pipe: what the parent did before the child got on */
	pid_t child;
	bool fails;
};

static int note_in_parent(void *data, pid_t child, struct coffer_error *err)
{
	struct parent_hook *h = data;

	h->child = child;
	usleep(20000);
	if (h->fails)
		return err_invalid(err, "no");
	return write(h->note[1], "x", 1) == 1 ? 0 : -EIO;
}

static int look_in_child(void *data, struct coffer_error *err)
{
	struct parent_hook *h = data;
	char c;

	return read(h->note[0], &c, 1) == 1 ? 0 : err_invalid(err, "the child was first");
}

static void test_parent_hook(void **state)
{
	const char *const argv[] = { "true", NULL };
	struct parent_hook h = { .child = 0 };
	struct spawn_args args = { .path = "/bin/true", .argv = argv, .hook = look_in_child,
				   .parent_hook = note_in_parent, .hook_data = &h };
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child c = CHILD_INIT;
	siginfo_t si;

	assert_int_equal(pipe2(h.note, O_CLOEXEC | O_NONBLOCK), 0);
	if (spawn_exec(&args, &c, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(h.child, c.pid);
	assert_int_equal(child_wait(&c, USEC_INFINITY, &si), 0);
	/* One that fails takes the child along. */
	h.fails = true;
	assert_int_equal(spawn_exec(&args, &c, &e), -EINVAL);
	assert_string_equal(e.message, "start /bin/true: no");
	assert_int_equal(kill(h.child, 0), -1);
	close(h.note[0]);
	close(h.note[1]);
}

static void test_descriptors_and_exit_code(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo out; echo five >&5; ls /proc/self/fd | wc -l >&5; exit 42",
				     NULL };
	const char *const envp[] = { "PATH=/bin:/usr/bin", NULL };
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child c = CHILD_INIT;
	autoclose int out_r = -1, five_r = -1;
	char text[64] = "";
	siginfo_t si;
	int a[2], b[2];

	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	out_r = a[0];
	five_r = b[0];
	{
		struct spawn_fd fds[] = { { a[1], 1 }, { b[1], 5 } };
		struct spawn_args args = { .path = "/bin/sh", .argv = argv, .envp = envp,
					   .fds = fds, .nfds = 2, .pdeathsig = SIGKILL,
					   .new_session = true };

		assert_int_equal(spawn_exec(&args, &c, &e), 0);
	}
	close(a[1]);
	close(b[1]);
	assert_int_equal(child_wait(&c, deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 42);
	assert_int_equal(io_read_full(out_r, text, sizeof(text) - 1), 4);
	assert_string_equal(text, "out\n");
	memset(text, 0, sizeof(text));
	io_read_full(five_r, text, sizeof(text) - 1);
	/* ls sees 0 1 2 5, its own directory, and nothing of the parent's. */
	assert_string_equal(text, "five\n5\n");
}

static void test_kill_and_timeout(void **state)
{
	const char *const argv[] = { "sleep", "100", NULL };
	struct spawn_args args = { .path = "/bin/sleep", .argv = argv };
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child c = CHILD_INIT;
	siginfo_t si;

	assert_int_equal(spawn_exec(&args, &c, &e), 0);
	assert_int_equal(child_wait(&c, deadline_in(20000), &si), -ETIMEDOUT);
	assert_int_equal(child_kill(&c, SIGTERM), 0);
	assert_int_equal(child_wait(&c, deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 128 + SIGTERM);
	assert_int_equal(child_wait(&c, 0, &si), -ECHILD);
}

static void test_cleanup_reaps(void **state)
{
	const char *const argv[] = { "sleep", "100", NULL };
	struct spawn_args args = { .path = "/bin/sleep", .argv = argv };
	struct coffer_error e = COFFER_ERROR_INIT;
	pid_t pid;

	{
		autochild struct child c = CHILD_INIT;

		assert_int_equal(spawn_exec(&args, &c, &e), 0);
		pid = c.pid;
	}
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

/* An ended process has ended when we say so, also one that somebody else reaps. */
static void test_end_of_a_stranger(void **state)
{
	const size_t much = (size_t)64 << 20; /* which takes a while to be freed */
	autoclose int pidfd = -1;
	struct child c = CHILD_INIT;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (fork() != 0)
			_exit(0);
		pid = getpid();
		memset(malloc(much), 1, much);
		if (write(fds[1], &pid, sizeof(pid)) == (ssize_t)sizeof(pid))
			pause();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(fds[0], &c.pid, sizeof(c.pid)), sizeof(c.pid));
	c.pidfd = (int)syscall(SYS_pidfd_open, c.pid, 0);
	pidfd = dup(c.pidfd);
	assert_true(pidfd >= 0);
	child_end(&c);
	assert_int_equal(c.pid, 0);
	assert_true(io_wait(pidfd, POLLIN, 0) > 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec_failure_is_reported),
		cmocka_unit_test(test_hook_failure_is_reported),
		cmocka_unit_test(test_parent_hook),
		cmocka_unit_test(test_descriptors_and_exit_code),
		cmocka_unit_test(test_kill_and_timeout),
		cmocka_unit_test(test_cleanup_reaps),
		cmocka_unit_test(test_end_of_a_stranger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
