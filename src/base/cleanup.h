/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/cleanup.h - ownership by scope
 *
 * Every acquired thing sits in a variable with a cleanup attribute; handing it
 * over is a visible steal.  "No descriptor" is -1 and 0 is a valid one.
 * Cleanups keep errno and accept the empty value.  A function uses either
 * cleanups or goto, never both.
 *
 *	autoclose int fd = open(...);
 *	autofree char *name = strdup(...);
 *	...
 *	out->fd = steal_fd(&fd);
 *	out->name = steal_ptr(name);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot stand in parentheses */
/* Defines fn##p(type *p), the cleanup of a pointer type whose free function is fn. */
#define DEFINE_CLEANUP(type, fn)                     \
	static inline void fn##p(type *p)            \
	{                                            \
		int saved_errno = errno;             \
		if (*p)                              \
			fn(*p);                      \
		errno = saved_errno;                 \
	}                                            \
	struct coffer_swallow_semicolon_
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void cleanup_freep(void *p)
{
	int saved_errno = errno;

	free(*(void **)p);
	errno = saved_errno;
}

static inline void cleanup_closep(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved_errno;
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define autofree     CLEANUP(cleanup_freep)
#define autoclose    CLEANUP(cleanup_closep)
#define autofclose   CLEANUP(fclosep)
#define autoclosedir CLEANUP(closedirp)

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

/* close_fd() - Close if open, leave -1 behind */
static inline void close_fd(int *fd)
{
	cleanup_closep(fd);
	*fd = -1;
}

#define steal_ptr(p)                         \
	({                                   \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif /* BASE_CLEANUP_H */
