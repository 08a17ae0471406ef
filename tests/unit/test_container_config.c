/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_config.c - bad configurations are refused by field, good ones end in the document
 */
#include "fake_sandbox.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>

static const char *const test_args[] = { "true", "arg", NULL };

struct test_config {
	struct coffer_process_config p;
	struct coffer_container_config c;
};

static void test_default(struct test_config *t)
{
	*t = (struct test_config){ .p = COFFER_PROCESS_CONFIG_INIT,
				   .c = COFFER_CONTAINER_CONFIG_INIT };
	t->p.args = test_args;
	t->c.rootfs = fake_image;
	t->c.run_dir = fake_root;
	t->c.process = &t->p;
}

static int test_setup(void **state)
{
	fake_reset();
	return 0;
}

/* ---- what is refused ---- */

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* One that spoils a list. */
#define BAD_LIST(fn, field, ...)                                            \
	static void fn(struct test_config *t)                               \
	{                                                                   \
		static const char *const list[] = { __VA_ARGS__, NULL };    \
                                                                            \
		t->field = list;                                            \
	}
#define BAD(fn, field, value)                 \
	static void fn(struct test_config *t) \
	{                                     \
		t->field = value;             \
	}

BAD_LIST(bad_args, p.args, "")
BAD(bad_no_args, p.args, NULL)
BAD_LIST(bad_env, p.env, "A=1", "novalue")
BAD_LIST(bad_env_name, p.env, "=1")
BAD(bad_cwd, p.cwd, "relative")
BAD(bad_user, p.user, "")
static void bad_stderr(struct test_config *t)
{
	t->p.terminal = true;
	t->p.stdio[COFFER_STDERR].mode = COFFER_STDIO_PIPE;
}
static void bad_mode(struct test_config *t) { t->p.stdio[COFFER_STDOUT].mode = 9; }
static void bad_fd(struct test_config *t)
{
	t->p.stdio[COFFER_STDIN] = (struct coffer_stdio){ COFFER_STDIO_FD, 12345 };
}
BAD_LIST(bad_cap_add, p.cap_add, "NET_ADMIN", "FLY")
BAD_LIST(bad_cap_drop, p.cap_drop, "CAP_")
static void bad_groups(struct test_config *t)
{
	static const uint32_t groups[] = { 5, UINT32_MAX };

	t->p.groups = groups;
	t->p.ngroups = 2;
}
BAD(bad_groups_missing, p.ngroups, 2)

static struct coffer_rlimit bad_rlimits[2];
static void bad_rlimit_type(struct test_config *t)
{
	bad_rlimits[0] = (struct coffer_rlimit){ "RLIMIT_SPEED", 1, 2 };
	t->p.rlimits = bad_rlimits;
	t->p.nrlimits = 1;
}
static void bad_rlimit_order(struct test_config *t)
{
	bad_rlimits[0] = (struct coffer_rlimit){ "RLIMIT_NOFILE", 3, 2 };
	t->p.rlimits = bad_rlimits;
	t->p.nrlimits = 1;
}
static void bad_rlimit_twice(struct test_config *t)
{
	bad_rlimits[0] = bad_rlimits[1] = (struct coffer_rlimit){ "RLIMIT_NOFILE", 1, 2 };
	t->p.rlimits = bad_rlimits;
	t->p.nrlimits = 2;
}
static void bad_rlimit_null(struct test_config *t)
{
	bad_rlimits[0] = (struct coffer_rlimit){ NULL, 1, 2 };
	t->p.rlimits = bad_rlimits;
	t->p.nrlimits = 1;
}
BAD(bad_seccomp_json, p.seccomp, "{")
BAD(bad_seccomp_kind, p.seccomp, "[]")
BAD(bad_seccomp_null, p.seccomp, "null")
static void bad_seccomp_action(struct test_config *t)
{
	t->p.seccomp = "{\"defaultAction\":\"SCMP_ACT_MAYBE\"}";
}
static void bad_seccomp_listener(struct test_config *t)
{
	t->p.seccomp = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}";
}
BAD(bad_hostname, c.hostname, "a b")
BAD(bad_cpus, c.cpus, 65)
BAD(bad_memory, c.memory, 1 << 20)
BAD(bad_memory_large, c.memory, UINT64_C(1) << 41)
static void bad_limit(struct test_config *t)
{
	t->c.memory = UINT64_C(256) << 20;
	t->c.resources.memory = UINT64_C(512) << 20;
}
BAD(bad_limit_huge, c.resources.memory, UINT64_MAX)
BAD(bad_pids, c.resources.pids, UINT64_C(1) << 40)
BAD(bad_quota, c.resources.cpu_quota, 10)
static void bad_period(struct test_config *t)
{
	t->c.resources.cpu_quota = 50000;
	t->c.resources.cpu_period = 10;
}
BAD(bad_period_alone, c.resources.cpu_period, 50000)
BAD_LIST(bad_sysctl, c.sysctls, "kernel.shmmax")
BAD_LIST(bad_sysctl_key, c.sysctls, "kernel..x=1")
BAD_LIST(bad_sysctl_path, c.sysctls, "net/../../x=1")
BAD(bad_machine, c.machine, "vax")
BAD(bad_signal, c.stop_signal, "SIGNOPE")
BAD_LIST(bad_label, c.labels, "=x")
BAD(bad_platform, c.platform, "plan9/vax")
BAD_LIST(bad_dns, c.dns.nameservers, "not an address")
BAD_LIST(bad_hosts, c.hosts, "name-without-address")
BAD(bad_layer, c.layer.kind, 99)

