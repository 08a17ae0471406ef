/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/console.c - the end of a guest's console log, for error messages
 *
 * The bytes are the guest's: only the file's end is read, control bytes and
 * everything beyond ASCII become '?', and terminal escape sequences so lose
 * their effect.  Used by vm.c when a guest does not come up or goes away.
 */
#include "sandbox/console.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CONSOLE_LOG   "console.log"
#define CONSOLE_LINES 6
#define CONSOLE_MARK  " (last on the console: "

static size_t console_read_end(int dirfd, char *raw, size_t max)
{
	autoclose int fd =
	    openat(dirfd, CONSOLE_LOG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = pread(fd, raw, max, st.st_size > (off_t)max ? st.st_size - (off_t)max : 0);
	return n < 0 ? 0 : (size_t)n;
}

/* Where the last CONSOLE_LINES lines that are not empty begin. */
static size_t console_start(const char *raw, size_t n)
{
	bool in_line = false;
	int lines = 0;

	for (size_t i = n; i > 0; i--) {
		bool end = raw[i - 1] == '\n' || raw[i - 1] == '\r';

		if (in_line && end && ++lines == CONSOLE_LINES)
			return i;
		in_line = !end;
	}
	return 0;
}

void console_tail(int dirfd, char text[static CONSOLE_TAIL_MAX])
{
	char raw[CONSOLE_TAIL_MAX - 3 * CONSOLE_LINES - 1];
	size_t n = console_read_end(dirfd, raw, sizeof(raw)), out = 0;
	bool gap = false;

	for (size_t i = console_start(raw, n); i < n; i++) {
		char c = raw[i];

		if (c == '\n' || c == '\r') {
			gap = out > 0;
			continue;
		}
		if (gap) {
			memcpy(text + out, " | ", 3);
			out += 3;
			gap = false;
		}
		text[out++] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	text[out] = '\0';
}

void console_explain(int dirfd, struct coffer_error *err)
{
	char tail[CONSOLE_TAIL_MAX];
	size_t n, room;

	if (!err || strstr(err->message, CONSOLE_MARK))
		return;
	console_tail(dirfd, tail);
	if (!*tail)
		return;
	/* The tail is what explains; a message too long for both is cut before it. */
	n = strlen(err->message);
	room = sizeof(err->message) - strlen(tail) - sizeof(CONSOLE_MARK ")");
	if (n > room)
		n = room;
	snprintf(err->message + n, sizeof(err->message) - n, CONSOLE_MARK "%s)", tail);
}
