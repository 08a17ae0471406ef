/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/log.h - logging through a sink that the program's main chooses
 *
 * Libraries never write to stderr themselves: without a sink nothing is
 * printed.  Each .c file that logs defines LOG_CATEGORY before including this; "" is none.
 * All functions keep errno.  Lines from the guest or other foreign bytes go
 * through "%s" and are escaped by the sinks.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#ifndef LOG_CATEGORY
#define LOG_CATEGORY "coffer"
#endif

enum log_level {
	LOG_LEVEL_ERROR,   /* the operation failed */
	LOG_LEVEL_WARNING, /* something is wrong but the work goes on */
	LOG_LEVEL_INFO,    /* milestones */
	LOG_LEVEL_DEBUG,   /* for developers */
	LOG_LEVEL_COUNT,
};

enum log_format {
	LOG_FORMAT_TEXT, /* time="..." level=... msg="..." : runc's text form */
	LOG_FORMAT_JSON, /* {"level":"...","msg":"...","time":"RFC 3339"} : runc's JSON form */
};

typedef void (*log_sink)(enum log_level level, const char *category, const char *msg, void *data);

/* log_set_sink() - Send all further lines to @sink (NULL: drop them) */
void log_set_sink(log_sink sink, void *data);

/* log_set_level() - Drop lines above @level; the default is WARNING */
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* log_to_fd() - Install the built-in sink that writes whole lines to @fd (borrowed) */
void log_to_fd(int fd, enum log_format format);

/* log_level_parse() - "error", "warning", "info", "debug". Return: level or -EINVAL */
int log_level_parse(const char *name);
const char *log_level_str(enum log_level level);

void log_emit(enum log_level level, const char *category, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...)   log_emit(LOG_LEVEL_ERROR, LOG_CATEGORY, __VA_ARGS__)
#define log_warning(...) log_emit(LOG_LEVEL_WARNING, LOG_CATEGORY, __VA_ARGS__)
#define log_info(...)    log_emit(LOG_LEVEL_INFO, LOG_CATEGORY, __VA_ARGS__)
#define log_debug(...)                                                            \
	do {                                                                      \
		if (log_enabled(LOG_LEVEL_DEBUG))                                 \
			log_emit(LOG_LEVEL_DEBUG, LOG_CATEGORY, __VA_ARGS__);     \
	} while (0)

#endif /* BASE_LOG_H */
