/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/paths.h - where our own files are: programs and guest images
 *
 * Looked for in this order: the environment's override, beside the object this
 * code is in (so a build tree and a moved installation work), the configured prefix.
 */
#ifndef SANDBOX_PATHS_H
#define SANDBOX_PATHS_H

#include "base/error.h"

/* paths_find_program() - "coffer-vmm" ... ; $COFFER_BINDIR overrides. *@path is malloc'd */
int paths_find_program(const char *name, char **path, struct coffer_error *err);

/* paths_find_data() - "vmlinux" ... ; $COFFER_LIBDIR overrides. *@path is malloc'd */
int paths_find_data(const char *name, char **path, struct coffer_error *err);

#endif /* SANDBOX_PATHS_H */
