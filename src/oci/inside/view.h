/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/view.h - what others see of a container through the process that stands for it
 */
#ifndef OCI_INSIDE_VIEW_H
#define OCI_INSIDE_VIEW_H

#include "oci/inside/trees.h"

/* view_enter() - Leave the host's files for the container's root, with its binds. @read_only: the
 * root. What is opened stays open; there is no /proc any more */
int view_enter(const struct trees *trees, bool read_only, struct coffer_error *err);

#endif /* OCI_INSIDE_VIEW_H */
