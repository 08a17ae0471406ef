/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_profile.c - linux.seccomp in numbers
 *
 * Words become what the kernel has for them, names the numbers that they have on
 * each interface the profile lists; sorted, all there is for one number stands
 * together, in the order it is asked:
 *
 * Several rules for one call: those with conditions are asked first, from the
 * strictest to the most lenient; of those without the first one stands, and
 * makes more lenient conditions than itself void.
 *
 * A name that nobody knows is left out; so does every runtime, because
 * profiles name calls of newer kernels.
 *
 * Caller: seccomp_filter.c.
 */
#define LOG_CATEGORY "seccomp"
#include "engine/seccomp_profile.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/seccomp_calls.h"

#define PROFILE_RULES_MAX 65536 /* far more than a program can hold */

void seccomp_profile_free(struct seccomp_profile *p)
{
	free(p->rules);
	free(p->calls);
}

void *seccomp_grow(void *v, size_t n, size_t *cap, size_t size)
{
	size_t more = n < 512 ? 512 : n * 2;

	if (n < *cap)
		return v;
	v = reallocarray(v, more, size);
	if (v)
		*cap = more;
	return v;
}

/* ---- words ---- */

static int profile_parse_action(const char *name, const struct oci_opt_u32 *errno_ret,
				uint32_t *action, unsigned *rank, struct coffer_error *err)
{
	uint32_t data = errno_ret->set ? errno_ret->v : EPERM;

	for (size_t i = 0; i < seccomp_actions_n; i++) {
		if (strcmp(seccomp_actions[i].name, name ? name : "") != 0)
			continue;
		if (errno_ret->set && !seccomp_actions[i].takes_errno)
			return err_invalid(err, "errnoRet does not go with %s", name);
		if (data > SECCOMP_RET_DATA)
			return err_invalid(err, "errnoRet %u is out of range", data);
		*action = seccomp_actions[i].ret | (seccomp_actions[i].takes_errno ? data : 0);
		*rank = (unsigned)i;
		return 0;
	}
	return err_invalid(err, "unknown action %s", name ? name : "");
}

static int profile_parse_arg(const struct oci_seccomp_arg *arg, struct seccomp_cond *out,
			     struct coffer_error *err)
{
	if (arg->index >= SECCOMP_ARGS)
		return err_invalid(err, "argument index %u is out of range", arg->index);
	for (unsigned op = 0; op < SECCOMP_OP_COUNT; op++) {
		if (strcmp(seccomp_ops[op], arg->op ? arg->op : "") != 0)
			continue;
		*out = (struct seccomp_cond){ .arg = arg->index,
					      .op = (enum seccomp_op)op,
					      .a = arg->value,
					      .b = arg->value_two };
		return 0;
	}
	return err_invalid(err, "unknown comparison %s", arg->op ? arg->op : "");
}

static void profile_parse_abis(const struct oci_strv *names, struct seccomp_profile *p)
{
	p->abis[0] = true;
	for (size_t i = 0; i < names->n; i++)
		for (size_t k = 0; k < seccomp_abis_n; k++)
			p->abis[k] |= strcmp(seccomp_abis[k].name, names->v[i]) == 0;
}

/* ---- rules ---- */

static int profile_add_rule(struct seccomp_profile *p, const struct seccomp_rule *rule,
			    struct coffer_error *err)
{
	struct seccomp_rule *r;

	if (p->rules_n == PROFILE_RULES_MAX)
		return err_invalid(err, "more than %d rules", PROFILE_RULES_MAX);
	r = SECCOMP_GROW(p, rules);
	if (!r)
		return err_nomem(err);
	*r = *rule;
	return 0;
}

/* Two conditions on one argument make each condition a rule, as they do for every runtime. */
static int profile_add_rules(struct seccomp_profile *p, const struct oci_seccomp_rule *spec,
			     struct seccomp_rule *rule, struct coffer_error *err)
{
	unsigned seen = 0;
	bool split = false;
	int r = 0;

	for (; rule->n < spec->args.n; rule->n++) {
		struct seccomp_cond *c = &rule->conds[rule->n];

		r = profile_parse_arg(&spec->args.v[rule->n], c, err);
		if (r < 0)
			return r;
		split |= (seen & 1U << c->arg) != 0;
		seen |= 1U << c->arg;
	}
	if (!split)
		return profile_add_rule(p, rule, err);
	for (unsigned i = 0; r == 0 && i < rule->n; i++) {
		struct seccomp_rule one = { .action = rule->action,
					    .rank = rule->rank,
					    .n = 1,
					    .conds = { rule->conds[i] } };

		r = profile_add_rule(p, &one, err);
	}
	return r;
}

static int profile_add_call(struct seccomp_profile *p, size_t abi, uint32_t nr, size_t rule,
			    struct coffer_error *err)
{
	const struct seccomp_rule *r = &p->rules[rule];
	struct seccomp_call *c = SECCOMP_GROW(p, calls);

