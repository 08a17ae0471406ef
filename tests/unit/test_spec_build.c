/* SPDX-License-Identifier: Apache-2.0 */
/* Making specs in code: the default config and the builders. */
#include "spec_text.h"

static const struct oci_mount *find_mount(const struct oci_spec *s, const char *destination)
{
	size_t i;

	for (i = 0; i < s->mounts.n; i++)
		if (strcmp(s->mounts.v[i].destination, destination) == 0)
			return &s->mounts.v[i];
	return NULL;
}

static void test_default_is_valid(void **state)
{
	auto_oci_spec struct oci_spec *s = NULL, *again = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	autofree char *json = NULL;

	assert_int_equal(oci_spec_default(&s, &err), 0);
	if (oci_spec_validate(s, &err) != 0)
		fail_msg("%s", err.message);
	json = oci_spec_to_json(s, &err);
	assert_non_null(json);
	assert_int_equal(oci_spec_parse(json, strlen(json), &again, &err), 0);
	assert_int_equal(oci_spec_validate(again, &err), 0);
}

static void test_default_contents(void **state)
{
	static const char *const namespaces[] = {
		"pid", "network", "ipc", "uts", "mount", "cgroup"
	};
	auto_oci_spec struct oci_spec *s = NULL;
	struct coffer_error err = COFFER_ERROR_INIT;
	size_t i;

	assert_int_equal(oci_spec_default(&s, &err), 0);
	assert_string_equal(s->oci_version, "1.2.0");
	assert_string_equal(s->process->args.v[0], "sh");
	assert_string_equal(s->process->cwd, "/");
	assert_string_equal(oci_env_get(s->process, "TERM"), "xterm");
	assert_true(s->process->no_new_privileges);
	assert_int_equal(s->process->rlimits.n, 0);
	assert_int_equal(s->process->capabilities->bounding.n, 14);
	assert_int_equal(s->process->capabilities->permitted.n, 14);
	assert_int_equal(s->process->capabilities->ambient.n, 0);
	assert_int_equal(s->mounts.n, 7);
	assert_string_equal(find_mount(s, "/dev")->type, "tmpfs");
	assert_int_equal(find_mount(s, "/dev/pts")->options.n, 6);
	assert_int_equal(s->linux_->namespaces.n, ARRAY_SIZE(namespaces));
	for (i = 0; i < ARRAY_SIZE(namespaces); i++)
		assert_non_null(oci_namespace_find(s, namespaces[i]));
	assert_null(oci_namespace_find(s, "user"));
	assert_int_equal(s->linux_->masked_paths.n, 11);
	assert_int_equal(s->linux_->readonly_paths.n, 5);
	assert_false(s->linux_->resources->devices.v[0].allow);
}

static void test_strings(void **state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	char *field = NULL;

	assert_int_equal(oci_str_set(&field, "a", &err), 0);
	assert_int_equal(oci_str_set(&field, "b", &err), 0);
	assert_string_equal(field, "b");
	assert_int_equal(oci_str_set(&field, "", &err), 0);
	assert_null(field);
	assert_int_equal(oci_str_set(&field, NULL, &err), 0);
	assert_null(field);
}

static void test_lists_stay_terminated(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'process':{'args':['a']}}");
	struct oci_strv *args = &s->process->args;
	struct coffer_error err = COFFER_ERROR_INIT;
	int i;

	for (i = 0; i < 100; i++) {
		assert_int_equal(oci_strv_add(args, "x", &err), 0);
		assert_null(args->v[args->n]);
	}
	assert_int_equal(args->n, 101);
	assert_int_equal(oci_strv_set(args, (const char *const[]){ "p", "", NULL }, &err), 0);
	assert_int_equal(args->n, 2);
	assert_string_equal(args->v[1], "");
	assert_null(args->v[2]);
	assert_int_equal(oci_strv_set(args, NULL, &err), 0);
	assert_int_equal(args->n, 0);
	assert_null(args->v);
}

static void test_env(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'process':{'env':['A=1','AB=2','A=3']}}");
	struct oci_process *p = s->process;
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_string_equal(oci_env_get(p, "A"), "3");
	assert_null(oci_env_get(p, "B"));
	assert_int_equal(oci_env_set(p, "A", "4=5", &err), 0);
	assert_int_equal(p->env.n, 3);
	assert_string_equal(p->env.v[2], "A=4=5");
	assert_int_equal(oci_env_set(p, "NEW", "", &err), 0);
	assert_string_equal(oci_env_get(p, "NEW"), "");
	assert_null(p->env.v[4]);
}

static void test_pairs(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{}");
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_null(oci_pairs_get(&s->annotations, "a"));
	assert_int_equal(oci_pairs_set(&s->annotations, "a", "1", &err), 0);
	assert_int_equal(oci_pairs_set(&s->annotations, "b", "2", &err), 0);
	assert_int_equal(oci_pairs_set(&s->annotations, "a", "3", &err), 0);
	assert_int_equal(s->annotations.n, 2);
	assert_string_equal(oci_pairs_get(&s->annotations, "a"), "3");
}

static void test_optional_objects(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{}");

	assert_null(oci_namespace_find(s, "pid"));
	oci_memory_get(s)->limit = (struct oci_opt_i64){ .set = true, .v = 1 << 20 };
	oci_cpu_get(s)->period = (struct oci_opt_u64){ .set = true, .v = 100000 };
	oci_pids_get(s)->limit = 9;
	assert_ptr_equal(oci_memory_get(s), s->linux_->resources->memory);
	assert_int_equal(s->linux_->resources->memory->limit.v, 1 << 20);
	assert_int_equal(s->linux_->resources->pids->limit, 9);
}

static void test_mounts_namespaces_rlimits(void **state)
{
	auto_oci_spec struct oci_spec *s = text_parse("{'process':{}}");
	struct coffer_error err = COFFER_ERROR_INIT;

	assert_int_equal(oci_mount_add(s, "/a", "bind", "/b",
				       (const char *const[]){ "rbind", "ro", NULL }, &err),
			 0);
	assert_int_equal(oci_mount_add(s, "/c", NULL, NULL, NULL, &err), 0);
	assert_string_equal(s->mounts.v[0].options.v[1], "ro");
	assert_null(s->mounts.v[1].type);
	assert_int_equal(oci_namespace_add(s, "pid", NULL, &err), 0);
	assert_int_equal(oci_namespace_add(s, "network", "/run/netns/x", &err), 0);
	assert_string_equal(oci_namespace_find(s, "network")->path, "/run/netns/x");
	assert_int_equal(oci_rlimit_add(s->process, "RLIMIT_CORE", 0, UINT64_MAX, &err), 0);
	assert_true(s->process->rlimits.v[0].hard == UINT64_MAX);
}

static void test_free_null(void **state)
{
	oci_spec_free(NULL);
	oci_process_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_valid),
		cmocka_unit_test(test_default_contents),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_lists_stay_terminated),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_optional_objects),
		cmocka_unit_test(test_mounts_namespaces_rlimits),
		cmocka_unit_test(test_free_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
