/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log.c - logging through a sink that the program's main chooses
 *
 * A line is formatted into a stack buffer (cut at 2 KiB) and handed to the
 * sink; the built-in sink escapes it and writes it with a single write(2), so
 * lines of several processes on one descriptor do not mix.  The sink is set
 * once, before threads start.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/tty.h"

#define LOG_LINE_MAX 2048

static log_sink log_current;
static void *log_data;
static enum log_level log_max = LOG_LEVEL_WARNING;
static enum log_format log_fd_format;

static const char *const log_level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
_Static_assert(sizeof(log_level_names) / sizeof(log_level_names[0]) == LOG_LEVEL_COUNT,
	       "one name per level");

void log_set_sink(log_sink sink, void *data)
{
	log_current = sink;
	log_data = data;
}

void log_set_level(enum log_level level)
{
	log_max = level;
}

bool log_enabled(enum log_level level)
{
	return log_current && level <= log_max;
}

int log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVEL_COUNT; i++)
		if (strcmp(name, log_level_names[i]) == 0)
			return i;
	return -EINVAL;
}

const char *log_level_str(enum log_level level)
{
	return (unsigned)level < LOG_LEVEL_COUNT ? log_level_names[level] : "unknown";
}

/* Both forms put text between double quotes; control bytes become escapes that JSON knows. */
static size_t log_escape(char *out, size_t room, const char *s)
{
	size_t n = 0;

	for (; *s && n + 7 < room; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c == '\n') {
			out[n++] = '\\';
			out[n++] = 'n';
		} else if (tty_control(s) == 2) {
			n += (size_t)snprintf(out + n, room - n, "\\u%04x", (unsigned char)*++s);
		} else if (tty_control(s)) {
			n += (size_t)snprintf(out + n, room - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = '\0';
	return n;
}

static void log_write_fd(enum log_level level, const char *category, const char *msg, void *data)
{
	char escaped[LOG_LINE_MAX + 512], line[LOG_LINE_MAX + 768], stamp[40];
	struct timespec ts;
	ssize_t ignored;
	struct tm tm;
	int n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = (int)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + n, sizeof(stamp) - (size_t)n, ".%06ldZ", ts.tv_nsec / 1000);
	log_escape(escaped, sizeof(escaped), msg);
	if (log_fd_format == LOG_FORMAT_JSON)
		n = snprintf(line, sizeof(line),
			     "{\"level\":\"%s\",\"msg\":\"%s%s%s\",\"time\":\"%s\"}\n",
			     log_level_str(level), category, *category ? ": " : "", escaped, stamp);
	else
		n = snprintf(line, sizeof(line), "time=\"%s\" level=%s msg=\"%s%s%s\"\n", stamp,
			     log_level_str(level), category, *category ? ": " : "", escaped);
	if (n >= (int)sizeof(line)) {
		n = (int)sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	/* Once: who reads so slowly that a signal cuts it short loses the line. */
	ignored = write((int)(intptr_t)data, line, (size_t)n);
	(void)ignored;
}

void log_to_fd(int fd, enum log_format format)
{
	log_fd_format = format;
	log_set_sink(log_write_fd, (void *)(intptr_t)fd);
}

void log_emit(enum log_level level, const char *category, const char *fmt, ...)
{
	int saved_errno = errno;
	char msg[LOG_LINE_MAX];
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	log_current(level, category, msg, log_data);
	errno = saved_errno;
}
