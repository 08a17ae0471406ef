/* SPDX-License-Identifier: Apache-2.0 */
/* When and where a process may run: scheduler, I/O priority, personality, processors of an exec. */
#include "engine_run.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/scheduling.h"
#include "engine/support.h"

static void set_scheduler(struct run *run, const char *policy)
{
	struct oci_scheduler *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	oci_str_set(&s->policy, policy, &run->err);
	run->spec->process->scheduler = s;
}

static void set_affinity(struct run *run, const char *initial, const char *final)
{
	struct oci_cpu_affinity *a = calloc(1, sizeof(*a));

	assert_non_null(a);
	oci_str_set(&a->initial, initial, &run->err);
	oci_str_set(&a->final, final, &run->err);
	run->spec->process->exec_cpu_affinity = a;
}

/* Real-time policies take a budget that groups of cpu's first version don't have. */
static void test_policies(void **state)
{
	struct run *run = *state;

	set_scheduler(run, "SCHED_IDLE");
	run_args(run, "sched", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_true(strncmp(run->out, "policy 5 ", 9) == 0);
	oci_str_set(&run->spec->process->scheduler->policy, "SCHED_EAGER", &run->err);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "process.scheduler.policy: unknown word"));
}

static void test_deadline(void **state)
{
	struct run *run = *state;
	struct oci_scheduler *s;

	set_scheduler(run, "SCHED_DEADLINE");
	s = run->spec->process->scheduler;
	s->runtime = 10000000;
	s->deadline = 50000000;
	s->period = 100000000;
	oci_strv_add(&s->flags, "SCHED_FLAG_RECLAIM", &run->err);
	run_args(run, "sched", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_true(strncmp(run->out, "policy 6 ", 9) == 0);
	/* More than its period: the kernel's word for it, and the field's name. */
	s->runtime = 200000000;
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "process.scheduler: set SCHED_DEADLINE"));
}

static void test_personality(void **state)
{
	struct run *run = *state;
	struct oci_personality *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	run->spec->linux_->personality = p;
	oci_str_set(&p->domain, "LINUX32", &run->err);
	run_args(run, "sched", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "personality 8\n"));
	oci_strv_add(&p->flags, "ADDR_NO_RANDOMIZE", &run->err);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "linux.personality.flags: \"ADDR_NO_RANDOMIZE\""));
}

/* Ours for the moment of the clone, then the child's own. */
static void test_affinity(void **state)
{
	struct run *run = *state;
	cpu_set_t before, after;

	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	if (!CPU_ISSET(0, &before) || !CPU_ISSET(1, &before))
		skip();
	set_affinity(run, "0", "1");
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	assert_int_equal(run_exec(run, "status", "Cpus_allowed_list", NULL), 0);
	assert_string_equal(run_line(run, "Cpus_allowed_list:\t"), "1");
	oci_str_set(&run->spec->process->exec_cpu_affinity->final, NULL, &run->err);
	assert_int_equal(run_exec(run, "status", "Cpus_allowed_list", NULL), 0);
	assert_string_equal(run_line(run, "Cpus_allowed_list:\t"), "0");
	oci_str_set(&run->spec->process->exec_cpu_affinity->initial, NULL, &run->err);
	oci_str_set(&run->spec->process->exec_cpu_affinity->final, "0-1,0", &run->err);
	assert_int_equal(run_exec(run, "status", "Cpus_allowed_list", NULL), 0);
	assert_string_equal(run_line(run, "Cpus_allowed_list:\t"), "0-1");
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	/* None of it is there: the kernel's word. */
	oci_str_set(&run->spec->process->exec_cpu_affinity->final, "8000-8100", &run->err);
	assert_int_equal(run_exec(run, "exit", NULL), -EINVAL);
	assert_non_null(strstr(run->err.message, "process.execCPUAffinity.final: set 8000-8100"));
	assert_int_equal(run_stop(run), 0);
}

static void test_affinity_refused(void **state)
{
	static const char *const lists[] = { "x",  "1-",  "-1",  "1,",  ",1", "3-1", "1 2",
					     "0x1", "1--2", "8192", "1-8192", "99999999999999999999" };
	struct oci_cpu_affinity a = { 0 };
	struct oci_process process = { .exec_cpu_affinity = &a };
	struct coffer_error err = COFFER_ERROR_INIT;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		a.initial = (char *)lists[i];
		assert_int_equal(scheduling_check_cpus(&process, &err), -EINVAL);
		assert_non_null(strstr(err.message, "process.execCPUAffinity.initial: bad list"));
	}
	a.initial = (char *)"0-3,7,8191";
	a.final = (char *)"y";
	assert_int_equal(scheduling_check_cpus(&process, &err), -EINVAL);
	assert_non_null(strstr(err.message, "process.execCPUAffinity.final: bad list"));
	a.final = (char *)"0";
	assert_int_equal(scheduling_check_cpus(&process, &err), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_policies),
		TEST(test_deadline),
		TEST(test_personality),
		TEST(test_affinity),
		TEST(test_affinity_refused),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_scheduling", tests, NULL, NULL);
}
