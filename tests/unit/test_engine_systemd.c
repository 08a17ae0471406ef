/* SPDX-License-Identifier: Apache-2.0 */
/* Units, slices and properties: what systemd is told of a container */

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <stdlib.h>
#include <string.h>

#include "engine/cgroup_systemd.h"

static void expect_names(const char *path, bool rootless, const char *slice, const char *unit)
{
	struct systemd_names names = { 0 };
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(systemd_names_parse(path, "c1", rootless, &names, &err), 0);
	assert_string_equal(names.slice, slice);
	assert_string_equal(names.unit, unit);
}

static void test_names(void **state)
{
	expect_names(NULL, false, "system.slice", "coffer-c1.scope");
	expect_names(NULL, true, "user.slice", "coffer-c1.scope");
	expect_names("machine.slice:libpod:abc", false, "machine.slice", "libpod-abc.scope");
	expect_names(":docker:abc", true, "user.slice", "docker-abc.scope");
	expect_names("a-b.slice::abc", false, "a-b.slice", "abc.scope");
	expect_names("a.slice:x:pod-1.slice", false, "a.slice", "pod-1.slice");
	expect_names("-.slice:x:y", false, "-.slice", "x-y.scope");
}

static void test_names_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"/a/b",
		"a.slice:b",
		"a.slice:b:",
		"a.slice:b:c:d",
		"a:b:c",
		".slice:b:c",
		"a--b.slice:b:c",
		"-a.slice:b:c",
		"a-.slice:b:c",
		"a/b.slice:b:c",
		"a.slice:b:../c",
		"a.slice:b:c d",
		"a.slice:.b:c",
		"a.slice:b:c+d",
		"a.slice:x:a--b.slice",
	};
	char longer[2 * SYSTEMD_UNIT_MAX];
	struct systemd_names names;
	struct coffer_error err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = (struct coffer_error)COFFER_ERROR_INIT;
		assert_int_equal(systemd_names_parse(bad[i], "c1", false, &names, &err), -EINVAL);
		assert_non_null(strstr(err.message, "linux.cgroupsPath"));
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(systemd_names_parse(NULL, longer, false, &names, &err), -EINVAL);
	memcpy(longer, ":x:", 3);
	assert_int_equal(systemd_names_parse(longer, "c1", false, &names, &err), -EINVAL);
}

static void expect_slice(const char *slice, const char *path)
{
	char *got = systemd_slice_path(slice, NULL);

	assert_non_null(got);
	assert_string_equal(got, path);
	free(got);
}

static void test_paths(void **state)
{
	const struct systemd_names slice = { "a.slice", "pod-1.slice" };
	const struct systemd_names scope = { "a-b.slice", "x-y.scope" };
	const struct systemd_names top = { "-.slice", "x-y.scope" };
	const struct {
		const struct systemd_names *names;
		const char *path;
	} cases[] = {
		{ &slice, "pod.slice/pod-1.slice" },
		{ &scope, "a.slice/a-b.slice/x-y.scope" },
		{ &top, "x-y.scope" },
	};

	expect_slice("-.slice", "");
	expect_slice("system.slice", "system.slice");
	expect_slice("a-b-c.slice", "a.slice/a-b.slice/a-b-c.slice");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *got = systemd_unit_path(cases[i].names, NULL);

		assert_string_equal(got, cases[i].path);
		free(got);
	}
}

static const struct systemd_prop *find(const struct systemd_props *props, const char *name)
{
	for (size_t i = 0; i < props->n; i++)
		if (strcmp(props->v[i].name, name) == 0)
			return &props->v[i];
	return NULL;
}

static uint64_t number(const struct systemd_props *props, const char *name)
{
	const struct systemd_prop *p = find(props, name);

	assert_non_null(p);
	assert_string_equal(p->sig, "t");
	return p->n;
}

static void test_memory(void **state)
{
	struct oci_memory memory = { .limit = { true, 1 << 20 },
				     .swap = { true, 3 << 20 },
				     .reservation = { true, 4096 } };
	struct oci_pids pids = { .limit = -1 };
	struct oci_resources res = { .memory = &memory, .pids = &pids };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), 0);
	assert_int_equal(number(&props, "MemoryMax"), 1 << 20);
	assert_int_equal(number(&props, "MemorySwapMax"), 2 << 20);
	assert_int_equal(number(&props, "MemoryLow"), 4096);
	assert_true(number(&props, "TasksMax") == UINT64_MAX);
	systemd_props_free(&props);
	memory.limit.v = memory.swap.v = -1;
	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), 0);
	assert_true(number(&props, "MemoryMax") == UINT64_MAX);
	assert_true(number(&props, "MemorySwapMax") == UINT64_MAX);
	systemd_props_free(&props);
	assert_int_equal(systemd_props_limits(&res, false, &props, NULL), 0);
	assert_true(number(&props, "MemoryLimit") == UINT64_MAX);
	assert_null(find(&props, "MemoryMax"));
	systemd_props_free(&props);
	assert_int_equal(systemd_props_limits(NULL, true, &props, NULL), 0);
	assert_int_equal(props.n, 0);
}

