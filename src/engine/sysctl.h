/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/sysctl.h - linux.sysctl, written inside the container's namespaces
 */
#ifndef ENGINE_SYSCTL_H
#define ENGINE_SYSCTL_H

#include <stdbool.h>

#include "base/error.h"
#include "engine/namespaces.h"
#include "spec/spec.h"

/**
 * sysctl_check() - In the parent: may the container set these?
 * @own_kernel:	Nobody else lives on this kernel, so the global ones are its own, too
 *
 * Otherwise only keys that belong to one of its own namespaces are accepted.
 */
int sysctl_check(const struct oci_pairs *keys, const struct ns_plan *ns, bool own_kernel,
		 struct coffer_error *err);
/* sysctl_apply() - In the child, while /proc is still the parent's */
int sysctl_apply(const struct oci_pairs *keys, struct coffer_error *err);

#endif /* ENGINE_SYSCTL_H */
