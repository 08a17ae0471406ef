/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may do, for init and for exec alike: as /proc shows it and as calls answer. */
#include "engine_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

static const char *const status_heads[] = {
	"CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapBnd:\t", "CapAmb:\t", "NoNewPrivs:\t",
	"Seccomp:\t",
};

/* Start a container that waits and exec "status" in it. */
static void start_and_status(struct run *run)
{
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	run_read(run, "ready\n");
	assert_int_equal(run_exec(run, "status", "Cap", "NoNewPrivs", "Seccomp:", NULL), 0);
}

static void set_caps(struct run *run, const char *const *permitted, const char *const *ambient)
{
	struct oci_capabilities *c = run->spec->process->capabilities;

	oci_strv_set(&c->bounding, permitted, &run->err);
	oci_strv_set(&c->effective, permitted, &run->err);
	oci_strv_set(&c->permitted, permitted, &run->err);
	oci_strv_set(&c->inheritable, ambient, &run->err);
	assert_int_equal(oci_strv_set(&c->ambient, ambient, &run->err), 0);
}

/* One sample of each kind, for init and exec: the lines must be the same. */
static void test_init_and_exec_alike(void **state)
{
	struct run *run = *state;
	const char *const caps[] = { "CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", NULL };
	const char *const ambient[] = { "CAP_KILL", NULL };
	char exec_lines[7][64];

	set_caps(run, caps, ambient);
	run->spec->process->user.uid = 1000;
	start_and_status(run);
	for (size_t i = 0; i < 7; i++)
		snprintf(exec_lines[i], sizeof(exec_lines[i]), "%s",
			 run_line(run, status_heads[i]));
	assert_int_equal(run_stop(run), 0);
	run_args(run, "status", "Cap", "NoNewPrivs", "Seccomp:", NULL);
	assert_int_equal(run_whole(run), 0);
	for (size_t i = 0; i < 7; i++)
		assert_string_equal(run_line(run, status_heads[i]), exec_lines[i]);
	assert_string_equal(run_line(run, "CapPrm:\t"), "0000000000000020");
	assert_string_equal(run_line(run, "CapEff:\t"), "0000000000000020");
	assert_string_equal(run_line(run, "CapInh:\t"), "0000000000000020");
	assert_string_equal(run_line(run, "CapAmb:\t"), "0000000000000020");
	assert_string_equal(run_line(run, "CapBnd:\t"), "0000000000000421");
	assert_string_equal(run_line(run, "NoNewPrivs:\t"), "1");
}

static void test_no_capabilities(void **state)
{
	struct run *run = *state;

	set_caps(run, NULL, NULL);
	run_args(run, "status", "Cap", NULL);
	assert_int_equal(run_whole(run), 0);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(run_line(run, status_heads[i]), "0000000000000000");
	run_args(run, "call", "chroot", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "chroot -1 Operation not permitted\n");
}

static void test_new_privs(void **state)
{
	struct run *run = *state;

	run->spec->process->no_new_privileges = false;
	start_and_status(run);
	assert_string_equal(run_line(run, "NoNewPrivs:\t"), "0");
}

static void add_filter(struct run *run, const char *default_action, const char *action,
		       const char *call, int errno_ret)
{
	struct oci_seccomp *s = calloc(1, sizeof(*s));
	struct oci_seccomp_rule *rule = calloc(1, sizeof(*rule));

	oci_str_set(&s->default_action, default_action, &run->err);
	oci_str_set(&rule->action, action, &run->err);
	oci_strv_add(&rule->names, call, &run->err);
	if (errno_ret)
		rule->errno_ret = (struct oci_opt_u32){ true, (uint32_t)errno_ret };
	s->syscalls.v = rule;
	s->syscalls.n = 1;
	run->spec->linux_->seccomp = s;
}

static void check_filter(struct run *run, bool no_new_privs)
{
	run->spec->process->no_new_privileges = no_new_privs;
	run_args(run, "call", "mkdir", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "mkdir -1 Stale file handle\n");
	start_and_status(run);
	assert_string_equal(run_line(run, "Seccomp:\t"), "2");
	assert_string_equal(run_line(run, "NoNewPrivs:\t"), no_new_privs ? "1" : "0");
	assert_int_equal(run_exec(run, "call", "mkdir", NULL), 0);
	assert_string_equal(run->out, "mkdir -1 Stale file handle\n");
	assert_int_equal(run_stop(run), 0);
}

