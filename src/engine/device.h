/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/device.h - the nodes and links of /dev
 */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"
#include "engine/namespaces.h"
#include "spec/spec.h"

/**
 * device_tree_open() - In the parent: nodes that a user namespace's root may not make
 * @out:	Set to a descriptor for each of linux.devices, -1: left to the child; NULL: all are.
 *		The caller frees it
 */
int device_tree_open(const struct oci_spec *spec, const struct ns_plan *ns, int **out,
		     struct coffer_error *err);

/* device_make_all() - linux.devices, default nodes, default links; below @rootfd. @trees: as
 * device_tree_open() left them */
int device_make_all(const struct oci_spec *spec, const int *trees, int rootfd,
		    struct coffer_error *err);

/* device_default() - Path of the @i-th node that every container has, NULL after the last */
const char *device_default(size_t i);

/* device_is_null() - Is it /dev/null, whatever its name? */
bool device_is_null(const struct stat *st);

#endif /* ENGINE_DEVICE_H */
