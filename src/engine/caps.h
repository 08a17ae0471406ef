/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/caps.h - the five capability sets of a process
 */
#ifndef ENGINE_CAPS_H
#define ENGINE_CAPS_H

#include <stdint.h>

#include "base/error.h"
#include "spec/spec.h"

/* One bit a capability, as in /proc/self/status. */
struct caps {
	uint64_t bounding, effective, inheritable, permitted, ambient;
};

/* caps_parse() - NULL gives empty sets. Names that nobody knows are left out, with a warning. */
void caps_parse(const struct oci_capabilities *spec, struct caps *out);

/* caps_limit_bounding() - First, while the process still may */
int caps_limit_bounding(const struct caps *caps, struct coffer_error *err);
/* caps_keep() - Keep the permitted set over the change of user that follows */
int caps_keep(struct coffer_error *err);
/* caps_apply() - Last, as the final user */
int caps_apply(const struct caps *caps, struct coffer_error *err);

#endif /* ENGINE_CAPS_H */
