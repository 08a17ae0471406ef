/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/device.h - the nodes and links of /dev
 */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include <stddef.h>

#include "base/error.h"
#include "spec/spec.h"

/* device_make_all() - Default nodes, linux.devices, default links; below @rootfd */
int device_make_all(const struct oci_spec *spec, int rootfd, struct coffer_error *err);

/* device_default() - Path of the @i-th node that every container has, NULL after the last */
const char *device_default(size_t i);

#endif /* ENGINE_DEVICE_H */