static struct coffer_mount bad_mount;
static void bad_mount_kind(struct test_config *t)
{
	bad_mount = (struct coffer_mount){ .kind = 77, .target = "/x" };
	t->c.mounts = &bad_mount;
	t->c.nmounts = 1;
}
static void bad_mount_target(struct test_config *t)
{
	bad_mount = (struct coffer_mount){ .kind = COFFER_MOUNT_TMPFS, .target = "x" };
	t->c.mounts = &bad_mount;
	t->c.nmounts = 1;
}
BAD(bad_mount_missing, c.nmounts, 3)

static const struct {
	void (*spoil)(struct test_config *t);
	const char *field; /* in the message */
} bad[] = {
	{ bad_args, "args" },
	{ bad_no_args, "args" },
	{ bad_env, "env" },
	{ bad_env_name, "env" },
	{ bad_cwd, "working directory" },
	{ bad_user, "user" },
	{ bad_stderr, "stderr" },
	{ bad_mode, "stdout" },
	{ bad_fd, "stdin" },
	{ bad_cap_add, "cap_add: FLY" },
	{ bad_cap_drop, "cap_drop: CAP_" },
	{ bad_groups, "groups[1]" },
	{ bad_groups_missing, "groups" },
	{ bad_rlimit_type, "rlimits[0]" },
	{ bad_rlimit_order, "rlimits[0]" },
	{ bad_rlimit_twice, "rlimits[1]" },
	{ bad_rlimit_null, "rlimits[0]" },
	{ bad_seccomp_json, "seccomp" },
	{ bad_seccomp_kind, "seccomp" },
	{ bad_seccomp_null, "seccomp" },
	{ bad_seccomp_action, "SCMP_ACT_MAYBE" },
	{ bad_hostname, "hostname" },
	{ bad_cpus, "cpus" },
	{ bad_memory, "memory" },
	{ bad_memory_large, "memory" },
	{ bad_limit, "resources.memory" },
	{ bad_limit_huge, "memory" },
	{ bad_pids, "resources.pids" },
	{ bad_quota, "resources.cpu_quota" },
	{ bad_period, "resources.cpu_period" },
	{ bad_period_alone, "resources.cpu_period" },
	{ bad_sysctl, "sysctls" },
	{ bad_sysctl_key, "sysctls" },
	{ bad_sysctl_path, "sysctls" },
	{ bad_machine, "machine" },
	{ bad_signal, "stop_signal" },
	{ bad_label, "label" },
	{ bad_dns, "dns" },
	{ bad_hosts, "hosts" },
	{ bad_layer, "layer" },
	{ bad_mount_kind, "mount" },
	{ bad_mount_target, "mount" },
	{ bad_mount_missing, "mounts" },
};

static void test_bad_fields(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct coffer_container *c;
		struct test_config t;

		test_default(&t);
		bad[i].spoil(&t);
		if (container_new("bad", &t.c, fake_maker, &c, &err) != -EINVAL ||
		    !strstr(err.message, bad[i].field))
			fail_msg("row %zu (%s): %s", i, bad[i].field, err.message);
		assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
		assert_null(c);
	}
	assert_string_equal(fake.log, "");
}

static void test_unsupported_fields(void **state)
{
	void (*const spoil[])(struct test_config *t) = { bad_seccomp_listener, bad_platform };

	for (size_t i = 0; i < ARRAY_SIZE(spoil); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct coffer_container *c;
		struct test_config t;

		test_default(&t);
		spoil[i](&t);
		assert_true(container_new("bad", &t.c, fake_maker, &c, &err) < 0);
		assert_true(err.kind == COFFER_ERR_UNSUPPORTED ||
			    err.kind == COFFER_ERR_INVALID_ARGUMENT);
	}
}

