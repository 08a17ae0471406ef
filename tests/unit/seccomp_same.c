/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/seccomp_same.c - one profile, our program and libseccomp's
 *
 * Two things are asked of each verdict: ours is what the profile says by the
 * rules at the top of engine/seccomp_*.c (same_should() reads them off the
 * profile, there is no program in it); and libseccomp's is no other, unless
 * that is one of differences[], which says why we mean it and what
 * libseccomp's has to be then.
 */
#include "seccomp_same.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "engine/seccomp_calls.h"
#include "engine/seccomp_filter.h"
#include "seccomp_machine.h"

#define SAME_ABIS  4
#define SAME_RULES 256
#define SAME_NAMED 4096

/* ---- one profile, two programs ---- */

static struct same {
	const char *title;
	struct oci_spec *doc;
	const struct oci_seccomp *spec;
	struct same_rule rules[SAME_RULES];
	struct same_named named[SAME_NAMED];
	size_t named_n;
	uint32_t action;       /* default */
	bool lists[SAME_ABIS]; /* of seccomp_abis[] */
	uint32_t last[SAME_ABIS];
	struct seccomp_filter ours;
	struct sock_filter theirs[BPF_MAXINSNS];
	size_t theirs_n;
} same;

static const struct {
	const char *name;
	uint32_t act;
	bool data;
} same_actions[] = {
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL, false },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP, false },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY, false },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG, false },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false },
};

static uint32_t same_action(const char *name, const struct oci_opt_u32 *data)
{
	for (size_t i = 0; i < ARRAY_SIZE(same_actions); i++)
		if (strcmp(same_actions[i].name, name) == 0)
			return same_actions[i].act | (!same_actions[i].data ? 0
						      : data->set	    ? data->v
									    : EPERM);
	fail_msg("action %s", name);
	return 0;
}

/* As the kernel orders them: the smaller number is the stricter. */
static int32_t same_rank(uint32_t action)
{
	return (int32_t)(action & SECCOMP_RET_ACTION_FULL);
}

