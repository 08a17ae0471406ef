/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/scheduling.h - scheduler, I/O priority, personality
 */
#ifndef ENGINE_SCHEDULING_H
#define ENGINE_SCHEDULING_H

#include "base/error.h"
#include "spec/spec.h"

/* scheduling_apply() - process.scheduler and process.ioPriority; in the child, still privileged */
int scheduling_apply(const struct oci_process *process, struct coffer_error *err);
/* scheduling_apply_personality() - linux.personality; NULL leaves it */
int scheduling_apply_personality(const struct oci_personality *p, struct coffer_error *err);

#endif /* ENGINE_SCHEDULING_H */
