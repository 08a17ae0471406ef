/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/trap/trap.h - guest code in host processes, and how its calls come here
 *
 *	zygote --fork--> stub (one a guest address space)
 *	                   S0 spawner: makes threads
 *	                   M  mapper:  mmap, munmap, mprotect, madvise, as the control page says
 *	                   T1..Tn:     guest threads, each with a notification listener of its own
 *
 * A guest thread's system call becomes a seccomp notification that its task's thread receives:
 * the guest's thread sleeps meanwhile. What needs all registers (clone, execve, rt_sigreturn,
 * sigaltstack, arch_prctl), faults, and kicks come as a signal frame in the thread's slot; the
 * handler tells us where, and returns with rt_sigreturn from what we made of it. Nothing in a
 * slot is trusted: registers are copied out once, and written back whole.
 *
 *	trap_wait() -> TRAP_CALL  -> trap_return(value)      -> trap_wait() ...
 *	            -> TRAP_FRAME -> trap_regs_get/set(), fp -> trap_resume() -> ...
 *	            -> TRAP_GONE  the stub is dead
 *
 * A thread of the sentry owns its trap_thread: only it calls these, but for trap_kick(),
 * trap_stub_*() and where said otherwise.
 *
 * Kernels without the synchronous wake-up, and hosts where no notification listener can be
 * installed, work all the same, slower: see trap_pool_new().
 */
#ifndef SENTRY_TRAP_TRAP_H
#define SENTRY_TRAP_TRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "sentry/trap/layout.h"

struct memfile;
struct trap_pool;
struct trap_stub;   /* a host process: one guest address space */
struct trap_thread; /* a thread of it */

/* x86-64 registers as a guest sees them. */
struct trap_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rsp, eflags;
	uint64_t fs_base, gs_base;
};

enum trap_kind {
	TRAP_CALL,  /* a system call; registers but these are out of reach */
	TRAP_FRAME, /* all registers: signal says why */
	TRAP_GONE,  /* the stub has died, or is not answering any more */
};

struct trap_event {
	enum trap_kind kind;
	/* CALL, and FRAME with SIGSYS */
	int nr;		  /* -1: of a foreign interface (int 0x80, x32); answer ENOSYS */
	uint64_t args[6];
	uint64_t ip;	  /* after the instruction */
	/* FRAME: SIGSYS a call that needs registers; 0 a kick; else a fault's signal */
	int signal;
	int code;	  /* si_code as the host's kernel gave it */
	uint64_t address; /* of a fault */
	uint64_t error;	  /* page fault error code: bit 1 a write, bit 4 an instruction fetch */
	int trapno;	  /* the processor's */
};

enum trap_how {
	TRAP_NOTIFY,	  /* user notification with synchronous wake-up where there is */
	TRAP_NOTIFY_SLOW, /* the same as an older kernel needs it; to test */
	TRAP_SIGNAL,	  /* SIGSYS and futexes: no listener needed */
};

/**
 * trap_pool_new() - Start the zygote and fill the pool
 * @how:	What to use; TRAP_NOTIFY falls back by itself to what this kernel has
 *
 * Spare stubs are made by a thread of the pool; exited ones are used again after everything of
 * the guest in them is gone. The calling thread must live as long as the process: with its end the
 * host kills all stubs. One pool a process.
 */
int trap_pool_new(struct memfile *memory, enum trap_how how, struct trap_pool **out,
		  struct coffer_error *err);
void trap_pool_free(struct trap_pool *pool); /* kills all stubs */
/* trap_pool_trim() - Give back what only waits to be used again: memory, and host files that guests
 * had mapped, which keep a file system busy. Any thread, now and then. */
void trap_pool_trim(struct trap_pool *pool);
enum trap_how trap_pool_how(const struct trap_pool *pool);
/* trap_pool_broken() - Readable when the zygote has died: no process can be made any more */
int trap_pool_broken_fd(const struct trap_pool *pool);

/* The zygote's own vdso, which is mapped in every stub at the same place; 0: none */
uint64_t trap_pool_vdso(const struct trap_pool *pool, size_t *size);

/* --- stubs --- */

/* trap_stub_get() - An empty address space. Return: 0, -ENOMEM, -EAGAIN */
int trap_stub_get(struct trap_pool *pool, struct trap_stub **out);
/* trap_stub_put() - Nobody is in it any more: empty it for the next one, or end it */
void trap_stub_put(struct trap_stub *stub);
/* trap_stub_kill() - End the host process at once; every trap_wait() in it gives TRAP_GONE.
 * Any thread; idempotent. */
void trap_stub_kill(struct trap_stub *stub);
/* trap_stub_end() - The same, and wait until none of its threads can touch memory any more.
 * Return: 0; -ETIMEDOUT: the host's kernel keeps one */
