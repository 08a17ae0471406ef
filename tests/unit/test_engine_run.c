/* SPDX-License-Identifier: Apache-2.0 */
/* Whole containers on this host: the program, its descriptors, user, terminal, failures. */
#include "engine_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_output_and_code(void **state)
{
	struct run *run = *state;

	run_args(run, "echo", "hello", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "hello\n");
	assert_int_equal(run->code, 0);
	run_args(run, "exit", "42", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_int_equal(run->code, 42);
}

static void test_stdin(void **state)
{
	struct run *run = *state;

	run_args(run, "cat", "-", NULL);
	assert_int_equal(run_start(run), 0);
	assert_int_equal(write(run->in_fd, "typed\n", 6), 6);
	close_fd(&run->in_fd);
	run_read(run, NULL);
	assert_string_equal(run->out, "typed\n");
}

static void test_descriptors(void **state)
{
	struct run *run = *state;
	int extra = open("/", O_RDONLY | O_DIRECTORY); /* not even close-on-exec */

	assert_true(extra >= 0);
	run_args(run, "fds", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "0\n1\n2\n");
	close(extra);
}

static void test_no_stdio(void **state)
{
	struct run *run = *state;
	struct engine_create_args args = {
		.id = run->id, .bundle = run->bundle, .spec = run->spec, .stdio = { -1, -1, -1 }, .gate = -1 };
	siginfo_t si = { 0 };

	run_args(run, "cat", "-", NULL);
	assert_int_equal(engine_create(&args, &run->container, &run->err), 0);
	assert_int_equal(engine_start(run->container, &run->err), 0);
	assert_int_equal(child_wait(&engine_init(run->container)->child,
				    deadline_in(60 * USEC_PER_SEC), &si), 0);
	assert_int_equal(spawn_exit_code(&si), 0);
}

static void test_user(void **state)
{
	struct run *run = *state;
	struct oci_user *user = &run->spec->process->user;

	user->uid = 40000;
	user->gid = 40001;
	user->additional_gids.v = calloc(2, sizeof(uint32_t));
	user->additional_gids.n = 2;
	user->additional_gids.v[0] = 7;
	user->additional_gids.v[1] = 40002;
	user->umask = (struct oci_opt_u32){ true, 027 };
	run_args(run, "id", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "uid "), "40000 40000 40000");
	assert_string_equal(run_line(run, "gid "), "40001 40001 40001");
	assert_string_equal(run_line(run, "groups "), "7 40002");
	assert_string_equal(run_line(run, "umask "), "0027");
	assert_string_equal(run_line(run, "pid "), "1 sid 1 pgid 1");
	/* Its own pipe can be opened again by name. */
	run_args(run, "reopen", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "reopened\n");
}

static void test_environment_and_directory(void **state)
{
	struct run *run = *state;
	const char *const env[] = { "A=1", "EMPTY=", "PATH=/x", NULL };

	assert_int_equal(oci_strv_set(&run->spec->process->env, env, &run->err), 0);
	run_args(run, "env", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "A=1\nEMPTY=\nPATH=/x\nHOME=/\n");
	assert_int_equal(oci_str_set(&run->spec->process->cwd, "/made/for/you", &run->err), 0);
	run_args(run, "cwd", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "/made/for/you\n");
}

/* The image's own passwd file says where a user is at home, unless the environment does. */
static void test_home(void **state)
{
	struct run *run = *state;
	const char *const env[] = { "HOME=/mine", NULL };

	run_beside(run, "rootfs/etc", NULL);
	run_beside(run, "rootfs/etc/passwd", "a:x:0:0::/zero:\nb:x:7:7::/seven:\n");
	run_args(run, "env", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "HOME=/zero\n"));
	run->spec->process->user.uid = 7;
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "HOME=/seven\n"));
	run->spec->process->user.uid = 8;
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "HOME=/\n"));
	assert_int_equal(oci_strv_set(&run->spec->process->env, env, &run->err), 0);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "HOME=/mine\n");
}

/* One that blocks when it is opened, and one that leads out. */
static void test_home_odd_files(void **state)
{
	struct run *run = *state;
	char path[256];

	run_beside(run, "rootfs/etc", NULL);
	run_link(run, run_beside(run, "passwd", "a:x:0:0::/outside:\n"), "/etc/passwd");
	run_args(run, "env", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "HOME=/\n"));
	snprintf(path, sizeof(path), "%s/etc/passwd", run->rootfs);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0666), 0);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "HOME=/\n"));
}

