/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_engine_limits.c - control groups: limits, devices, figures
 *
 * A controller that the host lacks is not skipped: then the error must name it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "cgroup_fixture.h"

#define MIB ((int64_t)1 << 20)

/* What a file says must be @expected; @v2 NULL: v1 only. */
static void expect_file(struct group *g, enum cgroup_controller controller, const char *v1,
			const char *v2, const char *expected)
{
	const char *text;

	if (!cgroup_find(g->cg, controller) && !v2)
		return;
	text = group_file(g, controller, v1, v2);
	if (!text)
		fail_msg("no %s or %s", v1, v2 ? v2 : "-");
	assert_string_equal(text, expected);
}

/* Make the group with g->spec. Return: true when @controller's limits are set, false when its
 * absence was told */
static bool limits_make(struct group *g, enum cgroup_controller controller)
{
	const char *name = controller == CGROUP_BLKIO ? "io" : cgroup_controller_name(controller);
	char text[64];
	bool has;
	int r;

	if (group_plan(g) < 0)
		fail_msg("%s", g->err.message);
	has = group_has(g, controller);
	r = cgroup_create(g->cg, g->spec->linux_->resources, &g->err);
	if (has) {
		if (r < 0)
			fail_msg("%s", g->err.message);
		return true;
	}
	assert_int_equal(r, -EOPNOTSUPP);
	snprintf(text, sizeof(text), "controller `%s` is not available", name);
	assert_non_null(strstr(g->err.message, text));
	assert_non_null(strstr(g->err.message, "linux.resources: "));
	return false;
}

static void limits_update(struct group *g)
{
	if (cgroup_update(g->cg, g->spec->linux_->resources, &g->err) < 0)
		fail_msg("%s", g->err.message);
}

