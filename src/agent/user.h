/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/user.h - who a process runs as, by the container's own passwd and group files
 */
#ifndef AGENT_USER_H
#define AGENT_USER_H

#include "base/error.h"
#include "spec/spec.h"

/**
 * user_resolve() - Make @process->user numeric by the files below @rootfd
 *
 * Also sets HOME when the environment lacks it.  A missing file is an empty one.
 */
int user_resolve(int rootfd, struct oci_process *process, struct coffer_error *err);

#endif /* AGENT_USER_H */
