/* SPDX-License-Identifier: Apache-2.0 */
/* test_container_bundle.c - ids of users, documents of images, and children that work on files */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "container/aside.h"
#include "container/bundle.h"

static struct coffer_error error;

/* ---- ids ---- */

static void test_subids(void **state)
{
	static const char text[] = "other:1:2\n"
				   "ann:100000:65536\n"
				   "# ann:5:5\n"
				   "ann:7\n"
				   "ann:-1:5\n"
				   "ann:5:0\n"
				   "ann:4294967290:65536\n"
				   "ann:5:99999999999999999999\n"
				   "anne:5:5\n"
				   "\n"
				   "1000:300000:10";
	CLEANUP(subids_free) struct subids s = { 0 };

	assert_int_equal(subids_parse(text, strlen(text), "ann", 1000, &s.uids, &error), 0);
	assert_int_equal(s.uids.n, 2);
	assert_int_equal(s.uids.v[0].container_id, 0);
	assert_int_equal(s.uids.v[0].host_id, 100000);
	assert_int_equal(s.uids.v[1].container_id, 65536);
	assert_int_equal(s.uids.v[1].host_id, 300000);
	assert_int_equal(s.uids.v[1].size, 10);
	assert_int_equal(subids_parse(text, strlen(text), NULL, 7, &s.gids, &error), 0);
	assert_int_equal(s.gids.n, 0);
}

/* ---- documents ---- */

static int make_root(void **state)
{
	static char path[64];
	int fd;

	strcpy(path, "/tmp/test_container_bundle.XXXXXX");
	if (!mkdtemp(path))
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(fd, "etc", 0755), 0);
	assert_int_equal(symlinkat("/etc/real", fd, "etc/passwd"), 0);
	assert_int_equal(io_replace_file(fd, "etc/real", "ann:x:7:8::/a:\n", 15, 0644, NULL), 0);
	assert_int_equal(io_replace_file(fd, "etc/group", "g:x:9:ann\n", 10, 0644, NULL), 0);
	close(fd);
	*state = path;
	return 0;
}

static int remove_root(void **state)
{
	return path_remove_tree(AT_FDCWD, *state, NULL);
}

static struct oci_spec *document(const char *root, const char *config, const struct subids *ids)
{
	autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image_config image = { 0 };
	struct oci_spec *spec = NULL;
	char text[2048];

	snprintf(text, sizeof(text),
		 "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{%s},"
		 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}",
		 config);
	assert_int_equal(image_config_parse(text, strlen(text), &image, &error), 0);
	error = (struct coffer_error)COFFER_ERROR_INIT;
	if (bundle_config_make(fd, &image, ids, &spec, &error) < 0)
		assert_null(spec);
	image_config_free(&image);
	return spec;
}

static void test_document(void **state)
{
	auto_oci_spec struct oci_spec *spec = document(
	    *state,
	    "\"User\":\"ann\",\"Entrypoint\":[\"/e\",\"1\"],\"Cmd\":[\"2\"],"
	    "\"Env\":[\"A=b=c\",\"EMPTY=\"],\"WorkingDir\":\"w\",\"StopSignal\":\"SIGINT\","
	    "\"ExposedPorts\":{\"80/tcp\":{}}",
	    NULL);

	assert_non_null(spec);
	assert_string_equal(spec->oci_version, "1.0.2");
	assert_int_equal(spec->process->args.n, 3);
	assert_string_equal(spec->process->args.v[2], "2");
	assert_string_equal(spec->process->cwd, "/w");
	assert_string_equal(oci_env_get(spec->process, "A"), "b=c");
	assert_string_equal(oci_env_get(spec->process, "EMPTY"), "");
	assert_string_equal(oci_env_get(spec->process, "HOME"), "/a");
	assert_non_null(oci_env_get(spec->process, "PATH"));
	assert_int_equal(spec->process->user.uid, 7);
	assert_int_equal(spec->process->user.gid, 8);
	assert_null(spec->process->user.username);
	assert_int_equal(spec->process->user.additional_gids.n, 2);
	assert_int_equal(spec->process->user.additional_gids.v[0], 9);
	assert_string_equal(
	    oci_pairs_get(&spec->annotations, "org.opencontainers.image.stopSignal"), "SIGINT");
	assert_string_equal(
	    oci_pairs_get(&spec->annotations, "org.opencontainers.image.exposedPorts"), "80/tcp");
	assert_null(oci_namespace_find(spec, "user"));
}

