/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/error.h - the error object every fallible call of libcoffer fills
 *
 * A function that can fail returns 0 (or a useful non-negative value) on
 * success and a negative errno-like code on failure, and then fills the
 * caller's struct coffer_error.  The object has a fixed size and owns nothing:
 * it may live on the stack, be copied, and be sent whole over a socket, so the
 * same type carries errors out of a forked child, out of PID 1 of a guest, and
 * out of the library.
 */
#ifndef COFFER_ERROR_H
#define COFFER_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define COFFER_PUBLIC __attribute__((visibility("default")))

/* What went wrong, coarse enough to switch on. */
enum coffer_error_kind {
	COFFER_ERR_NONE = 0,         /* no error */
	COFFER_ERR_INVALID_ARGUMENT, /* the caller's input is wrong; the message names it */
	COFFER_ERR_NOT_FOUND,        /* the named thing does not exist */
	COFFER_ERR_ALREADY_EXISTS,   /* the name is taken */
	COFFER_ERR_INVALID_STATE,    /* legal call, wrong moment (see the state machine) */
	COFFER_ERR_UNSUPPORTED,      /* this build, machine or sandbox cannot do it */
	COFFER_ERR_TIMEOUT,          /* a time budget ran out */
	COFFER_ERR_CANCELLED,        /* the caller gave up */
	COFFER_ERR_INTERRUPTED,      /* the other side went away */
	COFFER_ERR_EMPTY,            /* nothing to return */
	COFFER_ERR_INTERNAL,         /* anything else, the kernel's errors included */
	COFFER_ERR_KIND_COUNT,
};

#define COFFER_ERROR_MESSAGE_MAX 1008

struct coffer_error {
	enum coffer_error_kind kind;
	int err; /* positive errno value, 0 when kind is NONE */
	/* NUL-terminated, one line, outermost context first:
	 * "create container c1: mount /proc: Operation not permitted" */
	char message[COFFER_ERROR_MESSAGE_MAX];
};

#define COFFER_ERROR_INIT { .kind = COFFER_ERR_NONE }

/**
 * coffer_error_kind_str() - The kind's name, as used in JSON and logs
 * @kind:	Any value; out of range gives "internal"
 *
 * Return: static string such as "invalid-argument"
 */
COFFER_PUBLIC const char *coffer_error_kind_str(enum coffer_error_kind kind);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_ERROR_H */