struct scmp_arg_cmp same_cmp(const struct oci_seccomp_arg *arg)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} ops[] = {
		{ "SCMP_CMP_NE", SCMP_CMP_NE }, { "SCMP_CMP_LT", SCMP_CMP_LT },
		{ "SCMP_CMP_LE", SCMP_CMP_LE }, { "SCMP_CMP_EQ", SCMP_CMP_EQ },
		{ "SCMP_CMP_GE", SCMP_CMP_GE }, { "SCMP_CMP_GT", SCMP_CMP_GT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (strcmp(ops[i].name, arg->op) == 0)
			return SCMP_CMP64(arg->index, ops[i].op, arg->value);
	return SCMP_CMP64(arg->index, SCMP_CMP_MASKED_EQ, arg->value, arg->value_two);
}

/* One argument compared twice: each comparison is a rule then. */
static bool same_splits(const struct oci_seccomp_rule *r)
{
	unsigned seen = 0;

	for (size_t i = 0; i < r->args.n; i++) {
		if (seen & 1U << r->args.v[i].index)
			return true;
		seen |= 1U << r->args.v[i].index;
	}
	return false;
}

static void theirs_add(scmp_filter_ctx ctx, struct same_rule *rule, int nr, unsigned n,
		       const struct scmp_arg_cmp *cmps)
{
	int r = seccomp_rule_add_array(ctx, rule->action, nr, n, cmps);

	/* It is in the way of another rule, on one interface; then it is left out on all. */
	rule->refused |= r == -EEXIST;
	if (r < 0 && r != -EEXIST)
		fail_msg("%s: seccomp_rule_add_array: %s", same.title, strerror(-r));
}

static void theirs_add_rule(scmp_filter_ctx ctx, struct same_rule *rule)
{
	struct scmp_arg_cmp cmps[6];
	bool splits = same_splits(rule->spec);

	/* Which it refuses, and who uses it leaves out. */
	if (rule->action == same.action)
		return;
	for (size_t i = 0; i < rule->spec->args.n; i++)
		cmps[i] = same_cmp(&rule->spec->args.v[i]);
	for (size_t i = 0; i < rule->spec->names.n; i++) {
		int nr = seccomp_syscall_resolve_name(rule->spec->names.v[i]);

		if (nr == __NR_SCMP_ERROR)
			continue;
		for (size_t k = 0; splits && k < rule->spec->args.n; k++)
			theirs_add(ctx, rule, nr, 1, &cmps[k]);
		if (!splits)
			theirs_add(ctx, rule, nr, (unsigned)rule->spec->args.n, cmps);
	}
}

static void theirs_compile(void)
{
	scmp_filter_ctx ctx = seccomp_init(same.action);
	int fd = memfd_create("bpf", MFD_CLOEXEC);
	ssize_t len;

	assert_non_null(ctx);
	assert_true(fd >= 0);
	for (size_t i = 1; i < seccomp_abis_n; i++)
		if (same.lists[i])
			assert_int_equal(seccomp_arch_add(ctx, seccomp_abis[i].token), 0);
	for (size_t i = 0; i < same.spec->syscalls.n; i++)
		theirs_add_rule(ctx, &same.rules[i]);
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	seccomp_release(ctx);
	len = pread(fd, same.theirs, sizeof(same.theirs), 0);
	close(fd);
	assert_true(len > 0 && (size_t)len < sizeof(same.theirs));
	same.theirs_n = (size_t)len / sizeof(same.theirs[0]);
}

static void same_add_number(const struct same_named *named)
{
	assert_true(same.named_n < SAME_NAMED);
	same.named[same.named_n++] = *named;
	if (named->nr > same.last[named->abi])
		same.last[named->abi] = named->nr;
}

static void same_add_name(const struct same_rule *rule, const char *name)
{
	for (size_t i = 0; i < seccomp_abis_n; i++) {
		struct seccomp_number nr = seccomp_call_number(&seccomp_abis[i], name);
		struct same_named named = {
			.rule = rule,
			.abi = i,
			.nr = (uint32_t)nr.direct,
			.unknown = seccomp_syscall_resolve_name(name) == __NR_SCMP_ERROR,
		};

		if (same.lists[i] && nr.direct >= 0)
			same_add_number(&named);
		named.nr = (uint32_t)nr.muxed;
		named.muxed = true;
		named.muxed_mask = nr.muxed_mask;
		named.muxed_case = nr.muxed_case;
		if (same.lists[i] && nr.muxed >= 0)
			same_add_number(&named);
	}
}

static void same_list_abis(const struct oci_strv *names)
{
	assert_true(seccomp_abis_n <= SAME_ABIS);
	same.lists[0] = true;
	for (size_t i = 0; i < seccomp_abis_n; i++)
		for (size_t k = 0; k < names->n; k++)
			same.lists[i] |= strcmp(names->v[k], seccomp_abis[i].name) == 0;
}

void same_open(const char *title, const char *profile)
{
	static const char frame[] =
	    "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"process\":{\"cwd\":\"/\","
	    "\"args\":[\"a\"],\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{\"seccomp\":%s}}";
	struct coffer_error err = COFFER_ERROR_INIT;
	struct buf doc = BUF_INIT(1 << 20);

	memset(&same, 0, sizeof(same));
	same.title = title;
	assert_int_equal(buf_printf(&doc, frame, profile), 0);
	if (oci_spec_parse((const char *)buf_data(&doc), doc.len, &same.doc, &err) < 0 ||
	    seccomp_compile(same.doc->linux_->seccomp, &same.ours, &err) < 0)
		fail_msg("%s: %s", title, err.message);
	buf_free(&doc);
	same.spec = same.doc->linux_->seccomp;
	same.action = same_action(same.spec->default_action, &same.spec->default_errno_ret);
	same_list_abis(&same.spec->architectures);
	assert_true(same.spec->syscalls.n <= SAME_RULES);
	for (size_t i = 0; i < same.spec->syscalls.n; i++) {
		const struct oci_seccomp_rule *r = &same.spec->syscalls.v[i];

		same.rules[i] =
		    (struct same_rule){ r, same_action(r->action, &r->errno_ret), false };
		for (size_t k = 0; k < r->names.n; k++)
			same_add_name(&same.rules[i], r->names.v[k]);
	}
	theirs_compile();
}

void same_close(void)
{
	seccomp_filter_free(&same.ours);
	oci_spec_free(same.doc);
}

/* ---- what a profile says ---- */

static int same_abi(uint32_t audit, uint32_t nr)
{
	for (size_t i = 0; i < seccomp_abis_n; i++)
		if (seccomp_abis[i].audit == audit && nr >= seccomp_abis[i].base &&
		    nr < seccomp_abis[i].end)
			return same.lists[i] ? (int)i : -1;
	return -1;
}

void same_call_init(struct same_call *c, uint32_t audit, uint32_t nr)
{
	*c = (struct same_call){ .nr = nr, .abi = same_abi(audit, nr) };
	c->data.arch = audit;
	c->data.nr = (int)nr;
	for (size_t i = 0; i < same.named_n; i++) {
		if (same.named[i].nr != nr || (int)same.named[i].abi != c->abi)
			continue;
		assert_true(c->n < SAME_CANDIDATES);
		c->v[c->n++] = &same.named[i];
	}
}

static bool arg_holds(const struct oci_seccomp_arg *arg, uint64_t v, uint64_t mask)
{
	struct scmp_arg_cmp cmp = same_cmp(arg);
	uint64_t a = cmp.datum_a & mask, b = cmp.datum_b & mask;

	v &= mask;
	switch (cmp.op) {
	case SCMP_CMP_NE:
		return v != a;
	case SCMP_CMP_LT:
		return v < a;
	case SCMP_CMP_LE:
		return v <= a;
	case SCMP_CMP_EQ:
		return v == a;
	case SCMP_CMP_GE:
		return v >= a;
	case SCMP_CMP_GT:
		return v > a;
	default:
		return (v & a) == (b & a);
	}
}

bool same_named_plain(const struct same_named *m)
{
	return !m->muxed && m->rule->spec->args.n == 0;
}

static bool named_holds(const struct same_call *c, const struct same_named *m)
{
	const struct oci_seccomp_rule *r = m->rule->spec;
	uint64_t mask = seccomp_abis[m->abi].wide ? UINT64_MAX : UINT32_MAX;
	bool splits = same_splits(r);

	/* What it would compare is in memory: the stricter way. */
	if (m->muxed)
		return (c->data.args[0] & m->muxed_mask) == m->muxed_case &&
		       (r->args.n == 0 || same_rank(m->rule->action) < same_rank(same.action));
	for (size_t i = 0; i < r->args.n; i++)
		if (arg_holds(&r->args.v[i], c->data.args[r->args.v[i].index], mask) == splits)
			return splits;
	return !splits;
}

/* The first rule for @c that asks nothing, if there is one. */
static const struct same_named *call_plain(const struct same_call *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (same_named_plain(c->v[i]) && c->v[i]->rule->action != same.action)
			return c->v[i];
	return NULL;
}

/* The first of the strictest whose conditions hold, if there is one. */
static const struct same_named *call_strictest(const struct same_call *c)
{
	const struct same_named *best = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct same_named *m = c->v[i];

		/* Muxed without arguments is like any other way to name what happens anyway. */
		if (same_named_plain(m) || !named_holds(c, m) ||
		    (m->rule->spec->args.n == 0 && m->rule->action == same.action))
			continue;
		if (!best || same_rank(m->rule->action) < same_rank(best->rule->action))
			best = m;
	}
	return best;
}

