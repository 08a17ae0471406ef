/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cli_words.c - arguments of options, taken apart
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/json.h"
#include "cli/logfile.h"
#include "cli/words.h"

#define LIST(...)                                                             \
	((struct opt_list){ .v = (const char *[]){ __VA_ARGS__, NULL },           \
			    .n = sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) })
static const struct opt_list none;

static void test_mounts(void **state)
{
	const struct opt_list mounts =
	    LIST("type=bind,source=/tmp,target=/a,readonly,option=noexec",
		 "src=data,dst=/b", "type=tmpfs,destination=/c,tmpfs-size=1m,tmpfs-mode=1777",
		 "type=nbd,source=nbd://host/x,target=/d,ro=false");
	const struct opt_list volumes = LIST("/tmp:/e:ro,nosuid", "cache:/f");
	const struct opt_list tmpfs = LIST("/g", "/h:size=2m,mode=700,ro");
	struct words w = { 0 };
	const struct coffer_mount *m;
	size_t n;

	assert_int_equal(words_mounts(&w, &mounts, &volumes, &tmpfs, &m, &n, NULL), 0);
	assert_int_equal(n, 8);
	assert_int_equal(m[0].kind, COFFER_MOUNT_SHARE);
	assert_string_equal(m[0].source, "/tmp");
	assert_string_equal(m[0].target, "/a");
	assert_true(m[0].read_only);
	assert_string_equal(m[0].options[0], "noexec");
	assert_null(m[0].options[1]);
	assert_int_equal(m[1].kind, COFFER_MOUNT_VOLUME);
	assert_string_equal(m[1].source, "data");
	assert_int_equal(m[2].kind, COFFER_MOUNT_TMPFS);
	assert_int_equal(m[2].size, 1 << 20);
	assert_string_equal(m[2].options[0], "mode=1777");
	assert_int_equal(m[3].kind, COFFER_MOUNT_NBD);
	assert_false(m[3].read_only);
	assert_int_equal(m[4].kind, COFFER_MOUNT_SHARE);
	assert_true(m[4].read_only);
	assert_string_equal(m[4].options[0], "nosuid");
	assert_int_equal(m[5].kind, COFFER_MOUNT_VOLUME);
	assert_string_equal(m[5].target, "/f");
	assert_int_equal(m[6].kind, COFFER_MOUNT_TMPFS);
	assert_int_equal(m[7].size, 2 << 20);
	assert_true(m[7].read_only);
	words_free(&w);
}

static void test_rlimits(void **state)
{
	const struct opt_list given = LIST("nofile=10:20", "core=-1", "nproc=5");
	const struct coffer_rlimit *v;
	struct words w = { 0 };
	size_t n;

	assert_int_equal(words_rlimits(&w, &given, &v, &n, NULL), 0);
	assert_int_equal(n, 3);
	assert_string_equal(v[0].type, "RLIMIT_NOFILE");
	assert_int_equal(v[0].soft, 10);
	assert_int_equal(v[0].hard, 20);
	assert_true(v[1].soft == UINT64_MAX && v[1].hard == UINT64_MAX);
	assert_int_equal(v[2].hard, 5);
	words_free(&w);
}

static void test_env(void **state)
{
	static const char text[] = "# no\nONE=1\r\n\nHERE\nMISSING\nTWO=a=b\n";
	char path[] = "/tmp/coffer-test-XXXXXX";
	struct opt_list files = LIST(path), given = LIST("ONE=2", "HERE=over", "EMPTY=");
	struct words w = { 0 };
	const char *const *env;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	setenv("HERE", "from-here", 1);
	unsetenv("MISSING");
	assert_int_equal(words_env(&w, &files, &given, &env, NULL), 0);
	assert_string_equal(env[0], "ONE=1");
	assert_string_equal(env[1], "HERE=from-here");
	assert_string_equal(env[2], "TWO=a=b");
	assert_string_equal(env[3], "ONE=2");
	assert_string_equal(env[4], "HERE=over");
	assert_string_equal(env[5], "EMPTY=");
	assert_null(env[6]);
	words_free(&w);
	assert_int_equal(words_env(&w, &none, &none, &env, NULL), 0);
	assert_null(env);
	unlink(path);
}