	if (!c)
		return err_nomem(err);
	*c = (struct seccomp_call){ .nr = nr,
				    .rule = (uint32_t)rule,
				    .abi = (uint8_t)abi,
				    .plain = r->n == 0,
				    .rank = r->n == 0 ? 0 : (uint8_t)r->rank };
	return 0;
}

/*
 * As a case of another call, whose arguments are in memory and out of sight:
 * a rule with conditions then holds always when it is stricter than the
 * default, and never when it is not.
 */
static int profile_add_muxed(struct seccomp_profile *p, size_t abi, const struct seccomp_number *nr,
			     size_t rule, struct coffer_error *err)
{
	struct seccomp_rule one = {
		.action = p->rules[rule].action,
		.rank = p->rules[rule].rank,
		.n = 1,
		.conds = { { .op = SECCOMP_OP_MASKED_EQ,
			     .a = nr->muxed_mask,
			     .b = nr->muxed_case } },
	};
	int r;

	if (p->rules[rule].n > 0 && one.rank >= p->rank)
		return 0;
	r = profile_add_rule(p, &one, err);
	return r < 0 ? r : profile_add_call(p, abi, (uint32_t)nr->muxed, p->rules_n - 1, err);
}

static int profile_add_name(struct seccomp_profile *p, const char *name, size_t first, size_t end,
			    struct coffer_error *err)
{
	int r = 0;

	for (size_t abi = 0; abi < seccomp_abis_n; abi++) {
		struct seccomp_number nr;

		if (!p->abis[abi])
			continue;
		nr = seccomp_call_number(&seccomp_abis[abi], name);
		if (nr.direct > p->last[abi])
			p->last[abi] = (uint32_t)nr.direct;
		if (nr.muxed > p->last[abi])
			p->last[abi] = (uint32_t)nr.muxed;
		for (size_t rule = first; r == 0 && rule < end; rule++) {
			if (nr.direct >= 0)
				r = profile_add_call(p, abi, (uint32_t)nr.direct, rule, err);
			if (r == 0 && nr.muxed >= 0)
				r = profile_add_muxed(p, abi, &nr, rule, err);
		}
	}
	return r;
}

/* The one way we have to tell that the listener is there must not wait for it. */
static int profile_check_notify(const struct oci_seccomp_rule *spec, struct coffer_error *err)
{
	for (size_t i = 0; i < spec->names.n; i++)
		if (strcmp(spec->names.v[i], "write") == 0)
			return err_unsupported(err, "SCMP_ACT_NOTIFY cannot be used for write");
	return 0;
}

static int profile_add_spec(struct seccomp_profile *p, const struct oci_seccomp_rule *spec,
			    struct coffer_error *err)
{
	struct seccomp_rule rule = { 0 };
	size_t first = p->rules_n, end;
	int r;

	r = profile_parse_action(spec->action, &spec->errno_ret, &rule.action, &rule.rank, err);
	if (r < 0)
		return r;
	if (spec->args.n > SECCOMP_ARGS)
		return err_invalid(err, "more than %d arguments", SECCOMP_ARGS);
	if (rule.action == SECCOMP_RET_USER_NOTIF) {
		p->notify = true;
		r = profile_check_notify(spec, err);
	}
	/* What happens anyway is no rule, just names that are known. */
	if (r == 0 && (rule.action != p->action || spec->args.n > 0))
		r = profile_add_rules(p, spec, &rule, err);
	end = p->rules_n;
	for (size_t i = 0; r == 0 && i < spec->names.n; i++) {
		const char *name = spec->names.v[i];

		if (seccomp_call_known(name))
			r = profile_add_name(p, name, first, end, err);
		else if (rule.rank < p->rank)
			log_warning("unknown system call %s cannot be restricted", name);
		else
			log_debug("unknown system call %s is left out", name);
	}
	return r;
}

static int profile_order(const void *one, const void *other)
{
	const struct seccomp_call *x = one, *y = other;

	if (x->abi != y->abi)
		return x->abi < y->abi ? -1 : 1;
	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	if (x->plain != y->plain)
		return x->plain < y->plain ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->rule < y->rule ? -1 : x->rule > y->rule;
}

int seccomp_profile_read(const struct oci_seccomp *spec, struct seccomp_profile *p,
			 struct coffer_error *err)
{
	int r;

	r = profile_parse_action(spec->default_action, &spec->default_errno_ret, &p->action,
				 &p->rank, err);
	if (r == 0 && p->action == SECCOMP_RET_USER_NOTIF)
		r = err_unsupported(err, "SCMP_ACT_NOTIFY cannot be the default action");
	if (r < 0)
		return r;
	profile_parse_abis(&spec->architectures, p);
	for (size_t i = 0; i < spec->syscalls.n; i++) {
		r = profile_add_spec(p, &spec->syscalls.v[i], err);
		if (r < 0)
			return err_wrap(err, "syscalls[%zu]", i);
	}
	if (p->calls_n > 0)
		qsort(p->calls, p->calls_n, sizeof(*p->calls), profile_order);
	return 0;
}