static bool call_newer(const struct same_call *c)
{
	return c->abi >= 0 && same.last[c->abi] > 0 && c->nr > same.last[c->abi] &&
	       (same.action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
}

/* The verdict that our program has to give. */
static uint32_t same_should(const struct same_call *c)
{
	const struct same_named *plain = call_plain(c), *best = call_strictest(c);

	if (c->abi < 0)
		return c->nr == SAME_NONE && same_abi(c->data.arch, 0) >= 0
			   ? same.action
			   : SECCOMP_RET_KILL_PROCESS;
	if (plain && (!best || same_rank(best->rule->action) >= same_rank(plain->rule->action)))
		return plain->rule->action;
	if (best)
		return best->rule->action;
	return call_newer(c) ? SECCOMP_RET_ERRNO | ENOSYS : same.action;
}

/* ---- where libseccomp's may differ ---- */

/* What libseccomp can say at all to @c, with some of the rules lost: this, or some rule's action */
static bool call_knows(const struct same_call *c, uint32_t action)
{
	bool knows = action == same.action;

	for (size_t i = 0; i < c->n; i++)
		knows |= c->v[i]->rule->action == action;
	return knows;
}

/*
 * An interface that is not added ends the thread by default; ours ends the
 * process, which has no use for the rest of itself.
 */
static bool differs_foreign(const struct same_call *c, uint32_t theirs)
{
	return c->abi < 0 && theirs == SECCOMP_RET_KILL_THREAD;
}

/* It has no notion of calls that are newer than the profile. */
static bool differs_newer(const struct same_call *c, uint32_t theirs)
{
	return call_newer(c) && c->n == 0 && theirs == same.action;
}

/* Nor of names that came after its release: a rule for one is lost. */
static bool differs_unknown(const struct same_call *c, uint32_t theirs)
{
	return c->n > 0 && c->v[0]->unknown && theirs == same.action;
}

/* A rule with the default's action is refused, but one that is stricter than others says something.
 */
static bool differs_default(const struct same_call *c, uint32_t theirs)
{
	const struct same_named *best = call_strictest(c);

	return best && best->rule->action == same.action && call_knows(c, theirs) &&
	       same_rank(same.action) < same_rank(theirs);
}

/*
 * As documented, "the more specific rule is dropped by the more generic one",
 * even where that is more lenient.
 */
static bool differs_plain(const struct same_call *c, uint32_t theirs)
{
	const struct same_named *plain = call_plain(c);

	return plain && theirs == plain->rule->action &&
	       same_rank(same_should(c)) < same_rank(theirs);
}

/* Of several conditions that hold it takes the one its tree has first, we the strictest. */
static bool differs_several(const struct same_call *c, uint32_t theirs)
{
	bool held = false;

	for (size_t i = 0; i < c->n; i++)
		held |= named_holds(c, c->v[i]) && c->v[i]->rule->action == theirs;
	return held && !call_plain(c) && same_rank(same_should(c)) <= same_rank(theirs);
}

/*
 * Arguments of a call that is a case of another: it compares the other's, one
 * of which is a pointer to them, so a condition says nothing.
 */
static bool differs_muxed(const struct same_call *c, uint32_t theirs)
{
	bool unseen = false;

	for (size_t i = 0; i < c->n; i++)
		unseen |= c->v[i]->muxed && c->v[i]->rule->spec->args.n > 0;
	return unseen && call_knows(c, theirs);
}

/* ipc(2) has a version above the case; the kernel cuts it off, libseccomp compares it too. */
static bool differs_version(const struct same_call *c, uint32_t theirs)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i]->muxed_mask == 0xffff && c->data.args[0] & 0xffff0000)
			return theirs == same.action;
	return false;
}

