/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/script.c - #! lines
 *
 * "#!", blanks, a path, and if blanks and something else follow: one argument, to the end of the
 * line without trailing blanks. A line that does not end within SCRIPT_LINE is good as long as
 * its path does.
 */
#include "sentry/mm/script.h"

#include <errno.h>
#include <string.h>

static char *script_skip(char *s)
{
	return s + strspn(s, " \t");
}

int script_parse(char line[SCRIPT_LINE], const char **name, const char **arg)
{
	char *end;
	char *s;

	if (line[0] != '#' || line[1] != '!')
		return -ENOEXEC;
	end = memchr(line, '\n', SCRIPT_LINE);
	if (!end) {
		line[SCRIPT_LINE - 1] = 0;
		s = script_skip(line + 2);
		/* The path may be cut off. */
		if (strlen(line) == SCRIPT_LINE - 1 && !strpbrk(s, " \t"))
			return -ENOEXEC;
		end = line + SCRIPT_LINE - 1;
	}
	*end = 0;
	s = script_skip(line + 2);
	end = s + strlen(s);
	while (end > s && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = 0;
	if (!*s)
		return -ENOEXEC;
	*name = s;
	*arg = NULL;
	s += strcspn(s, " \t");
	if (*s) {
		*s = 0;
		*arg = script_skip(s + 1);
	}
	return 0;
}
