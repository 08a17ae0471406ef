/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: what they are given, what becomes of those that fail or hang, and where they can run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/spawn.h"
#include "engine/hooks.h"

static char test_dir[] = "/tmp/test-hooks-XXXXXX";
static char test_log[2048];

static struct oci_pair test_pairs[] = {
	{ (char *)"a\"key", (char *)"line\nbreak" },
	{ (char *)"empty", (char *)"" },
};
static struct oci_pairs test_annotations = { test_pairs, 2 };
static const struct hook_state test_state = {
	.oci_version = "1.2.0",
	.id = "box-1",
	.status = "creating",
	.pid = 4711,
	.bundle = "/var/lib/box",
	.annotations = &test_annotations,
};

static void test_sink(enum log_level level, const char *category, const char *msg, void *data)
{
	size_t used = strlen(test_log);

	snprintf(test_log + used, sizeof(test_log) - used, "%s\n", msg);
}

/* A hook that is a line of shell; @args lives as long as the caller wants it. */
static struct oci_hook shell(char *args[5], char *env[2], const char *script)
{
	args[0] = (char *)"hook-name";
	args[1] = (char *)"-c";
	args[2] = (char *)script;
	args[3] = test_dir;
	args[4] = NULL;
	env[0] = (char *)"WORD=given";
	env[1] = NULL;
	return (struct oci_hook){ .path = (char *)"/bin/sh", .args = { args, 4 }, .env = { env, 1 } };
}

static int run(const char *script, const char *list, int timeout, struct coffer_error *err)
{
	char *args[5], *env[2];
	struct oci_hook hook = shell(args, env, script);
	struct oci_hook_list hooks = { &hook, 1 };

	if (timeout > 0)
		hook.timeout = (struct oci_opt_i32){ true, timeout };
	return hooks_run(&hooks, list, &test_state, err);
}

static char *read_back(const char *name)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	char path[128], *text = NULL;

	snprintf(path, sizeof(path), "%s/%s", test_dir, name);
	if (io_read_file(AT_FDCWD, path, 4096, &text, NULL, &e) < 0)
		fail_msg("%s", e.message);
	return text;
}

static void assert_file(const char *name, const char *want)
{
	char *text = read_back(name);

	assert_string_equal(text, want);
	free(text);
}

static void test_state_comes_on_stdin(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(run("exec cat > $0/state", "prestart", 0, &e), 0);
	assert_file("state", "{\"ociVersion\":\"1.2.0\",\"id\":\"box-1\",\"status\":\"creating\","
			     "\"pid\":4711,\"bundle\":\"/var/lib/box\",\"annotations\":{"
			     "\"a\\\"key\":\"line\\nbreak\",\"empty\":\"\"}}");
}

static void test_stopped_has_no_pid(void **state)
{
	struct hook_state stopped = test_state;
	char *args[5], *env[2];
	struct oci_hook hook = shell(args, env, "exec cat > $0/state");
	struct oci_hook_list hooks = { &hook, 1 };

	stopped.status = "stopped";
	stopped.pid = 0;
	stopped.annotations = NULL;
	assert_int_equal(hooks_run(&hooks, "poststop", &stopped, NULL), 0);
	assert_file("state", "{\"ociVersion\":\"1.2.0\",\"id\":\"box-1\",\"status\":\"stopped\","
			     "\"bundle\":\"/var/lib/box\"}");
}

static void test_environment_is_exact(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	char *text;

	setenv("LEAK", "secret", 1);
	assert_int_equal(run("/usr/bin/env > $0/env; "
			     "tr '\\0' ' ' < /proc/$$/cmdline > $0/args; "
			     "ls /proc/self/fd | /usr/bin/wc -l > $0/fds",
			     "createRuntime", 0, &e),
			 0);
	unsetenv("LEAK");
	text = read_back("env");
	assert_non_null(strstr(text, "WORD=given\n"));
	assert_null(strstr(text, "LEAK"));
	free(text);
	text = read_back("args");
	assert_int_equal(strncmp(text, "hook-name -c ", 13), 0);
	free(text);
	assert_file("fds", "4\n"); /* the three, and the directory itself */
}

static void test_without_arguments_the_path_is_the_name(void **state)
{
	struct oci_hook hook = { .path = (char *)"/bin/true" };
	struct oci_hook_list hooks = { &hook, 1 };
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(hooks_run(&hooks, "prestart", &test_state, &e), 0);
}

static void test_without_environment_the_callers_choice(void **state)
{
	static const char *const inherited[] = { "INHERITED=yes", NULL };
	struct hook_state s = test_state;
	char *args[5], *env[2];
	struct oci_hook hook = shell(args, env, "/usr/bin/env > $0/env");
	struct oci_hook_list hooks = { &hook, 1 };
	char *text;

	hook.env.n = 0;
	hook.env.v = NULL;
	s.env = inherited;
	assert_int_equal(hooks_run(&hooks, "prestart", &s, NULL), 0);
	text = read_back("env");
	assert_non_null(strstr(text, "INHERITED=yes\n"));
	assert_null(strstr(text, "WORD="));
	free(text);
}

