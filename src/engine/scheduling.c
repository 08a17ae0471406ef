/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/scheduling.c - scheduler, I/O priority, personality, processors of an exec
 *
 * Words to numbers by table, then one system call each.
 *
 * An exec may name processors for the time before it is in the container's
 * group: the caller takes them for itself, the child inherits them.  Those for
 * the time after it the child sets itself.
 *
 * Callers: the child's stages, exec.c.
 */
#include "engine/scheduling.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SCHEDULING_CPUS_MAX (SCHEDULING_CPU_WORDS * 8 * (unsigned)sizeof(unsigned long))

struct scheduling_word {
	const char *word;
	unsigned value;
};

static const struct scheduling_word scheduling_policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_FIFO", SCHED_FIFO },
	{ "SCHED_RR", SCHED_RR },        { "SCHED_BATCH", SCHED_BATCH },
	{ "SCHED_ISO", 4 },              { "SCHED_IDLE", SCHED_IDLE },
	{ "SCHED_DEADLINE", SCHED_DEADLINE },
};

static const struct scheduling_word scheduling_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
};

static const struct scheduling_word scheduling_io_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
};

/* Return: the row's value, or -EINVAL with @field named */
static int scheduling_lookup(const struct scheduling_word *table, size_t n, const char *word,
			const char *field, struct coffer_error *err)
{
	for (size_t i = 0; word && i < n; i++)
		if (strcmp(table[i].word, word) == 0)
			return (int)table[i].value;
	return err_invalid(err, "%s: unknown word \"%s\"", field, word ? word : "");
}

static int scheduling_apply_policy(const struct oci_scheduler *s, struct coffer_error *err)
{
	struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_nice = s->nice,
		.sched_priority = (uint32_t)s->priority,
		.sched_runtime = s->runtime,
		.sched_deadline = s->deadline,
		.sched_period = s->period,
	};
	int r = scheduling_lookup(scheduling_policies, ARRAY_SIZE(scheduling_policies), s->policy,
				  "process.scheduler.policy", err);

	if (r < 0)
		return r;
	attr.sched_policy = (uint32_t)r;
	for (size_t i = 0; i < s->flags.n; i++) {
		r = scheduling_lookup(scheduling_flags, ARRAY_SIZE(scheduling_flags), s->flags.v[i],
				 "process.scheduler.flags", err);
		if (r < 0)
			return r;
		attr.sched_flags |= (uint64_t)r;
	}
	if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
		return err_sys(err, "process.scheduler: set %s", s->policy);
	return 0;
}

static int scheduling_apply_io(const struct oci_io_priority *io, struct coffer_error *err)
{
	int class_ = scheduling_lookup(scheduling_io_classes, ARRAY_SIZE(scheduling_io_classes),
				       io->class_, "process.ioPriority.class", err);

	if (class_ < 0)
		return class_;
	if (io->priority < 0 || io->priority > 7)
		return err_invalid(err, "process.ioPriority.priority: %d is not 0 to 7",
				   io->priority);
	if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
		    IOPRIO_PRIO_VALUE(class_, io->priority)) < 0)
		return err_sys(err, "process.ioPriority: set %s", io->class_);
	return 0;
}

int scheduling_apply(const struct oci_process *process, struct coffer_error *err)
{
	int r = 0;

	if (process->scheduler)
		r = scheduling_apply_policy(process->scheduler, err);
	if (r == 0 && process->io_priority)
		r = scheduling_apply_io(process->io_priority, err);
	return r;
}

int scheduling_apply_personality(const struct oci_personality *p, struct coffer_error *err)
{
	static const struct scheduling_word domains[] = {
		{ "LINUX", PER_LINUX },
		{ "LINUX32", PER_LINUX32 },
	};
	int r;

	if (!p || !p->domain)
		return 0;
	r = scheduling_lookup(domains, ARRAY_SIZE(domains), p->domain,
			      "linux.personality.domain", err);
	if (r < 0)
		return r;
	if (personality((unsigned long)r) < 0)
		return err_sys(err, "linux.personality: set %s", p->domain);
	return 0;
}

/* ---- processors ---- */

/* A number and what follows it. Return: its end, or NULL */
static const char *scheduling_parse_cpu(const char *text, unsigned *cpu)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return NULL;
	n = strtoul(text, &end, 10);
	if (n >= SCHEDULING_CPUS_MAX)
		return NULL;
	*cpu = (unsigned)n;
	return end;
}

/* "0-3,7". Return: 0 or -EINVAL */
static int scheduling_parse_cpus(const char *list, struct scheduling_cpus *out)
{
	const unsigned bits = 8 * (unsigned)sizeof(out->mask[0]);
	unsigned first = 0, last;

	*out = (struct scheduling_cpus){ .set = true };
	for (const char *p = list;; p++) {
		p = scheduling_parse_cpu(p, &first);
		last = first;
		if (p && *p == '-')
			p = scheduling_parse_cpu(p + 1, &last);
		if (!p || last < first || (*p && *p != ','))
			return -EINVAL;
		for (unsigned cpu = first; cpu <= last; cpu++)
			out->mask[cpu / bits] |= 1UL << cpu % bits;
		if (!*p)
			return 0;
	}
}

static int scheduling_parse_field(const char *list, const char *field,
				  struct scheduling_cpus *out, struct coffer_error *err)
{
	if (scheduling_parse_cpus(list, out) == 0)
		return 0;
	return err_invalid(err, "process.execCPUAffinity.%s: bad list \"%s\"", field, list);
}

static int scheduling_take_cpus(const char *list, const char *field, struct coffer_error *err)
{
	struct scheduling_cpus cpus;

	if (scheduling_parse_field(list, field, &cpus, err) < 0)
		return -EINVAL;
	if (syscall(SYS_sched_setaffinity, 0, sizeof(cpus.mask), cpus.mask) < 0)
		return err_sys(err, "process.execCPUAffinity.%s: set %s", field, list);
	return 0;
}

int scheduling_enter_initial(const struct oci_process *process, struct scheduling_cpus *saved,
			     struct coffer_error *err)
{
	const struct oci_cpu_affinity *a = process->exec_cpu_affinity;

	*saved = (struct scheduling_cpus){ 0 };
	if (!a || !a->initial)
		return 0;
	if (syscall(SYS_sched_getaffinity, 0, sizeof(saved->mask), saved->mask) < 0)
		return err_sys(err, "read the processors");
	saved->set = true;
	return scheduling_take_cpus(a->initial, "initial", err);
}

void scheduling_leave_initial(const struct scheduling_cpus *saved)
{
	/* They were ours a moment ago; nothing can be done about a failure. */
	if (saved->set)
		syscall(SYS_sched_setaffinity, 0, sizeof(saved->mask), saved->mask);
}

int scheduling_apply_final(const struct oci_process *process, struct coffer_error *err)
{
	const struct oci_cpu_affinity *a = process->exec_cpu_affinity;

	return a && a->final ? scheduling_take_cpus(a->final, "final", err) : 0;
}

int scheduling_check_cpus(const struct oci_process *process, struct coffer_error *err)
{
	const struct oci_cpu_affinity *a = process->exec_cpu_affinity;
	struct scheduling_cpus cpus;
	int r = 0;

	if (a && a->initial)
		r = scheduling_parse_field(a->initial, "initial", &cpus, err);
	if (r == 0 && a && a->final)
		r = scheduling_parse_field(a->final, "final", &cpus, err);
	return r;
}