static void test_loopback(void **state)
{
	struct run *run = *state;

	run_args(run, "cat", "/proc/net/fib_trie", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_non_null(strstr(run->out, "127.0.0.1"));
}

static void test_directory_outside(void **state)
{
	struct run *run = *state;
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	char cwd[64];

	snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
	assert_int_equal(oci_str_set(&run->spec->process->cwd, cwd, &run->err), 0);
	run_args(run, "cwd", NULL);
	assert_true(run_start(run) < 0);
	assert_non_null(strstr(run->err.message, "working directory"));
	close(fd);
}

static void test_names(void **state)
{
	struct run *run = *state;

	assert_int_equal(oci_str_set(&run->spec->hostname, "box", &run->err), 0);
	assert_int_equal(oci_str_set(&run->spec->domainname, "example.org", &run->err), 0);
	run_args(run, "host", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "box example.org\n");
	run_drop_namespace(run, "uts");
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "uts namespace"));
}

static void test_signals_are_reset(void **state)
{
	struct run *run = *state;
	sigset_t block, old;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &old);
	run_args(run, "status", "SigBlk", "SigIgn", "SigCgt", NULL);
	assert_int_equal(run_whole(run), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR1, SIG_DFL);
	assert_string_equal(run_line(run, "SigBlk:\t"), "0000000000000000");
	assert_string_equal(run_line(run, "SigIgn:\t"), "0000000000000000");
}

static void expect_failure(struct run *run, const char *program, int errnum, const char *text)
{
	const char *const argv[] = { program, NULL };
	struct coffer_error err;

	run_program(run, argv);
	assert_int_equal(run_start(run), -errnum);
	err = run->err;
	assert_int_equal(err.err, errnum);
	if (!strstr(err.message, text))
		fail_msg("no \"%s\" in \"%s\"", text, err.message);
	assert_null(strchr(err.message, '\n'));
}

static void put_file(struct run *run, const char *path, mode_t mode, const char *text)
{
	char full[512];
	int fd;

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_dir(struct run *run, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

static void test_program_not_found(void **state)
{
	struct run *run = *state;

	expect_failure(run, "nope", ENOENT, "exec \"nope\": executable file not found in $PATH");
	expect_failure(run, "/nope", ENOENT, "exec /nope: no such file or directory");
	put_file(run, "/script", 0755, "#!/no/such/interpreter\n");
	expect_failure(run, "/script", ENOENT, "interpreter or loader was not found");
}

static void test_program_not_executable(void **state)
{
	struct run *run = *state;

	put_file(run, "/plain", 0644, "#!/payload\n");
	expect_failure(run, "/plain", EACCES, "exec /plain: permission denied");
	put_dir(run, "/dir");
	expect_failure(run, "/dir", EACCES, "exec /dir: permission denied: is a directory");
	put_file(run, "/garbage", 0755, "garbage");
	expect_failure(run, "/garbage", ENOEXEC, "exec /garbage: Exec format error");
}

static void test_program_search(void **state)
{
	struct run *run = *state;
	const char *const argv[] = { "tool", "echo", "found", NULL };
	const char *const env[] = { "PATH=/none:/first:/second", NULL };

	put_dir(run, "/first");
	put_dir(run, "/second");
	put_file(run, "/first/tool", 0644, ""); /* not executable: the search goes on */
	run_link(run, "/payload", "/second/tool");
	assert_int_equal(oci_strv_set(&run->spec->process->env, env, &run->err), 0);
	run_program(run, argv);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "found\n");
	/* Without PATH the usual places are searched. */
	put_dir(run, "/bin");
	run_link(run, "/payload", "/bin/tool");
	assert_int_equal(oci_strv_set(&run->spec->process->env, NULL, &run->err), 0);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run->out, "found\n");
}

