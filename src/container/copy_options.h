/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_options.h - what copies of trees and of archives share
 */
#ifndef CONTAINER_COPY_OPTIONS_H
#define CONTAINER_COPY_OPTIONS_H

#include "container/container.h"
#include "container/copy_plan.h"

/* copy_take_options() - The caller's, of whatever size he knows; NULL: the defaults */
int copy_take_options(const struct coffer_copy_options *in, struct coffer_copy_options *out,
		      struct coffer_error *err);

/* copy_guest() - Paths as the container's processes see them */
struct copy_side copy_guest(struct coffer_container *c);

#endif /* CONTAINER_COPY_OPTIONS_H */
