/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/scratch.h - large files where data lives that vanish with their last user
 */
#ifndef CONTAINER_SCRATCH_H
#define CONTAINER_SCRATCH_H

#include "base/error.h"

/* scratch_open() - A file there without a name, for reading and writing; in /var/tmp if it cannot
 * be there and nobody said so. Return: descriptor or negative errno */
int scratch_open(struct coffer_error *err);

#endif /* CONTAINER_SCRATCH_H */