static void test_errors_name_the_step(void **state)
{
	struct run *run = *state;
	const char *const options[] = { "nosuchoption=1", NULL };

	run_args(run, "exit", NULL);
	oci_mount_add(run->spec, "/data", "tmpfs", "tmpfs", options, &run->err);
	assert_true(run_start(run) < 0);
	assert_non_null(strstr(run->err.message, "create container engine-test-"));
	assert_non_null(strstr(run->err.message, "mount: mounts[7] on /data: tmpfs"));
	assert_int_equal(oci_str_set(&run->spec->root->path, "missing", &run->err), 0);
	assert_int_equal(run_start(run), -ENOENT);
	assert_non_null(strstr(run->err.message, "root: open root.path"));
}

static void test_unsupported_is_named(void **state)
{
	struct run *run = *state;

	run_args(run, "exit", NULL);
	assert_int_equal(oci_str_set(&run->spec->process->apparmor_profile, "p", &run->err), 0);
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "process.apparmorProfile"));
	oci_str_set(&run->spec->process->apparmor_profile, NULL, &run->err);
	run_drop_namespace(run, "mount");
	assert_int_equal(run_start(run), -EOPNOTSUPP);
	assert_non_null(strstr(run->err.message, "mount namespace"));
}

static void test_terminal(void **state)
{
	struct run *run = *state;
	struct oci_process *p = run->spec->process;

	p->terminal = true;
	p->console_size = calloc(1, sizeof(*p->console_size));
	*p->console_size = (struct oci_console_size){ .height = 33, .width = 77 };
	p->user.uid = 40000;
	run_args(run, "tty", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "name "), "/dev/pts/0");
	assert_string_equal(run_line(run, "size "), "33 77");
	assert_string_equal(run_line(run, "owner "), "40000");
	assert_string_equal(run_line(run, "controlling "), "yes");
	run_args(run, "stat", "/dev/console", "/dev/pts/0", NULL);
	assert_int_equal(run_whole(run), 0);
	assert_string_equal(run_line(run, "/dev/console: "), "c 0620 40000:5 136:0");
	assert_string_equal(run_line(run, "/dev/pts/0: "), "c 0620 40000:5 136:0");
}

static void test_terminal_exec(void **state)
{
	struct run *run = *state;
	struct oci_process process;
	char *argv[] = { (char *)"/payload", (char *)"tty", NULL };

	run_args(run, "wait", NULL);
	assert_int_equal(run_start(run), 0);
	process = *run->spec->process;
	process.terminal = true;
	process.args = (struct oci_strv){ argv, 2 };
	assert_int_equal(run_exec_process(run, &process), 0);
	assert_string_equal(run_line(run, "name "), "/dev/pts/0");
	assert_string_equal(run_line(run, "controlling "), "yes");
}

/* An image that plants its own multiplexer must not get us to open it. */
static void test_terminal_faked(void **state)
{
	struct run *run = *state;

	run->spec->process->terminal = true;
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].type, "devpts") == 0)
			assert_int_equal(oci_str_set(&run->spec->mounts.v[i].type, "tmpfs",
						     &run->err), 0);
	for (size_t i = 0; i < run->spec->mounts.n; i++)
		if (strcmp(run->spec->mounts.v[i].destination, "/dev/pts") == 0)
			assert_int_equal(oci_strv_set(&run->spec->mounts.v[i].options, NULL,
						      &run->err), 0);
	run_args(run, "exit", NULL);
	assert_true(run_start(run) < 0);
	assert_non_null(strstr(run->err.message, "terminal: "));
}

static void test_terminal_is_another_file(void **state)
{
	struct run *run = *state;

	run->spec->process->terminal = true;
	run_mount(run, "/dev/pts/ptmx", "bind", run_beside(run, "false", "no terminal"), "bind");
	run_args(run, "exit", NULL);
	assert_int_equal(run_start(run), -EINVAL);
	assert_non_null(strstr(run->err.message, "/dev/pts/ptmx is not that of a devpts"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output_and_code, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_stdin, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_no_stdio, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_user, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_environment_and_directory, run_setup,
						run_teardown),
		cmocka_unit_test_setup_teardown(test_home, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_home_odd_files, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_loopback, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_directory_outside, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_names, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_signals_are_reset, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_program_not_found, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_program_not_executable, run_setup,
						run_teardown),
		cmocka_unit_test_setup_teardown(test_program_search, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_errors_name_the_step, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_unsupported_is_named, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_terminal, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_terminal_exec, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_terminal_faked, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_terminal_is_another_file, run_setup,
						run_teardown),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests_name("engine_run", tests, NULL, NULL);
}
