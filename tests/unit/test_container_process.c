/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_process.c - processes: streams of all kinds, waits called off, deletion
 */
#include "fake_sandbox.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BULK (1 << 20)

static const char *const test_args[] = { "cat", NULL };

static struct coffer_container *test_started(const struct coffer_process_config *p)
{
	struct coffer_container_config cfg = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;

	cfg.rootfs = fake_image;
	cfg.run_dir = fake_root;
	cfg.process = p;
	if (container_new("proc", &cfg, fake_maker, &c, &err) < 0 ||
	    coffer_container_create(c, &err) < 0 || coffer_container_start(c, &err) < 0)
		fail_msg("%s", err.message);
	return c;
}

static struct coffer_process_config test_config(void)
{
	struct coffer_process_config p = COFFER_PROCESS_CONFIG_INIT;

	p.args = test_args;
	return p;
}

static int test_setup(void **state)
{
	fake_reset();
	return 0;
}

static void test_fds(struct coffer_process_config *p, int in, int out)
{
	if (in >= 0)
		p->stdio[COFFER_STDIN] = (struct coffer_stdio){ COFFER_STDIO_FD, in };
	if (out >= 0)
		p->stdio[COFFER_STDOUT] = (struct coffer_stdio){ COFFER_STDIO_FD, out };
}

/* Bytes that are not all the same. */
static void *test_bulk(size_t n)
{
	unsigned char *p = malloc(n);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 7 + (i >> 9));
	return p;
}

/* ---- streams ---- */

/* Fed from a file to the end, which the program sees as the end of its input. */
static void test_input_from_descriptor(void **state)
{
	struct coffer_process_config p = test_config();
	unsigned char *bulk = test_bulk(BULK), *got = malloc(BULK);
	struct coffer_container *c;
	FILE *f = tmpfile();

	assert_int_equal(fwrite(bulk, BULK, 1, f), 1);
	rewind(f);
	test_fds(&p, fileno(f), -1);
	c = test_started(&p);
	fclose(f); /* ours is of no interest any more */
	assert_int_equal(io_read_full(fake.streams[0], got, BULK), BULK);
	assert_memory_equal(bulk, got, BULK);
	assert_int_equal(read(fake.streams[0], got, 1), 0);
	fake_end_process(0);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, NULL,
					     NULL), 0);
	coffer_container_free(c);
	free(bulk);
	free(got);
}

static void *test_read_all(void *data)
{
	const int *fd = data;
	char buf[65536];
	size_t total = 0;
	ssize_t n;

	while ((n = read(*fd, buf, sizeof(buf))) > 0)
		total += (size_t)n;
	return (void *)total;
}

/* All that was written before the end arrives before the wait is over, however slow the reader. */
static void test_output_to_descriptor(void **state)
{
	struct coffer_process_config p = test_config();
	unsigned char *bulk = test_bulk(BULK);
	struct coffer_container *c;
	pthread_t thread;
	int pipefd[2];
	void *total;

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	test_fds(&p, -1, pipefd[1]);
	c = test_started(&p);
	close(pipefd[1]);
	assert_int_equal(pthread_create(&thread, NULL, test_read_all, &pipefd[0]), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(io_write_full(fake.streams[1], bulk, BULK), 0);
	fake_end_process(3);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, NULL,
					     NULL), 0);
	coffer_container_free(c);
	pthread_join(thread, &total);
	assert_int_equal((size_t)total, 8 * BULK);
	close(pipefd[0]);
	free(bulk);
}

/* A program left in the background keeps the stream open: 3 s, not for ever. */
static void test_output_that_stays_open(void **state)
{
	struct coffer_process_config p = test_config();
	usec_t begin = clock_now();
	struct coffer_container *c;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), kept;

	test_fds(&p, -1, null);
	c = test_started(&p);
	kept = dup(fake.streams[1]);
	fake_end_process(0);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, NULL,
					     NULL), 0);
	assert_true(clock_now() - begin >= 2900000);
	close(kept);
	close(null);
	coffer_container_free(c);
}

/* Nobody reads what the program writes: a stop is not kept by it. */
static void test_output_nobody_takes(void **state)
{
	struct coffer_process_config p = test_config();
	unsigned char *bulk = test_bulk(BULK);
	struct coffer_container *c;
	int pipefd[2], end;

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	test_fds(&p, -1, pipefd[1]);
	c = test_started(&p);
	end = fcntl(fake.streams[1], F_DUPFD_CLOEXEC, 3);
	io_set_nonblock(end, true);
	for (int i = 0; i < 100 && write(end, bulk, BULK) > 0; i++)
		;
	close(end);
	assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
	coffer_container_free(c);
	close(pipefd[0]);
	close(pipefd[1]);
	free(bulk);
}

/* The program learns that its reader has gone. */
static void test_output_to_broken_pipe(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c;
	int pipefd[2];

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	test_fds(&p, -1, pipefd[1]);
	c = test_started(&p);
	close(pipefd[0]);
	close(pipefd[1]);
	assert_int_equal(write(fake.streams[1], "x", 1), 1);
	assert_true(io_wait(fake.streams[1], POLLIN, deadline_in(60 * USEC_PER_SEC)) > 0);
	fake_end_process(0);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, NULL,
					     NULL), 0);
	coffer_container_free(c);
}

