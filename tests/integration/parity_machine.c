/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parity_machine.c - a container's life in a machine, through the library
 *
 * What only a holder of the object can ask; parity_test.py has the table of
 * all such questions, test_container_state.c and its neighbours ask about
 * states with a sandbox that is none.  One object is used for two lives.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "coffer/coffer.h"
#include "in_sentry.h"

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SECOND	   UINT64_C(1000000)
#define MIB	   (UINT64_C(1) << 20)
#define WAITERS	   50
#define EXECS	   100

static char scratch[] = "/tmp/coffer-parity-XXXXXX";
static char output[4096];
static struct coffer_container *box;
static struct coffer_events *events;
static struct coffer_error error;

#define assert_done(call)                                                                          \
	do {                                                                                       \
		if ((call) < 0)                                                                    \
			fail_msg("%s: %s", #call, error.message);                                  \
	} while (0)

#define assert_refused(call, want)                                                                 \
	do {                                                                                       \
		assert_true((call) < 0);                                                           \
		if (error.kind != (want))                                                          \
			fail_msg("%s: %s", coffer_error_kind_str(error.kind), error.message);      \
	} while (0)

static struct coffer_process *start(const char *script, bool input)
{
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_process *p = NULL;

	config.args = WORDS("/bin/sh", "-c", script);
	config.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	if (input)
		config.stdio[COFFER_STDIN].mode = COFFER_STDIO_PIPE;
	assert_done(coffer_container_exec(box, NULL, &config, &p, &error));
	return p;
}

/* Output of @p in @output. Return: its exit code */
static int finish(struct coffer_process *p)
{
	int fd = coffer_process_take_stream(p, COFFER_STDOUT);
	struct coffer_exit status;
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, output + used, sizeof(output) - 1 - used)) > 0)
		used += (size_t)n;
	output[used] = '\0';
	close(fd);
	assert_done(coffer_process_wait(p, 120 * SECOND, &status, &error));
	return status.code;
}

static void says(const char *script, const char *text)
{
	assert_int_equal(finish(start(script, false)), 0);
	assert_string_equal(output, text);
}

/* As says(), once the program that was just started has written @lines to /lives. */
static void lived(int lines, const char *script, const char *text)
{
	char wait[256];

	snprintf(wait, sizeof(wait), "until test \"$(wc -l </lives)\" = %d; do sleep 0.1; done; %s",
		 lines, script);
	says(wait, text);
}

static void happens(enum coffer_event_type type)
{
	struct coffer_event event = { .size = sizeof(event) };

	do {
		assert_done(coffer_events_next(events, 60 * SECOND, &event, &error));
	} while (event.type == COFFER_EVENT_EXEC || event.type == COFFER_EVENT_EXIT);
	assert_string_equal(coffer_event_str(event.type), coffer_event_str(type));
}

static int set_up(void **state)
{
	struct coffer_process_config program = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	static char layer[64];

	assert_non_null(mkdtemp(scratch));
	snprintf(layer, sizeof(layer), "%s/layer.img", scratch);
	/* Its input is what it gives back, so it ends with it. */
	program.args = WORDS("sh", "-c", "echo lived >>/lives; cat >>/input");
	program.stdio[COFFER_STDIN].mode = COFFER_STDIO_PIPE;
	config.process = &program;
	if (!in_sentry_without("a layer on a disk"))
		config.layer = (struct coffer_layer){ .kind = COFFER_LAYER_DISK,
						      .size = 64 * MIB,
						      .path = layer };
	assert_done(coffer_container_new(NULL, &config, &box, &error));
	assert_done(coffer_container_events(box, &events, &error));
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	coffer_events_free(events);
	coffer_container_free(box);
	snprintf(command, sizeof(command), "rm -r %s", scratch);
	return system(command); /* NOLINT(cert-env33-c) */
}

static void test_first_life(void **state)
{
	assert_refused(coffer_container_start(box, &error), COFFER_ERR_INVALID_STATE);
	assert_refused(coffer_process_kill(coffer_container_process(box), 9, &error),
		       COFFER_ERR_INVALID_STATE);
	assert_done(coffer_container_create(box, &error));
	happens(COFFER_EVENT_CREATE);
	assert_refused(coffer_container_create(box, &error), COFFER_ERR_INVALID_STATE);
	/* From created it stops as well. */
	assert_done(coffer_container_stop(box, 0, &error));
	happens(COFFER_EVENT_STOP);
	assert_done(coffer_container_create(box, &error));
	happens(COFFER_EVENT_CREATE);
	assert_done(coffer_container_start(box, &error));
	happens(COFFER_EVENT_START);
	assert_refused(coffer_container_start(box, &error), COFFER_ERR_INVALID_STATE);
	lived(1, "cat /lives", "lived\n");
}

static void test_stdin(void **state)
{
	struct coffer_process *p = start("wc -c; echo closed", true);
	int fd = coffer_process_take_stream(p, COFFER_STDIN);
	static char zero[10 * MIB];
	struct coffer_exit status;

	assert_int_equal(send(fd, zero, sizeof(zero), MSG_NOSIGNAL), sizeof(zero));
	assert_refused(coffer_process_wait(p, SECOND / 2, &status, &error), COFFER_ERR_TIMEOUT);
	assert_done(coffer_process_close_stdin(p, &error));
	assert_done(coffer_process_close_stdin(p, &error));
	assert_int_equal(finish(p), 0);
	assert_string_equal(output, "10485760\nclosed\n");
	close(fd);
}

