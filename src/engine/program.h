/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/program.h - find process.args[0] and execve it
 */
#ifndef ENGINE_PROGRAM_H
#define ENGINE_PROGRAM_H

#include "base/error.h"
#include "spec/spec.h"

/**
 * program_find() - Is there something to execute? In the container's root and directory
 *
 * So that a name nobody has fails when the container is made and not when it is started.  Only
 * program_execute() knows the whole truth: permissions are the user's.
 *
 * Return: 0, -ENOENT or -EACCES in the words of program_execute()
 */
int program_find(const struct oci_process *process, struct coffer_error *err);

/**
 * program_execute() - Execute as the container's user, in its root and directory
 * @env:	The environment, NULL-terminated; PATH is that of @process
 *
 * Return: only on failure; -ENOENT, -EACCES and -ENOEXEC tell callers 127 from 126
 */
int program_execute(const struct oci_process *process, char *const *env, struct coffer_error *err);

#endif /* ENGINE_PROGRAM_H */
