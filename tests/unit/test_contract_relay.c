/* SPDX-License-Identifier: Apache-2.0 */
/* Relays: order and completeness, back-pressure, ends of either side, finishing. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contract/relay.h"

/* input[1] --> input[0] --relay--> output[1] --> output[0] */
struct pair {
	struct loop *loop;
	struct relay *relay;
	int input, output; /* the test's ends */
};

static int setup(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	struct pair *p = calloc(1, sizeof(*p));
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN);
	if (loop_new(&p->loop, &e) < 0 || pipe2(in, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, out) < 0)
		return -1;
	p->input = in[1];
	p->output = out[0];
	*state = p;
	return relay_new(p->loop, in[0], out[1], &p->relay, &e);
}

static int teardown(void **state)
{
	struct pair *p = *state;

	relay_free(p->relay);
	loop_free(p->loop);
	close_fd(&p->input);
	close_fd(&p->output);
	free(p);
	return 0;
}

static void turn(struct pair *p, int times)
{
	while (times-- > 0)
		assert_int_equal(loop_step(p->loop, deadline_in(1000), NULL), 0);
}

static size_t fill(int fd, size_t most, uint8_t *next)
{
	uint8_t buf[4096];
	size_t done = 0;
	ssize_t n;

	while (done < most) {
		for (size_t i = 0; i < sizeof(buf); i++)
			buf[i] = (uint8_t)(*next + i * 7);
		n = write(fd, buf, most - done < sizeof(buf) ? most - done : sizeof(buf));
		if (n <= 0)
			break;
		*next = (uint8_t)(*next + n * 7);
		done += (size_t)n;
	}
	return done;
}

static size_t drain(int fd, uint8_t *next)
{
	uint8_t buf[65536];
	size_t done = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			assert_int_equal(buf[i], *next);
			*next = (uint8_t)(*next + 7);
		}
		done += (size_t)n;
	}
	return done;
}

static bool at_eof(int fd)
{
	char c;

	return read(fd, &c, 1) == 0;
}

static void test_bytes_in_order_under_back_pressure(void **state)
{
	const size_t total = 8 << 20;
	struct pair *p = *state;
	size_t sent = 0, got = 0;
	uint8_t next_in = 0, next_out = 0;

	while (got < total) {
		/* Write as much as goes, read only every third time. */
		for (int i = 0; i < 3; i++) {
			sent += fill(p->input, total - sent, &next_in);
			turn(p, 2);
		}
		got += drain(p->output, &next_out);
	}
	assert_int_equal(got, total);
	close_fd(&p->input);
	turn(p, 2);
	assert_true(at_eof(p->output));
}

static void test_blocked_destination_blocks_the_source(void **state)
{
	struct pair *p = *state;
	size_t sent = 0, before;
	uint8_t next_in = 0, next_out = 0;

	do {
		before = sent;
		sent += fill(p->input, 1 << 24, &next_in);
		turn(p, 4);
	} while (sent > before);
	assert_true(sent < 1 << 22);
	/* A hang-up of the source must neither spin nor lose what is held. */
	close_fd(&p->input);
	turn(p, 4);
	for (size_t got = 0; got < sent; turn(p, 2))
		got += drain(p->output, &next_out);
	turn(p, 2);
	assert_true(at_eof(p->output));
}

static void test_gone_destination_closes_the_source(void **state)
{
	struct pair *p = *state;

	close_fd(&p->output);
	turn(p, 2);
	assert_int_equal(write(p->input, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
}

static void test_finish_delivers_what_is_there(void **state)
{
	struct pair *p = *state;
	char buf[16];

	assert_int_equal(write(p->input, "held", 4), 4);
	relay_finish(p->relay, 1 << 20);
	assert_int_equal(read(p->output, buf, sizeof(buf)), 4);
	assert_true(at_eof(p->output));
	assert_int_equal(write(p->input, "late", 4), -1);
	relay_finish(p->relay, 1 << 20);
}

static void test_finish_leaves_what_comes_later(void **state)
{
	struct pair *p = *state;
	uint8_t next_in = 0, next_out = 0;
	size_t got = 0;

	/* A writer that never stops: the limit ends it. */
	assert_int_equal(fill(p->input, 65536, &next_in), 65536);
	relay_finish(p->relay, 40000);
	for (int i = 0; i < 8; i++) {
		got += drain(p->output, &next_out);
		turn(p, 1);
	}
	assert_int_equal(got, 40000);
	assert_true(at_eof(p->output));
}

/* As much as a whole number of chunks, with the writer still open. */
static void test_finish_of_a_full_pipe(void **state)
{
	struct pair *p = *state;
	uint8_t next_in = 0, next_out = 0;
	size_t sent, got = 0;

	fcntl(p->input, F_SETPIPE_SZ, 1 << 20);
	sent = fill(p->input, 1 << 20, &next_in);
	relay_finish(p->relay, 1 << 20);
	while (got < sent) {
		got += drain(p->output, &next_out);
		turn(p, 1);
	}
	turn(p, 1);
	assert_true(at_eof(p->output));
}

static void test_finish_while_holding(void **state)
{
	struct pair *p = *state;
	size_t sent = 0, before, got = 0;
	uint8_t next_in = 0, next_out = 0;

	do {
		before = sent;
		sent += fill(p->input, 1 << 24, &next_in);
		turn(p, 4);
	} while (sent > before);
	relay_finish(p->relay, 1 << 20);
	assert_false(at_eof(p->output) && got == 0);
	next_out = 7; /* the byte that the check above took */
	for (got = 1; got < sent; turn(p, 2))
		got += drain(p->output, &next_out);
	turn(p, 2);
	assert_true(at_eof(p->output));
}

static void test_finish_waits_for_silence(void **state)
{
	struct pair *p = *state;
	usec_t start = clock_now();
	char buf[16];

	/* It has looked, and found nothing; a turn now could come when the silence is over. */
	relay_finish_quiet(p->relay, 500 * USEC_PER_MSEC);
	assert_int_equal(write(p->input, "late", 4), 4);
	turn(p, 2);
	assert_int_equal(read(p->output, buf, sizeof(buf)), 4);
	while (!at_eof(p->output))
		turn(p, 1);
	assert_true(clock_now() - start >= 490 * USEC_PER_MSEC);
}

static void test_finish_does_not_wait_for_an_ended_source(void **state)
{
	struct pair *p = *state;

	/* An hour nobody would wait for. */
	relay_finish_quiet(p->relay, 3600 * USEC_PER_SEC);
	close_fd(&p->input);
	while (!at_eof(p->output))
		turn(p, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_in_order_under_back_pressure, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_blocked_destination_blocks_the_source, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_gone_destination_closes_the_source, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_finish_delivers_what_is_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_finish_leaves_what_comes_later, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_finish_of_a_full_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish_while_holding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish_waits_for_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finish_does_not_wait_for_an_ended_source,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
