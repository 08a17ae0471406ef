/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli_relay.c - copying between our descriptors and a process's streams
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "cli/relay.h"

struct fixture {
	int ours[2];   /* a pipe */
	int stream[2]; /* the process's end is [1] */
	struct relay relay;
};

static void fixture_start(struct fixture *f, bool output)
{
	assert_int_equal(pipe(f->ours), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->stream), 0);
	f->relay = (struct relay){ .output = output, .ended_fd = eventfd(0, EFD_CLOEXEC) };
	f->relay.from = output ? f->stream[0] : f->ours[0];
	f->relay.to = output ? f->ours[1] : f->stream[0];
	assert_int_equal(relay_start(&f->relay, NULL), 0);
}

static void fixture_end_process(struct fixture *f)
{
	const uint64_t one = 1;

	assert_int_equal(write(f->relay.ended_fd, &one, sizeof(one)), sizeof(one));
}

static void fixture_finish(struct fixture *f)
{
	fixture_end_process(f);
	relay_finish(&f->relay);
	close(f->relay.ended_fd);
}

static void test_output(void **state)
{
	enum { N = 3 << 20 };
	char *out = malloc(N), *in = malloc(N);
	struct fixture f;

	for (int i = 0; i < N; i++)
		out[i] = (char)(i * 7);
	fixture_start(&f, true);
	if (fork() == 0) {
		io_write_full(f.stream[1], out, N);
		_exit(0);
	}
	close(f.stream[1]);
	assert_int_equal(io_read_full(f.ours[0], in, N), N);
	assert_memory_equal(in, out, N);
	fixture_finish(&f);
	assert_true(f.relay.first_byte > 0);
	free(in);
	free(out);
	close(f.ours[0]);
	close(f.ours[1]);
}

/* Output that cannot be written is an error, unless nobody wants it. */
static void test_output_lost(void **state)
{
	static const struct {
		const char *path;
		int error;
	} cases[] = { { "/dev/full", -ENOSPC }, { NULL, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;
		int fd;

		fixture_start(&f, true);
		close(f.ours[0]);
		if (cases[i].path) {
			fd = open(cases[i].path, O_WRONLY | O_CLOEXEC);
			assert_true(fd >= 0);
			assert_int_equal(dup2(fd, f.ours[1]), f.ours[1]);
			close(fd);
		}
		assert_int_equal(write(f.stream[1], "abc", 3), 3);
		close(f.stream[1]);
		fixture_finish(&f);
		assert_int_equal(f.relay.error, cases[i].error);
		close(f.ours[1]);
	}
}

/* Our end of file becomes the program's, and its output can still come. */
static void test_input_half_close(void **state)
{
	struct fixture f;
	char text[16];

	fixture_start(&f, false);
	assert_int_equal(write(f.ours[1], "abc", 3), 3);
	close(f.ours[1]);
	assert_int_equal(io_read_full(f.stream[1], text, 3), 3);
	assert_int_equal(read(f.stream[1], text, 1), 0);
	assert_int_equal(send(f.stream[1], "x", 1, MSG_NOSIGNAL), 1);
	fixture_finish(&f);
	close(f.stream[1]);
	close(f.ours[0]);
}

/* The end of the program ends a relay that waits for input that never comes. */
static void test_input_idle(void **state)
{
	struct fixture f;

	fixture_start(&f, false);
	fixture_finish(&f);
	close(f.stream[1]);
	close(f.ours[0]);
	close(f.ours[1]);
}

/* So it does when the program took nothing of what it got. */
static void test_input_stuck(void **state)
{
	struct fixture f;
	char *big = calloc(1, 4 << 20);
	pid_t writer;

	fixture_start(&f, false);
	writer = fork();
	if (writer == 0) {
		io_write_full(f.ours[1], big, 4 << 20);
		_exit(0);
	}
	close(f.ours[1]);
	usleep(50000);
	fixture_finish(&f);
	close(f.ours[0]);
	close(f.stream[1]);
	kill(writer, SIGKILL);
	free(big);
}

/* A child that keeps the output open must not keep us. */
static void test_output_left_open(void **state)
{
	struct fixture f;
	usec_t begin;
	char c;

	fixture_start(&f, true);
	assert_int_equal(write(f.stream[1], "y", 1), 1);
	assert_int_equal(read(f.ours[0], &c, 1), 1);
	begin = clock_now();
	fixture_finish(&f);
	assert_true(clock_now() - begin >= 2900000);
	close(f.stream[1]);
	close(f.ours[0]);
	close(f.ours[1]);
}

/* A reader that takes its time still gets everything. */
static void test_output_slow_reader(void **state)
{
	enum { N = 200000 };
	char *out = calloc(1, N), *in = malloc(N);
	struct fixture f;

	fixture_start(&f, true);
	/* All is written before the end: the relay and its pipe hold what the socket has no room for. */
	assert_int_equal(io_write_full(f.stream[1], out, N), 0);
	close(f.stream[1]);
	fixture_end_process(&f);
	sleep(4);
	assert_int_equal(io_read_full(f.ours[0], in, N), N);
	relay_finish(&f.relay);
	close(f.relay.ended_fd);
	close(f.ours[0]);
	close(f.ours[1]);
	free(in);
	free(out);
}

/* Nobody reads us any more: the program is told by EPIPE. */
static void test_output_closed(void **state)
{
	struct fixture f;
	char page[4096] = { 0 };
	ssize_t n;

	fixture_start(&f, true);
	close(f.ours[0]);
	do
		n = send(f.stream[1], page, sizeof(page), MSG_NOSIGNAL);
	while (n > 0);
	assert_int_equal(errno, EPIPE);
	fixture_finish(&f);
	close(f.stream[1]);
	close(f.ours[1]);
}

/* A stdout that somebody made non-blocking is no error. */
static void test_output_nonblocking(void **state)
{
	enum { N = 1 << 20 };
	char *out = calloc(1, N), *in = malloc(N);
	struct fixture f;

	fixture_start(&f, true);
	assert_int_equal(io_set_nonblock(f.ours[1], true), 0);
	if (fork() == 0) {
		io_write_full(f.stream[1], out, N);
		_exit(0);
	}
	close(f.stream[1]);
	usleep(100000);
	assert_int_equal(io_read_full(f.ours[0], in, N), N);
	fixture_finish(&f);
	close(f.ours[0]);
	close(f.ours[1]);
	free(in);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_output_lost),
		cmocka_unit_test(test_input_half_close),
		cmocka_unit_test(test_input_idle),
		cmocka_unit_test(test_input_stuck),
		cmocka_unit_test(test_output_left_open),
		cmocka_unit_test(test_output_slow_reader),
		cmocka_unit_test(test_output_closed),
		cmocka_unit_test(test_output_nonblocking),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