/* ---- what gets through ---- */

static struct json_object *test_member(struct json_object *obj, const char *path)
{
	char *copy = strdup(path), *save = NULL;

	for (char *p = strtok_r(copy, ".", &save); p && obj; p = strtok_r(NULL, ".", &save)) {
		if (json_object_is_type(obj, json_type_array))
			obj = json_object_array_get_idx(obj, (size_t)atoi(p));
		else if (!json_object_object_get_ex(obj, p, &obj))
			obj = NULL;
	}
	free(copy);
	return obj;
}

static const char *test_text(struct json_object *obj, const char *path)
{
	obj = test_member(obj, path);
	return obj ? json_object_get_string(obj) : "(none)";
}

static bool test_list_has(struct json_object *obj, const char *path, const char *word)
{
	obj = test_member(obj, path);
	for (size_t i = 0; obj && i < json_object_array_length(obj); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(obj, i)), word) == 0)
			return true;
	return false;
}

static struct json_object *test_document(void)
{
	struct json_object *obj = json_tokener_parse(fake.spec);

	assert_non_null(obj);
	return obj;
}

static struct coffer_container *test_start(struct test_config *t)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;

	if (container_new("doc", &t->c, fake_maker, &c, &err) < 0 ||
	    coffer_container_create(c, &err) < 0 || coffer_container_start(c, &err) < 0)
		fail_msg("%s", err.message);
	return c;
}

static void test_confinement(void **state)
{
	static const struct coffer_rlimit limits[] = { { "RLIMIT_NOFILE", 10, UINT64_MAX } };
	static const uint32_t groups[] = { 7, 8 };
	struct coffer_process_config exec = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;
	struct coffer_process *p;
	struct json_object *doc;
	struct test_config t;

	test_default(&t);
	t.p.env = LIST("A=init", "B=init");
	t.p.cwd = "/srv";
	t.p.user = "app";
	t.p.cap_drop = LIST("ALL");
	t.p.cap_add = LIST("net_admin", "CAP_CHOWN");
	t.p.rlimits = limits;
	t.p.nrlimits = 1;
	t.p.groups = groups;
	t.p.ngroups = 2;
	t.p.no_new_privs = true;
	t.p.seccomp = "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mount\"],"
		      "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":1}]}";
	t.c.resources = (struct coffer_resources){ .memory = UINT64_C(64) << 20, .pids = 50,
						   .cpu_quota = 20000 };
	t.c.sysctls = LIST("kernel.shmmax=1000", "net/ipv4/ip_forward=1");
	t.c.init = true;
	exec.args = test_args;
	exec.env = LIST("B=exec");
	c = test_start(&t);
	for (int i = 0; i < 2; i++) {
		doc = test_document();
		assert_int_equal(json_object_array_length(
				     test_member(doc, "process.capabilities.bounding")), 2);
		assert_true(test_list_has(doc, "process.capabilities.effective", "CAP_NET_ADMIN"));
		assert_true(test_list_has(doc, "process.capabilities.permitted", "CAP_CHOWN"));
		assert_string_equal(test_text(doc, "process.rlimits.0.type"), "RLIMIT_NOFILE");
		assert_string_equal(test_text(doc, "process.rlimits.0.soft"), "10");
		assert_string_equal(test_text(doc, "process.user.username"), "app");
		assert_string_equal(test_text(doc, "process.user.additionalGids.1"), "8");
		assert_string_equal(test_text(doc, "process.cwd"), "/srv");
		assert_string_equal(test_text(doc, "process.noNewPrivileges"), "true");
		assert_string_equal(test_text(doc, "linux.seccomp.syscalls.0.names.0"), "mount");
		assert_true(test_list_has(doc, "linux.maskedPaths", "/proc/kcore"));
		assert_true(test_list_has(doc, "linux.readonlyPaths", "/proc/sys"));
		assert_true(test_list_has(doc, "process.env", "A=init"));
		assert_true(test_list_has(doc, "process.env", i ? "B=exec" : "B=init"));
		assert_string_equal(test_text(doc, "process.args.0"), "/.coffer-init");
		assert_string_equal(test_text(doc, "process.args.2"), "true");
		if (i == 0) {
			assert_string_equal(test_text(doc, "linux.resources.memory.limit"),
					    "67108864");
			assert_string_equal(test_text(doc, "linux.resources.pids.limit"), "50");
			assert_string_equal(test_text(doc, "linux.resources.cpu.quota"), "20000");
			assert_string_equal(test_text(doc, "linux.resources.cpu.period"),
					    "100000");
			assert_non_null(strstr(fake.spec, "\"kernel.shmmax\":\"1000\""));
			assert_non_null(strstr(fake.spec, "/.coffer-init"));
			assert_int_equal(coffer_container_exec(c, NULL, &exec, &p, NULL), 0);
		}
		json_object_put(doc);
	}
	coffer_container_free(c);
}

