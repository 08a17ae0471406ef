/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/aside.h - work on a tree of files of other users, in a child
 */
#ifndef CONTAINER_ASIDE_H
#define CONTAINER_ASIDE_H

#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

struct aside; /* the child's side */

struct aside_args {
	const struct oci_linux *ids; /* maps of a user namespace to be in; NULL: none */
	int (*fn)(struct aside *a, void *data, struct coffer_error *err);
	void *data; /* as it was at the fork */
	/* Here, for what fn() tells; may be NULL. */
	void (*told)(void *data, uint64_t number);
	int cancel_fd; /* readable: the child is killed; -1: never */
};

/**
 * aside_run() - Run args->fn() in a child
 *
 * There its user is root, if there is a namespace; it has no umask, gets no
 * signals, and dies with this thread.
 *
 * Return: what fn() did, with its error
 */
int aside_run(const struct aside_args *args, struct coffer_error *err);

/* aside_tell() - For fn() */
void aside_tell(struct aside *a, uint64_t number);

#endif /* CONTAINER_ASIDE_H */
