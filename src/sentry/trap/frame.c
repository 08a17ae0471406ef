/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap/frame.c - registers and floating point state in a signal frame
 *
 * The host's kernel puts the frame of a signal into the thread's slot, and takes the registers
 * from there at rt_sigreturn. The guest can write to it all the time. So what is read is read
 * once; what is written is the whole frame, with segments, alternate stack, signal mask and the
 * bounds of the floating point image as they must be. What else the guest changes in there before
 * the kernel reads it, it could as well have in its registers.
 */
#include "sentry/trap/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/cleanup.h"

/* struct ucontext of the x86-64 interface. */
struct trap_ucontext {
	uint64_t flags, link;
	uint64_t stack_sp;
	uint32_t stack_flags, pad;
	uint64_t stack_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t sigmask;
};

#define TRAP_FRAME_SIZE (8 + sizeof(struct trap_ucontext) + 128) /* return address, siginfo */

#define TRAP_CS 0x33
#define TRAP_SS 0x2b

/* Offsets in a floating point image: FXSAVE's, the software bytes in it, XSAVE's header. */
#define FP_FCW	      0
#define FP_MXCSR      24
#define FP_MXCSR_MASK 28
#define FP_SOFTWARE   464
#define FP_LEGACY     512
#define FP_HEADER     64
#define FP_MAGIC1     0x46505853u
#define FP_PKRU	      (UINT64_C(1) << 9)

struct fp_software {
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t size;
	uint32_t pad[7];
};

/* How this machine's look; learnt once, from the first frame. */
static struct {
	size_t size;
	uint64_t features;
	uint64_t flags; /* of a ucontext */
	uint32_t mxcsr_mask;
	uint8_t *initial;
} fp_model;

size_t trap_fp_size(void)
{
	return fp_model.size;
}

/* The largest frame the kernel makes, what it aligns, and the head. */
size_t trap_slot_size(void)
{
	size_t frame = getauxval(AT_MINSIGSTKSZ);

	if (!frame)
		frame = 2048 + 4096;
	return PAGE_UP(frame + sizeof(struct trap_slot) + 256);
}

static bool frame_has_xsave(void)
{
	return fp_model.size > FP_LEGACY;
}

int trap_frame_learn(const struct trap_thread *thread)
{
	struct trap_ucontext uc;
	struct fp_software software;
	const uint8_t *fp = (const uint8_t *)thread->slot + thread->fp;
	size_t room = thread->stub->pool->slot_size;
	uint64_t present;

	if (fp_model.size)
		return 0;
	if (!thread->frame || !thread->fp)
		return -EFAULT;
	memcpy(&uc, (const uint8_t *)thread->slot + thread->frame, sizeof(uc));
	memcpy(&software, fp + FP_SOFTWARE, sizeof(software));
	size_t size = software.magic1 == FP_MAGIC1 ? software.extended_size : FP_LEGACY;

	if (size < FP_LEGACY || size > room || thread->fp > room - size)
		return -EFAULT;
	uint8_t *initial = calloc(1, size);

	if (!initial)
		return -ENOMEM;
	memcpy(initial, fp, size);
	memset(initial, 0, FP_SOFTWARE);
	*(uint16_t *)(initial + FP_FCW) = 0x37f;
	*(uint32_t *)(initial + FP_MXCSR) = 0x1f80;
	memcpy(initial + FP_MXCSR_MASK, fp + FP_MXCSR_MASK, 4);
	memcpy(&fp_model.mxcsr_mask, fp + FP_MXCSR_MASK, 4);
	if (!fp_model.mxcsr_mask)
		fp_model.mxcsr_mask = 0xffbf;
	if (size > FP_LEGACY) {
		/* All in its initial state but the protection keys' rights, which exec sets. */
		memcpy(&present, fp + FP_LEGACY, 8);
		present &= FP_PKRU;
		memset(initial + FP_LEGACY, 0, FP_HEADER);
		memcpy(initial + FP_LEGACY, &present, 8);
	}
	fp_model.features = software.features;
	fp_model.flags = uc.flags;
	fp_model.initial = initial;
	fp_model.size = size;
	return 0;
}

void trap_frame_find(struct trap_thread *thread, uint64_t ucontext)
{
	size_t size = thread->stub->pool->slot_size;
	uint64_t at = ucontext - thread->slot_addr;
	uint64_t fp;

	thread->frame = 0;
	thread->fp = 0;
	if (at % 16 || at < sizeof(struct trap_slot) + TRAP_FS_BELOW ||
	    at > size - sizeof(struct trap_ucontext))
		return;
	thread->frame = at;
	memcpy(&fp, (uint8_t *)thread->slot + at + offsetof(struct trap_ucontext, fpstate), 8);
	fp -= thread->slot_addr;
	/* The first one tells how large they are. */
	if (fp % 64 || fp < at + sizeof(struct trap_ucontext) ||
	    fp > size - (fp_model.size ? fp_model.size : FP_LEGACY))
		return;
	thread->fp = fp;
}

bool trap_frame_sound(const struct trap_thread *thread)
{
	struct trap_ucontext uc;

	if (!thread->frame || !thread->fp)
		return false;
	memcpy(&uc, (const uint8_t *)thread->slot + thread->frame, sizeof(uc));
	return uc.stack_sp == thread->slot_addr && !uc.stack_flags &&
	       uc.stack_size == thread->stub->pool->slot_size;
}

