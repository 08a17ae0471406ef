/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/terminal.h - a pseudo terminal out of the container's own devpts
 */
#ifndef ENGINE_TERMINAL_H
#define ENGINE_TERMINAL_H

#include "base/error.h"
#include "spec/spec.h"

struct terminal {
	int ptmx; /* owned; the master, for the parent */
	int pts;  /* owned; for the program */
};

#define TERMINAL_INIT { .ptmx = -1, .pts = -1 }

/**
 * terminal_open() - A new pair, sized and given to the process's user
 * @rootfd:	The container's root, with /dev/pts mounted
 */
int terminal_open(int rootfd, const struct oci_process *process, struct terminal *out,
		  struct coffer_error *err);
/* terminal_bind_console() - Show it as /dev/console */
int terminal_bind_console(const struct terminal *t, int rootfd, struct coffer_error *err);
/* terminal_control() - Make it the controlling terminal of our (new) session */
int terminal_control(const struct terminal *t, struct coffer_error *err);

#endif /* ENGINE_TERMINAL_H */