static void test_memory(void **state)
{
	struct group *g = *state;
	struct oci_memory *m = oci_memory_get(g->spec);
	struct cgroup_tree *v1;

	m->limit = (struct oci_opt_i64){ true, 64 * MIB };
	m->swap = (struct oci_opt_i64){ true, 96 * MIB };
	m->reservation = (struct oci_opt_i64){ true, 16 * MIB };
	if (!limits_make(g, CGROUP_MEMORY))
		return;
	v1 = cgroup_find(g->cg, CGROUP_MEMORY);
	expect_file(g, CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", "67108864");
	expect_file(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max",
		    v1 ? "100663296" : "33554432");
	expect_file(g, CGROUP_MEMORY, "memory.soft_limit_in_bytes", "memory.low", "16777216");
	/* Both up, past the old ones; both down, past the old ones. */
	m->limit.v = 256 * MIB;
	m->swap.v = 256 * MIB;
	limits_update(g);
	expect_file(g, CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", "268435456");
	expect_file(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max",
		    v1 ? "268435456" : "0");
	m->limit.v = 32 * MIB;
	m->swap.v = 48 * MIB;
	limits_update(g);
	expect_file(g, CGROUP_MEMORY, "memory.limit_in_bytes", "memory.max", "33554432");
	/* Swap alone refers to the limit that is there. */
	m->limit.set = false;
	m->limit.v = 0;
	m->swap.v = 40 * MIB;
	limits_update(g);
	expect_file(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes", "memory.swap.max",
		    v1 ? "41943040" : "8388608");
	/* No limit at all. */
	m->limit = (struct oci_opt_i64){ true, -1 };
	m->swap = (struct oci_opt_i64){ 0 };
	limits_update(g);
	if (v1)
		assert_true(strlen(group_file(g, CGROUP_MEMORY, "memory.memsw.limit_in_bytes",
					      "")) > 15);
	else
		expect_file(g, CGROUP_MEMORY, "", "memory.max", "max");
}

static void test_memory_more(void **state)
{
	struct group *g = *state;
	struct oci_memory *m = oci_memory_get(g->spec);

	m->swap = (struct oci_opt_i64){ true, 16 * MIB };
	m->limit = (struct oci_opt_i64){ true, 32 * MIB };
	assert_int_equal(group_plan(g), 0);
	assert_int_equal(cgroup_create(g->cg, g->spec->linux_->resources, &g->err), -EINVAL);
	assert_non_null(strstr(g->err.message, "memory.swap is less than memory.limit"));
	cgroup_free(g->cg);
	g->cg = NULL;
	m->swap = (struct oci_opt_i64){ 0 };
	m->swappiness = (struct oci_opt_u64){ true, 7 };
	m->disable_oom_killer = (struct oci_opt_bool){ true, true };
	m->kernel_tcp = (struct oci_opt_i64){ true, 8 * MIB };
	assert_int_equal(group_plan(g), 0);
	if (!cgroup_find(g->cg, CGROUP_MEMORY)) {
		assert_int_equal(cgroup_create(g->cg, g->spec->linux_->resources, &g->err),
				 -EOPNOTSUPP);
		assert_non_null(strstr(g->err.message, "is not in cgroup v2"));
		return;
	}
	assert_int_equal(cgroup_create(g->cg, g->spec->linux_->resources, &g->err), 0);
	expect_file(g, CGROUP_MEMORY, "memory.swappiness", NULL, "7");
	expect_file(g, CGROUP_MEMORY, "memory.kmem.tcp.limit_in_bytes", NULL, "8388608");
	assert_non_null(strstr(group_file(g, CGROUP_MEMORY, "memory.oom_control", ""),
			       "oom_kill_disable 1"));
	m->swappiness.v = 101;
	assert_int_equal(cgroup_update(g->cg, g->spec->linux_->resources, &g->err), -EINVAL);
}

static int use_memory(void)
{
	size_t n = 24 * (size_t)MIB;
	volatile char *p = malloc(n);

	for (size_t i = 0; p && i < n; i += 4096)
		p[i] = 1;
	while (p)
		usleep(1000);
	return 0;
}

/* Below what is in use: refused, and said how much that is. */
static void test_memory_in_use(void **state)
{
	struct group *g = *state;
	struct oci_memory *m = oci_memory_get(g->spec);
	pid_t pid;

	m->limit = (struct oci_opt_i64){ true, 64 * MIB };
	m->swap = (struct oci_opt_i64){ true, 64 * MIB };
	if (!limits_make(g, CGROUP_MEMORY))
		return;
	pid = group_spawn(g, use_memory);
	do
		usleep(1000);
	while (strtoull(group_file(g, CGROUP_MEMORY, "memory.usage_in_bytes", "memory.current"),
			NULL, 10) < 24 * MIB);
	m->limit.v = 4 * MIB;
	m->swap.v = 4 * MIB;
	m->check_before_update = (struct oci_opt_bool){ true, true };
	assert_int_equal(cgroup_update(g->cg, g->spec->linux_->resources, &g->err), -EBUSY);
	assert_non_null(strstr(g->err.message, "in use are"));
	assert_int_equal(kill(pid, SIGKILL), 0);
	group_reap(pid);
}

static void test_cpu(void **state)
{
	struct group *g = *state;
	struct oci_cpu *c = oci_cpu_get(g->spec);
	bool v1;

	c->shares = (struct oci_opt_u64){ true, 512 };
	c->quota = (struct oci_opt_i64){ true, 20000 };
	c->period = (struct oci_opt_u64){ true, 50000 };
	c->burst = (struct oci_opt_u64){ true, 10000 };
	if (!limits_make(g, CGROUP_CPU))
		return;
	v1 = cgroup_find(g->cg, CGROUP_CPU);
	expect_file(g, CGROUP_CPU, "cpu.shares", "cpu.weight", v1 ? "512" : "20");
	expect_file(g, CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", v1 ? "20000" : "20000 50000");
	expect_file(g, CGROUP_CPU, "cpu.cfs_period_us", NULL, "50000");
	expect_file(g, CGROUP_CPU, "cpu.cfs_burst_us", "cpu.max.burst", "10000");
	/* More burst than the old quota allows, and then less quota than the old burst. */
	c->quota.v = 40000;
	c->burst.v = 30000;
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.cfs_burst_us", "cpu.max.burst", "30000");
	c->quota.v = 5000;
	c->burst.v = 0;
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", v1 ? "5000" : "5000 50000");
	/* A period alone leaves the quota. */
	c->quota = (struct oci_opt_i64){ 0 };
	c->burst.set = false;
	c->period.v = 100000;
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", v1 ? "5000" : "5000 100000");
	c->quota = (struct oci_opt_i64){ true, -1 };
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.cfs_quota_us", "cpu.max", v1 ? "-1" : "max 100000");
	/* Idle, and back. */
	c->idle = (struct oci_opt_i64){ true, 1 };
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.idle", "cpu.idle", "1");
	c->idle.v = 0;
	c->shares.v = 2048;
	limits_update(g);
	expect_file(g, CGROUP_CPU, "cpu.shares", "cpu.weight", v1 ? "2048" : "79");
	if (!v1)
		return;
	c->shares.v = 500000;
	assert_int_equal(cgroup_update(g->cg, g->spec->linux_->resources, &g->err), -EINVAL);
	assert_non_null(strstr(g->err.message, "the most allowed is 262144"));
}

static void test_realtime(void **state)
{
	struct group *g = *state;
	struct oci_cpu *c = oci_cpu_get(g->spec);
	int r;

	c->realtime_period = (struct oci_opt_u64){ true, 500000 };
	c->realtime_runtime = (struct oci_opt_i64){ true, 1000 };
	assert_int_equal(group_plan(g), 0);
	r = cgroup_create(g->cg, g->spec->linux_->resources, &g->err);
	/* v2 has none; on v1 a parent has to have some, or the kernel is built without. */
	if (r == 0) {
		expect_file(g, CGROUP_CPU, "cpu.rt_period_us", NULL, "500000");
		expect_file(g, CGROUP_CPU, "cpu.rt_runtime_us", NULL, "1000");
		return;
	}
	assert_non_null(strstr(g->err.message, cgroup_find(g->cg, CGROUP_CPU) || !g->cg->n ?
						       "r" : "cpu.realtimeRuntime"));
	assert_true(r == -EOPNOTSUPP || r == -EINVAL);
}

static void test_cpuset(void **state)
{
	struct group *g = *state;
	struct oci_cpu *c = oci_cpu_get(g->spec);

	oci_str_set(&c->cpus, "0", &g->err);
	oci_str_set(&c->mems, "0", &g->err);
	if (!limits_make(g, CGROUP_CPUSET))
		return;
	expect_file(g, CGROUP_CPUSET, "cpuset.cpus", "cpuset.cpus", "0");
	expect_file(g, CGROUP_CPUSET, "cpuset.mems", "cpuset.mems", "0");
}

/* On v1 a group without processors takes no process: parents and it inherit. */
static void test_cpuset_inherited(void **state)
{
	struct group *g = *state;
	char path[160];
	pid_t pid;

	snprintf(path, sizeof(path), "/coffer-cgroup-test/%s/a/b", g->id);
	oci_str_set(&g->spec->linux_->cgroups_path, path, &g->err);
	group_make(g);
	pid = group_spawn(g, NULL);
	if (cgroup_find(g->cg, CGROUP_CPUSET))
		assert_true(group_file(g, CGROUP_CPUSET, "cpuset.cpus", "")[0]);
	kill(pid, SIGKILL);
	group_reap(pid);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	snprintf(path, sizeof(path), "%.*s/coffer-cgroup-test/%s", (int)g->cg->trees[0].root_len,
		 g->cg->trees[0].dir, g->id);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_pids(void **state)
{
	struct group *g = *state;

	oci_pids_get(g->spec)->limit = 17;
	if (!limits_make(g, CGROUP_PIDS))
		return;
	expect_file(g, CGROUP_PIDS, "pids.max", "pids.max", "17");
	oci_pids_get(g->spec)->limit = -1;
	limits_update(g);
	expect_file(g, CGROUP_PIDS, "pids.max", "pids.max", "max");
	oci_pids_get(g->spec)->limit = 0; /* as it is */
	limits_update(g);
}

/* A block device of this host. Return: false when there is none */
static bool find_block_device(int64_t *major, int64_t *minor)
{
	FILE *f = fopen("/proc/partitions", "re");
	char line[128], name[64];
	unsigned a, b;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%u %u %*u %63s", &a, &b, name) == 3 &&
			!strpbrk(name, "0123456789");
	if (f)
		fclose(f);
	if (found) {
		*major = a;
		*minor = b;
	}
	return found;
}

static void test_blkio(void **state)
{
	struct group *g = *state;
	struct oci_block_io *b = calloc(1, sizeof(*b));
	struct oci_throttle_device *rates = calloc(2, sizeof(*rates));
	char expected[64];

	oci_resources_get(g->spec)->block_io = b;
	b->throttle_read_bps_device = (struct oci_throttle_list){ rates, 1 };
	b->throttle_write_iops_device.v = calloc(1, sizeof(*rates));
	b->throttle_write_iops_device.n = 1;
	if (!find_block_device(&rates[0].major, &rates[0].minor)) {
		print_message("no block device here\n");
		skip();
	}
	rates[0].rate = 1048576;
	b->throttle_write_iops_device.v[0] = rates[0];
	b->throttle_write_iops_device.v[0].rate = 300;
	if (!limits_make(g, CGROUP_BLKIO))
		return;
	snprintf(expected, sizeof(expected), "%d:%d 1048576", (int)rates[0].major,
		 (int)rates[0].minor);
	expect_file(g, CGROUP_BLKIO, "blkio.throttle.read_bps_device", NULL, expected);
	snprintf(expected, sizeof(expected), "%d:%d 300", (int)rates[0].major,
		 (int)rates[0].minor);
	expect_file(g, CGROUP_BLKIO, "blkio.throttle.write_iops_device", NULL, expected);
	rates[0].rate = 0; /* lifts it */
	limits_update(g);
	expect_file(g, CGROUP_BLKIO, "blkio.throttle.read_bps_device", NULL, "");
	b->weight = (struct oci_opt_u16){ true, 300 };
	if (cgroup_update(g->cg, g->spec->linux_->resources, &g->err) == 0)
		expect_file(g, CGROUP_BLKIO, "blkio.bfq.weight", NULL, "300");
	else
		assert_non_null(strstr(g->err.message, "weight"));
	b->weight = (struct oci_opt_u16){ 0 };
	b->leaf_weight = (struct oci_opt_u16){ true, 300 };
	assert_int_equal(cgroup_update(g->cg, g->spec->linux_->resources, &g->err), -EOPNOTSUPP);
	assert_non_null(strstr(g->err.message, "leaf"));
}

static void test_hugetlb(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);
	const char *text;

	res->hugepage_limits.v = calloc(1, sizeof(*res->hugepage_limits.v));
	res->hugepage_limits.n = 1;
	res->hugepage_limits.v[0].page_size = strdup("2MB");
	res->hugepage_limits.v[0].limit = 4 * MIB;
	if (!limits_make(g, CGROUP_HUGETLB))
		return;
	expect_file(g, CGROUP_HUGETLB, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", "4194304");
	text = group_file(g, CGROUP_HUGETLB, "hugetlb.2MB.rsvd.limit_in_bytes",
			  "hugetlb.2MB.rsvd.max");
	assert_true(!text || strcmp(text, "4194304") == 0);
	free(res->hugepage_limits.v[0].page_size);
	res->hugepage_limits.v[0].page_size = strdup("../2MB");
	assert_int_equal(cgroup_update(g->cg, res, &g->err), -EINVAL);
}

static void test_network(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);

	res->network = calloc(1, sizeof(*res->network));
	res->network->class_id = (struct oci_opt_u32){ true, 0x100001 };
	if (limits_make(g, CGROUP_NET_CLS))
		expect_file(g, CGROUP_NET_CLS, "net_cls.classid", NULL, "1048577");
}

static void test_unified(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);

	oci_pairs_set(&res->unified, "cgroup.procs", "0", &g->err);
	assert_int_equal(group_plan(g), 0);
	assert_int_equal(cgroup_create(g->cg, res, &g->err), -EINVAL);
	cgroup_free(g->cg);
	free(res->unified.v[0].key);
	res->unified.v[0].key = strdup("hugetlb.2MB.max");
	oci_pairs_set(&res->unified, "hugetlb.2MB.max", "2097152", &g->err);
	assert_int_equal(group_plan(g), 0);
	if (cgroup_create(g->cg, res, &g->err) == 0)
		expect_file(g, CGROUP_NET_PRIO, "", "hugetlb.2MB.max", "2097152");
	else
		assert_non_null(strstr(g->err.message, "hugetlb"));
}

/* For a program that names the group everything is counted. */
static void test_accounting(void **state)
{
	struct group *g = *state;

	group_make(g);
	if (cgroup_find(g->cg, CGROUP_HUGETLB) || !group_has(g, CGROUP_HUGETLB)) {
		print_message("no controller on v2 here\n");
		skip();
	}
	assert_non_null(group_file(g, CGROUP_HUGETLB, "", "hugetlb.2MB.current"));
}

/* A limit that cannot be set takes the group with it. */
static void test_nothing_left(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);
	struct oci_strv words = { 0 };

	oci_pairs_set(&res->unified, "nonsense.max", "1", &g->err);
	assert_int_equal(group_plan(g), 0);
	for (size_t i = 0; i < cgroup_save(g->cg)->n; i++)
		oci_strv_add(&words, cgroup_save(g->cg)->v[i], &g->err);
	assert_int_equal(cgroup_create(g->cg, res, &g->err), -EOPNOTSUPP);
	assert_non_null(strstr(g->err.message, "nonsense"));
	assert_true(group_is_gone(&words));
	oci_strv_set(&words, NULL, NULL);
}

/* ---- devices ---- */

#define DEVICES_DIR "/tmp"

static char device_path[64];

/* Exit code: bits of what was possible with /dev/kmsg's number: read, write, make. */
static int try_device(void)
{
	int code = 0, fd = open(device_path, O_RDONLY | O_NONBLOCK);
	char other[80];

	code |= fd >= 0;
	fd = open(device_path, O_WRONLY | O_NONBLOCK);
	code |= (fd >= 0) << 1;
	snprintf(other, sizeof(other), "%s.2", device_path);
	code |= (mknod(other, S_IFCHR | 0600, makedev(1, 11)) == 0) << 2;
	unlink(other);
	/* Always. */
	fd = open("/dev/null", O_RDWR);
	code |= (fd >= 0) << 3;
	return code;
}

static void device_rules(struct group *g, const struct oci_device_rule *rules, size_t n)
{
	struct oci_resources *res = oci_resources_get(g->spec);

	for (size_t i = 0; i < res->devices.n; i++) {
		free(res->devices.v[i].type);
		free(res->devices.v[i].access);
	}
	free(res->devices.v);
	res->devices.v = calloc(n, sizeof(*rules));
	res->devices.n = n;
	for (size_t i = 0; i < n; i++) {
		res->devices.v[i] = rules[i];
		res->devices.v[i].type = rules[i].type ? strdup(rules[i].type) : NULL;
		res->devices.v[i].access = rules[i].access ? strdup(rules[i].access) : NULL;
	}
}

#define RULES(...)                                                                            \
	((struct oci_device_rule[]){ __VA_ARGS__ }),                                          \
		ARRAY_SIZE(((struct oci_device_rule[]){ __VA_ARGS__ }))
#define NUMBER(n)  { true, (n) }
#define DENY_ALL   { .access = (char *)"rwm" }
#define ALLOW_ALL  { .allow = true, .access = (char *)"rwm" }

static int device_try(struct group *g)
{
	return group_reap(group_spawn(g, try_device));
}

static void test_devices(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);

	snprintf(device_path, sizeof(device_path), DEVICES_DIR "/coffer-kmsg-%d", (int)getpid());
	if (mknod(device_path, S_IFCHR | 0600, makedev(1, 11)) < 0 ||
	    open(device_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) < 0) {
		unlink(device_path);
		print_message("no devices of our own here\n");
		skip();
	}
	group_make(g);
	assert_int_equal(device_try(g), 15);
	/* None of our rules: no change. */
	device_rules(g, NULL, 0);
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), 0);
	device_rules(g, RULES(DENY_ALL));
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 12); /* making is always allowed */
	/* A later rule wins; read and write from two rules. */
	device_rules(g, RULES(DENY_ALL, { true, (char *)"c", NUMBER(1), NUMBER(11), (char *)"r" },
			      { true, (char *)"c", NUMBER(1), { 0 }, (char *)"w" }));
	assert_int_equal(cgroup_update(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 15);
	device_rules(g, RULES(DENY_ALL, { true, (char *)"c", NUMBER(1), NUMBER(11), (char *)"rw" },
			      { false, (char *)"c", NUMBER(1), NUMBER(11), (char *)"w" }));
	assert_int_equal(cgroup_update(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 13);
	/* Everything but one. */
	device_rules(g, RULES(DENY_ALL, ALLOW_ALL,
			      { false, (char *)"c", NUMBER(1), NUMBER(11), (char *)"r" }));
	assert_int_equal(cgroup_update(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 14);
	device_rules(g, RULES(ALLOW_ALL));
	assert_int_equal(cgroup_update(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 15);
	/* Rules in any number, back again to what docker says. */
	device_rules(g, RULES(DENY_ALL, { true, (char *)"b", { 0 }, { 0 }, (char *)"r" }));
	assert_int_equal(cgroup_update(g->cg, res, &g->err), 0);
	assert_int_equal(device_try(g), 12);
	unlink(device_path);
}

static void test_devices_wrong(void **state)
{
	struct group *g = *state;
	struct oci_resources *res = oci_resources_get(g->spec);

	group_make(g);
	device_rules(g, RULES({ true, (char *)"x", NUMBER(1), NUMBER(2), (char *)"r" }));
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), -EINVAL);
	assert_non_null(strstr(g->err.message, "linux.resources.devices: [0]: unknown type x"));
	device_rules(g, RULES({ true, (char *)"c", NUMBER(1), NUMBER(2), (char *)"rq" }));
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), -EINVAL);
	device_rules(g, RULES({ true, (char *)"c", NUMBER(-2), NUMBER(2), (char *)"r" }));
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), -EINVAL);
	device_rules(g, RULES(DENY_ALL, { true, (char *)"c", NUMBER(1), { 0 }, (char *)"rwm" },
			      { false, (char *)"c", NUMBER(1), NUMBER(11), (char *)"r" }));
	if (!cgroup_find(g->cg, CGROUP_DEVICES))
		return;
	assert_int_equal(cgroup_limit_devices(g->cg, res, &g->err), -EOPNOTSUPP);
	assert_non_null(strstr(g->err.message, "wider rule"));
}

