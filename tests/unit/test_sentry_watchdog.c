/* SPDX-License-Identifier: Apache-2.0 */
/* Who does not move is told once; a kernel that cannot move is ended. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/task/internal.h"
#include "sentry/task/watchdog.h"

#define INTERVAL (2 * USEC_PER_MSEC)

static _Atomic unsigned told;
static char last[256];

static void sink(enum log_level level, const char *category, const char *msg, void *data)
{
	(void)level;
	(void)category;
	(void)data;
	strncpy(last, msg, sizeof(last) - 1);
	told++;
}

/* One task of one process, in a call. */
static struct {
	struct sandbox_container container;
	struct process process;
	struct task task;
	struct pid *pid;
} world;

static int setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	told = 0;
	log_set_sink(sink, NULL);
	pthread_mutex_init(&kernel.tasks_lock, NULL);
	world.process.container = &world.container;
	world.process.tasks = &world.task;
	world.task.process = &world.process;
	world.task.ready = true;
	world.task.watch = TASK_SETTLING;
	strcpy(world.task.name, "still");
	world.container.pids = pid_table_new();
	world.pid = pid_new(world.container.pids);
	world.pid->process = &world.process;
	world.pid->task = &world.task;
	kernel.containers = &world.container;
	assert_int_equal(watchdog_start(INTERVAL, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	watchdog_stop();
	world.pid->process = NULL;
	world.pid->task = NULL;
	pid_drop_unused(world.container.pids, world.pid->nr);
	pid_table_free(world.container.pids);
	log_set_sink(NULL, NULL);
	kernel.containers = NULL;
	return 0;
}

static void looks(unsigned n)
{
	usleep((useconds_t)(n * INTERVAL));
}

static void test_still(void **state)
{
	(void)state;
	while (!told)
		looks(1);
	assert_non_null(strstr(last, "still"));
	looks(20);
	assert_int_equal(told, 1);
	/* Another call, and that one stands still as well. */
	world.task.call_started++;
	while (told < 2)
		looks(1);
}

static void test_asleep(void **state)
{
	(void)state;
	/* From the first look on, and at each: we may be kept from running between any two. */
	watchdog_stop();
	told = 0;
	world.task.watchdog_looks = 0;
	world.task.sleeping = true;
	assert_int_equal(watchdog_start(INTERVAL, NULL), 0);
	looks(20);
	world.task.watch = TASK_GUEST;
	world.task.sleeping = false;
	looks(20);
	assert_int_equal(told, 0);
}

static void test_locked(void **state)
{
	int status;
	pid_t child;

	(void)state;
	watchdog_stop();
	child = fork();
	if (!child) {
		const struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		pthread_mutex_lock(&kernel.tasks_lock);
		watchdog_start(INTERVAL, NULL);
		sleep(50);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_still, setup, teardown),
		cmocka_unit_test_setup_teardown(test_asleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
