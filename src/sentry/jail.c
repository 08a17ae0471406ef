/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/jail.c - lists of calls as one seccomp program
 *
 *	architecture, no x32   else kill
 *	calls with conditions  first, because the hottest one (ioctl of a listener) is among them
 *	calls without          the kernel remembers these and does not run the program for them
 *	else                   kill
 *
 * Written by hand rather than with a library: at the start of every container it would be a tenth
 * of the time.
 */
#include "sentry/jail.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/sanitized.h"

#define JAIL_PROGRAM_MAX 1024
#define JAIL_X32	 0x40000000u

struct jail_program {
	struct sock_filter code[JAIL_PROGRAM_MAX];
	size_t n;
	bool overflow;
};

static void jail_emit(struct jail_program *p, struct sock_filter insn)
{
	if (p->n < JAIL_PROGRAM_MAX)
		p->code[p->n++] = insn;
	else
		p->overflow = true;
}

static void jail_load(struct jail_program *p, size_t offset)
{
	jail_emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void jail_return(struct jail_program *p, uint32_t action)
{
	jail_emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* Go on if the accumulator is @k, else past the next @skip instructions. */
static void jail_expect(struct jail_program *p, uint32_t k, uint8_t skip)
{
	jail_emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip));
}

static void jail_emit_half(struct jail_program *p, size_t offset, uint32_t mask, uint32_t value,
			   uint8_t skip)
{
	jail_load(p, offset);
	jail_emit(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
	jail_expect(p, value, skip);
}

/* With the number in the accumulator before and after. */
static void jail_emit_call(struct jail_program *p, const struct jail_call *call)
{
	size_t low = offsetof(struct seccomp_data, args) + call->arg * sizeof(uint64_t);

	if (!call->mask) {
		jail_expect(p, call->nr, 1);
		jail_return(p, call->error ? SECCOMP_RET_ERRNO | call->error : SECCOMP_RET_ALLOW);
		return;
	}
	jail_expect(p, call->nr, call->wide ? 8 : 5);
	jail_emit_half(p, low, (uint32_t)call->mask, (uint32_t)call->value, call->wide ? 4 : 1);
	if (call->wide)
		jail_emit_half(p, low + 4, (uint32_t)(call->mask >> 32),
			       (uint32_t)(call->value >> 32), 1);
	jail_return(p, SECCOMP_RET_ALLOW);
	jail_load(p, offsetof(struct seccomp_data, nr));
}

static void jail_emit_head(struct jail_program *p)
{
	jail_load(p, offsetof(struct seccomp_data, arch));
	jail_emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	jail_return(p, SECCOMP_RET_KILL_PROCESS);
	jail_load(p, offsetof(struct seccomp_data, nr));
	jail_emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, JAIL_X32, 0, 1));
	jail_return(p, SECCOMP_RET_KILL_PROCESS);
}

static bool jail_first_of(const struct jail_list *lists, size_t list, size_t row)
{
	for (size_t i = 0; i <= list; i++)
		for (size_t k = 0; k < (i == list ? row : lists[i].ncalls); k++)
			if (lists[i].calls[k].nr == lists[list].calls[row].nr)
				return false;
	return true;
}

static int jail_emit_lists(struct jail_program *p, const struct jail_list *lists, size_t nlists)
{
	int distinct = 0;

	for (int conditional = 1; conditional >= 0; conditional--)
		for (size_t i = 0; i < nlists; i++)
			for (size_t k = 0; k < lists[i].ncalls; k++) {
				if ((lists[i].calls[k].mask != 0) != conditional)
					continue;
				jail_emit_call(p, &lists[i].calls[k]);
				distinct += !lists[i].calls[k].error && jail_first_of(lists, i, k);
			}
	return distinct;
}

int jail_has(const struct jail_list *lists, size_t nlists, uint32_t nr)
{
	for (size_t i = 0; i < nlists; i++)
		for (size_t k = 0; k < lists[i].ncalls; k++)
			if (lists[i].calls[k].nr == nr)
				return 1;
	return 0;
}

int jail_filter(const struct jail_list *lists, size_t nlists, struct coffer_error *err)
{
	autofree struct jail_program *p = calloc(1, sizeof(*p));
	struct sock_fprog program;
	int distinct;

	if (!p)
		return err_nomem(err);
	jail_emit_head(p);
	distinct = jail_emit_lists(p, lists, nlists);
	jail_return(p, SECCOMP_RET_KILL_PROCESS);
	if (p->overflow)
		return err_internal(err, "system call filter: too long");
#ifndef COFFER_SANITIZED
	program = (struct sock_fprog){ (unsigned short)p->n, p->code };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		return err_sys(err, "system call filter");
#else
	(void)program;
#endif
	return distinct;
}
