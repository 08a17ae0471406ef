/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/engine_run.c - containers for the engine's tests
 *
 * Every helper asserts on its own set-up, so a test reads as what it is about.
 */
#include "engine_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/path.h"

static unsigned run_count;

static void run_copy_payload(const char *to)
{
	int in = open(TEST_PAYLOAD, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	static char buf[1 << 16];
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	assert_int_equal(n, 0);
	assert_int_equal(fchmod(out, 0755), 0);
	close(in);
	close(out);
}

int run_setup(void **state)
{
	struct run *run = calloc(1, sizeof(*run));
	char path[256];

	assert_non_null(run);
	run->out_fd = run->in_fd = -1;
	snprintf(run->id, sizeof(run->id), "engine-test-%d-%u", (int)getpid(), run_count++);
	snprintf(run->bundle, sizeof(run->bundle), "/tmp/coffer-engine-XXXXXX");
	assert_non_null(mkdtemp(run->bundle));
	assert_int_equal(chmod(run->bundle, 0755), 0);
	snprintf(run->rootfs, sizeof(run->rootfs), "%s/rootfs", run->bundle);
	assert_int_equal(mkdir(run->rootfs, 0755), 0);
	snprintf(path, sizeof(path), "%s/payload", run->rootfs);
	run_copy_payload(path);
	assert_int_equal(oci_spec_default(&run->spec, &run->err), 0);
	*state = run;
	return 0;
}

int run_teardown(void **state)
{
	struct run *run = *state;
	struct coffer_error err = COFFER_ERROR_INIT;

	if (run->container)
		run_stop(run);
	close_fd(&run->out_fd);
	close_fd(&run->in_fd);
	oci_spec_free(run->spec);
	assert_int_equal(path_remove_tree(AT_FDCWD, run->bundle, &err), 0);
	free(run);
	return 0;
}

int run_skip_unprivileged(void)
{
	if (geteuid() == 0 && prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) == 1)
		return 0;
	printf("skipped: containers on the host take root\n");
	return 1;
}

static void run_set_args(struct oci_process *process, va_list ap)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	const char *word;

	oci_strv_set(&process->args, NULL, &err);
	assert_int_equal(oci_strv_add(&process->args, "/payload", &err), 0);
	while ((word = va_arg(ap, const char *)))
		assert_int_equal(oci_strv_add(&process->args, word, &err), 0);
}

void run_args(struct run *run, ...)
{
	va_list ap;

	va_start(ap, run);
	run_set_args(run->spec->process, ap);
	va_end(ap);
}

void run_program(struct run *run, const char *const *argv)
{
	assert_int_equal(oci_strv_set(&run->spec->process->args, argv, &run->err), 0);
}

/* Pipes for a process: ours in @run, theirs in @stdio. */
static void run_open_pipes(struct run *run, struct engine_stdio *stdio)
{
	int in[2], out[2];

	close_fd(&run->out_fd);
	close_fd(&run->in_fd);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	*stdio = (struct engine_stdio){ .in = in[0], .out = out[1], .err = out[1] };
	run->in_fd = in[1];
	run->out_fd = out[0];
}

static void run_close_pipes(struct engine_stdio *stdio)
{
	close_fd(&stdio->in);
	close_fd(&stdio->out);
}

void run_read(struct run *run, const char *until)
{
	usec_t deadline = deadline_in(60 * USEC_PER_SEC);
	size_t n = 0;
	ssize_t got;

	run->out[0] = '\0';
	while (n < sizeof(run->out) - 1) {
		if (until && strstr(run->out, until))
			return;
		assert_true(io_wait(run->out_fd, 1 /* POLLIN */, deadline) > 0);
		got = read(run->out_fd, run->out + n, sizeof(run->out) - 1 - n);
		if (got <= 0) /* EIO: the terminal's other end is closed */
			return;
		n += (size_t)got;
		run->out[n] = '\0';
	}
}

static void run_wait(struct run *run, struct child *child)
{
	siginfo_t si = { 0 };

	assert_int_equal(child_wait(child, deadline_in(60 * USEC_PER_SEC), &si), 0);
	run->code = spawn_exit_code(&si);
}

