/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_find.h - where QEMU is, and whether it can be given what it gets
 */
#ifndef VMM_QEMU_FIND_H
#define VMM_QEMU_FIND_H

#include "vmm/config.h"

/* qemu_find_in_path() - The real path of the first @program in PATH. Return: is there one? */
bool qemu_find_in_path(const char *program, char real[static PATH_MAX]);

/* qemu_find() - The program's real path: the config's, or the first in PATH */
int qemu_find(const struct vmm_config *cfg, char real[static PATH_MAX], struct coffer_error *err);

/* qemu_check_files() - Kernel, initrd and disks are open, and of the right kind */
int qemu_check_files(const struct vmm_config *cfg, struct coffer_error *err);

#endif /* VMM_QEMU_FIND_H */
