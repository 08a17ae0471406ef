/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/error.c - filling and wrapping struct coffer_error
 *
 * Nothing here allocates, so it works after fork, in PID 1 and when memory
 * has run out.  Callers: everybody.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One row per kind: its public name and the errno it has when none is given. */
static const struct {
	const char *name;
	int err;
} kinds[] = {
	[COFFER_ERR_NONE] = { "none", EIO },
	[COFFER_ERR_INVALID_ARGUMENT] = { "invalid-argument", EINVAL },
	[COFFER_ERR_NOT_FOUND] = { "not-found", ENOENT },
	[COFFER_ERR_ALREADY_EXISTS] = { "already-exists", EEXIST },
	[COFFER_ERR_INVALID_STATE] = { "invalid-state", EBUSY },
	[COFFER_ERR_UNSUPPORTED] = { "unsupported", EOPNOTSUPP },
	[COFFER_ERR_TIMEOUT] = { "timeout", ETIMEDOUT },
	[COFFER_ERR_CANCELLED] = { "cancelled", ECANCELED },
	[COFFER_ERR_INTERRUPTED] = { "interrupted", ECONNRESET },
	[COFFER_ERR_EMPTY] = { "empty", ENODATA },
	[COFFER_ERR_INTERNAL] = { "internal", EIO },
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == COFFER_ERR_KIND_COUNT, "one row per kind");

const char *coffer_error_kind_str(enum coffer_error_kind kind)
{
	if ((unsigned)kind >= COFFER_ERR_KIND_COUNT)
		kind = COFFER_ERR_INTERNAL;
	return kinds[kind].name;
}

enum coffer_error_kind err_kind_from_errno(int errnum)
{
	switch (errnum) {
	case EINVAL:
	case ENAMETOOLONG:
		return COFFER_ERR_INVALID_ARGUMENT;
	case ENOENT:
	case ESRCH:
		return COFFER_ERR_NOT_FOUND;
	case EEXIST:
		return COFFER_ERR_ALREADY_EXISTS;
	case ENOSYS:
	case EOPNOTSUPP:
		return COFFER_ERR_UNSUPPORTED;
	case ETIMEDOUT:
	case ETIME:
		return COFFER_ERR_TIMEOUT;
	case ECANCELED:
		return COFFER_ERR_CANCELLED;
	case ECONNRESET:
	case EPIPE:
		return COFFER_ERR_INTERRUPTED;
	case ENODATA:
		return COFFER_ERR_EMPTY;
	default:
		return COFFER_ERR_INTERNAL;
	}
}

int (err_set)(struct coffer_error *e, enum coffer_error_kind kind, int errnum, const char *fmt, ...)
{
	va_list ap;

	if (errnum <= 0)
		errnum = kinds[kind].err;
	if (e) {
		e->kind = kind;
		e->err = errnum;
		va_start(ap, fmt);
		vsnprintf(e->message, sizeof(e->message), fmt, ap);
		va_end(ap);
	}
	return -errnum;
}

__attribute__((format(printf, 3, 0)))
static int err_vsys(struct coffer_error *e, int errnum, const char *fmt, va_list ap)
{
	size_t n;

	if (errnum <= 0)
		errnum = EIO;
	if (e) {
		e->kind = err_kind_from_errno(errnum);
		e->err = errnum;
		vsnprintf(e->message, sizeof(e->message), fmt, ap);
		n = strlen(e->message);
		snprintf(e->message + n, sizeof(e->message) - n, ": %s", strerror(errnum));
	}
	return -errnum;
}

int (err_sys)(struct coffer_error *e, const char *fmt, ...)
{
	int errnum = errno;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = err_vsys(e, errnum, fmt, ap);
	va_end(ap);
	return r;
}

int (err_sysn)(struct coffer_error *e, int errnum, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = err_vsys(e, errnum < 0 ? -errnum : errnum, fmt, ap);
	va_end(ap);
	return r;
}

int (err_wrap)(struct coffer_error *e, const char *fmt, ...)
{
	char old[COFFER_ERROR_MESSAGE_MAX];
	va_list ap;
	size_t n;

	if (!e || e->kind == COFFER_ERR_NONE)
		return -EIO;
	memcpy(old, e->message, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	n = strlen(e->message);
	snprintf(e->message + n, sizeof(e->message) - n, ": %s", old);
	/* The object may have come over a socket. */
	return e->err > 0 ? -e->err : -EIO;
}

int (err_nomem)(struct coffer_error *e)
{
	return err_set(e, COFFER_ERR_INTERNAL, ENOMEM, "out of memory");
}

void err_clear(struct coffer_error *e)
{
	if (e)
		*e = (struct coffer_error)COFFER_ERROR_INIT;
}
