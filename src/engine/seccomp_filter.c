/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_filter.c - linux.seccomp to a filter, and loading it
 *
 *	rules, names --numbers--> calls of one interface, sorted
 *	             --ranges---> runs of numbers that meet the same
 *	             --program--> BPF, loaded by one system call
 *
 * Several rules for one call: those with conditions are asked first, from the
 * strictest to the most lenient; of those without the first one stands, and
 * makes more lenient conditions than itself void.
 *
 * A call above the largest number that the profile names is newer than the
 * profile, which so says nothing about it: where the default is an errno it
 * gets ENOSYS, on which programs fall back to what they used before.
 *
 * A name that nobody knows is left out; so does every runtime, because
 * profiles name calls of newer kernels.
 *
 * A call through an interface that the profile does not list ends the process:
 * its numbers mean other calls.
 *
 * Callers: container.c compiles, the child's stages load.
 */
#define LOG_CATEGORY "seccomp"
#include "engine/seccomp_filter.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "engine/seccomp_calls.h"
#include "engine/seccomp_program.h"

#define FILTER_RULES_MAX 65536 /* far more than a program can hold */
#define FILTER_ABIS_MAX	 4

/* A growing profile in numbers. */
struct filter_build {
	bool abis[FILTER_ABIS_MAX]; /* which of seccomp_abis[] it lists */
	uint32_t action;	    /* default */
	unsigned rank;		    /* of it */
	bool notify;
	uint32_t last[FILTER_ABIS_MAX]; /* the largest number it names, of each interface */
	struct seccomp_rule *rules;
	size_t rules_n, rules_cap;
	struct seccomp_call *calls;
	size_t calls_n, calls_cap;
	size_t at;		      /* the first of them that no section has taken */
	struct seccomp_range *ranges; /* of the section at hand */
	size_t ranges_n, ranges_cap;
};

static void filter_build_free(struct filter_build *b)
{
	free(b->rules);
	free(b->calls);
	free(b->ranges);
}

#define auto_filter_build CLEANUP(filter_build_free)

/* Room for one more element. Return: the array, moved if need be, or NULL */
static void *filter_grow(void *v, size_t n, size_t *cap, size_t size)
{
	size_t more = n < 512 ? 512 : n * 2;

	if (n < *cap)
		return v;
	v = reallocarray(v, more, size);
	if (v)
		*cap = more;
	return v;
}

