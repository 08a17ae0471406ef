/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile/flood.c - guests that send more than anybody wants to have
 */
#include "hostile.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define FLOOD_CONSOLE_BYTES (600 << 10) /* more than the host keeps */
#define FLOOD_CONNECTIONS   3000

static void flood_console_write(const char *data, size_t n, size_t total)
{
	while (total > 0) {
		ssize_t r = write(STDOUT_FILENO, data, n);

		if (r <= 0)
			break;
		total -= (size_t)r < total ? (size_t)r : total;
	}
}

static void flood_console(void)
{
	char line[80];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	flood_console_write(line, sizeof(line), FLOOD_CONSOLE_BYTES);
	hostile_say("enough");
	hostile_power_off();
}

/* Control characters and one endless line: what error messages may not pass on. */
static void flood_console_raw(void)
{
	static const char text[] = "\033[2J\033]0;owned\007\x9b"
				   "31m\r\b\x7f\xff\xfe";

	flood_console_write(text, sizeof(text), 65536);
	hostile_power_off();
}

static int flood_connect_begin(uint32_t port)
{
	struct sockaddr_vm sa = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_HOST,
				  .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* More connections to the one listener than it has room for, none closed. */
static void flood_connections(void)
{
	unsigned made = 0;

	for (unsigned i = 0; i < FLOOD_CONNECTIONS; i++)
		made += flood_connect_begin(HOSTILE_HOST_PORT) >= 0;
	hostile_say("%u connections begun", made);
	sleep(2);
	hostile_power_off();
}

/* Ports that nobody listens on, each refused. */
static void flood_refused(void)
{
	for (uint32_t i = 0; i < FLOOD_CONNECTIONS; i++)
		if (i != HOSTILE_HOST_PORT)
			close(hostile_dial(i));
	hostile_say("all refused");
	hostile_power_off();
}

const struct hostile_case hostile_flood_cases[] = {
	{ "flood-console", flood_console },
	{ "flood-console-raw", flood_console_raw },
	{ "flood-connections", flood_connections },
	{ "flood-refused", flood_refused },
	{ 0 },
};