/* A rule whose place in its tree another one has it refuses, on all interfaces. */
static bool differs_refused(const struct same_call *c, uint32_t theirs)
{
	bool refused = false;

	for (size_t i = 0; i < c->n; i++)
		refused |= c->v[i]->rule->refused;
	return refused && call_knows(c, theirs);
}

/* Two comparisons of one argument, which are not all for equality */
static bool call_meets(const struct same_call *c)
{
	const struct oci_seccomp_arg *one[6] = { NULL };
	bool other = false, meets = false;

	for (size_t i = 0; i < c->n; i++) {
		const struct oci_seccomp_rule *r = c->v[i]->rule->spec;

		for (size_t k = 0; k < r->args.n; k++) {
			const struct oci_seccomp_arg *arg = &r->args.v[k];

			other |= strcmp(arg->op, "SCMP_CMP_EQ") != 0;
			meets |= one[arg->index] != NULL;
			one[arg->index] = arg;
		}
	}
	return other && meets;
}

/*
 * Its rules for one call are one tree.  Where comparisons of one argument meet
 * there that are not all for equality, a rule may be lost, or hold where it
 * should not: no word on ours, which is held against the profile itself.
 */
static bool differs_tree(const struct same_call *c, uint32_t theirs)
{
	return call_meets(c) && call_knows(c, theirs);
}

size_t same_compared;

static struct {
	const char *name;
	bool (*meant)(const struct same_call *c, uint32_t theirs);
	bool quirk; /* of the library, a newer one may be without */
	size_t met;
} differences[] = {
	{ "an interface that is not listed", differs_foreign, false, 0 },
	{ "newer than the profile", differs_newer, false, 0 },
	{ "newer than the library", differs_unknown, true, 0 },
	{ "a condition with the default's action", differs_default, false, 0 },
	{ "a condition stricter than none", differs_plain, false, 0 },
	{ "the strictest of several conditions", differs_several, false, 0 },
	{ "arguments out of sight", differs_muxed, false, 0 },
	{ "a version above the case", differs_version, false, 0 },
	{ "a rule that the library refuses", differs_refused, true, 0 },
	{ "rules that meet in a tree", differs_tree, true, 0 },
};

void same_compare(const struct same_call *c)
{
	uint32_t ours = seccomp_machine_run(same.ours.insns, same.ours.n, &c->data);
	uint32_t theirs = seccomp_machine_run(same.theirs, same.theirs_n, &c->data);
	uint32_t should = same_should(c);
	const __u64 *a = c->data.args;

	same_compared++;
	for (size_t i = 0; ours == should && ours != theirs && i < ARRAY_SIZE(differences); i++) {
		if (differences[i].meant(c, theirs)) {
			differences[i].met++;
			return;
		}
	}
	if (ours != should || ours != theirs)
		fail_msg("%s: architecture %#x call %#x(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx): "
			 "%#x, libseccomp's %#x, should be %#x",
			 same.title, c->data.arch, c->nr, a[0], a[1], a[2], a[3], a[4], a[5], ours,
			 theirs, should);
}

void same_check_met(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		print_message("%zu differ by %s\n", differences[i].met, differences[i].name);
#ifdef __x86_64__
		assert_true(differences[i].quirk || differences[i].met > 0);
#endif
	}
}
