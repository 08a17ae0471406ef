/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/scheduling.h - scheduler, I/O priority, personality, processors of an exec
 */
#ifndef ENGINE_SCHEDULING_H
#define ENGINE_SCHEDULING_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

/* scheduling_apply() - process.scheduler and process.ioPriority; in the child, still privileged */
int scheduling_apply(const struct oci_process *process, struct coffer_error *err);
/* scheduling_apply_personality() - linux.personality; NULL leaves it */
int scheduling_apply_personality(const struct oci_personality *p, struct coffer_error *err);

#define SCHEDULING_CPU_WORDS 128

/* A set of processors, as the kernel takes it. */
struct scheduling_cpus {
	bool set;
	unsigned long mask[SCHEDULING_CPU_WORDS];
};

/* scheduling_check_cpus() - Can process.execCPUAffinity be read? */
int scheduling_check_cpus(const struct oci_process *process, struct coffer_error *err);
/* scheduling_enter_initial() - In the parent, before the clone: take execCPUAffinity.initial.
 * scheduling_leave_initial() undoes it, after a failure as well */
int scheduling_enter_initial(const struct oci_process *process, struct scheduling_cpus *saved,
			     struct coffer_error *err);
void scheduling_leave_initial(const struct scheduling_cpus *saved);
/* scheduling_apply_final() - In the child, once it is in its group: execCPUAffinity.final */
int scheduling_apply_final(const struct oci_process *process, struct coffer_error *err);

#endif /* ENGINE_SCHEDULING_H */
