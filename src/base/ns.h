/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/ns.h - namespaces: what this process and its children can see
 */
#ifndef BASE_NS_H
#define BASE_NS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* ns_enter_user() - A user namespace with only the own ids in it, mapped to themselves */
int ns_enter_user(struct coffer_error *err);

/**
 * ns_enter_view() - Own mount, network, IPC and UTS namespaces
 *
 * Mounts made from now on are seen by this process and its children alone.
 *
 * Return: 0, -EPERM where the kernel or its policy forbids it (nothing has changed), -errno
 */
int ns_enter_view(struct coffer_error *err);

/**
 * ns_take() - A copy of @source, with the mounts below it, that is nowhere as yet
 * @attrs:	MOUNT_ATTR_* to add, for all of it
 *
 * Return: descriptor or negative errno
 */
int ns_take(const char *source, uint64_t attrs, struct coffer_error *err);
/* ns_put() - Show it at @target */
int ns_put(int tree, const char *target, struct coffer_error *err);
/* ns_bind() - Both at once */
int ns_bind(const char *source, const char *target, uint64_t attrs, struct coffer_error *err);

/* ns_pivot() - Make the mount at the working directory the root, and everything else unreachable */
int ns_pivot(struct coffer_error *err);

#endif /* BASE_NS_H */
