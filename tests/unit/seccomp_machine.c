/* SPDX-License-Identifier: Apache-2.0 */
/* A machine for filter programs: what the kernel lets into one, and nothing else. */
#include "seccomp_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void machine_alu(const struct sock_filter *f, uint32_t *a, uint32_t x)
{
	uint32_t v = BPF_SRC(f->code) == BPF_X ? x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_ADD:
		*a += v;
		return;
	case BPF_SUB:
		*a -= v;
		return;
	case BPF_MUL:
		*a *= v;
		return;
	case BPF_DIV:
		if (v == 0)
			fail_msg("division by 0");
		*a = v > 0 ? *a / v : 0;
		return;
	case BPF_AND:
		*a &= v;
		return;
	case BPF_OR:
		*a |= v;
		return;
	case BPF_XOR:
		*a ^= v;
		return;
	case BPF_LSH:
		assert_true(v < 32);
		*a <<= v & 31;
		return;
	case BPF_RSH:
		assert_true(v < 32);
		*a >>= v & 31;
		return;
	case BPF_NEG:
		*a = -*a;
		return;
	default:
		fail_msg("arithmetic %#x", f->code);
	}
}

/* Return: how many instructions to skip */
static uint32_t machine_jump(const struct sock_filter *f, uint32_t a, uint32_t x)
{
	uint32_t v = BPF_SRC(f->code) == BPF_X ? x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_JA:
		return f->k;
	case BPF_JEQ:
		return a == v ? f->jt : f->jf;
	case BPF_JGT:
		return a > v ? f->jt : f->jf;
	case BPF_JGE:
		return a >= v ? f->jt : f->jf;
	case BPF_JSET:
		return a & v ? f->jt : f->jf;
	default:
		fail_msg("jump %#x", f->code);
		return 0;
	}
}

static uint32_t machine_load(const struct sock_filter *f, const struct seccomp_data *data,
			     const uint32_t *mem)
{
	uint32_t v;

	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		assert_true(f->k % sizeof(v) == 0 && f->k <= sizeof(*data) - sizeof(v));
		memcpy(&v, (const char *)data + f->k, sizeof(v));
		return v;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
		return sizeof(*data);
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
		return f->k;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
		assert_true(f->k < BPF_MEMWORDS);
		return mem[f->k];
	default:
		fail_msg("load %#x", f->code);
		return 0;
	}
}

uint32_t seccomp_machine_run(const struct sock_filter *insns, size_t n,
			     const struct seccomp_data *data)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *f = &insns[pc];

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			a = machine_load(f, data, mem);
			break;
		case BPF_LDX:
			x = machine_load(f, data, mem);
			break;
		case BPF_ST:
		case BPF_STX:
			assert_true(f->k < BPF_MEMWORDS);
			mem[f->k] = BPF_CLASS(f->code) == BPF_ST ? a : x;
			break;
		case BPF_ALU:
			machine_alu(f, &a, x);
			break;
		case BPF_JMP:
			pc += machine_jump(f, a, x);
			break;
		case BPF_RET:
			assert_true(f->code == (BPF_RET | BPF_K) || f->code == (BPF_RET | BPF_A));
			return f->code == (BPF_RET | BPF_A) ? a : f->k;
		default:
			if (f->code == (BPF_MISC | BPF_TAX))
				x = a;
			else
				a = x;
		}
	}
	fail_msg("the program has no end");
	return 0;
}
