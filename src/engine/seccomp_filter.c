/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/seccomp_filter.c - linux.seccomp to a filter, and loading it
 *
 *	linux.seccomp --profile--> calls of each interface, sorted
 *	              --ranges---> runs of numbers that meet the same
 *	              --program--> BPF, loaded by one system call
 *
 * A call above the largest number that the profile names is newer than the
 * profile, which so says nothing about it: where the default is an errno it
 * gets ENOSYS, on which programs fall back to what they used before.
 *
 * A call through an interface that the profile does not list ends the process:
 * its numbers mean other calls.
 *
 * Callers: container.c compiles, the child's stages load.
 */
#include "engine/seccomp_filter.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/seccomp_calls.h"
#include "engine/seccomp_profile.h"
#include "engine/seccomp_program.h"

struct filter_build {
	struct seccomp_profile profile;
	size_t at;		      /* the first of its calls that no section has taken */
	struct seccomp_range *ranges; /* of the section at hand; owned */
	size_t ranges_n, ranges_cap;
};

static void filter_build_free(struct filter_build *b)
{
	seccomp_profile_free(&b->profile);
	free(b->ranges);
}

#define auto_filter_build CLEANUP(filter_build_free)

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
	last = SECCOMP_GROW(b, ranges);
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
				       .action = b->profile.action,
				       .calls = calls,
				       .n = n,
				       .wide = seccomp_abis[calls->abi].wide };

	for (size_t i = 0; i < n; i++) {
		const struct seccomp_rule *plain = &b->profile.rules[calls[i].rule];

		if (!calls[i].plain)
			continue;
		range.action = plain->action;
		for (range.n = 0; range.n < i; range.n++)
			if (b->profile.rules[calls[range.n].rule].rank >= plain->rank)
				break;
		break;
	}
	return filter_add_range(b, &range, err);
}

/* The numbers of one interface, whose calls come next */
static int filter_add_abi(struct filter_build *b, size_t abi, struct coffer_error *err)
{
	int r = filter_add_plain(b, seccomp_abis[abi].base, b->profile.action, err);

	while (r == 0 && b->at < b->profile.calls_n && b->profile.calls[b->at].abi == abi) {
		const struct seccomp_call *calls = &b->profile.calls[b->at];
		size_t n = 1;

		while (b->at + n < b->profile.calls_n && calls[n].abi == abi &&
		       calls[n].nr == calls->nr)
			n++;
		b->at += n;
		r = filter_add_number(b, calls, n, err);
		if (r == 0)
			r = filter_add_plain(b, calls->nr + 1, b->profile.action, err);
	}
	if (r == 0 && b->profile.last[abi] > 0 &&
	    (b->profile.action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO)
		r = filter_add_plain(b, b->profile.last[abi] + 1, SECCOMP_RET_ERRNO | ENOSYS, err);
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
		r = b->profile.abis[abi] ? filter_add_abi(b, abi, err)
					 : filter_add_plain(b, seccomp_abis[abi].base,
							    SECCOMP_RET_KILL_PROCESS, err);
	/* A tracer that skips a call leaves this number. */
	if (r == 0)
		r = filter_add_plain(b, UINT32_MAX, b->profile.action, err);
	if (r == 0)
		seccomp_program_section(p, audit, b->ranges, b->ranges_n);
	return r;
}

/* ---- the whole ---- */

static int filter_write_program(struct filter_build *b, struct seccomp_program *p,
				struct coffer_error *err)
{
	int r = 0;

	p->rules = b->profile.rules;
	for (size_t abi = 0; r == 0 && abi < seccomp_abis_n; abi++) {
		bool first = abi == 0 || seccomp_abis[abi].audit != seccomp_abis[abi - 1].audit;

		/* Where several share a section, the first is the machine's own. */
		if (first && b->profile.abis[abi])
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
	if (!b->profile.notify) {
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
	auto_filter_build struct filter_build b = { .at = 0 };
	int r;

	r = filter_parse_flags(&spec->flags, &out->flags, err);
	if (r == 0)
		r = seccomp_profile_read(spec, &b.profile, err);
	if (r == 0)
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
