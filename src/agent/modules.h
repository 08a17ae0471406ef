/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/modules.h - kernel modules out of the initrd
 */
#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

#include "base/error.h"

/**
 * modules_load() - Load the rest of /modules/<key>.list, in its order
 * @key:	Such as "core" or "overlay"; a missing list is an empty one
 * @until:	Stop after the module of this name; NULL: at the end
 *
 * A later call goes on where an earlier one stopped.  Keeps the directory open
 * from the first call on, so it may be hidden by mounts afterwards.
 *
 * Return: 0, or negative errno of the first module that failed; the rest is tried all the same
 */
int modules_load(const char *key, const char *until, struct coffer_error *err);

/* modules_load_for_filesystem() - Whatever a file system type needs; failures show in mount(2) */
void modules_load_for_filesystem(const char *type);

#endif /* AGENT_MODULES_H */
