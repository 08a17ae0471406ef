/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gofer of the application kernel: requests that ours never makes, what its filter kills, sockets
 * with names and ports, and what is left when it dies. Its trees, as files, are in
 * test_sentry_hostfs.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/sanitized.h"
#include "sentry_gofer.h"

static struct child children[2]; /* the kernel's, and one to be killed */
static struct gofer *gofers[2];

static int group_setup(void **state)
{
	gofers_begin(children, gofers, ARRAY_SIZE(gofers));
	return 0;
}

static int group_teardown(void **state)
{
	gofers_end(&children[0]);
	return 0;
}

/* ---- requests that ours never makes ---- */

static void test_gofer_takes_one_component(void **state)
{
	static const char *const names[] = { "..", ".", "", "r/deep", "/", "/etc/passwd", "../ro" };
	int fd = (int)gofer_call(kernel.gofer, &(struct gofer_call){ .op = GOFER_TREE, .fd = -1,
								     .fd2 = -1 });

	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		for (unsigned op = GOFER_OPEN; op <= GOFER_RENAME; op++) {
			const struct gofer_call call = { .op = op, .fd = fd, .fd2 = fd,
							 .name = names[i], .name2 = op == GOFER_RENAME ?
							 "x" : NULL, .args = { O_RDONLY } };

			assert_int_equal(gofer_call(kernel.gofer, &call), -EINVAL);
		}
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_OPEN, .fd = -1, .fd2 = -1, .name = "x" }), -EBADF);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_TREE, .fd = -1, .fd2 = -1, .args = { 99 } }), -ENOENT);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_OP_COUNT, .fd = -1, .fd2 = -1 }), -EINVAL);
	/* A link is not followed, even though O_NOFOLLOW was not asked for */
	assert_int_equal(t_symlink(&shared, "/etc/passwd", "/gl"), 0);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_OPEN, .fd = fd, .fd2 = -1, .name = "gl" }), -ENXIO);
	close(fd);
}

/* What is no request ends the channel, and the gofer, rather than that it waits for the rest. */
static void test_gofer_gets_garbage(void **state)
{
	static const char *const packets[] = { "", "x", "0123456789012345678901234567890123456789" };
	char big[sizeof(struct gofer_request) + 600];
	int pair[2];

	for (size_t i = 1; i < ARRAY_SIZE(packets); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_true(send(pair[0], packets[i], strlen(packets[i]), 0) > 0);
		assert_false(gofer_serve(pair[1]));
		close(pair[0]);
	}
	/* A name longer than what came, or than any */
	for (uint32_t len = 100; len <= 700; len += 200) {
		struct gofer_request q = { .op = GOFER_STAT, .name_len = len, .name2_len = UINT32_MAX };

		memset(big, 'n', sizeof(big));
		memcpy(big, &q, sizeof(q));
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
		assert_true(send(pair[0], big, sizeof(q) + (len < 600 ? len - 1 : 600), 0) > 0);
		assert_false(gofer_serve(pair[1]));
		close(pair[0]);
	}
}

/* What a gofer may call is enough for all of these tests; a call that is not among it is its end. */
static void test_filter_kills(void **state)
{
	const struct jail_list lists[] = { gofer_serve_calls, gofer_ops_calls, gofer_ports_calls };
	int calls[] = { SYS_getppid, SYS_execve, SYS_ptrace, SYS_clone, SYS_socket }, status;

#ifdef COFFER_SANITIZED
	skip();
#endif
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			if (jail_filter(lists, ARRAY_SIZE(lists), NULL) < 0)
				_exit(1);
			/* The last one with a family other than the one that may be */
			syscall(calls[i], AF_INET, SOCK_STREAM, 0, 0, 0);
			_exit(2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGSYS);
	}
}

/* ---- sockets and ports ---- */

static void test_sockets_with_names(void **state)
{
	int tree = (int)gofer_call(kernel.gofer, &(struct gofer_call){ .op = GOFER_TREE, .fd = -1,
								       .fd2 = -1 });
	int server, client, peer;
	char c = 0;

	assert_true(tree >= 0);
	assert_int_equal(host("echo in >%s/t/inside", dir), 0);
	server = (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_BIND, .fd = tree, .fd2 = -1, .name = "sock",
		.args = { SOCK_STREAM, 44, 45, 0700 } });
	assert_true(server >= 0);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_BIND, .fd = tree, .fd2 = -1, .name = "sock",
		.args = { SOCK_STREAM, 44, 45, 0700 } }), -EADDRINUSE);
	assert_int_equal(host("test \"$(stat -c %%a:%%u:%%g:%%F %s/t/sock)\" = '700:44:45:socket'",
			      dir), 0);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_CONNECT, .fd = tree, .fd2 = -1, .name = "sock",
		.args = { SOCK_STREAM } }), -ECONNREFUSED);
	assert_int_equal(listen(server, 1), 0);
	client = (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_CONNECT, .fd = tree, .fd2 = -1, .name = "sock", .args = { SOCK_STREAM } });
	assert_true(client >= 0);
	peer = accept(server, NULL, NULL);
	assert_true(peer >= 0);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(peer, &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_CONNECT, .fd = tree, .fd2 = -1, .name = "inside",
		.args = { SOCK_STREAM } }), -ECONNREFUSED);
	close(peer);
	close(client);
	close(server);
	close(tree);
}

static void test_ports(void **state)
{
	char path[64];
	int server, client, fd;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_DIAL, .fd = -1, .fd2 = -1, .args = { 80 } }), -ECONNREFUSED);
	snprintf(path, sizeof(path), "%s/ports/vsock.sock_80", dir);
	server = io_unix_listen(AT_FDCWD, path, SOCK_STREAM, 0600, &err);
	assert_true(server >= 0);
	client = (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_DIAL, .fd = -1, .fd2 = -1, .args = { 80 } });
	assert_true(client >= 0);
	close(client);
	close(server);
	server = (int)gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_LISTEN, .fd = -1, .fd2 = -1, .args = { 81 } });
	assert_true(server >= 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/ports/guest_81", dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(gofer_call(kernel.gofer, &(struct gofer_call){
		.op = GOFER_UNLISTEN, .fd = -1, .fd2 = -1, .args = { 81 } }), 0);
	assert_int_equal(access(addr.sun_path, F_OK), -1);
	close(server);
}

/* ---- its end ---- */

static void test_gofer_dies(void **state)
{
	const struct gofer_call call = { .op = GOFER_TREE, .fd = -1, .fd2 = -1 };
	struct pollfd broken = { .fd = gofer_broken_fd(gofers[1]), .events = POLLIN };
	siginfo_t si;
	long fd;

	fd = gofer_call(gofers[1], &call);
	assert_true(fd >= 0);
	close((int)fd);
	assert_int_equal(poll(&broken, 1, 0), 0);
	assert_int_equal(host("kill -9 %d", (int)children[1].pid), 0);
	assert_int_equal(child_wait(&children[1], deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(poll(&broken, 1, 60000), 1);
	assert_true(broken.revents & POLLHUP);
	for (int i = 0; i < 2 * GOFER_CHANNELS; i++)
		assert_int_equal(gofer_call(gofers[1], &call), -ESRCH);
	gofer_free(gofers[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gofer_takes_one_component),
		cmocka_unit_test(test_gofer_gets_garbage),
		cmocka_unit_test(test_filter_kills),
		cmocka_unit_test(test_sockets_with_names),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_gofer_dies),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
