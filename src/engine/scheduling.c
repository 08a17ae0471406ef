/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/scheduling.c - scheduler, I/O priority, personality
 *
 * Words to numbers by table, then one system call each.  Callers: the child's
 * stages.
 */
#include "engine/scheduling.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

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
