/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_container_copy_plan.c - docker cp's rules, row by row
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "container/copy_plan.h"

/* Both sides have the same things. */
static const struct thing {
	const char *path;
	mode_t mode;
	const char *link;
} things[] = {
	{ "/", S_IFDIR, NULL },
	{ "/file", S_IFREG, NULL },
	{ "/dir", S_IFDIR, NULL },
	{ "/dir/file", S_IFREG, NULL },
	{ "/socket", S_IFSOCK, NULL },
	{ "/fifo", S_IFIFO, NULL },
	{ "/to-file", S_IFLNK, "file" },
	{ "/to-dir", S_IFLNK, "/dir" },
	{ "/to-missing", S_IFLNK, "dir/missing" },
	{ "/to-absolute", S_IFLNK, "/dir/missing" },
	{ "/twice", S_IFLNK, "to-missing" },
	{ "/to-itself", S_IFLNK, "to-itself" },
	{ "file", S_IFREG, NULL },
	{ ".", S_IFDIR, NULL },
};

static const struct thing *find(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(things); i++)
		if (strcmp(things[i].path, path) == 0)
			return &things[i];
	return NULL;
}

static int fake_stat(void *data, const char *path, bool follow, struct coffer_path_stat *out,
		     struct coffer_error *err)
{
	const struct thing *t = find(path);
	char next[PATH_MAX];

	assert_int_equal(out->size, sizeof(*out));
	for (int i = 0; t && follow && t->link; i++) {
		if (i == 10)
			return err_sysn(err, ELOOP, "%s", path);
		snprintf(next, sizeof(next), "%s%s", *t->link == '/' ? "" : "/", t->link);
		t = find(next);
	}
	if (!t)
		return err_sysn(err, ENOENT, "%s", path);
	out->mode = t->mode | 0644;
	snprintf(out->link_target, sizeof(out->link_target), "%s", t->link ? t->link : "");
	return 0;
}

static const struct copy_side here = { .where = "host", .stat = fake_stat };
static const struct copy_side there = { .where = "container", .absolute = true,
					.stat = fake_stat };

