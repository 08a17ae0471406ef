/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/frame.c - a handler's frame on the guest's stack, and the way back from it
 *
 *	low   return address (restorer)    <- rsp of the handler
 *	      ucontext: registers, mask, alternate stack
 *	      siginfo
 *	high  floating point image, at a multiple of 64
 *
 * To the byte as Linux has it on x86-64, since C libraries, debuggers and unwinders read it. What
 * comes back is the guest's invention: it is copied once, and registers, flags and floating point
 * state are made harmless in trap/. A guest that destroys its frame gets SIGSEGV.
 *
 * Called in the task's own thread, without a lock.
 */
#include "sentry/signal/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

#define FRAME_RED_ZONE	128
#define FRAME_RESTORER	0x04000000u /* SA_RESTORER */
#define FRAME_CS	0x33
#define FRAME_SS	0x2b
#define FRAME_DF	(UINT64_C(1) << 10)
#define FRAME_RF	(UINT64_C(1) << 16)
#define FRAME_TF	(UINT64_C(1) << 8)

/* uc_flags */
#define FRAME_FP_XSTATE		1u
#define FRAME_SIGCONTEXT_SS	2u
#define FRAME_STRICT_RESTORE_SS 4u

/* The floating point image: FXSAVE area, whose last 48 bytes are software's, then XSAVE header. */
#define FRAME_FX_SIZE	  512
#define FRAME_FX_SOFTWARE 464
#define FRAME_XSAVE_MIN	  (FRAME_FX_SIZE + 64)
#define FRAME_MAGIC1	  0x46505853u
#define FRAME_MAGIC2	  0x46505845u

struct frame_software {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t size, pad[7];
};

struct frame_stack {
	uint64_t addr;
	uint32_t flags, pad;
	uint64_t size;
};

struct signal_frame {
	uint64_t restorer;
	uint64_t uc_flags, uc_link;
	struct frame_stack stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
	uint64_t eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2, fpstate, reserved[8];
	uint64_t mask;
	struct signal_info info;
};
_Static_assert(sizeof(struct signal_frame) == 440, "as Linux lays it out");
_Static_assert(offsetof(struct signal_frame, info) == 312, "as Linux lays it out");
_Static_assert(sizeof(struct frame_software) == 48, "as Linux lays it out");

/* Where a frame goes. Return: false: it would overflow the alternate stack */
static bool frame_place(const struct task *task, const struct signal_action *action,
			uint64_t *sp, uint64_t *fp)
{
	const struct signal_task *s = &task->signals;
	uint64_t at = task->regs.rsp;
	bool alternate = (signal_stack_flags(task, at) & SS_ONSTACK) != 0;

	at -= FRAME_RED_ZONE;
	if ((action->flags & SA_ONSTACK) &&
	    !(signal_stack_flags(task, at) & (SS_ONSTACK | SS_DISABLE))) {
		at = s->stack_addr + s->stack_size;
		alternate = true;
	}
	*fp = (at - trap_fp_size()) & ~UINT64_C(63);
	*sp = ((*fp - sizeof(struct signal_frame)) & ~UINT64_C(15)) - 8;
	return !alternate || (*sp > s->stack_addr && *sp - s->stack_addr <= s->stack_size);
}

static void frame_fill_regs(struct signal_frame *f, const struct trap_regs *r)
{
	f->r8 = r->r8;
	f->r9 = r->r9;
	f->r10 = r->r10;
	f->r11 = r->r11;
	f->r12 = r->r12;
	f->r13 = r->r13;
	f->r14 = r->r14;
	f->r15 = r->r15;
	f->rdi = r->rdi;
	f->rsi = r->rsi;
	f->rbp = r->rbp;
	f->rbx = r->rbx;
	f->rdx = r->rdx;
	f->rax = r->rax;
	f->rcx = r->rcx;
	f->rsp = r->rsp;
	f->rip = r->rip;
	f->eflags = r->eflags;
}

static void frame_take_regs(const struct signal_frame *f, struct trap_regs *r)
{
	r->r8 = f->r8;
	r->r9 = f->r9;
	r->r10 = f->r10;
	r->r11 = f->r11;
	r->r12 = f->r12;
	r->r13 = f->r13;
	r->r14 = f->r14;
	r->r15 = f->r15;
	r->rdi = f->rdi;
	r->rsi = f->rsi;
	r->rbp = f->rbp;
	r->rbx = f->rbx;
	r->rdx = f->rdx;
	r->rax = f->rax;
	r->rcx = f->rcx;
	r->rsp = f->rsp;
	r->rip = f->rip;
	r->eflags = f->eflags;
}

static void frame_fill(struct signal_frame *f, const struct task *task,
		       const struct signal_action *action, uint64_t mask, uint64_t fp)
{
	const struct signal_task *s = &task->signals;

	f->restorer = action->restorer;
	f->uc_flags = FRAME_SIGCONTEXT_SS | FRAME_STRICT_RESTORE_SS;
	if (trap_fp_size() > FRAME_FX_SIZE)
		f->uc_flags |= FRAME_FP_XSTATE;
	f->stack.addr = s->stack_addr;
	f->stack.size = s->stack_size;
	f->stack.flags = s->stack_flags;
	frame_fill_regs(f, &task->regs);
	f->cs = FRAME_CS;
	f->ss = FRAME_SS;
	f->error = s->fault_error;
	f->trapno = s->fault_trapno;
	f->cr2 = s->fault_address;
	f->oldmask = mask;
	f->mask = mask;
	f->fpstate = fp;
}

