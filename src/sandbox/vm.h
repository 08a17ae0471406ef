/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm.h - a sandbox that is a virtual machine under coffer-vmm
 */
#ifndef SANDBOX_VM_H
#define SANDBOX_VM_H

#include "sandbox/sandbox.h"

/* sandbox_vm_new() - Opens kernel and initrd; nothing runs yet */
int sandbox_vm_new(const struct sandbox_config *config, struct sandbox **out,
		   struct coffer_error *err);

#endif /* SANDBOX_VM_H */
