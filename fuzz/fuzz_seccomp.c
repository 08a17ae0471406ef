/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_seccomp.c - a profile to a filter program, against the profile read rule by rule
 *
 * Input: default action, interfaces, rules; see take_rule().  Every program is checked as the
 * kernel would, then run for calls that the rules name, with arguments around their values.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/seccomp_calls.h"
#include "engine/seccomp_filter.h"
#include "engine/seccomp_words.h"

#define RULES_MAX 48
#define NAMES_MAX 4

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->data++;
}

/* In two ways on 32-bit x86, on one interface only, new, unknown, and plain neighbours. */
static const char *const names[] = {
	"read", "write", "open", "stat", "poll", "mmap", "personality", "clone", "clone3",
	"openat2", "socket", "connect", "accept", "sendmsg", "recvmmsg", "socketcall", "ipc", "shmat",
	"semop", "msgget", "arch_prctl", "_llseek", "mmap2", "fchmodat2", "mseal", "no_such_call",
};

static const uint64_t values[] = {
	0, 1, 2, 8, 0x7e020000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x1ffffffff,
	0x300000002, 0x8000000000000000, 0xffffffffffffffff,
};

static uint64_t take_value(struct input *in)
{
	uint8_t b = take(in);

	return values[b % ARRAY_SIZE(values)] + (b & 0x80 ? (uint64_t)(b >> 5 & 3) - 1 : 0);
}

struct profile {
	struct oci_seccomp spec;
	struct oci_seccomp_rule rules[RULES_MAX];
	struct oci_seccomp_arg args[RULES_MAX][7];
	char *names[RULES_MAX][NAMES_MAX];
	char *abis[8];
	bool abi_on[8];
};

static void take_rule(struct input *in, struct profile *p, size_t i)
{
	struct oci_seccomp_rule *r = &p->rules[i];
	uint8_t form = take(in);

	r->action = (char *)seccomp_actions[take(in) % seccomp_actions_n].name;
	if (form & 0x80)
		r->errno_ret = (struct oci_opt_u32){ true, take(in) };
	r->names.v = p->names[i];
	r->names.n = 1 + (form >> 3) % NAMES_MAX;
	for (size_t k = 0; k < r->names.n; k++)
		p->names[i][k] = (char *)names[take(in) % ARRAY_SIZE(names)];
	r->args.v = p->args[i];
	r->args.n = form % 8;
	for (size_t k = 0; k < r->args.n; k++) {
		uint8_t b = take(in);

		p->args[i][k] = (struct oci_seccomp_arg){
			.index = b % 6,
			.op = (char *)seccomp_ops[(b >> 3) % SECCOMP_OP_COUNT],
			.value = take_value(in),
			.value_two = take_value(in),
		};
	}
}

static void take_profile(struct input *in, struct profile *p)
{
	uint8_t abis = take(in);

	p->spec.default_action = (char *)seccomp_actions[take(in) % seccomp_actions_n].name;
	p->spec.listener_path = (char *)"/agent";
	p->spec.architectures.v = p->abis;
	p->abi_on[0] = true;
	for (size_t i = 0; i < seccomp_abis_n; i++) {
		if (!(abis >> i & 1))
			continue;
		p->abis[p->spec.architectures.n++] = (char *)seccomp_abis[i].name;
		p->abi_on[i] = true;
	}
	p->spec.syscalls.v = p->rules;
	while (in->size > 0 && p->spec.syscalls.n < RULES_MAX)
		take_rule(in, p, p->spec.syscalls.n++);
}

/* ---- the profile, word by word ---- */

static unsigned rank_of(const char *action)
{
	for (unsigned i = 0; i < seccomp_actions_n; i++)
		if (strcmp(seccomp_actions[i].name, action) == 0)
			return i;
	abort();
}

static uint32_t action_of(const char *action, const struct oci_opt_u32 *errno_ret)
{
	const struct seccomp_action *a = &seccomp_actions[rank_of(action)];

	return a->ret | (a->takes_errno ? (errno_ret->set ? errno_ret->v : EPERM) : 0);
}

static bool arg_holds(const struct oci_seccomp_arg *a, const struct seccomp_data *d, bool wide)
{
	uint64_t mask = wide ? UINT64_MAX : UINT32_MAX;
	uint64_t v = d->args[a->index] & mask, x = a->value & mask, y = a->value_two & mask;
	const char *op = a->op + strlen("SCMP_CMP_");

	switch (op[0] << 8 | op[1]) {
	case 'N' << 8 | 'E':
		return v != x;
	case 'L' << 8 | 'T':
		return v < x;
	case 'L' << 8 | 'E':
		return v <= x;
	case 'E' << 8 | 'Q':
		return v == x;
	case 'G' << 8 | 'E':
		return v >= x;
	case 'G' << 8 | 'T':
		return v > x;
	default:
		return (v & x) == (y & x);
	}
}

static bool rule_holds(const struct oci_seccomp_rule *r, const struct seccomp_data *d, bool wide)
{
	unsigned seen = 0, held = 0;
	bool twice = false;

	for (size_t i = 0; i < r->args.n; i++) {
		twice |= seen >> r->args.v[i].index & 1;
		seen |= 1U << r->args.v[i].index;
		held += arg_holds(&r->args.v[i], d, wide);
	}
	return twice ? held > 0 : held == r->args.n;
}

