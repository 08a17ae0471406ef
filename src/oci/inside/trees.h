/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/trees.h - what a document names of the host, as trees of a sentry
 */
#ifndef OCI_INSIDE_TREES_H
#define OCI_INSIDE_TREES_H

#include "sandbox/sandbox.h"
#include "spec/spec.h"

struct trees {
	int fds[1 + SANDBOX_SHARES_MAX]; /* owned */
	size_t nfds;
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
