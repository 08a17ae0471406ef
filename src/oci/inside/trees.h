/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/trees.h - what a document names of the host, as trees of a sentry
 */
#ifndef OCI_INSIDE_TREES_H
#define OCI_INSIDE_TREES_H

#include <limits.h>

#include "sandbox/sandbox.h"
#include "spec/spec.h"

/* A bind of the document, as the host has it. */
struct trees_bind {
	int fd;	      /* directory; in @fds */
	char file[NAME_MAX + 1]; /* in it; "": the directory itself */
	const char *destination; /* in the document */
	bool read_only;
};

struct trees {
	int fds[1 + SANDBOX_SHARES_MAX]; /* the root's first; owned */
	size_t nfds;
	struct trees_bind binds[SANDBOX_SHARES_MAX];
	size_t nbinds;
	const char *root; /* tag; in the configuration */
};

#define TREES_INIT { .nfds = 0 }

/* trees_add() - The root and the sources of binds; those in @spec become the sentry's paths */
int trees_add(struct trees *trees, struct oci_spec *spec, struct sandbox_config *config,
	      struct coffer_error *err);
/* trees_mount() - Where the sentry has them, once it runs. @id: of the container */
int trees_mount(const struct trees *trees, const struct sandbox_config *config, const char *id,
		struct agent *agent, struct coffer_error *err);
void trees_close(struct trees *trees);
#define autotrees CLEANUP(trees_close)

#endif /* OCI_INSIDE_TREES_H */