int trap_stub_end(struct trap_stub *stub);
bool trap_stub_dead(const struct trap_stub *stub);

/* What the mapper does. Addresses must be page-aligned and within the guest's: others are an error
 * here, the stub is never asked. */
enum trap_map_kind {
	TRAP_MAP_MEMORY, /* the memory file at @offset, shared */
	TRAP_MAP_HOST,	 /* host file @fd at @offset; private with @private_copy, else shared */
	TRAP_UNMAP,
	TRAP_PROTECT,
	TRAP_DISCARD,	 /* madvise(MADV_DONTNEED): page tables only */
	TRAP_POPULATE,	 /* madvise(MADV_POPULATE_READ): what is there already */
};

struct trap_map {
	enum trap_map_kind kind;
	uint64_t addr;
	uint64_t len;
	int prot;	   /* MAP_*, PROTECT: PROT_READ | PROT_WRITE | PROT_EXEC */
	bool populate;	   /* MAP_*: pages that exist are entered at once */
	bool private_copy; /* MAP_HOST */
	int fd;		   /* MAP_HOST; borrowed */
	uint64_t offset;
};

/**
 * trap_stub_map() - Carry out changes of an address space, in order
 *
 * One trip to the stub for up to 64 of them. The caller holds the address space's lock. The first
 * that fails ends it.
 *
 * Return: 0; -ESRCH the stub is dead; else the host's errno, after which the caller must take it
 * that any of these may have happened or not
 */
int trap_stub_map(struct trap_stub *stub, const struct trap_map *maps, size_t nmaps);

/* --- threads --- */

/* trap_thread_get() - A thread of @stub, parked. Return: 0, -EAGAIN, -ENOMEM, -ESRCH */
int trap_thread_get(struct trap_stub *stub, struct trap_thread **out);
/* trap_thread_put() - The guest thread has ended, at a TRAP_CALL or TRAP_FRAME that was not
 * answered: park it for the next one */
void trap_thread_put(struct trap_thread *thread);

/* trap_thread_start() - Run from these registers. @fp (may be NULL: as after execve) is a FP image
 * of trap_fp_size() bytes. Then trap_wait(). */
int trap_thread_start(struct trap_thread *thread, const struct trap_regs *regs, const void *fp);

/* trap_wait() - The next event. Answer it with trap_return() or trap_resume(). */
void trap_wait(struct trap_thread *thread, struct trap_event *event);
/* trap_event_fd() - While a TRAP_CALL waits for its answer: a descriptor that is readable as soon as
 * the next event is there, that is after the answer, or that hangs up. One thread of any task may
 * answer this call then; the owner may go on with trap_wait() meanwhile, but keeps the thread till
 * that trap_return() is over. -1: only the owner can answer, or the guest would not run on the
 * processor of who does. */
int trap_event_fd(const struct trap_thread *thread);
/* trap_return() - Finish a TRAP_CALL: @value is what rax gets, negative errno included. After a
 * trap_kick() the next event is the kick's frame, with rax set. */
void trap_return(struct trap_thread *thread, long value);
/* trap_resume() - Finish a TRAP_FRAME with the registers that were set */
void trap_resume(struct trap_thread *thread);

/* Within a TRAP_FRAME. get() copies once; set() replaces all of them. Flags and segments a guest
 * may not choose are masked. Return: 0 or -EFAULT: the guest has destroyed its frame */
int trap_regs_get(struct trap_thread *thread, struct trap_regs *regs);
int trap_regs_set(struct trap_thread *thread, const struct trap_regs *regs);

/* Size of a floating point image (XSAVE, standard format, with the software bytes of a signal
 * frame as Linux writes them). The same for all threads. */
size_t trap_fp_size(void);
int trap_fp_get(struct trap_thread *thread, void *fp);
/* trap_fp_set() - NULL: initial state. What the processor would refuse is made harmless. */
int trap_fp_set(struct trap_thread *thread, const void *fp);

/* trap_kick() - Any thread: make @thread give a TRAP_FRAME with signal 0 soon, if it runs guest
 * code or as soon as its call is answered. Several may become one. */
void trap_kick(struct trap_thread *thread);

/* trap_thread_cpu() - Processor time of its host thread; only differences within one use of the
 * thread mean something. A trip to the stub if the guest has several threads. */
void trap_stub_cpu(const struct trap_stub *stub, uint64_t *nanoseconds);
void trap_thread_cpu(const struct trap_thread *thread, uint64_t *nanoseconds);
pid_t trap_thread_host_tid(const struct trap_thread *thread);
pid_t trap_stub_host_pid(const struct trap_stub *stub);

#endif /* SENTRY_TRAP_TRAP_H */
