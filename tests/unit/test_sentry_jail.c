/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentry's filter: what is outside kills, what is inside works, and it does not grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "sentry/control/jail.h"

/* More is a decision. gVisor's sentry has 80, 96 and 105. */
#define CALLS_CORE	42
#define CALLS_FILES	63
#define CALLS_SOCKETS	70

/* How a child ends that shuts itself in, with files of the host, and then runs @fn. */
static int shut_in(bool sockets, void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct coffer_error err = COFFER_ERROR_INIT;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (jail_shut(true, sockets, &err) <= 0)
			_exit(2);
		fn();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void call_gettid(void)
{
	syscall(SYS_gettid);
}

static void call_ptrace(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void call_execve(void)
{
	syscall(SYS_execve, "/bin/true", NULL, NULL);
}

static void call_fork(void)
{
	syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void call_clone3(void)
{
	if (syscall(SYS_clone3, NULL, 0) != -1)
		_exit(1);
}

static void map_code(void)
{
	syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void open_link(void)
{
	syscall(SYS_openat, -100, "/", 0, 0);
}

static void make_socket(void)
{
	syscall(SYS_socket, 2, 1, 0);
}

static void call_x32(void)
{
	syscall(0x40000000 | SYS_gettid);
}

static void test_inside(void **state)
{
	(void)state;
	assert_int_equal(shut_in(true, call_gettid), 0);
	/* Refused, so that the C library asks another way. */
	assert_int_equal(shut_in(true, call_clone3), 0);
	assert_int_equal(shut_in(true, make_socket), 0);
}

static void test_outside(void **state)
{
	static void (*const calls[])(void) = { call_ptrace, call_execve, call_fork, map_code,
					       open_link, call_x32 };

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int status = shut_in(true, calls[i]);

		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
	assert_true(WIFSIGNALED(shut_in(false, make_socket)));
}

static int count(bool files, bool sockets)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		_exit(jail_shut(files, sockets, &err));
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void test_size(void **state)
{
	(void)state;
	assert_in_range(count(false, false), 30, CALLS_CORE);
	assert_in_range(count(true, false), 50, CALLS_FILES);
	assert_in_range(count(true, true), 55, CALLS_SOCKETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),
		cmocka_unit_test(test_size),
	};

#ifdef COFFER_SANITIZED
	print_message("no filter: built with sanitizers\n");
	return 77;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}
