/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/end.c - guests that end, or never begin
 */
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end_exit(void)
{
	exit(3);
}

/* A fault of PID 1 ends it although it ignores signals by default. */
static void end_fault(void)
{
	__builtin_trap();
}

static void end_crash(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "c", 1) < 0)
		hostile_say("sysrq is not there");
}

static void end_greet_then_power_off(void)
{
	hostile_greet();
	hostile_power_off();
}

static void end_greet_then_exit(void)
{
	hostile_greet();
	exit(3);
}

/* Until the kernel has nobody left to kill. */
static void end_eat_memory(void)
{
	for (;;) {
		char *p = malloc(1 << 20);

		if (!p)
			hostile_sleep();
		memset(p, 1, 1 << 20);
	}
}

const struct hostile_case hostile_end_cases[] = {
	{ "silent", hostile_sleep },
	{ "exit", end_exit },
	{ "fault", end_fault },
	{ "crash", end_crash },
	{ "power-off", hostile_power_off },
	{ "greet-then-power-off", end_greet_then_power_off },
	{ "greet-then-exit", end_greet_then_exit },
	{ "eat-memory", end_eat_memory },
	{ 0 },
};
