/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pid.c - the numbers of a container's tasks, processes, groups and sessions
 *
 * One sorted array of the numbers in use. They are given out in rising order, so a new one is
 * nearly always the last, and who walks the table sees the order that ps(1) shows.
 *
 * All with tasks_lock held but making and freeing a table.
 */
#include <stdlib.h>
#include <string.h>

#include "sentry/control/container.h"
#include "sentry/task/internal.h"

#define PID_RESERVED 300 /* not given out a second time, as daemons expect to be started early */

struct pid_table {
	struct pid **v;
	size_t n, cap;
	int last;
};

struct pid_table *pid_table_new(void)
{
	return calloc(1, sizeof(struct pid_table));
}

void pid_table_free(struct pid_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->n; i++)
		free(table->v[i]);
	free(table->v);
	free(table);
}

int pid_table_last(const struct pid_table *table)
{
	return table->last;
}

/* The first index whose number is not below @nr */
static size_t pid_index(const struct pid_table *table, int nr)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (table->v[mid]->nr < nr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct pid *pid_get(struct pid_table *table, int nr)
{
	size_t at = pid_index(table, nr);

	return at < table->n && table->v[at]->nr == nr ? table->v[at] : NULL;
}

static int pid_next_free(const struct pid_table *table)
{
	int nr = table->last;

	for (;;) {
		nr = nr >= PID_MAX - 1 ? PID_RESERVED : nr + 1;
		size_t at = pid_index(table, nr);

		if (at == table->n || table->v[at]->nr != nr)
			return nr;
	}
}

struct pid *pid_new(struct pid_table *table)
{
	struct pid *pid;
	size_t at;

	if (table->n == table->cap) {
		size_t cap = table->cap ? table->cap * 2 : 32;
		struct pid **v = realloc(table->v, cap * sizeof(struct pid *));

		if (!v)
			return NULL;
		table->v = v;
		table->cap = cap;
	}
	pid = calloc(1, sizeof(*pid));
	if (!pid)
		return NULL;
	pid->nr = table->last = pid_next_free(table);
	at = pid_index(table, pid->nr);
	memmove(table->v + at + 1, table->v + at, (table->n - at) * sizeof(struct pid *));
	table->v[at] = pid;
	table->n++;
	return pid;
}

void pid_drop_unused(struct pid_table *table, int nr)
{
	size_t at = pid_index(table, nr);
	struct pid *pid;

	if (at == table->n || table->v[at]->nr != nr)
		return;
	pid = table->v[at];
	if (pid->task || pid->process || pid->pgrp || pid->session)
		return;
	free(pid);
	table->n--;
	memmove(table->v + at, table->v + at + 1, (table->n - at) * sizeof(struct pid *));
}

struct process *process_find(struct sandbox_container *container, int nr)
{
	struct pid *pid = pid_get(container->pids, nr);

	return pid ? pid->process : NULL;
}

struct task *task_find(struct sandbox_container *container, int nr)
{
	struct pid *pid = pid_get(container->pids, nr);

	return pid ? pid->task : NULL;
}

struct pgrp *pgrp_find(struct sandbox_container *container, int nr)
{
	struct pid *pid = pid_get(container->pids, nr);

	return pid ? pid->pgrp : NULL;
}

struct session *session_find(struct sandbox_container *container, int nr)
{
	struct pid *pid = pid_get(container->pids, nr);

	return pid ? pid->session : NULL;
}

int process_each(struct sandbox_container *container,
		 int (*fn)(struct process *process, void *data), void *data)
{
	struct pid_table *table = container->pids;

	for (size_t i = 0; i < table->n; i++) {
		int r = table->v[i]->process ? fn(table->v[i]->process, data) : 0;

		if (r)
			return r;
	}
	return 0;
}
