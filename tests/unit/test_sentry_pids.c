/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, relatives, groups and sessions, without anything that runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/internal.h"

static struct sandbox_container container;

static int setup(void **state)
{
	(void)state;
	memset(&container, 0, sizeof(container));
	container.refs = 1;
	waitq_init(&container.events);
	container.pids = pid_table_new();
	return container.pids ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(container.npids, 0);
	pid_table_free(container.pids);
	waitq_destroy(&container.events);
	return 0;
}

static struct process *born(struct process *parent)
{
	struct process *process = process_new(&container);
	struct task *task = process ? task_new(process) : NULL;

	assert_non_null(task);
	assert_int_equal(process_link(process, parent, task), 0);
	if (parent)
		pgrp_enter(process, parent->pgrp);
	else
		assert_int_equal(session_begin(process), 0);
	task_put(task);
	process_put(process);
	return process;
}

static void dies(struct process *process)
{
	process->zombie = true;
	while (process->tasks)
		task_unlink(process->tasks);
}

static void buried(struct process *process)
{
	if (process->tasks)
		dies(process);
	process_unlink(process);
}

static void test_numbers(void **state)
{
	struct process *init = born(NULL), *child = born(init), *next;
	struct task *thread = task_new(child);

	(void)state;
	assert_int_equal(init->pid, 1);
	assert_int_equal(child->pid, 2);
	assert_int_equal(task_link(thread), 0);
	assert_int_equal(thread->tid, 3);
	assert_int_equal(container.npids, 3);
	assert_ptr_equal(task_find(&container, 3), thread);
	assert_null(process_find(&container, 3));
	assert_ptr_equal(process_find(&container, 2), child);
	assert_null(task_find(&container, 4));
	task_unlink(thread);
	task_put(thread);
	assert_null(task_find(&container, 3));
	next = born(init); /* 3 is free, but numbers rise */
	assert_int_equal(next->pid, 4);
	assert_int_equal(pid_table_last(container.pids), 4);
	/* A zombie is a process and no task, and keeps its number */
	dies(child);
	assert_null(task_find(&container, 2));
	assert_ptr_equal(process_find(&container, 2), child);
	buried(child);
	assert_null(process_find(&container, 2));
	buried(next);
	buried(init);
}

static void test_wrap(void **state)
{
	struct pid_head {
		struct pid **v;
		size_t n, cap;
		int last;
	} *head;
	struct process *init = born(NULL), *a, *b, *c;

	(void)state;
	head = (struct pid_head *)container.pids;
	head->last = PID_MAX - 2;
	a = born(init);
	b = born(init);
	assert_int_equal(a->pid, PID_MAX - 1);
	assert_int_equal(b->pid, 300); /* the first ones are not given again */
	head->last = PID_MAX - 2;
	c = born(init);
	assert_int_equal(c->pid, 301); /* those in use are passed over */
	buried(a);
	buried(b);
	buried(c);
	buried(init);
}

static void test_limit(void **state)
{
	struct process *init = born(NULL), *more;
	struct task *task;

	(void)state;
	container.pids_max = 1;
	more = process_new(&container);
	task = task_new(more);
	assert_int_equal(process_link(more, init, task), -EAGAIN);
	assert_int_equal(container.npids, 1);
	task_put(task);
	process_put(more);
	buried(init);
}

static int each_sum(struct process *process, void *data)
{
	int *last = data;

	assert_true(process->pid > *last);
	*last = process->pid;
	return process->pid == 4 ? 44 : 0;
}

static void test_each(void **state)
{
	struct process *init = born(NULL), *children[5];
	int last = 0;

	(void)state;
	for (int i = 0; i < 5; i++)
		children[i] = born(init);
	assert_int_equal(process_each(&container, each_sum, &last), 44);
	assert_int_equal(last, 4);
	for (int i = 0; i < 5; i++)
		buried(children[i]);
	buried(init);
}

static void assert_children(const struct process *parent, const struct process *a,
			    const struct process *b, const struct process *c)
{
	const struct process *all[] = { a, b, c }, *at = parent->children;

	for (int i = 0; i < 3 && all[i]; i++, at = at->sibling_next) {
		assert_ptr_equal(at, all[i]);
		assert_ptr_equal(at->parent, parent);
		assert_ptr_equal(at->sibling_prev, i ? all[i - 1] : NULL);
	}
	assert_null(at);
	assert_ptr_equal(parent->children_last, c ? c : b ? b : a);
}

static void test_children(void **state)
{
	struct process *init = born(NULL), *a = born(init), *b = born(init), *c = born(init);
	struct process *d = born(b);

	(void)state;
	assert_children(init, a, b, c);
	process_set_parent(b, a);
	assert_children(init, a, c, NULL);
	assert_children(a, b, NULL, NULL);
	process_set_parent(b, init); /* now the youngest */
	assert_children(init, a, c, b);
	assert_children(a, NULL, NULL, NULL);
	assert_children(b, d, NULL, NULL);
	buried(d);
	buried(c);
	assert_children(init, a, b, NULL);
	buried(b);
	buried(a);
	assert_children(init, NULL, NULL, NULL);
	buried(init);
}

static void test_groups(void **state)
{
	struct process *init = born(NULL), *a = born(init), *b = born(a);
	struct session *session = init->pgrp->session;
	struct pgrp *held;

	(void)state;
	assert_int_equal(session->id, 1);
	assert_ptr_equal(session_find(&container, 1), session);
	assert_ptr_equal(b->pgrp, pgrp_find(&container, 1));
	assert_int_equal(pgrp_begin(a, session), 0);
	assert_int_equal(a->pgrp->id, a->pid);
	assert_int_equal(session->npgrps, 2);
	pgrp_enter(b, a->pgrp);
	assert_int_equal(process_pgid(b), a->pid);
	/* The group outlives its leader, and keeps its number from being given out */
	held = pgrp_get(a->pgrp);
	buried(b);
	b = born(init);
	pgrp_enter(b, held);
	assert_ptr_equal(b->parent, init);
	buried(a);
	assert_ptr_equal(pgrp_find(&container, held->id), held);
	assert_null(process_find(&container, held->id));
	buried(b);
	assert_null(pgrp_find(&container, held->id));
	assert_null(held->processes);
	assert_ptr_equal(held->session, session); /* as long as it is held */
	pgrp_put(held);
	assert_int_equal(session->npgrps, 1);
	buried(init);
}

static void test_sessions(void **state)
{
	struct process *init = born(NULL), *a = born(init), *b = born(a);
	struct session *session;

	(void)state;
	assert_int_equal(session_begin(a), 0);
	session = session_get(a->pgrp->session);
	assert_int_equal(session->id, a->pid);
	assert_int_equal(a->pgrp->id, a->pid);
	assert_ptr_equal(b->pgrp, init->pgrp);
	assert_ptr_equal(session_find(&container, a->pid), session);
	pgrp_enter(b, a->pgrp);
	process_set_parent(b, init);
	buried(a);
	assert_ptr_equal(session_find(&container, session->id), session);
	buried(b);
	assert_null(session_find(&container, session->id));
	session_put(session);
	buried(init);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_numbers), TEST(test_wrap),	 TEST(test_limit),   TEST(test_each),
		TEST(test_children), TEST(test_groups), TEST(test_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
