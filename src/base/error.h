/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/error.h - filling and wrapping struct coffer_error
 *
 * The leaf says what failed and on what ("open /etc/passwd: No such file"),
 * each caller that knows more adds its why in front with err_wrap().  Every
 * function accepts a NULL error object and then only returns the code.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <errno.h>

#include "coffer/error.h"

/**
 * err_set() - Fill @e with a kind, an errno and a formatted message
 * @e:		Error object or NULL
 * @kind:	Kind
 * @errnum:	Positive errno, or 0 for the kind's usual one (INVALID_ARGUMENT: EINVAL ...)
 * @fmt:	Message, without the errno's text and without newline
 *
 * Return: negative errno, never 0
 */
int err_set(struct coffer_error *e, enum coffer_error_kind kind, int errnum,
	    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * err_sys() - Fill @e from the errno a system call left, appending its text
 * @e:		Error object or NULL
 * @fmt:	What failed and on what: "open %s"
 *
 * errno is read on entry, so the arguments may not change it.
 *
 * Return: -errno, never 0
 */
int err_sys(struct coffer_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_sysn() - err_sys() with the (positive or negative) errno given */
int err_sysn(struct coffer_error *e, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * err_wrap() - Put context in front of the message: "<context>: <message>"
 *
 * Return: -e->err, or -EIO when @e is NULL or empty
 */
int err_wrap(struct coffer_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* err_nomem() - Out of memory. Return: -ENOMEM */
int err_nomem(struct coffer_error *e);

/* err_clear() - Back to COFFER_ERROR_INIT */
void err_clear(struct coffer_error *e);

/* err_kind_from_errno() - The kind that err_sys() gives @errnum */
enum coffer_error_kind err_kind_from_errno(int errnum);

/* Compilers and analyzers cannot see that an error is never 0; this tells them. */
static inline int err_negative(int r)
{
	if (r >= 0)
		__builtin_unreachable();
	return r;
}

#define err_set(...)   err_negative((err_set)(__VA_ARGS__))
#define err_sys(...)   err_negative((err_sys)(__VA_ARGS__))
#define err_sysn(...)  err_negative((err_sysn)(__VA_ARGS__))
#define err_wrap(...)  err_negative((err_wrap)(__VA_ARGS__))
#define err_nomem(...) err_negative((err_nomem)(__VA_ARGS__))

#define err_invalid(e, ...)     err_set((e), COFFER_ERR_INVALID_ARGUMENT, 0, __VA_ARGS__)
#define err_unsupported(e, ...) err_set((e), COFFER_ERR_UNSUPPORTED, 0, __VA_ARGS__)
#define err_state(e, ...)       err_set((e), COFFER_ERR_INVALID_STATE, 0, __VA_ARGS__)
#define err_timeout(e, ...)     err_set((e), COFFER_ERR_TIMEOUT, 0, __VA_ARGS__)
#define err_internal(e, ...)    err_set((e), COFFER_ERR_INTERNAL, 0, __VA_ARGS__)

#endif /* BASE_ERROR_H */
