/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/modules.h - kernel modules out of the initrd
 */
#ifndef AGENT_MODULES_H
#define AGENT_MODULES_H

#include "base/error.h"

/**
 * modules_load() - Load what is left of /modules/<key>.list, in its order
 * @key:	Such as "core" or "overlay"; a missing list is an empty one
 *
 * Keeps the directory open from the first call on, so it may be hidden by mounts afterwards.
 *
 * Return: 0, or negative errno of the first module that failed; the rest is tried all the same
 */
int modules_load(const char *key, struct coffer_error *err);

/* modules_load_for_mount() - Whatever a mount of @type from @source needs: the file system, the
 * driver of its disk. Either may be NULL. Failures show in mount(2). */
void modules_load_for_mount(const char *type, const char *source);

#endif /* AGENT_MODULES_H */