static const struct row {
	const char *source;
	bool follow_link;
	const char *target;
	enum coffer_error_kind kind;
	const char *dir, *name; /* kind NONE */
} rows[] = {
	/* Docker's table. */
	{ "/file", 0, "/missing", 0, "/", "missing" },
	{ "/file", 0, "/missing/", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/file", 0, "/missing/.", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/file", 0, "/dir/file", 0, "/dir", "file" },
	{ "/fifo", 0, "/dir/file", 0, "/dir", "file" },
	{ "/file", 0, "/file/", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/file", 0, "/dir", 0, "/dir", "file" },
	{ "/file", 0, "/dir/", 0, "/dir", "file" },
	{ "/file", 0, "/", 0, "/", "file" },
	{ "/dir", 0, "/missing", 0, "/", "missing" },
	{ "/dir", 0, "/missing/", 0, "/", "missing" },
	{ "/dir/.", 0, "/missing", 0, "/", "missing" },
	{ "/dir", 0, "/file", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/dir/.", 0, "/file", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/dir", 0, "/dir", 0, "/dir", "dir" },
	{ "/dir/", 0, "/dir", 0, "/dir", "dir" },
	{ "/dir/.", 0, "/dir", 0, "/dir", "" },
	{ "/dir/./", 0, "/dir", 0, "/dir", "" },
	{ "/dir//././/", 0, "/dir", 0, "/dir", "" },
	{ "/", 0, "/dir", 0, "/dir", "" },
	/* What there is not. */
	{ "/missing", 0, "/dir", COFFER_ERR_NOT_FOUND, NULL, NULL },
	{ "/file/", 0, "/dir", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/file/.", 0, "/dir", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/socket", 0, "/dir", COFFER_ERR_UNSUPPORTED, NULL, NULL },
	{ "/file", 0, "/missing/..", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/dir", 0, "/missing/..", COFFER_ERR_NOT_FOUND, NULL, NULL },
	{ "", 0, "/dir", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/file", 0, "", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	/* Links. */
	{ "/to-file", 0, "/dir", 0, "/dir", "to-file" },
	{ "/to-file", 1, "/dir", 0, "/dir", "to-file" },
	{ "/to-dir", 0, "/file", 0, "/", "file" },
	{ "/to-dir", 1, "/file", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/to-dir/", 0, "/file", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	{ "/to-dir/.", 0, "/dir", 0, "/dir", "" },
	{ "/to-missing", 0, "/dir", 0, "/dir", "to-missing" },
	{ "/to-missing", 1, "/dir", COFFER_ERR_NOT_FOUND, NULL, NULL },
	{ "/file", 0, "/to-file", 0, "/", "file" },
	{ "/file", 0, "/to-dir", 0, "/to-dir", "file" },
	{ "/file", 0, "/to-missing", 0, "/dir", "missing" },
	{ "/file", 0, "/to-absolute", 0, "/dir", "missing" },
	{ "/file", 0, "/twice", 0, "/dir", "missing" },
	{ "/file", 0, "/to-itself", COFFER_ERR_INTERNAL, NULL, NULL },
	{ "/dir", 0, "/to-file", COFFER_ERR_INVALID_ARGUMENT, NULL, NULL },
	/* Paths of the container are the root's, those of the host the directory's. */
	{ "file", 0, "dir", 0, "/dir", "file" },
	{ ".", 0, "dir", 0, "/dir", "" },
};

static void test_rules(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct coffer_error err = COFFER_ERROR_INIT;
		struct copy_plan plan;
		int r = copy_plan_make(&here, row->source, row->follow_link, &there, row->target,
				       &plan, &err);

		if (err.kind != row->kind || (r < 0) != (row->kind != COFFER_ERR_NONE))
			fail_msg("%s to %s: %d, %s: %s", row->source, row->target, r,
				 coffer_error_kind_str(err.kind), err.message);
		if (r < 0)
			continue;
		if (strcmp(plan.dir, row->dir) != 0 || strcmp(plan.name, row->name) != 0)
			fail_msg("%s to %s: %s in %s", row->source, row->target, plan.name,
				 plan.dir);
	}
}

static void test_sources(void **state)
{
	struct copy_plan plan;

	assert_int_equal(copy_plan_make(&there, "to-dir/.", false, &here, "file", &plan, NULL),
			 -ENOTDIR);
	assert_int_equal(copy_plan_make(&there, "/dir/.", false, &here, ".", &plan, NULL), 0);
	assert_string_equal(plan.source, "/dir");
	assert_string_equal(plan.dir, ".");
	assert_string_equal(plan.name, "");
	assert_true(plan.is_dir && plan.follow);
	assert_int_equal(copy_plan_make(&there, "to-file", false, &here, "new", &plan, NULL), 0);
	assert_string_equal(plan.source, "/to-file");
	assert_string_equal(plan.dir, ".");
	assert_string_equal(plan.name, "new");
	assert_false(plan.is_dir || plan.follow);
}

static void test_long(void **state)
{
	char path[2 * PATH_MAX], out[PATH_MAX];
	struct coffer_error err = COFFER_ERROR_INIT;
	struct copy_plan plan;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_true(copy_plan_make(&here, path, false, &there, "/dir", &plan, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
	assert_true(copy_plan_make(&here, "/file", false, &there, path, &plan, &err) < 0);
	assert_true(copy_plan_path(&there, path, out, &err) < 0);
	path[PATH_MAX - 2] = '\0';
	assert_int_equal(copy_plan_path(&there, path, out, &err), 0);
	/* A component that no file system has. */
	path[1000] = '\0';
	assert_true(copy_plan_make(&here, "/file", false, &there, path, &plan, &err) < 0);
	assert_int_equal(err.kind, COFFER_ERR_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
