/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/verdict.h - tell the command that has started us what came of it
 */
#ifndef OCI_INSIDE_VERDICT_H
#define OCI_INSIDE_VERDICT_H

#include "base/error.h"

/* verdict_connect() - @dir: the container's. Return: descriptor, negative: nobody waits */
int verdict_connect(int dir, const char *name);
/* verdict_tell() - @r: 0, or a negative errno with @err filled */
void verdict_tell(int fd, int r, const struct coffer_error *err);

#endif /* OCI_INSIDE_VERDICT_H */