static void test_seccomp(void **state)
{
	struct run *run = *state;

	add_filter(run, "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "mkdir", ESTALE);
	check_filter(run, true);
	check_filter(run, false);
}

static void test_seccomp_kill(void **state)
{
	struct run *run = *state;

	add_filter(run, "SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS", "mkdir", 0);
	run_args(run, "call", "mkdir", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 128 + SIGSYS);
}

static void test_seccomp_argument(void **state)
{
	struct run *run = *state;
	struct oci_seccomp_arg *arg = calloc(1, sizeof(*arg));

	add_filter(run, "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "personality", EXDEV);
	arg->value = 8;
	oci_str_set(&arg->op, "SCMP_CMP_EQ", &run->err);
	run->spec->linux_->seccomp->syscalls.v[0].args.v = arg;
	run->spec->linux_->seccomp->syscalls.v[0].args.n = 1;
	oci_strv_add(&run->spec->linux_->seccomp->architectures, "SCMP_ARCH_X86_64", &run->err);
	oci_strv_add(&run->spec->linux_->seccomp->architectures, "SCMP_ARCH_X86", &run->err);
	run_args(run, "call", "personality", "8", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "personality -1 Invalid cross-device link\n");
	run_args(run, "call", "personality", "0", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "personality 0 ok\n");
}

/* A filter that allows nothing but what the payload needs: our own set-up is not in its way. */
static void test_seccomp_narrow(void **state)
{
	struct run *run = *state;
	const char *const calls[] = {
		"execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
		"prlimit64", "readlink", "getrandom", "mprotect", "newfstatat", "fstat", "write",
		"exit_group", "readlinkat", NULL };

	add_filter(run, "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ALLOW", "execve", 0);
	oci_strv_set(&run->spec->linux_->seccomp->syscalls.v[0].names, calls, &run->err);
	run_args(run, "echo", "through", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "through\n");
	assert_int_equal(run->code, 0);
}

static void test_rlimits(void **state)
{
	struct run *run = *state;
	struct oci_process *p = run->spec->process;

	for (size_t i = 0; i < p->rlimits.n; i++)
		free(p->rlimits.v[i].type);
	p->rlimits.n = 0;
	assert_int_equal(oci_rlimit_add(p, "RLIMIT_NOFILE", 3, 77, &run->err), 0);
	assert_int_equal(oci_rlimit_add(p, "RLIMIT_CORE", 0, 0, &run->err), 0);
	run_args(run, "limits", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "nofile "), "3 77");
	assert_string_equal(run_line(run, "core "), "0 0");
	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(run_exec(run, "limits", NULL), 0);
	assert_string_equal(run_line(run, "nofile "), "3 77");
	assert_int_equal(run_stop(run), 0);
	assert_int_equal(oci_rlimit_add(p, "RLIMIT_NPROC", 9, 8, &run->err), 0);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "process.rlimits: set RLIMIT_NPROC"));
}

static void test_oom_score(void **state)
{
	struct run *run = *state;

	run->spec->process->oom_score_adj = (struct oci_opt_i32){ true, 321 };
	run_args(run, "cat", "/proc/self/oom_score_adj", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "321\n");
}

static void test_sysctl(void **state)
{
	struct run *run = *state;
	char *host;

	oci_pairs_set(&run->spec->linux_->sysctl, "net.ipv4.ip_default_ttl", "77", &run->err);
	oci_pairs_set(&run->spec->linux_->sysctl, "kernel/shmmni", "123", &run->err);
	run_args(run, "cat", "/proc/sys/net/ipv4/ip_default_ttl", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "77\n");
	run_args(run, "cat", "/proc/sys/kernel/shmmni", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "123\n");
	assert_int_equal(
		io_read_file(AT_FDCWD, "/proc/sys/net/ipv4/ip_default_ttl", 64, &host, NULL, NULL),
		0);
	assert_string_not_equal(host, "77\n");
	free(host);
	oci_pairs_set(&run->spec->linux_->sysctl, "vm.swappiness", "10", &run->err);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "vm.swappiness"));
}

static void test_scheduling(void **state)
{
	struct run *run = *state;
	struct oci_process *p = run->spec->process;

	p->scheduler = calloc(1, sizeof(*p->scheduler));
	p->io_priority = calloc(1, sizeof(*p->io_priority));
	run->spec->linux_->personality = calloc(1, sizeof(struct oci_personality));
	oci_str_set(&p->scheduler->policy, "SCHED_BATCH", &run->err);
	p->scheduler->nice = 7;
	oci_str_set(&p->io_priority->class_, "IOPRIO_CLASS_IDLE", &run->err);
	oci_str_set(&run->spec->linux_->personality->domain, "LINUX32", &run->err);
	run_args(run, "sched", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "policy 3 nice 7 io 24576 personality 8\n");
}

static void test_keyring(void **state)
{
	struct run *run = *state;
	char own[256];

	run_args(run, "keyring", NULL);
	assert_int_equal(run_whole(run), 0);
	snprintf(own, sizeof(own), "_ses.%s\n", run->id);
	assert_non_null(strstr(run->out, own));
}

/* ---- devices and the cgroup ---- */

