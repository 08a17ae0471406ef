/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/paths.h - where our own files are: programs, guest images, and what we keep
 *
 * The first two are looked for in this order: the environment's override, beside the object this
 * code is in (so a build tree and a moved installation work), the configured prefix.
 */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

#include <stdbool.h>

#include "base/error.h"

/* paths_find_program() - "coffer-vmm" ... ; $COFFER_BINDIR overrides. *@path is malloc'd */
int paths_find_program(const char *name, char **path, struct coffer_error *err);

/* paths_find_data() - "vmlinux" ... ; $COFFER_LIBDIR overrides. *@path is malloc'd */
int paths_find_data(const char *name, char **path, struct coffer_error *err);

/**
 * paths_find_home() - The folder for what is kept (volumes, images); it need not be there yet
 * @folder:	Set to a malloc'd path
 *
 * $COFFER_DATA, else /var/lib/coffer as root, else $XDG_DATA_HOME/coffer, else
 * ~/.local/share/coffer, else PATHS_HOME_FALLBACK.
 */
int paths_find_home(char **folder, struct coffer_error *err);
#define PATHS_HOME_FALLBACK "/var/tmp"
/* paths_home_is_wanted() - Whether the user has said where it is */
bool paths_home_is_wanted(void);

#endif /* BASE_PATHS_H */
