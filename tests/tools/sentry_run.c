/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry_run - a program of a directory in the application kernel, without any engine around it
 *
 *	sentry_run [--strace] [--slow | --signal] [--memory BYTES] [--cwd DIR] [--admin] ROOT
 *		COMMAND [ARG...]
 *
 * The gofer, the kernel and the filter are the sentry's own; only its namespaces are missing. Standard
 * streams are those of this process, which become non-blocking. Exits as the program does.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "sentry/control/boot.h"
#include "sentry/control/jail.h"
#include "sentry/control/machine.h"
#include "sentry/control/setup.h"
#include "sentry/gofer/gofer.h"
#include "sentry/kernel.h"
#include "sentry/task/task.h"

struct options {
	const char *root, *cwd;
	char **command;
	enum trap_how how;
	uint64_t memory;
	bool strace;
	bool admin; /* CAP_SYS_ADMIN as well */
};

static void fail(const struct coffer_error *err)
{
	fprintf(stderr, "sentry_run: %s\n", err->message);
	_exit(125);
}

static void parse(int argc, char **argv, struct options *o)
{
	int i = 1;

	*o = (struct options){ .cwd = "/", .how = TRAP_NOTIFY };
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--strace") == 0)
			o->strace = true;
		else if (strcmp(argv[i], "--admin") == 0)
			o->admin = true;
		else if (strcmp(argv[i], "--slow") == 0)
			o->how = TRAP_NOTIFY_SLOW;
		else if (strcmp(argv[i], "--signal") == 0)
			o->how = TRAP_SIGNAL;
		else if (strcmp(argv[i], "--memory") == 0 && i + 1 < argc)
			o->memory = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--cwd") == 0 && i + 1 < argc)
			o->cwd = argv[++i];
	}
	if (argc - i < 2) {
		fprintf(stderr, "usage: sentry_run [OPTION...] ROOT COMMAND [ARG...]\n");
		_exit(125);
	}
	o->root = argv[i];
	o->command = argv + i + 1;
}

static void boot(const struct options *o, struct child *gofer)
{
	static struct sentry_config config = { .archive_fd = -1, .ports_fd = -1 };
	struct gofer_tree tree = { .fd = open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	const struct gofer_config trees = { .trees = &tree, .ntrees = 1, .ports_fd = -1,
					    .log_fd = -1 };
	struct boot_args args = { .memory_max = o->memory, .cpus = 2, .how = o->how,
				  .strace = o->strace };
	struct coffer_error err = COFFER_ERROR_INIT;

	if (tree.fd < 0) {
		err_sys(&err, "open %s", o->root);
		fail(&err);
	}
	config.ntrees = 1;
	strcpy(config.trees[0].tag, "root");
	if (gofer_start(&trees, gofer, &args.gofer, &err) < 0 || boot_kernel(&args, &err) < 0 ||
	    machine_start(&config, &err) < 0)
		fail(&err);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (jail_shut(true, true, &err) < 0)
		fail(&err);
}

static int admit(struct oci_capabilities *caps, struct coffer_error *err)
{
	static const char *const names[] = { "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_MKNOD",
					     "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", NULL };
	struct oci_strv *const sets[] = { &caps->bounding, &caps->effective, &caps->permitted };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sets) && r == 0; i++)
		r = oci_strv_set(sets[i], names, err);
	return r;
}

static struct sandbox_container *contain(const struct options *o, struct oci_spec **spec)
{
	static const struct oci_strv none = { NULL, 0 };
	const struct machine_mount mount = { "virtiofs", "root", MACHINE_STATE_DIR "/run/rootfs",
					     &none };
	struct coffer_error err = COFFER_ERROR_INIT;
	struct sandbox_container *container = NULL;
	int r = oci_spec_default(spec, &err);

	if (r == 0)
		r = oci_strv_set(&(*spec)->process->args, (const char *const *)o->command, &err);
	if (r == 0)
		r = oci_str_set(&(*spec)->process->cwd, o->cwd, &err);
	(*spec)->process->no_new_privileges = false;
	if (r == 0 && o->admin)
		r = admit((*spec)->process->capabilities, &err);
	if (r == 0)
		r = machine_mount(&mount, &err);
	if (r == 0)
		r = setup_container("run", MACHINE_STATE_DIR "/run", *spec, &container, &err);
	if (r == 0)
		r = setup_complete(container, (*spec)->process, &err);
	if (r < 0)
		fail(&err);
	return container;
}

static int run(struct sandbox_container *container, const struct oci_spec *spec)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct file *stdio[3] = { NULL, NULL, NULL };
	struct process *process;
	bool ended = false;
	int status = 0;

	for (int i = 0; i < 3; i++) {
		int r = hostfd_open(fcntl(i, F_DUPFD_CLOEXEC, 3), i ? O_WRONLY : O_RDONLY,
				    &stdio[i]);

		if (r < 0) {
			err_sysn(&err, r, "standard stream %d", i);
			fail(&err);
		}
	}
	if (setup_start(container, spec->process, true, stdio, NULL, &process, &err) < 0)
		fail(&err);
	for (int i = 0; i < 3; i++)
		file_put(stdio[i]);
	while (!ended) {
		io_wait(-1, 0, deadline_in(USEC_PER_MSEC));
		pthread_mutex_lock(&kernel.tasks_lock);
		ended = process->zombie;
		status = process->exit_status;
		pthread_mutex_unlock(&kernel.tasks_lock);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct child gofer = CHILD_INIT;
	struct oci_spec *spec = NULL;
	struct sandbox_container *container;
	struct options options;
	int status;

	parse(argc, argv, &options);
	log_to_fd(STDERR_FILENO, LOG_FORMAT_TEXT);
	if (getenv("SENTRY_LOG"))
		log_set_level(LOG_LEVEL_DEBUG);
	signal(SIGPIPE, SIG_IGN);
	boot(&options, &gofer);
	container = contain(&options, &spec);
	status = run(container, spec);
	fflush(NULL);
	child_end(&gofer);
	_exit(status);
}
