/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_engine_open.c - containers that one process makes and another one uses
 *
 * The maker is a child of the test that keeps the record in a pipe and ends, so
 * what the test then has of the container is the record and the gate.
 */
#include "engine_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

/* What a runtime would keep in its state file. */
struct kept {
	pid_t pid;
	uint64_t start_time;
	unsigned nwords;
	char words[16][256];
};

struct open {
	struct run *run;
	struct kept kept;
	int dirfd;
	int gate;      /* connected */
	int records;   /* the maker's writing end */
	bool die_at_record;
};

static int open_keep(const struct engine_record *rec, void *data, struct coffer_error *err)
{
	struct open *o = data;
	struct kept k = { .pid = rec->pid, .start_time = rec->start_time };

	for (; k.nwords < rec->cgroup->n; k.nwords++)
		snprintf(k.words[k.nwords], sizeof(k.words[0]), "%s", rec->cgroup->v[k.nwords]);
	if (write(o->records, &k, sizeof(k)) != sizeof(k))
		abort();
	if (rec->pid > 0 && o->die_at_record)
		kill(getpid(), SIGKILL);
	return 0;
}

static _Noreturn void open_maker(struct open *o, const struct engine_stdio *stdio)
{
	struct engine_create_args args = ENGINE_CREATE_ARGS_INIT;
	struct engine_container *c;

	args.id = o->run->id;
	args.bundle = o->run->bundle;
	args.spec = o->run->spec;
	args.stdio = *stdio;
	args.gate = engine_gate_listen(o->dirfd, &o->run->err);
	args.find_program = true;
	args.record = open_keep;
	args.record_data = o;
	if (args.gate < 0 || engine_create(&args, &c, &o->run->err) < 0) {
		fprintf(stderr, "%s\n", o->run->err.message);
		_exit(1);
	}
	engine_release(c);
	_exit(0);
}

/* Return: the maker's wait status */
static int open_make(struct open *o)
{
	int out[2], records[2], status;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(records, O_CLOEXEC), 0);
	o->records = records[1];
	o->dirfd = open(o->run->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(o->dirfd >= 0);
	pid = fork();
	if (pid == 0)
		open_maker(o, &(struct engine_stdio){ -1, out[1], out[1] });
	close(out[1]);
	close(records[1]);
	close_fd(&o->run->out_fd);
	o->run->out_fd = out[0];
	while (read(records[0], &o->kept, sizeof(o->kept)) > 0)
		;
	close(records[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void open_hold(struct open *o)
{
	struct oci_strv words = { 0 };
	struct engine_open_args args = { .id = o->run->id,
					 .bundle = o->run->bundle,
					 .spec = o->run->spec,
					 .gate = o->gate };

	for (unsigned i = 0; i < o->kept.nwords; i++)
		assert_int_equal(oci_strv_add(&words, o->kept.words[i], &o->run->err), 0);
	args.record = (struct engine_record){ o->kept.pid, o->kept.start_time, &words };
	if (engine_open(&args, &o->run->container, &o->run->err) < 0)
		fail_msg("%s", o->run->err.message);
	oci_strv_set(&words, NULL, &o->run->err);
}

static void open_reap(const struct open *o)
{
	assert_int_equal(waitpid(o->kept.pid, NULL, 0), o->kept.pid);
}

static void test_start_exec_delete(void **state)
{
	struct open o = { .run = *state, .gate = -1 };
	int probe;

	run_args(o.run, "wait", NULL);
	assert_int_equal(open_make(&o), 0);
	assert_true(o.kept.pid > 0);
	/* Somebody who only looks does not start it. */
	probe = engine_gate_connect(o.dirfd, &o.run->err);
	assert_true(probe >= 0);
	close(probe);
	o.gate = engine_gate_connect(o.dirfd, &o.run->err);
	assert_true(o.gate >= 0);
	open_hold(&o);
	assert_true(engine_alive(o.run->container));
	if (engine_start(o.run->container, &o.run->err) < 0)
		fail_msg("%s", o.run->err.message);
	assert_int_equal(engine_start(o.run->container, &o.run->err), -EBUSY);
	assert_int_equal(engine_gate_connect(o.dirfd, NULL), -ECONNREFUSED);
	engine_release(o.run->container);
	/* A third process. */
	o.gate = -1;
	open_hold(&o);
	assert_int_equal(run_exec(o.run, "echo", "second", NULL), 0);
	assert_string_equal(o.run->out, "second\n");
	assert_int_equal(run_stop(o.run), 0);
	open_reap(&o);
	/* What has ended is known to have. */
	open_hold(&o);
	assert_false(engine_alive(o.run->container));
	assert_int_equal(engine_kill(o.run->container, SIGTERM, &o.run->err), -ESRCH);
	assert_int_equal(run_stop(o.run), 0);
	close(o.dirfd);
}

static void test_start_fails(void **state)
{
	struct open o = { .run = *state, .gate = -1 };
	char path[256];

	/* Executable, so create finds nothing wrong with it; the kernel will. */
	snprintf(path, sizeof(path), "%s/nonsense", o.run->rootfs);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
	run_program(o.run, (const char *const[]){ "/nonsense", NULL });
	assert_int_equal(open_make(&o), 0);
	o.gate = engine_gate_connect(o.dirfd, &o.run->err);
	open_hold(&o);
	assert_int_equal(engine_start(o.run->container, &o.run->err), -ENOEXEC);
	assert_non_null(strstr(o.run->err.message, "exec /nonsense"));
	assert_false(engine_alive(o.run->container));
	assert_int_equal(run_stop(o.run), 0);
	close(o.dirfd);
}

static void test_program_missing_at_create(void **state)
{
	struct open o = { .run = *state, .gate = -1 };

	int status;

	run_program(o.run, (const char *const[]){ "nobody-has-this", NULL });
	status = open_make(&o);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(o.dirfd);
}

/* Killed when the record is written and init not yet told so: init dies, the record cleans up. */
static void test_maker_killed(void **state)
{
	struct open o = { .run = *state, .gate = -1, .die_at_record = true };
	int status;

	run_args(o.run, "wait", NULL);
	status = open_make(&o);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(o.kept.pid > 0);
	open_reap(&o);
	open_hold(&o);
	assert_false(engine_alive(o.run->container));
	assert_int_equal(run_stop(o.run), 0);
	close(o.dirfd);
}

/* A pid that was used again is not ours. */
static void test_pid_reused(void **state)
{
	struct open o = { .run = *state, .gate = -1 };

	o.kept.pid = getpid();
	o.kept.start_time = 1;
	open_hold(&o);
	assert_false(engine_alive(o.run->container));
	assert_int_equal(engine_kill(o.run->container, SIGKILL, &o.run->err), -ESRCH);
	engine_release(o.run->container);
	o.run->container = NULL;
}

static int open_setup(void **state)
{
	/* Init becomes our child when its maker ends. */
	return run_skip_unprivileged() || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_exec_delete, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_start_fails, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_program_missing_at_create, run_setup,
						run_teardown),
		cmocka_unit_test_setup_teardown(test_maker_killed, run_setup, run_teardown),
		cmocka_unit_test_setup_teardown(test_pid_reused, run_setup, run_teardown),
	};

	if (run_skip_unprivileged())
		return 77;
	return cmocka_run_group_tests(tests, open_setup, NULL);
}
