/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/scratch.h - where data lives, and large files there that vanish with their last user
 */
#ifndef CONTAINER_SCRATCH_H
#define CONTAINER_SCRATCH_H

#include "base/error.h"

/**
 * scratch_find_folder() - Where data lives; it need not be there yet
 * @folder:	Set to a malloc'd path
 *
 * $COFFER_DATA, else /var/lib/coffer as root, else $XDG_DATA_HOME/coffer, else
 * ~/.local/share/coffer, else /var/tmp.
 */
int scratch_find_folder(char **folder, struct coffer_error *err);

/* scratch_open() - A file there without a name, for reading and writing; in /var/tmp if it cannot
 * be there and nobody said so. Return: descriptor or negative errno */
int scratch_open(struct coffer_error *err);

#endif /* CONTAINER_SCRATCH_H */
