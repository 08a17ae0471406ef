/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/greeting.c - guests whose greeting is not one
 *
 * What comes after the harm is a machine that runs on and does nothing: the
 * host may not depend on the guest's ending.
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int greeting_dial(void)
{
	int fd = hostile_dial(HOSTILE_HOST_PORT);

	if (fd < 0) {
		hostile_say("nobody waits for a greeting");
		hostile_power_off();
	}
	return fd;
}

static void greeting_send(const char *text)
{
	hostile_write(greeting_dial(), text, strlen(text));
	hostile_sleep();
}

static void greeting_other(void)
{
	greeting_send("{\"agent\":\"other\",\"version\":\"1\",\"uptime_us\":1,\"init_us\":1}\n");
}

static void greeting_types(void)
{
	greeting_send("{\"agent\":[\"coffer-agent\"],\"version\":{},\"uptime_us\":-1,"
		      "\"init_us\":1e999}\n");
}

static void greeting_empty(void)
{
	greeting_send("\n");
}

static void greeting_deep(void)
{
	char text[200];

	memset(text, '[', sizeof(text));
	strcpy(text + sizeof(text) - 2, "\n");
	greeting_send(text);
}

static void greeting_garbage(void)
{
	int fd = greeting_dial();
	uint32_t noise[4096];

	do
		for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
			noise[i] = hostile_random();
	while (hostile_write(fd, noise, sizeof(noise)) == 0);
	hostile_sleep();
}

/* No newline, ever. */
static void greeting_endless(void)
{
	int fd = greeting_dial();
	char text[65536];

	memset(text, 'a', sizeof(text));
	while (hostile_write(fd, text, sizeof(text)) == 0)
		;
	hostile_sleep();
}

static void greeting_close(void)
{
	close(greeting_dial());
	hostile_sleep();
}

/* Connected and silent. */
static void greeting_silent(void)
{
	greeting_dial();
	hostile_sleep();
}

/* In order, but there is nobody behind it. */
static void greeting_alone(void)
{
	hostile_greet();
	hostile_sleep();
}

/* Megabytes behind a good greeting, which nobody asked for. */
static void greeting_more(void)
{
	static char text[1 << 20];
	int fd = hostile_greet();

	memset(text, '\n', sizeof(text));
	while (hostile_write(fd, text, sizeof(text)) == 0)
		;
	hostile_sleep();
}

const struct hostile_case hostile_greeting_cases[] = {
	{ "greeting-other", greeting_other },
	{ "greeting-types", greeting_types },
	{ "greeting-empty", greeting_empty },
	{ "greeting-deep", greeting_deep },
	{ "greeting-garbage", greeting_garbage },
	{ "greeting-endless", greeting_endless },
	{ "greeting-close", greeting_close },
	{ "greeting-silent", greeting_silent },
	{ "greeting-alone", greeting_alone },
	{ "greeting-more", greeting_more },
	{ 0 },
};