static void test_relays(void **state)
{
	const struct opt_list in = LIST("/here:/there:0640"), out = LIST("/there2:here2");
	const struct coffer_relay *v;
	struct words w = { 0 };
	size_t n;

	assert_int_equal(words_relays(&w, &in, &out, &v, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].direction, COFFER_RELAY_INTO);
	assert_string_equal(v[0].host_path, "/here");
	assert_string_equal(v[0].guest_path, "/there");
	assert_int_equal(v[0].mode, 0640);
	assert_int_equal(v[1].direction, COFFER_RELAY_OUT_OF);
	assert_string_equal(v[1].host_path, "here2");
	assert_string_equal(v[1].guest_path, "/there2");
	assert_string_not_equal(v[0].id, v[1].id);
	words_free(&w);
}

static void test_others(void **state)
{
	const struct opt_list security = LIST("no-new-privileges", "seccomp=unconfined");
	const char *seccomp = "x";
	struct coffer_layer layer = { 0 };
	struct words w = { 0 };
	uint64_t quota, period;
	bool nnp = false;

	assert_int_equal(words_security(&w, &security, &nnp, &seccomp, NULL), 0);
	assert_true(nnp);
	assert_null(seccomp);
	assert_int_equal(words_layer("./file", 1 << 20, "data", &layer, NULL), 0);
	assert_int_equal(layer.kind, COFFER_LAYER_DISK);
	assert_string_equal(layer.path, "./file");
	assert_int_equal(layer.journal, COFFER_JOURNAL_DATA);
	assert_int_equal(words_cpus("1.5", &quota, &period, NULL), 0);
	assert_int_equal(quota, 150000);
	assert_int_equal(period, 100000);
	words_free(&w);
}

/* What a log says of the bytes @in, written in pieces of @piece. To be put */
static struct json_object *log_of(const char *in, size_t n, size_t piece, size_t *lines)
{
	char dir[] = "/tmp/coffer-test-XXXXXX";
	struct logfile log = { .dir_fd = -1, .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct logfile_stream *s = calloc(1, sizeof(*s));
	struct json_object *list = json_object_new_array();
	char *text;

	assert_non_null(mkdtemp(dir));
	log.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	log.fd = openat(log.dir_fd, LOGFILE_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	*s = (struct logfile_stream){ .log = &log, .name = "stdout" };
	for (size_t i = 0; i < n; i += piece)
		assert_int_equal(logfile_write(s, in + i, n - i < piece ? n - i : piece), 0);
	assert_int_equal(logfile_end(s), 0);
	assert_int_equal(io_read_file(log.dir_fd, LOGFILE_NAME, 1 << 24, &text, NULL, NULL), 0);
	*lines = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), (*lines)++) {
		struct json_object *obj = json_tokener_parse(line), *log_text;

		assert_non_null(obj);
		assert_true(json_object_object_get_ex(obj, "log", &log_text));
		json_object_array_add(list, json_object_get(log_text));
		json_object_put(obj);
	}
	free(text);
	free(s);
	unlinkat(log.dir_fd, LOGFILE_NAME, 0);
	logfile_close(&log);
	rmdir(dir);
	return list;
}

static void test_log(void **state)
{
	static const char in[] = "one\n\"two\"\t\\\x01\nth\xc3\xa9\xff\xe2\x82\nend";
	static const char *const expected[] = { "one\n", "\"two\"\t\\\x01\n",
						"th\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n", "end" };

	for (size_t piece = 1; piece < sizeof(in); piece += 3) {
		size_t n;
		struct json_object *list = log_of(in, sizeof(in) - 1, piece, &n);

		assert_int_equal(n, 4);
		for (size_t i = 0; i < n; i++)
			assert_string_equal(
			    json_object_get_string(json_object_array_get_idx(list, i)),
			    expected[i]);
		json_object_put(list);
	}
}

/* A line without end is cut, and no byte of it lost. */
static void test_long_line(void **state)
{
	size_t n, total = 0, size = 3 * LOGFILE_LINE_MAX + 5;
	char *in = malloc(size);
	struct json_object *list;

	memset(in, 'x', size);
	list = log_of(in, size, 100000, &n);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++)
		total += (size_t)json_object_get_string_len(json_object_array_get_idx(list, i));
	assert_int_equal(total, size);
	json_object_put(list);
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts), cmocka_unit_test(test_rlimits),
		cmocka_unit_test(test_env),    cmocka_unit_test(test_relays),
		cmocka_unit_test(test_others), cmocka_unit_test(test_log),
		cmocka_unit_test(test_long_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
