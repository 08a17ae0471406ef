/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/trap/layout.h - what a stub's address space looks like; shared with the stub itself
 *
 *	0x10000 ... GUEST_END    the guest's
 *	TRAP_TEXT                the stub's code: handler, service threads; nobody writes to it
 *	TRAP_CONTROL             control page: what the mapper is to do; read-only in the stub
 *	TRAP_SLOTS               one slot a thread: its signal frame; the guest can write to it
 *
 * Everything in a slot may change at any moment, and say anything.
 */
#ifndef SENTRY_TRAP_LAYOUT_H
#define SENTRY_TRAP_LAYOUT_H

#include <stdint.h>

#define GUEST_START  0x10000ul	       /* vm.mmap_min_addr of most hosts */
#define GUEST_END    0x7dffffff0000ul  /* first address that is not the guest's */
#define TRAP_TEXT    0x7e0000000000ul
#define TRAP_CONTROL 0x7e0000100000ul
#define TRAP_SLOTS   0x7e0000200000ul

/* The one call that a guest thread's filter lets through from TRAP_TEXT as a notification:
 * (signal, frame, fault address, si_code, 0, 0). No kernel will ever have it. */
#define TRAP_EVENT_CALL 0x7ffe

#endif /* SENTRY_TRAP_LAYOUT_H */
