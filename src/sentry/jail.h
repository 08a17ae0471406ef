/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/jail.h - system calls of the host that the sentry and the gofer may make
 *
 * Each file that needs a call of the host says so in a list of its own, beside the code; at the
 * start the lists of all that is linked in become one filter. Any other call kills the process: then
 * it no longer runs our code.
 */
#ifndef SENTRY_JAIL_H
#define SENTRY_JAIL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "base/error.h"

struct jail_call {
	const char *name;
	uint32_t nr;
	/* Only when (argument arg & mask) == value; mask 0: always. Several rows of one call: any of
	 * them. 32 bits of an argument are looked at, or 64 with wide. */
	uint8_t arg;
	uint8_t wide;
	uint16_t error; /* not 0: answered with this instead of done */
	uint64_t mask, value;
};

#define JAIL(call)			      { .name = #call, .nr = SYS_##call }
#define JAIL_IF(call, arg_, mask_, value_)    \
	{ .name = #call, .nr = SYS_##call, .arg = (arg_), .mask = (mask_), .value = (value_) }
#define JAIL_WIDE(call, arg_, mask_, value_)                                                 \
	{ .name = #call, .nr = SYS_##call, .arg = (arg_), .wide = 1, .mask = (mask_),          \
	  .value = (value_) }

#define JAIL_ERROR(call, error_)	      { .name = #call, .nr = SYS_##call, .error = (error_) }

struct jail_list {
	const struct jail_call *calls;
	size_t ncalls;
};

#define JAIL_LIST(calls_) { (calls_), ARRAY_SIZE(calls_) }

/**
 * jail_filter() - From now on these calls and no others, for this process
 *
 * For all its threads. Needs no_new_privs. Left out of sanitizer builds, whose runtime makes calls of
 * its own.
 *
 * Return: the number of different calls that are done, or negative errno
 */
int jail_filter(const struct jail_list *lists, size_t nlists, struct coffer_error *err);

/* jail_has() - Whether a list has it; for tests */
int jail_has(const struct jail_list *lists, size_t nlists, uint32_t nr);

#endif /* SENTRY_JAIL_H */
