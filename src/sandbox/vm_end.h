/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_end.h - what the monitor says, and how the machine ended
 *
 * All of it under vm->lock, but vm_end_await(), which takes it.
 */
#ifndef SANDBOX_VM_END_H
#define SANDBOX_VM_END_H

#include "sandbox/vm_internal.h"

/* vm_end_begin() - Before a boot: nothing is known */
void vm_end_begin(struct vm *vm);

/* vm_end_read() - Take the monitor's next words, if there are any; an end is remembered */
void vm_end_read(struct vm *vm);

/* vm_end_asked() - We end it ourselves; nothing changes when it has ended already */
void vm_end_asked(struct vm *vm);

/* vm_end_await() - Give an end that has begun until @deadline to be known. Return: is it? */
bool vm_end_await(struct vm *vm, usec_t deadline);

#endif /* SANDBOX_VM_END_H */
