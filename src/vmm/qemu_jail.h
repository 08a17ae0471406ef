/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_jail.h - the walls around QEMU, put up between fork and exec
 */
#ifndef VMM_QEMU_JAIL_H
#define VMM_QEMU_JAIL_H

#include "vmm/jail.h"

struct qemu_jail {
	const struct jail *jail;
	const struct vmm_config *cfg;
	const char *qemu; /* the program's real path */
	bool kvm;
};

/* qemu_jail_hook() - For struct spawn_args; @data is a struct qemu_jail */
int qemu_jail_hook(void *data, struct coffer_error *err);

#endif /* VMM_QEMU_JAIL_H */