static void expect_quota(int64_t quota, uint64_t period, uint64_t expected)
{
	struct oci_cpu cpu = { .quota = { quota != 0, quota }, .period = { period != 0, period } };
	struct oci_resources res = { .cpu = &cpu };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), 0);
	assert_true(number(&props, "CPUQuotaPerSecUSec") == expected);
	if (period)
		assert_int_equal(number(&props, "CPUQuotaPeriodUSec"), period);
	systemd_props_free(&props);
}

static void test_cpu(void **state)
{
	struct oci_cpu cpu = { .shares = { true, 1024 },
			       .cpus = (char *)"0-2,9",
			       .mems = (char *)"0" };
	struct oci_resources res = { .cpu = &cpu };
	struct systemd_props props = { 0 };
	const struct systemd_prop *cpus;

	expect_quota(50000, 100000, 500000);
	expect_quota(50000, 0, 500000);
	expect_quota(333, 1000, 340000); /* whole percents, upwards */
	expect_quota(-1, 100000, UINT64_MAX);
	expect_quota(0, 100000, UINT64_MAX);
	expect_quota(INT64_MAX, 1, UINT64_MAX);
	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), 0);
	assert_int_equal(number(&props, "CPUWeight"), 39);
	cpus = find(&props, "AllowedCPUs");
	assert_int_equal(cpus->nbytes, 2);
	assert_int_equal(cpus->bytes[0], 7);
	assert_int_equal(cpus->bytes[1], 2);
	assert_int_equal(find(&props, "AllowedMemoryNodes")->nbytes, 1);
	systemd_props_free(&props);
	assert_int_equal(systemd_props_limits(&res, false, &props, NULL), 0);
	assert_int_equal(number(&props, "CPUShares"), 1024);
	assert_null(find(&props, "AllowedCPUs"));
	systemd_props_free(&props);
}

static void test_cpu_lists_refused(void **state)
{
	static char *const bad[] = { (char *)"x",
				     (char *)"3-1",
				     (char *)"1-",
				     (char *)"-1",
				     (char *)"1;2",
				     (char *)"99999",
				     (char *)"1-99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct oci_cpu cpu = { .cpus = bad[i] };
		struct oci_resources res = { .cpu = &cpu };
		struct systemd_props props = { 0 };

		assert_int_equal(systemd_props_limits(&res, true, &props, NULL), -EINVAL);
		systemd_props_free(&props);
	}
}

static void test_unified(void **state)
{
	struct oci_pair pairs[] = {
		{ (char *)"cpu.max", (char *)"20000 100000\n" },
		{ (char *)"memory.high", (char *)"max" },
		{ (char *)"pids.max", (char *)"7" },
		{ (char *)"cpuset.cpus", (char *)"1" },
		{ (char *)"io.max", (char *)"8:0 rbps=1" },
	};
	struct oci_pair bad = { (char *)"memory.max", (char *)"lots" };
	struct oci_resources res = { .unified = { pairs, ARRAY_SIZE(pairs) } };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), 0);
	assert_int_equal(number(&props, "CPUQuotaPerSecUSec"), 200000);
	assert_true(number(&props, "MemoryHigh") == UINT64_MAX);
	assert_int_equal(number(&props, "TasksMax"), 7);
	assert_int_equal(find(&props, "AllowedCPUs")->bytes[0], 2);
	assert_int_equal(props.n, 5);
	systemd_props_free(&props);
	res.unified.v = &bad;
	res.unified.n = 1;
	assert_int_equal(systemd_props_limits(&res, true, &props, NULL), -EINVAL);
	systemd_props_free(&props);
}

static void test_devices(void **state)
{
	struct oci_device_rule rules[] = {
		{ .access = (char *)"rwm" },
		{ true, (char *)"c", { true, 10 }, { true, 200 }, (char *)"rw" },
		{ true, (char *)"b", { true, -1 }, { false, 0 }, NULL },
		{ true, (char *)"c", { true, 5 }, { false, 0 }, (char *)"r" },
	};
	static const char *const words[] = { "/dev/char/10:200", "rw", "block-*", "rwm" };
	struct oci_resources res = { .devices = { rules, 3 } };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	assert_int_equal(props.n, 3);
	assert_string_equal(props.v[0].strv[0], "strict");
	assert_null(props.v[1].strv[0]);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		assert_string_equal(props.v[2].strv[i], words[i]);
	systemd_props_free(&props);
	/* Several drivers share major 5; whichever the kernel names first. */
	res.devices.n = 4;
	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	assert_int_equal(strncmp(props.v[2].strv[4], "char-/dev/", 10), 0);
	systemd_props_free(&props);
}

