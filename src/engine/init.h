/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/init.h - what a container's process does from clone to execve
 */
#ifndef ENGINE_INIT_H
#define ENGINE_INIT_H

#include "base/error.h"
#include "engine/caps.h"
#include "engine/engine.h"
#include "engine/hooks.h"
#include "engine/mount.h"
#include "engine/namespaces.h"
#include "engine/seccomp_filter.h"
#include "engine/terminal.h"
#include "spec/spec.h"

/* Everything the child needs, made ready by the parent; the child has a copy of the memory. */
struct init {
	const char *id;
	const struct oci_spec *spec;
	const struct oci_process *process; /* spec->process, or what exec was given */
	const char *rootfs;
	const struct ns_plan *ns;
	struct mount_plans *mounts;
	const struct seccomp_filter *seccomp;
	struct caps caps;
	struct engine_stdio stdio; /* all open */
	int gate;                  /* listening socket to wait at, or -1 */
	unsigned preserve_fds;     /* 3 to 3+n-1 stay open */
	bool no_pivot;
	bool no_new_keyring;
	bool find_program;
	const struct hook_state *hooks; /* what the hooks of init are told; NULL for an exec */
	/* The child's own. */
	int *sock;
	int rootfd;
	mode_t umask; /* the caller's, which hooks have */
	struct terminal terminal;
	char *const *env; /* of the program */
	bool cwd_later; /* root may not enter the working directory; its user will try */
};

#define INIT_INIT { .gate = -1, .rootfd = -1, .terminal = TERMINAL_INIT }

/* init_main(), init_exec_main() - launch_main of a container's init and of an exec */
int init_main(void *data, int *sock, struct coffer_error *err);
int init_exec_main(void *data, int *sock, struct coffer_error *err);

/* process_stage_*(): what both do once the root is theirs; see process.c */
int process_stage_terminal(struct init *i, struct coffer_error *err);
int process_stage_descriptors(struct init *i, struct coffer_error *err);
int process_stage_find(struct init *i, struct coffer_error *err);
int process_stage_ready(struct init *i, struct coffer_error *err);
int process_stage_keyring(struct init *i, struct coffer_error *err);
int process_stage_scheduling(struct init *i, struct coffer_error *err);
int process_stage_directory(struct init *i, struct coffer_error *err);
int process_stage_bounding(struct init *i, struct coffer_error *err);
int process_stage_seccomp(struct init *i, struct coffer_error *err);
int process_stage_user(struct init *i, struct coffer_error *err);
int process_stage_capabilities(struct init *i, struct coffer_error *err);
int process_stage_no_new_privs(struct init *i, struct coffer_error *err);
int process_stage_execute(struct init *i, struct coffer_error *err);

#endif /* ENGINE_INIT_H */
