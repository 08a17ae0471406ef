/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/signal/queue.c - pending signals
 *
 * A set says which there are, a list in order of arrival carries what is known of them. A standard
 * signal is there once; real-time ones as often as they were sent, up to a limit. A bit without an
 * entry is a signal that came while the limit was reached: it is delivered, and nothing is known
 * of it.
 *
 * For this room only; tasks_lock held.
 */
#include "sentry/signal/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/task/task.h"

struct signal_queued {
	struct signal_queued *next;
	int32_t signo;
	uint8_t info[SIGNAL_INFO_BYTES];
};

int signal_queue_add(struct signal_pending *pending, unsigned *count, uint64_t limit, int sig,
		     const struct signal_info *info)
{
	/* What a kernel or kill(2) sends arrives in any case: there are only so many of them. */
	bool must = sig < SIGNAL_REALTIME && info->code >= 0;
	struct signal_queued *entry = NULL;

	if (must || (*count < limit && *count < SIGNAL_QUEUE_MAX))
		entry = malloc(sizeof(*entry));
	if (!entry && sig >= SIGNAL_REALTIME && info->code != SI_USER)
		return -EAGAIN;
	pending->set |= signal_bit(sig);
	if (!entry)
		return 0;
	entry->next = NULL;
	entry->signo = sig;
	memcpy(entry->info, info, sizeof(entry->info));
	if (pending->last)
		pending->last->next = entry;
	else
		pending->first = entry;
	pending->last = entry;
	++*count;
	return 0;
}

static void queue_unlink(struct signal_pending *pending, unsigned *count,
			 struct signal_queued *before, struct signal_queued *entry)
{
	if (before)
		before->next = entry->next;
	else
		pending->first = entry->next;
	if (pending->last == entry)
		pending->last = before;
	--*count;
	free(entry);
}

static void queue_take_info(struct signal_pending *pending, unsigned *count, int sig,
			    struct signal_info *info)
{
	struct signal_queued *before = NULL, *found_before = NULL, *found = NULL;
	bool more = false;

	for (struct signal_queued *e = pending->first; e && !more; before = e, e = e->next) {
		if (e->signo != sig)
			continue;
		more = found != NULL;
		if (!found) {
			found = e;
			found_before = before;
		}
	}
	if (!more)
		pending->set &= ~signal_bit(sig);
	memset(info, 0, sizeof(*info));
	if (found) {
		memcpy(info, found->info, sizeof(found->info));
		queue_unlink(pending, count, found_before, found);
	}
	info->signo = sig;
}

int signal_queue_take(struct signal_pending *pending, unsigned *count, uint64_t set,
		      struct signal_info *info)
{
	uint64_t due = pending->set & set;
	int sig;

	if (due & SIGNAL_SET_FAULT)
		due &= SIGNAL_SET_FAULT;
	if (!due)
		return 0;
	sig = __builtin_ctzll(due) + 1;
	queue_take_info(pending, count, sig, info);
	return sig;
}

void signal_queue_flush(struct signal_pending *pending, unsigned *count, uint64_t set)
{
	struct signal_queued *before = NULL, *next;

	if (!(pending->set & set))
		return;
	pending->set &= ~set;
	for (struct signal_queued *e = pending->first; e; e = next) {
		next = e->next;
		if (set & signal_bit(e->signo))
			queue_unlink(pending, count, before, e);
		else
			before = e;
	}
}

bool signal_timer_merge(struct process *process, struct task *task, int sig, int id, uint64_t more,
			int *overrun)
{
	struct signal_pending *pending =
		task ? &task->signals.pending : &process->signals.pending;
	struct {
		int32_t id, overrun;
	} fields;
	struct signal_info info;

	for (struct signal_queued *e = pending->first; e; e = e->next) {
		memcpy(&info, e->info, sizeof(e->info));
		memcpy(&fields, info.fields, sizeof(fields));
		if (e->signo != sig || info.code != SI_TIMER || fields.id != id)
			continue;
		more += (uint64_t)fields.overrun;
		*overrun = fields.overrun = more > INT32_MAX ? INT32_MAX : (int32_t)more;
		memcpy(e->info + offsetof(struct signal_info, fields), &fields, sizeof(fields));
		return true;
	}
	return false;
}
