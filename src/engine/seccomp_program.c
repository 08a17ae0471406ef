/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_program.c - ranges of call numbers to a filter program
 *
 *	ld arch
 *	jne ARCH, next section
 *	ld nr
 *	jge M, upper half			a balanced tree over the ranges
 *	  jge L, upper quarter ...
 *	    leaf: ld argument, compare, ..., ret ACTION of the rule
 *		  ret ACTION of the range
 *
 * Jumps of this machine go forward only, and conditional ones 255 instructions
 * at most, so a branch is emitted, then its jump is set; when that is too
 * short, a long one is put behind it and the branch moves up by one, which
 * changes nothing within: all is relative.
 *
 * libseccomp has this too; for the profile of a container engine, 400 names on
 * three interfaces, it takes 15 ms and 1300 instructions, more than the whole
 * rest of a container's creation.  Here neighbours of one action are a range,
 * and it is 0.2 ms and some 300.
 *
 * Caller: seccomp_filter.c.
 */
#include "engine/seccomp_program.h"

#include <linux/seccomp.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "arguments are taken apart for little-endian machines"
#endif

#define SBPF_ARG_LOW(i)	 (offsetof(struct seccomp_data, args) + (i) * sizeof(uint64_t))
#define SBPF_ARG_HIGH(i) (SBPF_ARG_LOW(i) + sizeof(uint32_t))
#define SBPF_SHORT	 255 /* instructions a conditional jump can skip */

/* Where a comparison goes on. */
enum sbpf_to {
	SBPF_NEXT, /* the next instruction */
	SBPF_PASS, /* the condition holds */
	SBPF_FAIL, /* the rule does not hold */
};

struct sbpf_jump {
	size_t at;
	enum sbpf_to to[2]; /* when true, when false */
};

/* The jumps of one rule that have no target yet. */
struct sbpf_open {
	struct sbpf_jump v[SECCOMP_ARGS * 3];
	size_t n;
};

/* 64 bits are compared from the upper half down. */
static const struct sbpf_compare {
	enum sbpf_to high_above;   /* NEXT: not asked */
	enum sbpf_to high_differs; /* and not above, if that was asked */
	uint16_t low;		   /* how the lower half is compared */
	enum sbpf_to low_true, low_false;
} sbpf_compares[SECCOMP_OP_COUNT] = {
	[SECCOMP_OP_NE] = { SBPF_NEXT, SBPF_PASS, BPF_JEQ, SBPF_FAIL, SBPF_PASS },
	[SECCOMP_OP_LT] = { SBPF_FAIL, SBPF_PASS, BPF_JGE, SBPF_FAIL, SBPF_PASS },
	[SECCOMP_OP_LE] = { SBPF_FAIL, SBPF_PASS, BPF_JGT, SBPF_FAIL, SBPF_PASS },
	[SECCOMP_OP_EQ] = { SBPF_NEXT, SBPF_FAIL, BPF_JEQ, SBPF_PASS, SBPF_FAIL },
	[SECCOMP_OP_GE] = { SBPF_PASS, SBPF_FAIL, BPF_JGE, SBPF_PASS, SBPF_FAIL },
	[SECCOMP_OP_GT] = { SBPF_PASS, SBPF_FAIL, BPF_JGT, SBPF_PASS, SBPF_FAIL },
	[SECCOMP_OP_MASKED_EQ] = { SBPF_NEXT, SBPF_FAIL, BPF_JEQ, SBPF_PASS, SBPF_FAIL },
};

static void sbpf_emit(struct seccomp_program *p, uint16_t code, uint32_t k)
{
	if (p->n == BPF_MAXINSNS)
		p->full = true;
	else
		p->insns[p->n++] = (struct sock_filter){ .code = code, .k = k };
}