static void test_devices_without_words(void **state)
{
	struct oci_device_rule rules[] = {
		{ .access = (char *)"rwm" },
		{ true, (char *)"c", { true, 10 }, { true, 200 }, (char *)"rw" },
		{ false, (char *)"c", { true, 10 }, { true, 200 }, (char *)"w" },
	};
	struct oci_resources res = { .devices = { rules, 3 } };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	assert_int_equal(props.n, 0);
	rules[2] = (struct oci_device_rule){ true, (char *)"c", { false, 0 }, { true, 3 }, (char *)"w" };
	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	rules[2] = (struct oci_device_rule){ .allow = true };
	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	res.devices.v = &rules[1];
	res.devices.n = 1;
	assert_int_equal(systemd_props_devices(&res, &props, NULL), 0);
	assert_int_equal(props.n, 0);
}

static void test_variants(void **state)
{
	static const struct {
		const char *text, *sig;
		uint64_t n;
	} numbers[] = {
		{ "true", "b", 1 },
		{ " false ", "b", 0 },
		{ "5", "i", 5 },
		{ "-5", "i", -5ULL },
		{ "uint64 7", "t", 7 },
		{ "@t 7", "t", 7 },
		{ "byte 255", "y", 255 },
		{ "int16 -32768", "n", -32768ULL },
		{ "uint32 0x10", "u", 16 },
		{ "uint64 18446744073709551615", "t", UINT64_MAX },
	};
	struct systemd_props props = { 0 };
	struct systemd_prop *p;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		p = systemd_props_add(&props, "X", "b");
		assert_int_equal(systemd_variant_parse(numbers[i].text, p, NULL), 0);
		assert_string_equal(p->sig, numbers[i].sig);
		assert_true(p->n == numbers[i].n);
	}
	p = systemd_props_add(&props, "X", "b");
	assert_int_equal(systemd_variant_parse("1.5", p, NULL), 0);
	assert_true(p->d == 1.5);
	p = systemd_props_add(&props, "X", "b");
	assert_int_equal(systemd_variant_parse("'it\\'s \"'", p, NULL), 0);
	assert_string_equal(p->strv[0], "it's \"");
	p = systemd_props_add(&props, "X", "b");
	assert_int_equal(systemd_variant_parse("@as ['a.service', \"b\"]", p, NULL), 0);
	assert_string_equal(p->sig, "as");
	assert_string_equal(p->strv[1], "b");
	assert_null(p->strv[2]);
	systemd_props_free(&props);
}

static void test_variants_refused(void **state)
{
	static const char *const bad[] = {
		"",	 "x",	     "'a",	   "'a\\",  "'a\\n'",	   "['a'",   "['a' 'b']",
		"[1]",	 "5 6",	     "byte 256",   "@u -1", "int16 32768", "uint64", "uint64 ",
		"truex", "@as 'a'x", "2147483648", "-",	    "0x",	   "1.5.5",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		struct systemd_props props = { 0 };
		struct systemd_prop *p = systemd_props_add(&props, "X", "b");

		assert_int_equal(systemd_variant_parse(bad[i], p, &err), -EINVAL);
		systemd_props_free(&props);
	}
}

static void test_annotations(void **state)
{
	struct oci_pair pairs[] = {
		{ (char *)"org.systemd.property.TimeoutStopSec", (char *)"uint64 90" },
		{ (char *)"org.systemd.property.RuntimeMaxUSec", (char *)"uint64 5" },
		{ (char *)"org.systemd.property.WatchdogSec", (char *)"0.5" },
		{ (char *)"org.example", (char *)"x" },
	};
	struct oci_pairs annotations = { pairs, ARRAY_SIZE(pairs) };
	struct systemd_props props = { 0 };

	assert_int_equal(systemd_props_annotations(&annotations, &props, NULL), 0);
	assert_int_equal(number(&props, "TimeoutStopUSec"), 90000000);
	assert_int_equal(number(&props, "RuntimeMaxUSec"), 5);
	assert_int_equal(number(&props, "WatchdogUSec"), 500000);
	assert_int_equal(props.n, 3);
	systemd_props_free(&props);
}

static void test_annotations_refused(void **state)
{
	static struct oci_pair bad[] = {
		{ (char *)"org.systemd.property.", (char *)"true" },
		{ (char *)"org.systemd.property.ab", (char *)"true" },
		{ (char *)"org.systemd.property.lower", (char *)"true" },
		{ (char *)"org.systemd.property.Bad1", (char *)"true" },
		{ (char *)"org.systemd.property.FooSec", (char *)"'x'" },
		{ (char *)"org.systemd.property.FooSec", (char *)"-1" },
		{ (char *)"org.systemd.property.FooSec", (char *)"1e300" },
		{ (char *)"org.systemd.property.Good", (char *)"?" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct oci_pairs annotations = { &bad[i], 1 };
		struct coffer_error err = COFFER_ERROR_INIT;
		struct systemd_props props = { 0 };

		assert_int_equal(systemd_props_annotations(&annotations, &props, &err), -EINVAL);
		assert_non_null(strstr(err.message, bad[i].key));
		systemd_props_free(&props);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_refused),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_cpu_lists_refused),
		cmocka_unit_test(test_unified),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_devices_without_words),
		cmocka_unit_test(test_variants),
		cmocka_unit_test(test_variants_refused),
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_annotations_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
