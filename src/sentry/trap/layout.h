/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/trap/layout.h - what a stub's address space looks like; shared with the stub itself
 *
 *	0x10000 ... GUEST_END    the guest's
 *	TRAP_TEXT                the stub's code and constants; nobody writes to it
 *	TRAP_CONTROL             control page: what the stub's own threads are to do; read-only there
 *	TRAP_SLOTS               one slot a thread: its signal frame; the guest can write to it
 *
 * Everything in a slot may change at any moment, and say anything.
 */
#ifndef SENTRY_TRAP_LAYOUT_H
#define SENTRY_TRAP_LAYOUT_H

#ifdef __ASSEMBLER__
#define TRAP_UL(x) x
#else
#define TRAP_UL(x) x##ul
#endif

#define GUEST_START  TRAP_UL(0x10000) /* vm.mmap_min_addr of most hosts */
#define GUEST_END    TRAP_UL(0x7dffffff0000) /* first address that is not the guest's */
#define TRAP_TEXT    TRAP_UL(0x7e0000000000)
#define TRAP_CONTROL TRAP_UL(0x7e0000100000)
#define TRAP_SLOTS   TRAP_UL(0x7e0000200000)

/* Upper half of every address of the stub's own: what filters look at. */
#define TRAP_HIGH 0x7e00

/* The one call that reaches us from TRAP_TEXT; no kernel will ever have it. Of a guest thread:
 * (signal and si_code << 32, ucontext, si_addr, what follows it, fs base, gs base), and the answer
 * is where the ucontext to return to is. Of the mapper: (errno of what was to be done). */
#define TRAP_EVENT_CALL 0x7ffe

/* The stub's descriptors; listeners and sockets are on their way at _TRANSIT for a moment, files
 * that are mapped from _FILES on, or from _TRANSIT on where there are no listeners. */
#define TRAP_FD_MEMORY	0
#define TRAP_FD_CONTROL 1
#define TRAP_FD_SOCKET	2
#define TRAP_FD_TRANSIT 3
#define TRAP_FD_FILES	5

/* What the socket's next byte asks the spawner for. */
#define TRAP_DO_STUB   1 /* the zygote: another process */
#define TRAP_DO_MAPPER 2
#define TRAP_DO_THREAD 3
#define TRAP_DO_OPS    4 /* what the mapper does where there are no listeners */

#define TRAP_OPS_MAX  64
#define TRAP_FDS_SENT 8 /* at most with one byte: the scratch words' room */

/* Offsets in struct trap_control, for the assembler. */
#define TRAP_CONTROL_WHAT   0
#define TRAP_CONTROL_SIGNAL 8
#define TRAP_CONTROL_STACK  16
#define TRAP_CONTROL_AREA   40
#define TRAP_CONTROL_NOPS   64
#define TRAP_CONTROL_OPS    128
#define TRAP_OP_SIZE	    56

/* Offsets in struct trap_slot. */
#define TRAP_SLOT_STATE	  0
#define TRAP_SLOT_ARGS	  8
#define TRAP_SLOT_ANSWER  56
#define TRAP_SLOT_SCRATCH 64
#define TRAP_SLOT_CLOCK	  192
#define TRAP_SLOT_SIZE	  208

/* fs base and gs base lie that far below a ucontext, under the signal frame's return address; the
 * handler loads them before it returns there. */
#define TRAP_FS_BELOW 24
#define TRAP_GS_BELOW 16

/* States of a slot's word where there are no listeners. */
#define TRAP_SLOT_IDLE	   0
#define TRAP_SLOT_EVENT	   1
#define TRAP_SLOT_ANSWERED 2

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct trap_op {
	uint64_t nr;
	uint64_t args[6];
};

struct trap_control {
	uint64_t what;	 /* TRAP_DO_* */
	uint64_t signal; /* events come by signals and futexes, not by listeners */
	struct {
		uint64_t sp;
		uint32_t flags, pad;
		uint64_t size;
	} stack; /* stack_t of the thread to make */
	struct {
		uint64_t control, slots, slots_len;
	} area; /* of the process to make: where in the control file */
	uint64_t nops;
	uint64_t pad[7];
	struct trap_op ops[TRAP_OPS_MAX];
};

/* The head of a slot; the thread's alternate stack is all of it, growing down to here. */
struct trap_slot {
	uint32_t state, pad;
	uint64_t args[6];
	uint64_t answer;
	uint64_t scratch[16]; /* the spawner's, in the first slot */
	uint64_t clock[2];    /* struct timespec; only a hint */
};

/* The zygote's first message. */
struct trap_hello {
	uint64_t vdso;
	uint64_t error; /* positive errno; nothing else will come then */
};

/* The spawner's answer: a process or thread id, or a negative errno; only a hint in a stub. */
struct trap_reply {
	int64_t id;
};

_Static_assert(offsetof(struct trap_control, signal) == TRAP_CONTROL_SIGNAL, "");
_Static_assert(offsetof(struct trap_control, stack) == TRAP_CONTROL_STACK, "");
_Static_assert(offsetof(struct trap_control, area) == TRAP_CONTROL_AREA, "");
_Static_assert(offsetof(struct trap_control, nops) == TRAP_CONTROL_NOPS, "");
_Static_assert(offsetof(struct trap_control, ops) == TRAP_CONTROL_OPS, "");
_Static_assert(sizeof(struct trap_op) == TRAP_OP_SIZE, "");
_Static_assert(sizeof(struct trap_control) <= 4096, "");
_Static_assert(offsetof(struct trap_slot, args) == TRAP_SLOT_ARGS, "");
_Static_assert(offsetof(struct trap_slot, answer) == TRAP_SLOT_ANSWER, "");
_Static_assert(offsetof(struct trap_slot, scratch) == TRAP_SLOT_SCRATCH, "");
_Static_assert(offsetof(struct trap_slot, clock) == TRAP_SLOT_CLOCK, "");
_Static_assert(sizeof(struct trap_slot) == TRAP_SLOT_SIZE, "");
#endif

#endif /* SENTRY_TRAP_LAYOUT_H */
