/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/sentry/guest_files.h - what programs share that use files: making one, and saying what came of
 * a call
 */
#ifndef TESTS_SENTRY_GUEST_FILES_H
#define TESTS_SENTRY_GUEST_FILES_H

#include <fcntl.h>
#include <sys/stat.h>

#include "guest_places.h"

/* What no program means to pass. */
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wnonnull"

#define BAD ((void *)0x10)

static inline void guest_say(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

#define SAY(call) guest_say(#call, (long)(call))
#define OK(call)  printf("%s: %s\n", #call, guest_answer((long)(call)))

static inline int guest_make(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (write(fd, text, strlen(text)) < 0)
		perror(name);
	return fd;
}

static inline void guest_show_stat(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		printf("%s: mode %o, size %ld, links %ld, id %u %u\n", name, st.st_mode,
		       S_ISDIR(st.st_mode) ? 0 : (long)st.st_size,
		       S_ISDIR(st.st_mode) ? 0 : (long)st.st_nlink, st.st_uid, st.st_gid);
}

#endif /* TESTS_SENTRY_GUEST_FILES_H */
