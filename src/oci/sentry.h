/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/sentry.h - containers on an application kernel, for commands that know processes of the host
 */
#ifndef OCI_SENTRY_H
#define OCI_SENTRY_H

#include <stdbool.h>

#include "base/spawn.h"
#include "oci/oci.h"
#include "oci/state.h"

/* sentry_inside() - Does the container live in one? */
bool sentry_inside(const struct state_dir *dir);

/**
 * sentry_adopt() - Turn a document into one for the process that stands for the container
 * @state:	Of the container
 * @spec:	Replaced; what the container is to be is kept in its directory
 */
int sentry_adopt(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		 struct oci_spec **spec, struct coffer_error *err);

/* sentry_read() - The document of what is inside */
int sentry_read(const struct state_dir *dir, struct oci_spec **out, struct coffer_error *err);

/**
 * sentry_exec() - The same for a further process
 * @inside:	The document with the process in it
 * @spec:	Its process is replaced
 */
int sentry_exec(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		const struct oci_spec *inside, struct oci_spec *spec, struct coffer_error *err);

/* sentry_document() - Turn what a client has written into what the sentry is to make of it */
int sentry_document(const struct state *state, struct oci_spec *spec, struct coffer_error *err);

/* sentry_program_find() - Is there process.args[0]? @spec: of what is inside, with absolute paths */
int sentry_program_find(const struct oci_spec *spec, struct coffer_error *err);

/* sentry_freeze() - Stop all that runs inside, or let it go on. The cgroup's freezer would wait for
 * ever: a call of the guest's is served while the one that has made it stands still */
int sentry_freeze(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		  bool freeze, struct coffer_error *err);

/* sentry_signal() - Signal every process inside */
int sentry_signal(const struct oci *oci, const struct state *state, int sig,
		  struct coffer_error *err);

/**
 * sentry_update() - The limits that hold inside: of memory and of processes
 * @started:	Is there a sentry? Else its document is changed
 * @res:	That of processes is taken out: the sentry's own are more than those inside
 */
int sentry_update(const struct oci *oci, const struct state_dir *dir, const struct state *state,
		  bool started, struct oci_resources *res, struct coffer_error *err);

/* sentry_verdict_listen() - Before the container is started. @name: SENTRY_VERDICT. Return:
 * descriptor, or negative errno */
int sentry_verdict_listen(const struct state_dir *dir, const char *name, struct coffer_error *err);
/* sentry_verdict() - Wait for what came of the start. @init: it may end without a word; after a
 * failure it has ended */
int sentry_verdict(int sock, const struct child *init, struct coffer_error *err);

/* sentry_exec_listen(), sentry_exec_verdict() - The same for the further process of this command */
int sentry_exec_listen(const struct state_dir *dir, struct coffer_error *err);
int sentry_exec_verdict(const struct state_dir *dir, int sock, const struct child *process,
			struct coffer_error *err);

#endif /* OCI_SENTRY_H */
