/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/rlimit.h - process.rlimits and process.oomScoreAdj
 */
#ifndef ENGINE_RLIMIT_H
#define ENGINE_RLIMIT_H

#include <sys/types.h>

#include "base/error.h"
#include "spec/spec.h"

/*
 * rlimit_apply_early() - In the new process, first of all.  With its namespaces its /proc files go
 * out of an ordinary user's reach.  What is refused here is for rlimit_apply() to report.
 */
void rlimit_apply_early(const struct oci_process *process);
/* rlimit_apply() - In the parent, on the child that waits to execve */
int rlimit_apply(const struct oci_process *process, pid_t pid, struct coffer_error *err);

#endif /* ENGINE_RLIMIT_H */
