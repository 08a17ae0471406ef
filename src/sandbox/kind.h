/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/kind.h - the kinds of sandbox there are, by name
 */
#ifndef SANDBOX_KIND_H
#define SANDBOX_KIND_H

#include "sandbox/sandbox.h"

struct sandbox_kind {
	const char *name;
	sandbox_maker make;
	/* A directory of the host is read in place, at no cost: what has to be private is a layer on
	 * top of it, not a copy. */
	bool layers_directories;
	/* Of its containers each can be held to a share of the processors. */
	bool shares_processors;
	/* It serves the calls of its guests itself, and counts them. */
	bool counts_calls;
};

/* sandbox_kind_default() - What the environment names, be it known or not, else "vm" */
const char *sandbox_kind_default(void);

/* sandbox_kind_find() - "vm", "sentry", or "auto", which is one of them; NULL: the default.
 * Return: NULL: unknown */
const struct sandbox_kind *sandbox_kind_find(const char *name);

#endif /* SANDBOX_KIND_H */