/* ---- figures ---- */

static int use_processor(void)
{
	volatile unsigned long n = 0;
	struct timespec t;

	do {
		for (int i = 0; i < 100000; i++)
			n++;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while (t.tv_nsec < 60000000);
	for (;;)
		pause();
	return (int)n;
}

static void test_stats(void **state)
{
	struct group *g = *state;
	struct engine_stats s;
	pid_t pid;

	group_make(g);
	pid = group_spawn(g, use_processor);
	for (int i = 0; i < 3000; i++) {
		usleep(20000);
		if (cgroup_stats(g->cg, &s, &g->err) < 0)
			fail_msg("%s", g->err.message);
		if (s.cpu.total > 50000000)
			break;
		engine_stats_free(&s);
	}
	assert_true(s.pids.set);
	assert_int_equal(s.pids.current, 1);
	assert_true(s.cpu.set);
	assert_true(s.cpu.total > 50000000 && s.cpu.total < 10000000000);
	if (cgroup_find(g->cg, CGROUP_CPUACCT)) {
		assert_int_equal(s.cpu.percpu.n, sysconf(_SC_NPROCESSORS_CONF));
		assert_int_equal(s.cpu.percpu_user.n, s.cpu.percpu.n);
		assert_int_equal(s.cpu.percpu_kernel.n, s.cpu.percpu.n);
	}
	if (cgroup_find(g->cg, CGROUP_MEMORY)) {
		assert_true(s.memory.set && s.memory.usage.usage > 0 && s.memory.raw_n > 10);
		assert_true(s.memory.usage.max >= s.memory.usage.usage);
		assert_true(s.memory.usage.limit > (uint64_t)1 << 60);
	}
	if (cgroup_find(g->cg, CGROUP_CPUSET))
		assert_true(s.cpuset.set && s.cpuset.cpus.n > 0 && s.cpuset.mems.n > 0);
	if (cgroup_unified(g->cg))
		assert_true(s.cpu.psi.set);
	engine_stats_free(&s);
	engine_stats_free(&s);
	kill(pid, SIGKILL);
	group_reap(pid);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_true(cgroup_stats(g->cg, &s, &g->err) < 0);
}

static int use_too_much(void)
{
	for (size_t i = 0; i < 64; i++) {
		volatile char *p = malloc((size_t)MIB);

		for (size_t k = 0; p && k < (size_t)MIB; k += 4096)
			p[k] = 1;
	}
	return 0;
}

static void test_oom(void **state)
{
	struct group *g = *state;
	struct oci_memory *m = oci_memory_get(g->spec);
	struct cgroup_oom *oom;
	uint64_t killed;

	m->limit = (struct oci_opt_i64){ true, 16 * MIB };
	m->swap = (struct oci_opt_i64){ true, 16 * MIB };
	if (!limits_make(g, CGROUP_MEMORY)) {
		cgroup_free(g->cg);
		g->cg = NULL;
		g->spec->linux_->resources->memory->limit.v = 0;
		g->spec->linux_->resources->memory->swap.v = 0;
		group_make(g);
		assert_int_equal(cgroup_oom_open(g->cg, &oom, &g->err), -EOPNOTSUPP);
		assert_null(oom);
		return;
	}
	assert_int_equal(cgroup_oom_open(g->cg, &oom, &g->err), 0);
	assert_int_equal(cgroup_oom_read(oom, &killed), 0);
	assert_int_equal(killed, 0);
	assert_int_equal(group_reap(group_spawn(g, use_too_much)), 128 + SIGKILL);
	assert_int_equal(io_wait(cgroup_oom_fd(oom), POLLIN, deadline_in(60 * USEC_PER_SEC)), POLLIN);
	assert_int_equal(cgroup_oom_read(oom, &killed), 0);
	assert_int_equal(killed, 1);
	assert_int_equal(cgroup_remove(g->cg, &g->err), 0);
	assert_int_equal(cgroup_oom_read(oom, &killed), -ENODEV);
	cgroup_oom_free(oom);
}

static int all_tests(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, group_setup, group_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_memory),	  TEST(test_memory_more), TEST(test_memory_in_use),
		TEST(test_cpu),		  TEST(test_realtime),	  TEST(test_cpuset),
		TEST(test_cpuset_inherited), TEST(test_pids),	  TEST(test_blkio),
		TEST(test_hugetlb),	  TEST(test_network),	  TEST(test_unified),
		TEST(test_accounting),	  TEST(test_nothing_left),
		TEST(test_devices),	  TEST(test_devices_wrong),
		TEST(test_stats),	  TEST(test_oom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return group_both(all_tests);
}