static void test_many_execs(void **state)
{
	struct coffer_process *many[EXECS];

	for (int i = 0; i < EXECS; i++)
		many[i] = start("exit 3", false);
	for (int i = 0; i < EXECS; i++)
		assert_int_equal(finish(many[i]), 3);
}

static void test_delete(void **state)
{
	struct coffer_process *p = start("sleep 1000000", false), *found;
	struct coffer_exit status;
	char id[COFFER_ID_MAX + 1];

	snprintf(id, sizeof(id), "%s", coffer_process_id(p));
	assert_refused(coffer_process_delete(p, false, &error), COFFER_ERR_INVALID_STATE);
	assert_refused(coffer_process_wait(p, 0, &status, &error), COFFER_ERR_TIMEOUT);
	assert_done(coffer_process_delete(p, true, &error));
	assert_refused(coffer_container_find_process(box, id, &found, &error),
		       COFFER_ERR_NOT_FOUND);
	says("ps | grep -c '[s]leep 1000000' || true", "0\n");
	assert_refused(coffer_process_delete(coffer_container_process(box), true, &error),
		       COFFER_ERR_INVALID_STATE);
}

/* Asking takes as long as it takes: seconds that the guest's clock lies before or behind that time. */
static long long offset_of_guest(void)
{
	struct timespec before, after;
	long long guest;

	clock_gettime(CLOCK_REALTIME, &before);
	assert_int_equal(finish(start("date +%s", false)), 0);
	clock_gettime(CLOCK_REALTIME, &after);
	guest = atoll(output);
	if (guest < before.tv_sec)
		return before.tv_sec - guest;
	return guest > after.tv_sec ? guest - after.tv_sec : 0;
}

static void test_pause(void **state)
{
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_process *reader = start("read line", true), *p;
	int fd = coffer_process_take_stream(reader, COFFER_STDIN);
	struct coffer_exit status;

	assert_true(offset_of_guest() <= 1);
	assert_done(coffer_container_pause(box, &error));
	happens(COFFER_EVENT_PAUSE);
	config.args = WORDS("true");
	assert_refused(coffer_container_exec(box, NULL, &config, &p, &error),
		       COFFER_ERR_INVALID_STATE);
	/* A wait goes on waiting: what would end the program does not get to it. */
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
	assert_refused(coffer_process_wait(reader, 5 * SECOND, &status, &error),
		       COFFER_ERR_TIMEOUT);
	assert_done(coffer_container_resume(box, &error));
	happens(COFFER_EVENT_RESUME);
	/* It is set soon. */
	for (int i = 0; offset_of_guest() > 1; i++) {
		assert_true(i < 600);
		usleep(100000);
	}
	assert_int_equal(finish(reader), 0);
	close(fd);
}

static void *wait_thread(void *data)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_exit status = { .code = -1 };

	coffer_process_wait(coffer_container_process(box), COFFER_FOREVER, &status, &err);
	return (void *)(intptr_t)status.code;
}

/* All waits agree, whether they come before or after the end. */
static void test_waiters(void **state)
{
	int fd = coffer_process_take_stream(coffer_container_process(box), COFFER_STDIN);
	pthread_t threads[WAITERS];
	struct coffer_exit status;
	void *code;

	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_thread, NULL), 0);
	assert_int_equal(send(fd, "told", 4, MSG_NOSIGNAL), 4);
	close(fd);
	for (int i = 0; i < WAITERS; i++) {
		pthread_join(threads[i], &code);
		assert_int_equal((intptr_t)code, 0);
	}
	assert_done(coffer_process_wait(coffer_container_process(box), 0, &status, &error));
	assert_int_equal(status.code, 0);
	assert_done(coffer_process_kill(coffer_container_process(box), 9, &error));
}

static void test_second_life(void **state)
{
	assert_done(coffer_container_stop(box, SECOND, &error));
	happens(COFFER_EVENT_STOP);
	assert_done(coffer_container_stop(box, SECOND, &error));
	assert_int_equal(coffer_container_state(box), COFFER_STATE_STOPPED);
	assert_done(coffer_container_create(box, &error));
	happens(COFFER_EVENT_CREATE);
	assert_done(coffer_container_start(box, &error));
	happens(COFFER_EVENT_START);
	/* What was written before is on the disk, else it went with the first. */
	if (in_sentry())
		lived(1, "cat /lives /input || true", "lived\n");
	else
		lived(2, "cat /lives /input", "lived\nlived\ntold");
}

static void test_stop_while_paused(void **state)
{
	assert_done(coffer_container_pause(box, &error));
	happens(COFFER_EVENT_PAUSE);
	assert_done(coffer_container_stop(box, SECOND, &error));
	assert_int_equal(coffer_container_state(box), COFFER_STATE_STOPPED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_life),  cmocka_unit_test(test_stdin),
		cmocka_unit_test(test_many_execs),  cmocka_unit_test(test_delete),
		cmocka_unit_test(test_pause),	    cmocka_unit_test(test_waiters),
		cmocka_unit_test(test_second_life), cmocka_unit_test(test_stop_while_paused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
