/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/account.h - who a process runs as, by the container's own passwd and group files
 */
#ifndef ENGINE_ACCOUNT_H
#define ENGINE_ACCOUNT_H

#include "base/error.h"
#include "spec/spec.h"

/**
 * account_resolve() - Make @process->user numeric by the files below @rootfd
 *
 * Also sets HOME when the environment lacks it.  A missing file is an empty one.
 */
int account_resolve(int rootfd, struct oci_process *process, struct coffer_error *err);

#endif /* ENGINE_ACCOUNT_H */
