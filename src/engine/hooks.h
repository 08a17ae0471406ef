/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/hooks.h - programs of the host's or the container's side, run at points of its life
 */
#ifndef ENGINE_HOOKS_H
#define ENGINE_HOOKS_H

#include <sys/types.h>

#include "base/error.h"
#include "spec/spec.h"

struct json_object;

/* The container as its hooks are told of it; everything is borrowed. */
struct hook_state {
	const char *oci_version; /* of the container's document */
	const char *id;
	const char *status; /* "creating", "created", "running", "stopped" */
	pid_t pid;	    /* of init, as the hook's namespace counts; 0: none any more */
	const char *bundle; /* absolute */
	const struct oci_pairs *annotations; /* may be NULL */
	const char *const *env; /* of hooks that name none; NULL: empty */
};

/* hook_state_json() - The specification's state object; the caller puts it. NULL: no memory */
struct json_object *hook_state_json(const struct hook_state *state);

/**
 * hooks_run() - Run one list of hooks in its order, in the caller's namespaces
 * @list:	May be empty
 * @name:	The list's name in the document: "prestart", "createRuntime" ...
 *
 * A hook gets the state on standard input, and just its own environment when it
 * has one; it is a session of its own and dies with the calling thread.  What
 * it writes is seen by nobody, but a failure's message ends with its last line.
 * Works in a container's init, also with a seccomp filter loaded that lets
 * clone(2), memfd_create(2) and waitid(2) pass.
 *
 * Return: 0, or negative errno of the first that failed; poststart and poststop
 *	   hooks that fail are warnings, and those after them run too
 */
int hooks_run(const struct oci_hook_list *list, const char *name, const struct hook_state *state,
	      struct coffer_error *err);

#endif /* ENGINE_HOOKS_H */