static void test_inherited(void **state)
{
	int pipefd[2], saved = dup(STDERR_FILENO);
	struct coffer_process_config p = test_config();
	struct coffer_container *c;
	char text[8] = "";

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	assert_int_equal(dup2(pipefd[1], STDERR_FILENO), STDERR_FILENO);
	p.stdio[COFFER_STDERR].mode = COFFER_STDIO_INHERIT;
	c = test_started(&p);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipefd[1]);
	assert_int_equal(write(fake.streams[2], "oops", 4), 4);
	fake_end_process(0);
	assert_int_equal(coffer_process_wait(coffer_container_process(c), 60 * USEC_PER_SEC, NULL,
					     NULL), 0);
	assert_int_equal(read(pipefd[0], text, sizeof(text)), 4);
	coffer_container_free(c);
	close(pipefd[0]);
}

static void test_close_stdin(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c;
	int pipefd[2];
	char byte;

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	test_fds(&p, pipefd[0], -1);
	c = test_started(&p);
	for (int i = 0; i < 2; i++)
		assert_int_equal(coffer_process_close_stdin(coffer_container_process(c), NULL), 0);
	assert_int_equal(read(fake.streams[0], &byte, 1), 0);
	coffer_container_free(c);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* A start again feeds the same descriptors again. */
static void test_streams_after_stop(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c;
	int pipefd[2];
	char text[8];

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	test_fds(&p, -1, pipefd[1]);
	c = test_started(&p);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write(fake.streams[1], "abc", 3), 3);
		assert_int_equal(read(pipefd[0], text, sizeof(text)), 3);
		assert_int_equal(coffer_container_stop(c, 0, NULL), 0);
		assert_int_equal(coffer_container_create(c, NULL), 0);
		assert_int_equal(coffer_container_start(c, NULL), 0);
	}
	coffer_container_free(c);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* ---- waits ---- */

static void test_wait_called_off(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c = test_started(&p);
	struct coffer_process *init = coffer_container_process(c);
	int cancel = eventfd(1, EFD_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;

	for (int i = 0; i < 1000; i++)
		assert_int_equal(coffer_process_wait_or(init, COFFER_FOREVER, cancel, NULL, &err),
				 -ECANCELED);
	assert_int_equal(err.kind, COFFER_ERR_CANCELLED);
	fake_end_process(1);
	assert_int_equal(coffer_process_wait(init, 60 * USEC_PER_SEC, NULL, NULL), 0);
	/* What is known is told first. */
	assert_int_equal(coffer_process_wait_or(init, COFFER_FOREVER, cancel, NULL, NULL), 0);
	close(cancel);
	coffer_container_free(c);
}

/* ---- deletion, names ---- */

static void test_delete(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c = test_started(&p);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process *a, *found;

	assert_int_equal(coffer_process_delete(coffer_container_process(c), true, &err), -EBUSY);
	assert_int_equal(coffer_container_exec(c, "a", &p, &a, NULL), 0);
	assert_int_equal(coffer_container_find_process(c, "a", &found, NULL), 0);
	assert_ptr_equal(found, a);
	assert_int_equal(coffer_container_find_process(c, "proc", &found, NULL), 0);
	assert_ptr_equal(found, coffer_container_process(c));
	assert_int_equal(coffer_container_find_process(c, "b", &found, &err), -ENOENT);
	assert_int_equal(coffer_process_delete(a, false, &err), -EBUSY);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_STATE);
	assert_int_equal(coffer_process_delete(a, true, NULL), 0);
	assert_non_null(strstr(fake.log, "remove"));
	/* Its name is free again. */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(coffer_container_exec(c, "a", &p, &a, NULL), 0);
		fake_end_named("a", 5);
		assert_int_equal(coffer_process_wait(a, 60 * USEC_PER_SEC, NULL, NULL), 0);
		assert_int_equal(coffer_process_delete(a, false, NULL), 0);
	}
	coffer_container_free(c);
	assert_int_equal(fake.connections, 0);
}

static void test_kill(void **state)
{
	struct coffer_process_config p = test_config();
	struct coffer_container *c = test_started(&p);
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_process_config tty = test_config();
	struct coffer_process *t;

	assert_int_equal(coffer_container_kill_all(c, 0, NULL), -EINVAL);
	assert_int_equal(coffer_container_kill_all(c, SIGUSR2, NULL), 0);
	assert_int_equal(fake.last_signal, SIGUSR2);
	assert_int_equal(fake.last_mode, AX__SIGNAL_REQUEST__MODE__ALL);
	assert_int_equal(coffer_process_kill_foreground(coffer_container_process(c), SIGINT, &err),
			 -EOPNOTSUPP);
	tty.terminal = true;
	assert_int_equal(coffer_container_exec(c, NULL, &tty, &t, NULL), 0);
	assert_int_equal(coffer_process_kill_foreground(t, SIGINT, NULL), 0);
	assert_int_equal(fake.last_mode, AX__SIGNAL_REQUEST__MODE__FOREGROUND);
	assert_int_equal(coffer_process_resize(t, 3, 4, NULL), 0);
	coffer_container_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_input_from_descriptor, test_setup),
		cmocka_unit_test_setup(test_output_to_descriptor, test_setup),
		cmocka_unit_test_setup(test_output_that_stays_open, test_setup),
		cmocka_unit_test_setup(test_output_nobody_takes, test_setup),
		cmocka_unit_test_setup(test_output_to_broken_pipe, test_setup),
		cmocka_unit_test_setup(test_inherited, test_setup),
		cmocka_unit_test_setup(test_close_stdin, test_setup),
		cmocka_unit_test_setup(test_streams_after_stop, test_setup),
		cmocka_unit_test_setup(test_wait_called_off, test_setup),
		cmocka_unit_test_setup(test_delete, test_setup),
		cmocka_unit_test_setup(test_kill, test_setup),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