int run_start(struct run *run)
{
	struct engine_create_args args = { .id = run->id, .bundle = run->bundle,
					   .spec = run->spec, .gate = -1,
					   .no_pivot = run->no_pivot,
					   .preserve_fds = run->preserve_fds };
	int r;

	err_clear(&run->err);
	run_open_pipes(run, &args.stdio);
	r = engine_create(&args, &run->container, &run->err);
	run_close_pipes(&args.stdio);
	if (r < 0)
		return r;
	if (run->spec->process->terminal) {
		close_fd(&run->out_fd);
		run->out_fd = dup(engine_init(run->container)->ptmx);
	}
	r = engine_start(run->container, &run->err);
	if (r < 0)
		engine_delete(run->container, NULL);
	if (r < 0)
		run->container = NULL;
	return r;
}

int run_stop(struct run *run)
{
	struct engine_container *c = run->container;

	run->container = NULL;
	return engine_delete(c, &run->err);
}

int run_whole(struct run *run)
{
	int r = run_start(run);

	if (r < 0)
		return r;
	run_read(run, NULL);
	run_wait(run, &engine_init(run->container)->child);
	return run_stop(run);
}

int run_exec_process(struct run *run, const struct oci_process *process)
{
	struct engine_process p = ENGINE_PROCESS_INIT;
	int init_out = run->out_fd, init_in = run->in_fd; /* stay open: init still uses them */
	struct engine_exec_args args = { .process = process };
	int r;

	run->out_fd = run->in_fd = -1;
	run_open_pipes(run, &args.stdio);
	r = engine_exec(run->container, &args, &p, &run->err);
	run_close_pipes(&args.stdio);
	if (r == 0) {
		if (process->terminal) {
			close_fd(&run->out_fd);
			run->out_fd = p.ptmx;
		}
		run_read(run, NULL);
		run_wait(run, &p.child);
	}
	close_fd(&run->out_fd);
	close_fd(&run->in_fd);
	run->out_fd = init_out;
	run->in_fd = init_in;
	return r;
}

int run_exec(struct run *run, ...)
{
	struct oci_process process = *run->spec->process;
	struct coffer_error err = COFFER_ERROR_INIT;
	va_list ap;
	int r;

	process.args = (struct oci_strv){ 0 };
	va_start(ap, run);
	run_set_args(&process, ap);
	va_end(ap);
	r = run_exec_process(run, &process);
	oci_strv_set(&process.args, NULL, &err);
	return r;
}

const char *run_line(struct run *run, const char *head)
{
	static char line[1024];
	const char *p = run->out;

	while (p && *p) {
		if (strncmp(p, head, strlen(head)) == 0) {
			p += strlen(head);
			snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\r\n"), p);
			return line;
		}
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	fail_msg("no line \"%s\" in:\n%s", head, run->out);
	return NULL;
}

void run_drop_namespace(struct run *run, const char *type)
{
	struct oci_linux *l = run->spec->linux_;

	for (size_t i = 0; i < l->namespaces.n; i++) {
		if (strcmp(l->namespaces.v[i].type, type) != 0)
			continue;
		free(l->namespaces.v[i].type);
		free(l->namespaces.v[i].path);
		l->namespaces.v[i] = l->namespaces.v[--l->namespaces.n];
		return;
	}
}

void run_link(struct run *run, const char *to, const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", run->rootfs, path);
	assert_int_equal(symlink(to, full), 0);
}

void run_mount(struct run *run, const char *to, const char *type, const char *from,
	       const char *options)
{
	const char *list[8] = { NULL };
	char copy[128];
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", options);
	for (char *w = strtok(copy, ","); w; w = strtok(NULL, ","))
		list[n++] = w;
	assert_true(n < 8);
	assert_int_equal(oci_mount_add(run->spec, to, type, from, list, &run->err), 0);
}

const char *run_beside(struct run *run, const char *name, const char *text)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", run->bundle, name);
	if (!text) {
		assert_int_equal(mkdir(path, 0755), 0);
		return path;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}
