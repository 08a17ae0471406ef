/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QEMU for tests of the monitor.  It speaks QMP on its descriptor as far as
 * the monitor asks, and does what the end of the kernel command line says:
 * "fake=panic".  Built without sanitizers, whose runtime talks on stderr.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/qemu_args.h"

static void fake_say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(9);
}

static void fake_answer(const char *line, const char *mode)
{
	const char *id = strstr(line, "\"id\":");
	char text[128];

	if (strstr(line, "\"quit\"")) {
		if (strstr(mode, "deaf"))
			return;
		_exit(0);
	}
	if (strstr(line, "\"stop\""))
		fake_say(QEMU_FD_QMP, "{\"event\": \"STOP\"}\n");
	if (strstr(line, "\"cont\""))
		fake_say(QEMU_FD_QMP, "{\"event\": \"RESUME\"}\n");
	snprintf(text, sizeof(text), "{\"return\": {\"running\": true}, \"id\": %d}\n",
		 id ? atoi(id + 5) : 0);
	fake_say(QEMU_FD_QMP, text);
}

static void fake_serve(const char *mode)
{
	char line[512];
	size_t n = 0;

	fake_say(QEMU_FD_QMP, "{\"QMP\": {}}\n");
	while (n < sizeof(line) && read(QEMU_FD_QMP, line + n, 1) == 1) {
		if (line[n++] != '\n')
			continue;
		line[n - 1] = '\0';
		n = 0;
		fake_answer(line, mode);
		if (!strstr(line, "query-status") || strstr(mode, "idle") || strstr(mode, "clingy"))
			continue;
		fake_say(QEMU_FD_CONSOLE, "[ 1.0] hello from the guest\n");
		if (strstr(mode, "panic"))
			fake_say(QEMU_FD_CONSOLE, "[ 2.0] Kernel panic - not syncing: test\n");
		if (strstr(mode, "crash"))
			kill(getpid(), SIGKILL), abort();
		if (strstr(mode, "novsock"))
			close(QEMU_FD_VSOCK);
		else if (strstr(mode, "garbage"))
			fake_say(QEMU_FD_QMP, "}{\n");
		else
			fake_say(QEMU_FD_QMP,
				 "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\n");
	}
	pause();
}

int main(int argc, char **argv)
{
	const char *mode = "";

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-append"))
			mode = strstr(argv[i + 1], "fake=");
	if (strstr(mode, "refuse")) {
		fake_say(STDERR_FILENO, "qemu: cannot set up guest memory 'mem': Cannot allocate memory\n");
		return 1;
	}
	if (strstr(mode, "mute"))
		return 3;
	if (strstr(mode, "clingy"))
		prctl(PR_SET_PDEATHSIG, 0);
	fake_serve(mode);
	return 0;
}