static void test_defaults(void **state)
{
	struct coffer_process_config exec = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container *c;
	struct coffer_process *p;
	struct json_object *doc;
	struct test_config t;

	test_default(&t);
	c = test_start(&t);
	doc = test_document();
	assert_int_equal(json_object_array_length(
			     test_member(doc, "process.capabilities.bounding")), 14);
	assert_string_equal(test_text(doc, "hostname"), "doc");
	assert_string_equal(test_text(doc, "process.cwd"), "/");
	assert_string_equal(test_text(doc, "linux.cgroupsPath"), "/container/doc");
	assert_string_equal(test_text(doc, "linux.resources.memory.limit"), "-1");
	json_object_put(doc);
	/* What an exec says of itself is its own. */
	exec.args = test_args;
	exec.cwd = "/tmp";
	exec.user = "1:2";
	exec.cap_add = LIST("ALL");
	assert_int_equal(coffer_container_exec(c, NULL, &exec, &p, NULL), 0);
	doc = test_document();
	assert_string_equal(test_text(doc, "process.cwd"), "/tmp");
	assert_string_equal(test_text(doc, "process.user.username"), "1:2");
	assert_true(json_object_array_length(
			test_member(doc, "process.capabilities.bounding")) > 38);
	json_object_put(doc);
	exec.cap_add = LIST("NONE");
	assert_int_equal(coffer_container_exec(c, NULL, &exec, &p, NULL), -EINVAL);
	coffer_container_free(c);
}

static void test_update(void **state)
{
	struct coffer_resources r = { .pids = 3 };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;
	struct test_config t;

	test_default(&t);
	c = test_start(&t);
	assert_int_equal(coffer_container_update(c, &r, NULL), 0);
	assert_non_null(strstr(fake.log, "Update"));
	r = (struct coffer_resources){ .cpu_period = 5 };
	assert_int_equal(coffer_container_update(c, &r, &err), -EINVAL);
	assert_non_null(strstr(err.message, "cpu_period"));
	coffer_container_free(c);
}

/* A caller of another age. */
static void test_sizes(void **state)
{
	struct {
		struct coffer_container_config c;
		char more[64];
	} newer = { .c = COFFER_CONTAINER_CONFIG_INIT };
	struct coffer_container *c;
	struct test_config t;

	test_default(&t);
	newer.c = t.c;
	newer.c.size = sizeof(newer);
	assert_int_equal(container_new("size", &newer.c, fake_maker, &c, NULL), 0);
	coffer_container_free(c);
	newer.more[9] = 1;
	assert_int_equal(container_new("size", &newer.c, fake_maker, &c, NULL), -EOPNOTSUPP);
	newer.c.size = 0;
	assert_int_equal(container_new("size", &newer.c, fake_maker, &c, NULL), -EINVAL);
	t.p.size = offsetof(struct coffer_process_config, terminal);
	t.p.seccomp = "not looked at";
	assert_int_equal(container_new("size", &t.c, fake_maker, &c, NULL), 0);
	coffer_container_free(c);
}

static void test_signals(void **state)
{
	static const struct {
		const char *text;
		int sig;
	} rows[] = {
		{ "KILL", 9 }, { "SIGKILL", 9 }, { "sigterm", 15 }, { "9", 9 }, { "64", 64 },
		{ "RTMIN+3", 37 }, { "0", -EINVAL }, { "65", -EINVAL },
		{ "", -EINVAL }, { "NOPE", -EINVAL }, { "9x", -EINVAL }, { "-9", -EINVAL },
		{ "RTMIN+99", -EINVAL },
	};
	struct coffer_error err = COFFER_ERROR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (coffer_signal_parse(rows[i].text, &err) != rows[i].sig)
			fail_msg("%s", rows[i].text);
	assert_int_equal(coffer_signal_parse("NOPE", &err), -EINVAL);
	assert_non_null(strstr(err.message, "NOPE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bad_fields, test_setup),
		cmocka_unit_test_setup(test_unsupported_fields, test_setup),
		cmocka_unit_test_setup(test_confinement, test_setup),
		cmocka_unit_test_setup(test_defaults, test_setup),
		cmocka_unit_test_setup(test_update, test_setup),
		cmocka_unit_test_setup(test_sizes, test_setup),
		cmocka_unit_test_setup(test_signals, test_setup),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, fake_group_setup, fake_group_teardown);
}
