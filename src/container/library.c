/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/library.c - the library as a whole: its version, its log
 */
#include "coffer/coffer.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "sandbox/sandbox.h"

const char *coffer_version(void)
{
	return COFFER_CONF_VERSION;
}

int coffer_log_to_fd(int fd, const char *format, struct coffer_error *err)
{
	bool json = strcmp(format, "json") == 0;

	if (!json && strcmp(format, "text") != 0)
		return err_invalid(err, "log format %s: neither text nor json", format);
	log_to_fd(fd, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
	sandbox_log.fd = fd;
	sandbox_log.format = json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	return 0;
}

int coffer_log_set_level(const char *level, struct coffer_error *err)
{
	int n = log_level_parse(level);

	if (n < 0)
		return err_invalid(err, "log level %s: not error, warning, info or debug", level);
	log_set_level(n);
	return 0;
}
