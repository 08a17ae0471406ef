/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/engine_run.h - containers for the engine's tests
 *
 * A struct run is a bundle in a temporary directory, whose root holds nothing
 * but the payload, and a spec that a test changes before it runs it.
 */
#ifndef TESTS_ENGINE_RUN_H
#define TESTS_ENGINE_RUN_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "engine/engine.h"
#include "spec/spec.h"

struct run {
	char id[64];
	char bundle[128];          /* temporary directory */
	char rootfs[160];
	struct oci_spec *spec;
	struct engine_container *container;
	struct coffer_error err;
	char out[65536];           /* what the last process wrote */
	int code;                  /* its exit code, as a shell says it */
	int out_fd, in_fd;         /* our ends of init's pipes, or its terminal */
	bool no_pivot;             /* for engine_create() */
	unsigned preserve_fds;     /* the same */
};

/* run_setup(), run_teardown() - cmocka fixtures; the state is a struct run */
int run_setup(void **state);
int run_teardown(void **state);
/* run_group_setup() - Skips the program when it lacks the privilege */
int run_skip_unprivileged(void);

/* run_args() - process.args: /payload and the words up to NULL */
void run_args(struct run *run, ...) __attribute__((sentinel));
/* run_program() - process.args without the payload in front */
void run_program(struct run *run, const char *const *argv);

/* run_whole() - Create, start, read the output, wait, delete. Return: 0 or negative errno */
int run_whole(struct run *run);
/* run_start() - Create and start only. Return: 0 or negative errno */
int run_start(struct run *run);
/* run_read() - Output up to @until or end of file */
void run_read(struct run *run, const char *until);
/* run_exec() - Exec the words up to NULL with init's process settings, read its output, wait */
int run_exec(struct run *run, ...) __attribute__((sentinel));
/* run_exec_process() - The same with settings of its own */
int run_exec_process(struct run *run, const struct oci_process *process);
/* run_stop() - Delete the running container */
int run_stop(struct run *run);

/* run_line() - The line of the output that begins with @head, without it; fails the test if none */
const char *run_line(struct run *run, const char *head);

/* run_drop_namespace() - Take a namespace out of the spec */
void run_drop_namespace(struct run *run, const char *type);
/* run_link() - A link in the root file system */
void run_link(struct run *run, const char *to, const char *path);
/* run_mount() - Add to the spec's mounts. @options: separated by commas */
void run_mount(struct run *run, const char *to, const char *type, const char *from,
	       const char *options);
/* run_beside() - Make a directory (no @text) or a file in the bundle. Return: its path, valid
 * until the next call */
const char *run_beside(struct run *run, const char *name, const char *text);

#endif /* TESTS_ENGINE_RUN_H */