static void test_order_and_first_failure(void **state)
{
	char *args[3][5], *env[3][2];
	struct oci_hook hooks[] = {
		shell(args[0], env[0], "echo one >> $0/order"),
		shell(args[1], env[1], "echo two >> $0/order; echo noise; "
				       "printf 'first\\nit went\\twrong\\n\\n' >&2; exit 3"),
		shell(args[2], env[2], "echo three >> $0/order"),
	};
	struct oci_hook_list list = { hooks, 3 };
	struct coffer_error e = COFFER_ERROR_INIT;
	char path[128];

	assert_true(hooks_run(&list, "createContainer", &test_state, &e) < 0);
	assert_string_equal(e.message,
			    "error running hook createContainer[1]: /bin/sh: exit status 3: it went?wrong");
	assert_file("order", "one\ntwo\n");
	snprintf(path, sizeof(path), "%s/order", test_dir);
	unlink(path);
	/* After a container's end there is nothing to stop: all run. */
	test_log[0] = '\0';
	assert_int_equal(hooks_run(&list, "poststop", &test_state, &e), 0);
	assert_file("order", "one\ntwo\nthree\n");
	assert_string_equal(test_log,
			    "error running hook poststop[1]: /bin/sh: exit status 3: it went?wrong\n");
}

static void test_other_failures(void **state)
{
	struct oci_hook hook = { .path = (char *)"/nonexistent/hook" };
	struct oci_hook_list hooks = { &hook, 1 };
	struct coffer_error e = COFFER_ERROR_INIT;

	assert_int_equal(hooks_run(&hooks, "prestart", &test_state, &e), -ENOENT);
	assert_non_null(strstr(e.message, "error running hook prestart[0]: "));
	assert_non_null(strstr(e.message, "/nonexistent/hook: No such file"));
	assert_true(run("kill -TERM $$", "prestart", 0, &e) < 0);
	assert_string_equal(e.message, "error running hook prestart[0]: /bin/sh: killed by signal 15 (terminated)");
	/* One long line: its end is told. */
	assert_true(run("printf '%01000d' 7; exit 1", "prestart", 0, &e) < 0);
	assert_int_equal(strlen(e.message),
			 strlen("error running hook prestart[0]: /bin/sh: exit status 1: ") + 256);
}

/* Neither gone nor a zombie that nobody has asked for yet */
static bool runs(int pid)
{
	char path[64], *stat = NULL;
	bool zombie;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (io_read_file(AT_FDCWD, path, 4096, &stat, NULL, NULL) < 0)
		return false;
	zombie = strstr(stat, ") Z") != NULL;
	free(stat);
	return !zombie;
}

static void test_timeout_ends_the_group(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	usec_t before = clock_now();
	char *text;

	/* Time enough for the shell to say something first. */
	assert_int_equal(run("echo soon >&2; sleep 100 & echo $! > $0/pid; wait", "createRuntime",
			     10, &e),
			 -ETIMEDOUT);
	assert_true(clock_now() - before >= 10 * USEC_PER_SEC);
	assert_string_equal(e.message,
			    "error running hook createRuntime[0]: /bin/sh: killed after 10 seconds: soon");
	text = read_back("pid");
	for (int i = 0; i < 6000 && runs(atoi(text)); i++)
		usleep(10000);
	assert_false(runs(atoi(text)));
	free(text);
}

static void test_left_behind_process_is_not_waited_for(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	char *text;

	assert_int_equal(run("sleep 1000 & echo $! > $0/left", "prestart", 0, &e), 0);
	text = read_back("left");
	assert_true(runs(atoi(text)));
	assert_int_equal(kill(atoi(text), SIGKILL), 0);
	free(text);
}

static void test_unread_state_and_much_output(void **state)
{
	static char big[1 << 20];
	struct oci_pair pair = { (char *)"big", big };
	struct oci_pairs pairs = { &pair, 1 };
	struct hook_state s = test_state;
	char *args[5], *env[2];
	struct oci_hook hook = shell(args, env, "/usr/bin/head -c 1000000 /dev/zero; "
						"echo again > /dev/stderr; exit 1");
	struct oci_hook_list hooks = { &hook, 1 };
	struct coffer_error e = COFFER_ERROR_INIT;

	memset(big, 'x', sizeof(big) - 1);
	s.annotations = &pairs;
	assert_true(hooks_run(&hooks, "prestart", &s, &e) < 0);
	assert_non_null(strstr(e.message, "again"));
}

/* As a container's init would: process 1 of a new pid namespace, from a raw clone. */
static void test_runs_in_an_init(void **state)
{
	struct coffer_error e = COFFER_ERROR_INIT;
	autochild struct child child = CHILD_INIT;
	siginfo_t si;
	int r;

	r = spawn_fork(CLONE_NEWPID | CLONE_NEWNS, &child, &e);
	if (r == -EPERM) {
		print_message("no right to make a pid namespace\n");
		skip();
	}
	if (r == 0) {
		r = run("echo $PPID > $0/parent", "startContainer", 60, &e);
		if (r == 0 && run("exit 9", "startContainer", 0, &e) == 0)
			r = -EPROTO;
		_exit(r < 0 ? 1 : 0);
	}
	assert_int_equal(r, 1);
	assert_int_equal(child_wait(&child, deadline_in(120 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 0);
	assert_file("parent", "1\n");
}

static int set_up(void **state)
{
	log_set_sink(test_sink, NULL);
	return mkdtemp(test_dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	return path_remove_tree(AT_FDCWD, test_dir, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_state_comes_on_stdin),
		cmocka_unit_test(test_stopped_has_no_pid),
		cmocka_unit_test(test_environment_is_exact),
		cmocka_unit_test(test_without_arguments_the_path_is_the_name),
		cmocka_unit_test(test_without_environment_the_callers_choice),
		cmocka_unit_test(test_order_and_first_failure),
		cmocka_unit_test(test_other_failures),
		cmocka_unit_test(test_timeout_ends_the_group),
		cmocka_unit_test(test_left_behind_process_is_not_waited_for),
		cmocka_unit_test(test_unread_state_and_much_output),
		cmocka_unit_test(test_runs_in_an_init),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