uint64_t trap_frame_word(const struct trap_thread *thread, unsigned which)
{
	uint64_t v;

	if (!thread->frame)
		return 0;
	memcpy(&v,
	       (uint8_t *)thread->slot + thread->frame +
		       (which == TRAP_WORD_ERROR ? offsetof(struct trap_ucontext, error) :
						   offsetof(struct trap_ucontext, trapno)),
	       8);
	return v;
}

int trap_regs_get(struct trap_thread *thread, struct trap_regs *regs)
{
	struct trap_ucontext uc;

	if (!thread->frame || !thread->fp)
		return -EFAULT;
	memcpy(&uc, (uint8_t *)thread->slot + thread->frame, sizeof(uc));
	*regs = (struct trap_regs){
		.r15 = uc.r15, .r14 = uc.r14, .r13 = uc.r13, .r12 = uc.r12,
		.rbp = uc.rbp, .rbx = uc.rbx, .r11 = uc.r11, .r10 = uc.r10,
		.r9 = uc.r9,   .r8 = uc.r8,   .rax = uc.rax, .rcx = uc.rcx,
		.rdx = uc.rdx, .rsi = uc.rsi, .rdi = uc.rdi, .rip = uc.rip,
		.rsp = uc.rsp, .eflags = uc.eflags,
		.fs_base = thread->fs_base, .gs_base = thread->gs_base,
	};
	return 0;
}

static uint64_t frame_canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16);
}

static void frame_write(struct trap_thread *thread, const struct trap_regs *regs)
{
	uint8_t *at = (uint8_t *)thread->slot + thread->frame;
	struct trap_ucontext uc = {
		.flags = fp_model.flags,
		.stack_sp = thread->slot_addr,
		.stack_size = thread->stub->pool->slot_size,
		.r8 = regs->r8, .r9 = regs->r9, .r10 = regs->r10, .r11 = regs->r11,
		.r12 = regs->r12, .r13 = regs->r13, .r14 = regs->r14, .r15 = regs->r15,
		.rdi = regs->rdi, .rsi = regs->rsi, .rbp = regs->rbp, .rbx = regs->rbx,
		.rdx = regs->rdx, .rax = regs->rax, .rcx = regs->rcx, .rsp = regs->rsp,
		.rip = regs->rip, .eflags = regs->eflags,
		.cs = TRAP_CS, .ss = TRAP_SS,
		.fpstate = thread->slot_addr + thread->fp,
	};

	thread->fs_base = frame_canonical(regs->fs_base);
	thread->gs_base = frame_canonical(regs->gs_base);
	memcpy(at - TRAP_FS_BELOW, &thread->fs_base, 8);
	memcpy(at - TRAP_GS_BELOW, &thread->gs_base, 8);
	memcpy(at, &uc, sizeof(uc));
}

int trap_regs_set(struct trap_thread *thread, const struct trap_regs *regs)
{
	if (!thread->frame || !thread->fp)
		return -EFAULT;
	frame_write(thread, regs);
	return 0;
}

int trap_fp_get(struct trap_thread *thread, void *fp)
{
	if (!thread->frame || !thread->fp)
		return -EFAULT;
	memcpy(fp, (uint8_t *)thread->slot + thread->fp, fp_model.size);
	/* What a reader goes by is not the guest's to say. */
	memcpy((uint8_t *)fp + FP_SOFTWARE, fp_model.initial + FP_SOFTWARE,
	       sizeof(struct fp_software));
	return 0;
}

/* XRSTOR refuses what is not there, and reserved bits. */
static void frame_write_fp(struct trap_thread *thread, const void *fp)
{
	uint8_t *at = (uint8_t *)thread->slot + thread->fp;
	uint32_t mxcsr;
	uint64_t header[FP_HEADER / 8] = { 0 };

	if (!fp) {
		memcpy(at, fp_model.initial, fp_model.size);
		return;
	}
	memcpy(at, fp, fp_model.size);
	memcpy(&mxcsr, (const uint8_t *)fp + FP_MXCSR, 4);
	mxcsr &= fp_model.mxcsr_mask;
	memcpy(at + FP_MXCSR, &mxcsr, 4);
	memcpy(at + FP_SOFTWARE, fp_model.initial + FP_SOFTWARE, sizeof(struct fp_software));
	if (!frame_has_xsave())
		return;
	memcpy(header, (const uint8_t *)fp + FP_LEGACY, 8);
	header[0] &= fp_model.features;
	memcpy(at + FP_LEGACY, header, sizeof(header));
	memcpy(at + fp_model.size - 4, fp_model.initial + fp_model.size - 4, 4);
}

int trap_fp_set(struct trap_thread *thread, const void *fp)
{
	if (!thread->frame || !thread->fp)
		return -EFAULT;
	frame_write_fp(thread, fp);
	return 0;
}

void trap_frame_make(struct trap_thread *thread, const struct trap_regs *regs, const void *fp)
{
	thread->fp = (thread->stub->pool->slot_size - fp_model.size) & ~UINT64_C(63);
	thread->frame = ((thread->fp - TRAP_FRAME_SIZE) & ~UINT64_C(15));
	frame_write_fp(thread, fp);
	frame_write(thread, regs);
}
