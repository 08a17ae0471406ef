/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_control.h - requests to coffer-vmm's control socket
 */
#ifndef SANDBOX_VM_CONTROL_H
#define SANDBOX_VM_CONTROL_H

#include <stdint.h>

#include "base/error.h"

enum vm_control_call {
	VM_CONTROL_PAUSE,
	VM_CONTROL_RESUME,
	VM_CONTROL_COUNT,
};

/* vm_control() - One call on a connection of its own; @dirfd has vmm.sock */
int vm_control(int dirfd, enum vm_control_call call, struct coffer_error *err);

/* vm_control_pss() - The monitor's share of memory, which it keeps others than root from seeing.
 * Return: bytes, 0: not known */
uint64_t vm_control_pss(int dirfd);

#endif /* SANDBOX_VM_CONTROL_H */
