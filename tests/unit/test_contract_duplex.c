/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined: each way with its own end, either side gone, back-pressure, freed early. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contract/duplex.h"

/* left <--> (a, duplex, b) <--> right */
struct pair {
	struct loop *loop;
	struct duplex *duplex;
	int left, right; /* the test's ends */
	int ended;	 /* times */
};

static void ended(void *data)
{
	struct pair *p = data;

	p->ended++;
	duplex_free(steal_ptr(p->duplex));
}

static int setup(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	struct pair *p = calloc(1, sizeof(*p));
	int a[2], b[2];

	signal(SIGPIPE, SIG_IGN);
	if (loop_new(&p->loop, &e) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, a) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b) < 0)
		return -1;
	p->left = a[1];
	p->right = b[1];
	*state = p;
	return duplex_new(p->loop, a[0], b[0], ended, p, &p->duplex, &e);
}

static int teardown(void **state)
{
	struct pair *p = *state;

	duplex_free(p->duplex);
	loop_free(p->loop);
	close_fd(&p->left);
	close_fd(&p->right);
	free(p);
	return 0;
}

static void turn(struct pair *p, int times)
{
	while (times-- > 0)
		assert_int_equal(loop_step(p->loop, deadline_in(1000), NULL), 0);
}

static void test_each_way_ends_by_itself(void **state)
{
	struct pair *p = *state;
	char buf[16];

	assert_int_equal(write(p->left, "ask", 3), 3);
	shutdown(p->left, SHUT_WR);
	turn(p, 4);
	assert_int_equal(read(p->right, buf, sizeof(buf)), 3);
	assert_int_equal(read(p->right, buf, sizeof(buf)), 0);
	assert_int_equal(p->ended, 0);
	assert_int_equal(write(p->right, "tell", 4), 4);
	turn(p, 4);
	assert_int_equal(read(p->left, buf, sizeof(buf)), 4);
	assert_int_equal(read(p->left, buf, sizeof(buf)), -1);
	shutdown(p->right, SHUT_WR);
	turn(p, 4);
	assert_int_equal(read(p->left, buf, sizeof(buf)), 0);
	assert_int_equal(p->ended, 1);
	assert_null(p->duplex);
}

static void test_either_side_gone_ends_both(void **state)
{
	struct pair *p = *state;
	char buf[16];

	close_fd(&p->right);
	turn(p, 4);
	assert_int_equal(read(p->left, buf, sizeof(buf)), 0);
	for (int i = 0; i < 4; i++) {
		/* It fails as soon as the duplex has noticed. */
		if (write(p->left, "x", 1) < 0)
			break;
		turn(p, 2);
	}
	assert_int_equal(write(p->left, "x", 1), -1);
	assert_int_equal(p->ended, 1);
}

static void test_who_takes_nothing_more_stops_the_writer(void **state)
{
	struct pair *p = *state;
	char buf[16];

	shutdown(p->right, SHUT_RD);
	assert_int_equal(write(p->left, "x", 1), 1);
	turn(p, 4);
	assert_int_equal(write(p->left, "x", 1), -1);
	assert_int_equal(write(p->right, "still", 5), 5);
	turn(p, 4);
	assert_int_equal(read(p->left, buf, sizeof(buf)), 5);
	assert_int_equal(p->ended, 0);
}

static void test_back_pressure_both_ways(void **state)
{
	static uint8_t block[65536];
	struct pair *p = *state;
	size_t sent[2] = { 0 }, got[2] = { 0 };
	int fd[2] = { p->left, p->right };

	for (int round = 0; round < 400; round++) {
		for (int i = 0; i < 2; i++) {
			ssize_t n = write(fd[i], block, sizeof(block));

			sent[i] += n > 0 ? (size_t)n : 0;
		}
		turn(p, 1);
		for (int i = 0; i < 2 && round % 3 == 0; i++) {
			ssize_t n = read(fd[i], block, sizeof(block) / 2);

			got[1 - i] += n > 0 ? (size_t)n : 0;
		}
	}
	for (int i = 0; i < 2; i++)
		shutdown(fd[i], SHUT_WR);
	for (int round = 0; round < 2000 && !p->ended; round++) {
		for (int i = 0; i < 2; i++) {
			ssize_t n = read(fd[i], block, sizeof(block));

			got[1 - i] += n > 0 ? (size_t)n : 0;
		}
		turn(p, 1);
	}
	for (int i = 0; i < 2; i++)
		for (ssize_t n; (n = read(fd[i], block, sizeof(block))) > 0;)
			got[1 - i] += (size_t)n;
	assert_int_equal(p->ended, 1);
	assert_int_equal(got[0], sent[0]);
	assert_int_equal(got[1], sent[1]);
}

static void test_freed_early(void **state)
{
	struct pair *p = *state;
	char buf[16];

	assert_int_equal(write(p->left, "lost", 4), 4);
	duplex_free(steal_ptr(p->duplex));
	turn(p, 2);
	assert_int_equal(read(p->right, buf, sizeof(buf)), 0);
	assert_int_equal(p->ended, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_way_ends_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_either_side_gone_ends_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_takes_nothing_more_stops_the_writer, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_freed_early, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