static void sbpf_load(struct seccomp_program *p, size_t offset)
{
	sbpf_emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* The jump at @at leads here when its comparison is @truth, else to the instruction behind it. */
static void sbpf_branch_here(struct seccomp_program *p, size_t at, bool truth)
{
	size_t skip = p->n - at - 1;
	struct sock_filter *jump = &p->insns[at];

	if (p->full)
		return;
	if (skip > SBPF_SHORT) {
		sbpf_emit(p, 0, 0);
		if (p->full)
			return;
		memmove(jump + 2, jump + 1, skip * sizeof(*jump));
		jump[1] = (struct sock_filter){ .code = BPF_JMP | BPF_JA, .k = (uint32_t)skip };
		skip = 1;
		truth = !truth;
	}
	*(truth ? &jump->jt : &jump->jf) = (uint8_t)skip;
}

/* ---- one rule ---- */

static void sbpf_jump(struct seccomp_program *p, struct sbpf_open *open, uint16_t op, uint32_t k,
		      enum sbpf_to when_true, enum sbpf_to when_false)
{
	open->v[open->n++] = (struct sbpf_jump){ p->n, { when_true, when_false } };
	sbpf_emit(p, BPF_JMP | op | BPF_K, k);
}

/* Every open jump to @to leads here. */
static void sbpf_close(struct seccomp_program *p, struct sbpf_open *open, enum sbpf_to to)
{
	for (size_t i = 0; !p->full && i < open->n; i++) {
		struct sbpf_jump *j = &open->v[i];
		uint8_t *const skip[2] = { &p->insns[j->at].jt, &p->insns[j->at].jf };

		for (int k = 0; k < 2; k++) {
			if (j->to[k] != to)
				continue;
			*skip[k] = (uint8_t)(p->n - j->at - 1);
			j->to[k] = SBPF_NEXT;
		}
	}
}

static void sbpf_condition(struct seccomp_program *p, const struct seccomp_cond *c, bool wide,
			   struct sbpf_open *open)
{
	const struct sbpf_compare *how = &sbpf_compares[c->op];
	bool masked = c->op == SECCOMP_OP_MASKED_EQ;
	/* Bits outside the mask say nothing, on either side. */
	uint64_t value = masked ? c->a & c->b : c->a;

	if (wide && !(masked && c->a >> 32 == 0)) {
		sbpf_load(p, SBPF_ARG_HIGH(c->arg));
		if (masked)
			sbpf_emit(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)(c->a >> 32));
		if (how->high_above != SBPF_NEXT)
			sbpf_jump(p, open, BPF_JGT, (uint32_t)(value >> 32), how->high_above,
				  SBPF_NEXT);
		sbpf_jump(p, open, BPF_JEQ, (uint32_t)(value >> 32), SBPF_NEXT, how->high_differs);
	}
	sbpf_load(p, SBPF_ARG_LOW(c->arg));
	if (masked)
		sbpf_emit(p, BPF_ALU | BPF_AND | BPF_K, (uint32_t)c->a);
	sbpf_jump(p, open, how->low, (uint32_t)value, how->low_true, how->low_false);
	sbpf_close(p, open, SBPF_PASS);
}

static void sbpf_rule(struct seccomp_program *p, const struct seccomp_rule *rule, bool wide)
{
	struct sbpf_open open = { .n = 0 };

	for (unsigned i = 0; i < rule->n; i++)
		sbpf_condition(p, &rule->conds[i], wide, &open);
	sbpf_emit(p, BPF_RET | BPF_K, rule->action);
	sbpf_close(p, &open, SBPF_FAIL);
}

/* ---- the tree ---- */

/* Its depth is the number of ranges' logarithm. */
static void sbpf_tree(struct seccomp_program *p, const struct seccomp_range *ranges, size_t n)
{
	size_t half = n / 2, at = p->n;

	if (p->full)
		return;
	if (n == 1) {
		for (size_t i = 0; !p->full && i < ranges->n; i++)
			sbpf_rule(p, &p->rules[ranges->calls[i].rule], ranges->wide);
		sbpf_emit(p, BPF_RET | BPF_K, ranges->action);
		return;
	}
	sbpf_emit(p, BPF_JMP | BPF_JGE | BPF_K, ranges[half].first);
	sbpf_tree(p, ranges, half);
	sbpf_branch_here(p, at, true);
	sbpf_tree(p, ranges + half, n - half);
}

void seccomp_program_section(struct seccomp_program *p, uint32_t audit,
			     const struct seccomp_range *ranges, size_t n)
{
	size_t at;

	if (p->n == 0)
		sbpf_load(p, offsetof(struct seccomp_data, arch));
	at = p->n;
	sbpf_emit(p, BPF_JMP | BPF_JEQ | BPF_K, audit);
	sbpf_load(p, offsetof(struct seccomp_data, nr));
	sbpf_tree(p, ranges, n);
	sbpf_branch_here(p, at, false);
}

void seccomp_program_end(struct seccomp_program *p, uint32_t action)
{
	sbpf_emit(p, BPF_RET | BPF_K, action);
}
