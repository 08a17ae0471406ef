/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_cost.h - memory and processor time of a process on the host
 */
#ifndef SANDBOX_VM_COST_H
#define SANDBOX_VM_COST_H

#include "sandbox/sandbox.h"

/* A process that is known by more than its number. */
struct vm_process {
	char name[16];
	char tag[SANDBOX_TAG_MAX + 1];
	int pid;
	uint64_t started; /* as in /proc; 0: gone when it was looked at */
};

/* vm_cost_note() - Remember the process that @pid is now */
void vm_cost_note(struct vm_process *p, const char *name, const char *tag, int pid);

/* vm_cost_read() - Return: false when it is gone */
bool vm_cost_read(const struct vm_process *p, struct sandbox_cost_process *out);

#endif /* SANDBOX_VM_COST_H */