static void frame_enter(struct task *task, int sig, const struct signal_action *action,
			uint64_t sp)
{
	struct trap_regs *r = &task->regs;

	r->rdi = (uint64_t)sig;
	r->rsi = sp + offsetof(struct signal_frame, info);
	r->rdx = sp + offsetof(struct signal_frame, uc_flags);
	r->rax = 0;
	r->rip = action->handler;
	r->rsp = sp;
	r->eflags &= ~(FRAME_DF | FRAME_RF | FRAME_TF);
	task->regs_changed = true;
	if (task->signals.stack_flags & SS_AUTODISARM) {
		task->signals.stack_addr = 0;
		task->signals.stack_size = 0;
		task->signals.stack_flags = SS_DISABLE;
	}
}

int signal_frame_push(struct task *task, int sig, const struct signal_info *info,
		      const struct signal_action *action, uint64_t mask)
{
	autofree uint8_t *image = NULL;
	struct signal_frame *f;
	uint64_t sp, fp;
	size_t size;
	int r;

	if (!(action->flags & FRAME_RESTORER) || !frame_place(task, action, &sp, &fp))
		return -EFAULT;
	size = fp - sp + trap_fp_size();
	image = calloc(1, size);
	if (!image)
		return -EFAULT;
	f = (struct signal_frame *)image;
	frame_fill(f, task, action, mask, fp);
	if (action->flags & SA_SIGINFO)
		f->info = *info;
	r = trap_fp_get(task->thread, image + (fp - sp));
	if (r < 0)
		return r;
	r = user_write(task->mm, sp, image, size);
	if (r < 0)
		return -EFAULT;
	r = trap_fp_set(task->thread, NULL);
	if (r < 0)
		return r;
	frame_enter(task, sig, action, sp);
	return 0;
}

/* Only the FXSAVE part of an image holds: everything beyond begins anew. */
static void frame_fp_legacy(uint8_t *image, size_t size)
{
	const uint64_t features = 3; /* x87 and SSE */

	if (size < FRAME_XSAVE_MIN)
		return;
	memset(image + FRAME_FX_SIZE, 0, size - FRAME_FX_SIZE);
	memcpy(image + FRAME_FX_SIZE, &features, sizeof(features));
}

/* Whether the image is one of ours with everything that trap/ knows. */
static bool frame_fp_extended(const uint8_t *image, size_t size)
{
	struct frame_software sw;
	uint32_t magic2;

	if (size < FRAME_XSAVE_MIN + sizeof(magic2))
		return false;
	memcpy(&sw, image + FRAME_FX_SOFTWARE, sizeof(sw));
	if (sw.magic1 != FRAME_MAGIC1 || sw.extended_size > size ||
	    sw.size < FRAME_XSAVE_MIN || sw.size > size - sizeof(magic2))
		return false;
	memcpy(&magic2, image + sw.size, sizeof(magic2));
	return magic2 == FRAME_MAGIC2;
}

static int frame_restore_fp(struct task *task, uint64_t fp)
{
	autofree uint8_t *image = NULL;
	size_t size = trap_fp_size();

	if (!fp)
		return trap_fp_set(task->thread, NULL);
	image = calloc(1, size);
	if (!image || user_read(task->mm, image, fp, size < FRAME_FX_SIZE ? size : FRAME_FX_SIZE))
		return -EFAULT;
	if (user_read(task->mm, image, fp, size) < 0 || !frame_fp_extended(image, size))
		frame_fp_legacy(image, size);
	return trap_fp_set(task->thread, image);
}

/* The frame is not one. */
static long frame_bad(struct task *task)
{
	const struct signal_info info = { .signo = SIGSEGV, .code = SI_KERNEL };

	pthread_mutex_lock(&kernel.tasks_lock);
	signal_force(task, SIGSEGV, &info);
	pthread_mutex_unlock(&kernel.tasks_lock);
	return 0;
}

long signal_return(struct task *task)
{
	uint64_t at = task->regs.rsp - sizeof(uint64_t);
	struct signal_frame f;

	/* The registers are of another time: no call is to be made again. */
	task->event.nr = -1;
	if (user_read(task->mm, &f, at, sizeof(f)) < 0)
		return frame_bad(task);
	signal_mask_set(task, f.mask);
	/* By the handler's stack pointer, as Linux does since 6.12: on the stack it stays as it is. */
	(void)signal_stack_set(task, task->regs.rsp, f.stack.addr, f.stack.size, f.stack.flags);
	frame_take_regs(&f, &task->regs);
	task->regs_changed = true;
	if (frame_restore_fp(task, f.fpstate) < 0)
		return frame_bad(task);
	return (long)f.rax;
}
