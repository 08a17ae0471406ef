/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/scratch.h - large files that vanish with their last user
 */
#ifndef CONTAINER_SCRATCH_H
#define CONTAINER_SCRATCH_H

#include "base/error.h"

/**
 * scratch_open() - A file without a name, for reading and writing
 *
 * In $COFFER_DATA, else /var/lib/coffer as root, else $XDG_DATA_HOME/coffer,
 * else ~/.local/share/coffer, else /var/tmp.
 *
 * Return: descriptor or negative errno
 */
int scratch_open(struct coffer_error *err);

#endif /* CONTAINER_SCRATCH_H */