static void test_device_rules(void **state)
{
	struct run *run = *state;
	struct oci_capabilities *caps = run->spec->process->capabilities;
	struct oci_resources *res = oci_resources_get(run->spec);
	struct oci_device_rule *rules = calloc(3, sizeof(*rules));
	struct oci_strv *sets[] = { &caps->bounding, &caps->effective, &caps->permitted };

	for (size_t i = 0; i < 3; i++)
		oci_strv_add(sets[i], "CAP_MKNOD", &run->err);
	for (size_t i = 0; i < res->devices.n; i++) {
		free(res->devices.v[i].type);
		free(res->devices.v[i].access);
	}
	free(res->devices.v);
	/* Read and write come from two rules: both together must do. */
	rules[0] = (struct oci_device_rule){ .access = strdup("rwm") };
	rules[1] = (struct oci_device_rule){ true, strdup("c"), { true, 10 }, { true, 200 },
					     strdup("r") };
	rules[2] = (struct oci_device_rule){ true, strdup("c"), { true, 10 }, { 0 }, strdup("w") };
	res->devices.v = rules;
	res->devices.n = 3;
	run_args(run, "device", "c", "1", "3", NULL); /* null: always */
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "ok\n");
	/* tun; ENODEV: this kernel lacks it, but the rules let us ask */
	run_args(run, "device", "c", "10", "200", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_not_equal(run->code, EPERM);
	/* fuse: write only, and we ask for both */
	run_args(run, "device", "c", "10", "229", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EPERM);
	run_args(run, "device", "b", "7", "0", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, EPERM);
}

static void expect_setting(struct run *run, const char *file, const char *expected)
{
	char path[256], *value = NULL;

	snprintf(path, sizeof(path), "/sys/fs/cgroup/coffer-test/%s/%s", run->id, file);
	assert_int_equal(io_read_file(AT_FDCWD, path, 64, &value, NULL, &run->err), 0);
	assert_string_equal(value, expected);
	free(value);
}

/* Either the limits are there, or the absence of one is told by name. */
static void test_limits(void **state)
{
	struct run *run = *state;
	struct oci_memory *memory = oci_memory_get(run->spec);
	struct oci_cpu *cpu = oci_cpu_get(run->spec);
	char text[128];
	int r;

	snprintf(text, sizeof(text), "/coffer-test/%s", run->id);
	oci_str_set(&run->spec->linux_->cgroups_path, text, &run->err);
	memory->limit = (struct oci_opt_i64){ true, 64 << 20 };
	memory->reservation = (struct oci_opt_i64){ true, 16 << 20 };
	memory->swap = (struct oci_opt_i64){ true, 96 << 20 };
	cpu->shares = (struct oci_opt_u64){ true, 1024 };
	cpu->quota = (struct oci_opt_i64){ true, 50000 };
	cpu->period = (struct oci_opt_u64){ true, 100000 };
	oci_str_set(&cpu->cpus, "0", &run->err);
	oci_pids_get(run->spec)->limit = 17;
	oci_pairs_set(&oci_resources_get(run->spec)->unified, "memory.high", "60M", &run->err);
	run_args(run, "wait", NULL);
	r = run_start(run);
	if (r < 0) {
		assert_int_equal(r, -EOPNOTSUPP);
		assert_non_null(strstr(run->err.message, "linux.resources: "));
		assert_non_null(strstr(run->err.message, "limit memory."));
		assert_non_null(strstr(run->err.message, "controller `memory` is not available"));
		return;
	}
	expect_setting(run, "memory.max", "67108864\n");
	expect_setting(run, "memory.low", "16777216\n");
	expect_setting(run, "memory.swap.max", "33554432\n");
	expect_setting(run, "memory.high", "62914560\n");
	expect_setting(run, "cpu.weight", "39\n");
	expect_setting(run, "cpu.max", "50000 100000\n");
	expect_setting(run, "cpuset.cpus", "0\n");
	expect_setting(run, "pids.max", "17\n");
}

static void test_limits_of_nothing(void **state)
{
	struct run *run = *state;

	/* Unlimited, and zero as "not set", are not limits that need a controller to be felt. */
	oci_memory_get(run->spec)->limit = (struct oci_opt_i64){ true, 0 };
	oci_pids_get(run->spec)->limit = 0;
	run_args(run, "exit", NULL);
	assert_int_equal(run_whole(run), 0);
	oci_memory_get(run->spec)->swap = (struct oci_opt_i64){ true, 1 << 20 };
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "memory.swap needs memory.limit"));
}

static void test_limits_refused(void **state)
{
	struct run *run = *state;

	run_args(run, "exit", NULL);
	oci_pairs_set(&oci_resources_get(run->spec)->unified, "cgroup.procs", "1", &run->err);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "unified: cgroup.procs"));
	oci_str_set(&run->spec->linux_->cgroups_path, "/a/../../b", &run->err);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "linux.cgroupsPath"));
	oci_str_set(&run->spec->linux_->cgroups_path, "system.slice:x:y", &run->err);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, run_setup, run_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_init_and_exec_alike),
		TEST(test_no_capabilities),
		TEST(test_new_privs),
		TEST(test_seccomp),
		TEST(test_seccomp_kill),
		TEST(test_seccomp_argument),
		TEST(test_seccomp_narrow),
		TEST(test_rlimits),
		TEST(test_oom_score),
		TEST(test_sysctl),
		TEST(test_scheduling),
		TEST(test_keyring),
		TEST(test_device_rules),
		TEST(test_limits),
		TEST(test_limits_of_nothing),
		TEST(test_limits_refused),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_confine", tests, NULL, NULL);
}
