/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/handle.h - the container that a command is about
 */
#ifndef OCI_HANDLE_H
#define OCI_HANDLE_H

#include "oci/oci.h"
#include "oci/state.h"
#include "oci/status.h"

struct handle {
	struct state_dir dir;
	struct state state;
	enum status status;              /* when it was opened */
	struct oci_spec *spec;           /* owned; after handle_attach() */
	struct engine_container *engine; /* released by handle_close(); after handle_attach() */
};

#define HANDLE_INIT { .dir = STATE_DIR_INIT }

/**
 * handle_open() - Lock, state and status of container @id
 * @allowed:	STATUS_BIT()s; another one is an error that names the status and @what
 * @what:	"start", "exec in" ...: what is done to it; NULL with @allowed 0: every status
 * @out:	HANDLE_INIT; handle_close() it also after a failure
 */
int handle_open(const struct oci *oci, const char *id, enum state_lock lock, unsigned allowed,
		const char *what, struct handle *out, struct coffer_error *err);

/* handle_attach() - Take hold of its processes; reads the document it was created with.
 * @gate: engine_open_args.gate; owned */
int handle_attach(struct handle *h, int gate, struct coffer_error *err);

/* handle_attach_blank() - Without the document: enough to kill and delete */
int handle_attach_blank(struct handle *h, struct coffer_error *err);

/* handle_close() - Let go of everything; the container stays as it is */
void handle_close(struct handle *h);
#define autohandle CLEANUP(handle_close)

#endif /* OCI_HANDLE_H */
