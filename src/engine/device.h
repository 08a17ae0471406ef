/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/device.h - the nodes and links of /dev
 */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include "base/error.h"
#include "spec/spec.h"

/* device_make_all() - Default nodes, linux.devices, default links; below @rootfd */
int device_make_all(const struct oci_spec *spec, int rootfd, struct coffer_error *err);

#endif /* ENGINE_DEVICE_H */