/* clang-format off */
/* A new element at the end of a list of struct filter_build, or NULL */
#define FILTER_GROW(b, list) \
	({ \
		__typeof__((b)->list) v_ = filter_grow((b)->list, (b)->list##_n, \
						       &(b)->list##_cap, sizeof(*v_)); \
		(b)->list = v_ ? v_ : (b)->list; \
		v_ ? &v_[(b)->list##_n++] : NULL; \
	})
/* clang-format on */

/* ---- words ---- */

static int filter_parse_action(const char *name, const struct oci_opt_u32 *errno_ret,
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

static int filter_parse_arg(const struct oci_seccomp_arg *arg, struct seccomp_cond *out,
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

static int filter_parse_flags(const struct oci_strv *names, unsigned *flags,
			      struct coffer_error *err)
{
	size_t i, k;

	*flags = 0;
	for (i = 0; i < names->n; i++) {
		for (k = 0; k < seccomp_flags_n; k++)
			if (strcmp(seccomp_flags[k].name, names->v[i]) == 0)
				break;
		if (k == seccomp_flags_n)
			return err_unsupported(err, "unknown flag %s", names->v[i]);
		*flags |= seccomp_flags[k].flag;
	}
	return 0;
}

static void filter_parse_abis(const struct oci_strv *names, struct filter_build *b)
{
	b->abis[0] = true;
	for (size_t i = 0; i < names->n; i++)
		for (size_t k = 0; k < seccomp_abis_n; k++)
			b->abis[k] |= strcmp(seccomp_abis[k].name, names->v[i]) == 0;
}

/* ---- rules ---- */

static int filter_add_rule(struct filter_build *b, const struct seccomp_rule *rule,
			   struct coffer_error *err)
{
	struct seccomp_rule *r;

	if (b->rules_n == FILTER_RULES_MAX)
		return err_invalid(err, "more than %d rules", FILTER_RULES_MAX);
	r = FILTER_GROW(b, rules);
	if (!r)
		return err_nomem(err);
	*r = *rule;
	return 0;
}

/* Two conditions on one argument make each condition a rule, as they do for every runtime. */
static int filter_add_rules(struct filter_build *b, const struct oci_seccomp_rule *spec,
			    struct seccomp_rule *rule, struct coffer_error *err)
{
	unsigned seen = 0;
	bool split = false;
	int r = 0;

	for (; rule->n < spec->args.n; rule->n++) {
		struct seccomp_cond *c = &rule->conds[rule->n];

		r = filter_parse_arg(&spec->args.v[rule->n], c, err);
		if (r < 0)
			return r;
		split |= (seen & 1U << c->arg) != 0;
		seen |= 1U << c->arg;
	}
	if (!split)
		return filter_add_rule(b, rule, err);
	for (unsigned i = 0; r == 0 && i < rule->n; i++) {
		struct seccomp_rule one = { .action = rule->action,
					    .rank = rule->rank,
					    .n = 1,
					    .conds = { rule->conds[i] } };

		r = filter_add_rule(b, &one, err);
	}
	return r;
}

static int filter_add_call(struct filter_build *b, size_t abi, uint32_t nr, size_t rule,
			   struct coffer_error *err)
{
	const struct seccomp_rule *r = &b->rules[rule];
	struct seccomp_call *c = FILTER_GROW(b, calls);

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
static int filter_add_muxed(struct filter_build *b, size_t abi, const struct seccomp_number *nr,
			    size_t rule, struct coffer_error *err)
{
	struct seccomp_rule one = {
		.action = b->rules[rule].action,
		.rank = b->rules[rule].rank,
		.n = 1,
		.conds = { { .op = SECCOMP_OP_MASKED_EQ,
			     .a = nr->muxed_mask,
			     .b = nr->muxed_case } },
	};
	int r;

	if (b->rules[rule].n > 0 && one.rank >= b->rank)
		return 0;
	r = filter_add_rule(b, &one, err);
	return r < 0 ? r : filter_add_call(b, abi, (uint32_t)nr->muxed, b->rules_n - 1, err);
}

static int filter_add_name(struct filter_build *b, const char *name, size_t first, size_t end,
			   struct coffer_error *err)
{
	int r = 0;

	for (size_t abi = 0; abi < seccomp_abis_n; abi++) {
		struct seccomp_number nr;

		if (!b->abis[abi])
			continue;
		nr = seccomp_call_number(&seccomp_abis[abi], name);
		if (nr.direct > b->last[abi])
			b->last[abi] = (uint32_t)nr.direct;
		if (nr.muxed > b->last[abi])
			b->last[abi] = (uint32_t)nr.muxed;
		for (size_t rule = first; r == 0 && rule < end; rule++) {
			if (nr.direct >= 0)
				r = filter_add_call(b, abi, (uint32_t)nr.direct, rule, err);
			if (r == 0 && nr.muxed >= 0)
				r = filter_add_muxed(b, abi, &nr, rule, err);
		}
	}
	return r;
}

/* The one way we have to tell that the listener is there must not wait for it. */
static int filter_check_notify(const struct oci_seccomp_rule *spec, struct coffer_error *err)
{
	for (size_t i = 0; i < spec->names.n; i++)
		if (strcmp(spec->names.v[i], "write") == 0)
			return err_unsupported(err, "SCMP_ACT_NOTIFY cannot be used for write");
	return 0;
}

static int filter_add_spec(struct filter_build *b, const struct oci_seccomp_rule *spec,
			   struct coffer_error *err)
{
	struct seccomp_rule rule = { 0 };
	size_t first = b->rules_n, end;
	int r;

	r = filter_parse_action(spec->action, &spec->errno_ret, &rule.action, &rule.rank, err);
	if (r < 0)
		return r;
	if (spec->args.n > SECCOMP_ARGS)
		return err_invalid(err, "more than %d arguments", SECCOMP_ARGS);
	if (rule.action == SECCOMP_RET_USER_NOTIF) {
		b->notify = true;
		r = filter_check_notify(spec, err);
	}
	/* What happens anyway is no rule, just names that are known. */
	if (r == 0 && (rule.action != b->action || spec->args.n > 0))
		r = filter_add_rules(b, spec, &rule, err);
	end = b->rules_n;
	for (size_t i = 0; r == 0 && i < spec->names.n; i++) {
		const char *name = spec->names.v[i];

		if (seccomp_call_known(name))
			r = filter_add_name(b, name, first, end, err);
		else if (rule.rank < b->rank)
			log_warning("unknown system call %s cannot be restricted", name);
		else
			log_debug("unknown system call %s is left out", name);
	}
	return r;
}

static int filter_order(const void *one, const void *other)
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

/* ---- ranges ---- */

static int filter_add_range(struct filter_build *b, const struct seccomp_range *range,
			    struct coffer_error *err)
{
	struct seccomp_range *last = b->ranges_n > 0 ? &b->ranges[b->ranges_n - 1] : NULL;

	/* A range that the next one leaves no number goes. */
	if (last && last->first == range->first)
		last = --b->ranges_n > 0 ? last - 1 : NULL;
	if (last && last->n == 0 && range->n == 0 && last->action == range->action)
		return 0;
	last = FILTER_GROW(b, ranges);
	if (!last)
		return err_nomem(err);
	*last = *range;
	return 0;
}

static int filter_add_plain(struct filter_build *b, uint32_t first, uint32_t action,
			    struct coffer_error *err)
{
	return filter_add_range(b, &(struct seccomp_range){ .first = first, .action = action },
				err);
}

/* All there is for one number: @calls[0] to @calls[n-1] */
static int filter_add_number(struct filter_build *b, const struct seccomp_call *calls, size_t n,
			     struct coffer_error *err)
{
	struct seccomp_range range = { .first = calls->nr,
				       .action = b->action,
				       .calls = calls,
				       .n = n,
				       .wide = seccomp_abis[calls->abi].wide };

	for (size_t i = 0; i < n; i++) {
		const struct seccomp_rule *plain = &b->rules[calls[i].rule];

		if (!calls[i].plain)
			continue;
		range.action = plain->action;
		for (range.n = 0; range.n < i; range.n++)
			if (b->rules[calls[range.n].rule].rank >= plain->rank)
				break;
		break;
	}
	return filter_add_range(b, &range, err);
}

/* The numbers of one interface, whose calls come next */
static int filter_add_abi(struct filter_build *b, size_t abi, struct coffer_error *err)
{
	int r = filter_add_plain(b, seccomp_abis[abi].base, b->action, err);

	while (r == 0 && b->at < b->calls_n && b->calls[b->at].abi == abi) {
		const struct seccomp_call *calls = &b->calls[b->at];
		size_t n = 1;

		while (b->at + n < b->calls_n && calls[n].abi == abi && calls[n].nr == calls->nr)
			n++;
		b->at += n;
		r = filter_add_number(b, calls, n, err);
		if (r == 0)
			r = filter_add_plain(b, calls->nr + 1, b->action, err);
	}
	if (r == 0 && b->last[abi] > 0 &&
	    (b->action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		r = filter_add_plain(b, b->last[abi] + 1, SECCOMP_RET_ERRNO | ENOSYS, err);
	return r;
}

/* Interfaces that a filter can tell apart by the numbers only: @abi and those behind it */
static int filter_add_section(struct filter_build *b, size_t abi, struct seccomp_program *p,
			      struct coffer_error *err)
{
	const uint32_t audit = seccomp_abis[abi].audit;
	int r = 0;

	b->ranges_n = 0;
	for (; r == 0 && abi < seccomp_abis_n && seccomp_abis[abi].audit == audit; abi++)
		r = b->abis[abi] ? filter_add_abi(b, abi, err)
				 : filter_add_plain(b, seccomp_abis[abi].base,
						    SECCOMP_RET_KILL_PROCESS, err);
	/* A tracer that skips a call leaves this number. */
	if (r == 0)
		r = filter_add_plain(b, UINT32_MAX, b->action, err);
	if (r == 0)
		seccomp_program_section(p, audit, b->ranges, b->ranges_n);
	return r;
}

/* ---- the whole ---- */

static int filter_write_program(struct filter_build *b, struct seccomp_program *p,
				struct coffer_error *err)
{
	int r = 0;

	p->rules = b->rules;
	if (b->calls_n > 0)
		qsort(b->calls, b->calls_n, sizeof(*b->calls), filter_order);
	for (size_t abi = 0; r == 0 && abi < seccomp_abis_n; abi++) {
		bool first = abi == 0 || seccomp_abis[abi].audit != seccomp_abis[abi - 1].audit;

		/* Where several share a section, the first is the machine's own. */
		if (first && b->abis[abi])
			r = filter_add_section(b, abi, p, err);
	}
	seccomp_program_end(p, SECCOMP_RET_KILL_PROCESS);
	if (r == 0 && p->full)
		r = err_invalid(
		    err, "the filter has more than the %d instructions that the kernel takes",
		    BPF_MAXINSNS);
	return r;
}

static int filter_write(struct filter_build *b, struct seccomp_filter *out,
			struct coffer_error *err)
{
	autofree struct seccomp_program *p = malloc(sizeof(*p));
	int r;

	if (!p)
		return err_nomem(err);
	p->n = 0;
	p->full = false;
	r = filter_write_program(b, p, err);
	if (r < 0)
		return r;
	out->insns = malloc(p->n * sizeof(*p->insns));
	if (!out->insns)
		return err_nomem(err);
	memcpy(out->insns, p->insns, p->n * sizeof(*p->insns));
	out->n = (unsigned short)p->n;
	return 0;
}

static int filter_check_listener(const struct oci_seccomp *spec, const struct filter_build *b,
				 unsigned *flags, struct coffer_error *err)
{
	if (!b->notify) {
		/* Only means something with a listener, and the kernel refuses it without. */
		*flags &= ~(unsigned)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
		return 0;
	}
	if (!spec->listener_path)
		return err_invalid(err, "SCMP_ACT_NOTIFY without listenerPath");
	*flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	/* Else one value would mean a descriptor and a thread. */
	if (*flags & SECCOMP_FILTER_FLAG_TSYNC)
		*flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	return 0;
}

static int filter_compile(const struct oci_seccomp *spec, struct seccomp_filter *out,
			  struct coffer_error *err)
{
	auto_filter_build struct filter_build b = { 0 };
	int r;

	r = filter_parse_flags(&spec->flags, &out->flags, err);
	if (r == 0)
		r = filter_parse_action(spec->default_action, &spec->default_errno_ret, &b.action,
					&b.rank, err);
	if (r == 0 && b.action == SECCOMP_RET_USER_NOTIF)
		r = err_unsupported(err, "SCMP_ACT_NOTIFY cannot be the default action");
	if (r < 0)
		return r;
	filter_parse_abis(&spec->architectures, &b);
	for (size_t i = 0; i < spec->syscalls.n; i++) {
		r = filter_add_spec(&b, &spec->syscalls.v[i], err);
		if (r < 0)
			return err_wrap(err, "syscalls[%zu]", i);
	}
	r = filter_check_listener(spec, &b, &out->flags, err);
	return r < 0 ? r : filter_write(&b, out, err);
}

int seccomp_compile(const struct oci_seccomp *spec, struct seccomp_filter *out,
		    struct coffer_error *err)
{
	int r;

	*out = (struct seccomp_filter){ 0 };
	if (!spec)
		return 0;
	r = filter_compile(spec, out, err);
	return r < 0 ? err_wrap(err, "linux.seccomp") : 0;
}

void seccomp_filter_free(struct seccomp_filter *f)
{
	free(f->insns);
	f->insns = NULL;
}

int seccomp_apply(const struct seccomp_filter *f, int *listener, struct coffer_error *err)
{
	struct sock_fprog prog = { .len = f->n, .filter = f->insns };
	long r;

	*listener = -1;
	if (!f->insns)
		return 0;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, f->flags, &prog);
	if (r < 0)
		return err_sys(err, "load the filter");
	if (f->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		*listener = (int)r;
	return 0;
}
