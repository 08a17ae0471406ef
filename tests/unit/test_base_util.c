/* SPDX-License-Identifier: Apache-2.0 */
/* Small parts of base: buffers, clock, signals' names, files, descriptors over sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/spawn.h"

static void test_buf_limit_and_order(void **state)
{
	autobuf struct buf b = BUF_INIT(1000);
	char in[600], *s;

	memset(in, 'x', sizeof(in));
	assert_int_equal(buf_append(&b, in, 600), 0);
	assert_int_equal(buf_append(&b, in, 600), -ENOBUFS);
	assert_int_equal(b.len, 600);
	buf_consume(&b, 500);
	assert_int_equal(buf_append(&b, in, 600), 0);
	assert_int_equal(b.len, 700);
	buf_consume(&b, 698);
	assert_int_equal(buf_printf(&b, "%d-%s", 7, "end"), 0);
	s = buf_steal_str(&b);
	assert_string_equal(s, "xx7-end");
	free(s);
	assert_int_equal(b.len, 0);
}

static void test_clock_saturates_and_scales(void **state)
{
	assert_true(deadline_in(USEC_INFINITY) == USEC_INFINITY);
	assert_int_equal(deadline_poll_ms(USEC_INFINITY), -1);
	assert_int_equal(deadline_left(1), 0);
	assert_int_equal(clock_budget(5), 5);
	clock_set_scale(10);
	assert_int_equal(clock_budget(5), 50);
	assert_true(clock_budget(USEC_INFINITY) == USEC_INFINITY);
	clock_set_scale(1);
}

static void test_signal_names(void **state)
{
	assert_int_equal(spawn_signal_parse("KILL"), 9);
	assert_int_equal(spawn_signal_parse("SIGterm"), 15);
	assert_int_equal(spawn_signal_parse("9"), 9);
	assert_int_equal(spawn_signal_parse("RTMIN+3"), 37);
	assert_int_equal(spawn_signal_parse("RTMIN+31"), -EINVAL);
	assert_int_equal(spawn_signal_parse("65"), -EINVAL);
	assert_int_equal(spawn_signal_parse("9x"), -EINVAL);
	assert_int_equal(spawn_signal_parse("NOPE"), -EINVAL);
	assert_int_equal(spawn_signal_parse(""), -EINVAL);
}

static void test_files(void **state)
{
	char dir[] = "/tmp/coffer-test-XXXXXX";
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int dfd = -1;
	struct stat st;
	char *data;
	size_t len;

	assert_non_null(mkdtemp(dir));
	dfd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(io_replace_file(dfd, "f", "hello", 5, 0600, &e), 0);
	assert_int_equal(io_replace_file(dfd, "f", "hi", 2, 0600, &e), 0);
	assert_int_equal(io_read_file(dfd, "f", 2, &data, &len, &e), 0);
	assert_int_equal(len, 2);
	assert_string_equal(data, "hi");
	free(data);
	assert_int_equal(io_read_file(dfd, "f", 1, &data, &len, &e), -EFBIG);
	assert_int_equal(io_read_file(dfd, "g", 1, &data, &len, &e), -ENOENT);
	assert_string_equal(e.message, "open g: No such file or directory");
	assert_int_equal(io_write_file(dfd, "f", "HI", &e), 0);
	assert_int_equal(fstatat(dfd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unlinkat(dfd, "f", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void test_long_socket_path(void **state)
{
	char dir[] = "/tmp/coffer-test-XXXXXX", name[90];
	struct coffer_error e = COFFER_ERROR_INIT;
	autoclose int dfd = -1, sub = -1, l = -1, c = -1;
	struct stat st;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_non_null(mkdtemp(dir));
	dfd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(dfd, name, 0700), 0);
	sub = openat(dfd, name, O_RDONLY | O_DIRECTORY);
	l = io_unix_listen(sub, "s", SOCK_STREAM, 0600, &e);
	assert_true(l >= 0);
	assert_int_equal(fstatat(sub, "s", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	c = io_unix_connect(sub, "s", SOCK_STREAM, &e);
	assert_true(c >= 0);
	assert_int_equal(io_unix_listen(sub, "s", SOCK_STREAM, 0600, &e), -EADDRINUSE);
	assert_int_equal(unlinkat(sub, "s", 0), 0);
	assert_int_equal(unlinkat(dfd, name, AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void *swap_for_link(void *data)
{
	const int *dir = data;

	while (faccessat(*dir, "stop", F_OK, 0) < 0) {
		if (symlinkat("victim", *dir, "link") == 0)
			renameat(*dir, "link", *dir, "s");
	}
	return NULL;
}

/* In a directory of somebody else's, who puts a link in the new socket's place. */
static void test_sockets_mode_is_its_own(void **state)
{
	char dir[] = "/tmp/coffer-test-XXXXXX";
	autoclose int dfd = -1;
	mode_t mask = umask(077);
	pthread_t thread;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	dfd = open(dir, O_RDONLY | O_DIRECTORY);
	close(openat(dfd, "victim", O_CREAT | O_WRONLY, 0600));
	assert_int_equal(pthread_create(&thread, NULL, swap_for_link, &dfd), 0);
	for (int i = 0; i < 3000; i++) {
		int fd;

		unlinkat(dfd, "s", 0);
		fd = io_unix_listen(dfd, "s", SOCK_STREAM, 0666, NULL);
		if (fd >= 0)
			close(fd);
	}
	close(openat(dfd, "stop", O_CREAT | O_WRONLY, 0600));
	pthread_join(thread, NULL);
	umask(mask);
	assert_int_equal(fstatat(dfd, "victim", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(path_remove_tree(AT_FDCWD, dir, NULL), 0);
}

static void test_descriptor_passing(void **state)
{
	int sv[2], p[2], got[2];
	size_t n = 1;
	char c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(io_send_fds(sv[0], "x", 1, &p[1], 1), 0);
	assert_int_equal(io_recv_fds(sv[1], &c, 1, got, &n), 1);
	assert_int_equal(n, 1);
	assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got[0], "y", 1), 1);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	close(got[0]);
	/* More than there is room for: nothing is kept. */
	n = 1;
	assert_int_equal(io_send_fds(sv[0], "x", 1, p, 2), 0);
	assert_int_equal(io_recv_fds(sv[1], &c, 1, got, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	close(p[0]);
	close(p[1]);
	close(sv[0]);
	close(sv[1]);
}

static void test_log_json_escapes(void **state)
{
	char line[512] = "";
	int p[2];

	assert_int_equal(pipe(p), 0);
	log_to_fd(p[1], LOG_FORMAT_JSON);
	log_error("a \"b\"\n\x1b[0m\xc2\x9b\xc2\xa0");
	log_debug("dropped");
	assert_true(read(p[0], line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, "{\"level\":\"error\",\"msg\":\"coffer: a \\\"b\\\"\\n\\u001b[0m\\u009b\xc2\xa0\",\"time\":\"20"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	log_set_sink(NULL, NULL);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_limit_and_order),
		cmocka_unit_test(test_clock_saturates_and_scales),
		cmocka_unit_test(test_signal_names),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_long_socket_path),
		cmocka_unit_test(test_sockets_mode_is_its_own),
		cmocka_unit_test(test_descriptor_passing),
		cmocka_unit_test(test_log_json_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