struct verdict {
	uint32_t action;
	unsigned rank;
	bool set;
};

static void verdict_strictest(struct verdict *v, const struct oci_seccomp_rule *r)
{
	unsigned rank = rank_of(r->action);

	if (!v->set || rank < v->rank)
		*v = (struct verdict){ action_of(r->action, &r->errno_ret), rank, true };
}

static uint32_t profile_says(const struct profile *p, size_t abi, const struct seccomp_data *d)
{
	const uint32_t otherwise = action_of(p->spec.default_action, &p->spec.default_errno_ret);
	const unsigned lenient = rank_of(p->spec.default_action);
	struct verdict plain = { 0 }, held = { 0 };
	int64_t nr = (uint32_t)d->nr, last = 0;

	for (size_t i = 0; i < p->spec.syscalls.n; i++) {
		const struct oci_seccomp_rule *r = &p->rules[i];
		bool nothing = r->args.n == 0 && action_of(r->action, &r->errno_ret) == otherwise;

		for (size_t k = 0; k < r->names.n; k++) {
			struct seccomp_number n =
				seccomp_call_number(&seccomp_abis[abi], r->names.v[k]);

			last = n.direct > last ? n.direct : last;
			last = n.muxed > last ? n.muxed : last;
			if (nothing)
				continue;
			if (n.direct == nr && r->args.n == 0 && !plain.set)
				verdict_strictest(&plain, r);
			if (n.direct == nr && r->args.n > 0 &&
			    rule_holds(r, d, seccomp_abis[abi].wide))
				verdict_strictest(&held, r);
			if (n.muxed == nr && (d->args[0] & n.muxed_mask) == n.muxed_case &&
			    (r->args.n == 0 || rank_of(r->action) < lenient))
				verdict_strictest(&held, r);
		}
	}
	if (held.set && (!plain.set || held.rank < plain.rank))
		return held.action;
	if (plain.set)
		return plain.action;
	if (last > 0 && nr > last && (otherwise & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		return SECCOMP_RET_ERRNO | ENOSYS;
	return otherwise;
}

static uint32_t expected(const struct profile *p, const struct seccomp_data *d)
{
	for (size_t i = 0; i < seccomp_abis_n; i++) {
		const struct seccomp_abi *a = &seccomp_abis[i];

		if (a->audit != d->arch || (uint32_t)d->nr < a->base || (uint32_t)d->nr >= a->end)
			continue;
		return p->abi_on[i] ? profile_says(p, i, d) : SECCOMP_RET_KILL_PROCESS;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* ---- the program ---- */

/* Return: what it says; aborts on what the kernel would refuse or what would not end */
static uint32_t program_says(const struct seccomp_filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < f->n; pc++) {
		const struct sock_filter *s = &f->insns[pc];

		switch (s->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (s->k % 4 || s->k + 4 > sizeof(*d))
				abort();
			memcpy(&a, (const char *)d + s->k, sizeof(a));
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= s->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += s->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == s->k ? s->jt : s->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= s->k ? s->jt : s->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > s->k ? s->jt : s->jf;
			break;
		case BPF_RET | BPF_K:
			return s->k;
		default:
			abort();
		}
	}
	abort();
}

static void probe(const struct profile *p, const struct seccomp_filter *f, uint32_t arch,
		  int64_t nr, struct input *in)
{
	struct seccomp_data d = { .nr = (int)(uint32_t)nr, .arch = arch };

	for (int i = 0; i < 6; i++)
		d.args[i] = take_value(in);
	if (program_says(f, &d) != expected(p, &d))
		abort();
	/* A small number as the case of a call that is many. */
	d.args[0] = take(in) % 32;
	if (program_says(f, &d) != expected(p, &d))
		abort();
}

static void probe_all(const struct profile *p, const struct seccomp_filter *f, struct input in)
{
	for (size_t abi = 0; abi < seccomp_abis_n; abi++) {
		const struct seccomp_abi *a = &seccomp_abis[abi];

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			struct seccomp_number n = seccomp_call_number(a, names[i]);

			for (int64_t near = -1; n.direct >= 0 && near <= 1; near++)
				if (n.direct + near >= a->base)
					probe(p, f, a->audit, n.direct + near, &in);
			if (n.muxed >= 0)
				probe(p, f, a->audit, n.muxed, &in);
		}
		probe(p, f, a->audit, a->base + 4000, &in);
	}
	probe(p, f, AUDIT_ARCH_S390, 1, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct profile p;
	struct input in = { data, size };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct seccomp_filter f;

	memset(&p, 0, sizeof(p));
	take_profile(&in, &p);
	if (seccomp_compile(&p.spec, &f, &err) == 0) {
		if (f.n == 0 || f.n > BPF_MAXINSNS)
			abort();
		probe_all(&p, &f, (struct input){ data, size });
		seccomp_filter_free(&f);
	} else if (err.kind == COFFER_ERR_NONE || f.insns) {
		abort();
	}
	return 0;
}