static void test_document_says_nothing(void **state)
{
	auto_oci_spec struct oci_spec *spec = document(*state, "\"Env\":[]", NULL);

	assert_non_null(spec);
	assert_string_equal(spec->process->args.v[0], "sh");
	assert_string_equal(spec->process->cwd, "/");
	assert_int_equal(spec->process->user.uid, 0);
	assert_null(oci_pairs_get(&spec->annotations, "org.opencontainers.image.stopSignal"));
}

static void test_document_rootless(void **state)
{
	struct oci_id_mapping maps[] = { { 0, 1000, 1 }, { 1, 100000, 65536 } };
	struct subids ids = { .ranges = true, .uids = { maps, 2 }, .gids = { maps, 2 } };
	auto_oci_spec struct oci_spec *spec = document(*state, "\"User\":\"7:8\"", &ids);
	auto_oci_spec struct oci_spec *alone = NULL;

	assert_non_null(spec);
	assert_int_equal(spec->process->user.uid, 7);
	assert_int_equal(spec->process->user.additional_gids.n, 0);
	assert_non_null(oci_namespace_find(spec, "user"));
	assert_null(oci_namespace_find(spec, "cgroup"));
	assert_null(oci_namespace_find(spec, "network"));
	assert_int_equal(spec->linux_->uid_mappings.n, 2);
	assert_null(spec->linux_->resources);
	for (size_t i = 0; i < spec->mounts.n; i++)
		assert_string_not_equal(spec->mounts.v[i].destination, "/sys/fs/cgroup");
	ids = (struct subids){ .uids = { maps, 1 }, .gids = { maps, 1 } };
	alone = document(*state, "\"User\":\"ann\"", &ids);
	assert_non_null(alone);
	assert_int_equal(alone->process->user.uid, 0);
	assert_int_equal(alone->process->user.gid, 0);
}

static void test_document_refused(void **state)
{
	assert_null(document(*state, "\"User\":\"nobody\"", NULL));
	assert_non_null(strstr(error.message, "nobody"));
}

/* ---- children ---- */

static int fails(struct aside *a, void *data, struct coffer_error *err)
{
	for (uint64_t i = 1; i <= 3; i++)
		aside_tell(a, i);
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "as it says");
}

static int sleeps(struct aside *a, void *data, struct coffer_error *err)
{
	poll(NULL, 0, 60000);
	return 0;
}

static int dies(struct aside *a, void *data, struct coffer_error *err)
{
	_exit(0);
}

static int masks(struct aside *a, void *data, struct coffer_error *err)
{
	return umask(022) == 0 ? 0 : -EINVAL;
}

static void told(void *data, uint64_t number)
{
	uint64_t *sum = data;

	*sum = *sum * 10 + number;
}

static void test_aside(void **state)
{
	autoclose int cancel = eventfd(1, EFD_CLOEXEC);
	uint64_t sum = 0;
	struct aside_args args = { .fn = fails, .data = &sum, .told = told, .cancel_fd = -1 };

	assert_int_equal(aside_run(&args, &error), -ENOENT);
	assert_string_equal(error.message, "as it says");
	assert_int_equal(sum, 123);
	umask(077);
	args.fn = masks;
	assert_int_equal(aside_run(&args, &error), 0);
	args.fn = dies;
	assert_true(aside_run(&args, &error) < 0);
	args.fn = sleeps;
	args.cancel_fd = cancel;
	assert_int_equal(aside_run(&args, &error), -ECANCELED);
}

int main(void)
{
#define WITH_ROOT(t) cmocka_unit_test_setup_teardown(t, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subids),	       WITH_ROOT(test_document),
		WITH_ROOT(test_document_says_nothing), WITH_ROOT(test_document_rootless),
		WITH_ROOT(test_document_refused),      cmocka_unit_test(test_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
