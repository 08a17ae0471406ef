/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/seccomp.c - system call filters: the monitor's, and what those of its children leave open
 *
 * The monitor's is made from syscalls.def.
 * Deny by killing the process: a call outside the list means that the monitor
 * no longer runs our code.  Left out of sanitizer builds, whose runtime makes
 * calls of its own.
 */
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "vmm/jail.h"
#include "base/sanitized.h"

struct seccomp_rule {
	const char *name;
	struct scmp_arg_cmp arg;
	int nr;
	unsigned nargs;
};

#define ALLOW(name_) { .nr = SCMP_SYS(name_), .name = #name_ },
#define ALLOW_IF(name_, index, op_, a, b) \
	{ .nr = SCMP_SYS(name_), .name = #name_, .nargs = 1, \
	  .arg = { .arg = (index), .op = (op_), .datum_a = (a), .datum_b = (b) } },

static const struct seccomp_rule seccomp_rules[] = {
#include "vmm/syscalls.def"
};

static inline void seccomp_ctx_freep(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

int jail_filter(struct coffer_error *err)
{
	CLEANUP(seccomp_ctx_freep) scmp_filter_ctx ctx = NULL;
	int r;

#ifdef COFFER_SANITIZED
	return 1;
#endif
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return err_nomem(err);
	for (size_t i = 0; i < ARRAY_SIZE(seccomp_rules); i++) {
		const struct seccomp_rule *rule = &seccomp_rules[i];

		/* Negative: a call this architecture does not have. */
		if (rule->nr < 0)
			continue;
		r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rule->nr, rule->nargs, &rule->arg);
		if (r < 0)
			return err_sysn(err, r, "system call filter: %s", rule->name);
	}
	r = seccomp_load(ctx);
	return r < 0 ? err_sysn(err, r, "system call filter: load") : 0;
}

/* To answer 0 is to do as if it had been done. */
int jail_filter_ids(struct coffer_error *err)
{
	static const int calls[] = { SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups) };
	CLEANUP(seccomp_ctx_freep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = 0;

	if (!ctx)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), calls[i], 0);
	if (r == 0)
		r = seccomp_load(ctx);
	return r < 0 ? err_sysn(err, r, "system call filter of ids") : 0;
}

int jail_filter_machine(struct coffer_error *err)
{
	CLEANUP(seccomp_ctx_freep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return err_nomem(err);
	r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1,
			     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SET_PDEATHSIG));
	if (r == 0)
		r = seccomp_load(ctx);
	return r < 0 ? err_sysn(err, r, "system call filter of the machine") : 0;
}
