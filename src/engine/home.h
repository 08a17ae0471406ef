/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/home.h - HOME for a process whose environment lacks it
 */
#ifndef ENGINE_HOME_H
#define ENGINE_HOME_H

#include "base/error.h"
#include "spec/spec.h"

/**
 * home_complete() - The environment of @process with HOME
 * @env:	Out: the environment, NULL-terminated; lives as long as the process
 *
 * To be called in the container's root.  By its /etc/passwd, else "/".
 *
 * Return: 0 or negative errno
 */
int home_complete(const struct oci_process *process, char *const **env, struct coffer_error *err);

#endif /* ENGINE_HOME_H */
