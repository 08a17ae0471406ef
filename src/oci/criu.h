/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/criu.h - one request to a criu of our own
 */
#ifndef OCI_CRIU_H
#define OCI_CRIU_H

#include "base/spawn.h"
#include "oci/criu_wire.h"

struct criu {
	struct child child;
	int sock; /* SOCK_SEQPACKET to it; owned */
};

#define CRIU_INIT { .child = CHILD_INIT, .sock = -1 }

/* criu_end() - Kill it if it runs still; for a failure before or between requests */
void criu_end(struct criu *c);
#define autocriu CLEANUP(criu_end)

struct criu_start_args {
	const char *program;        /* a path, or a name to look for in $PATH */
	const struct spawn_fd *fds; /* for its descriptors 0 to 2, and from CRIU_FD_FREE on */
	size_t nfds;
	bool new_session;           /* signals of our terminal shall not reach it */
	/* Runs in its process before it is criu; fills @err on failure. */
	int (*hook)(void *data, struct coffer_error *err);
	void *hook_data;
};

/* The first descriptor of criu's that is not taken. */
#define CRIU_FD_FREE 4

int criu_start(const struct criu_start_args *args, struct criu *out, struct coffer_error *err);

/**
 * criu_notify - Told of each step that CRIU_NOTIFY_SCRIPTS asked for
 * @step:	script and pid are set
 * @fd:		A descriptor that came along, or -1; stays owned by the caller unless stolen
 *
 * A failure makes criu undo what it did, and is what criu_request() returns.
 */
typedef int (*criu_notify)(const struct criu_answer *step, int *fd, void *data,
			   struct coffer_error *err);

struct criu_call {
	enum criu_type type;
	const struct criu_options *options;
	criu_notify notify; /* may be NULL */
	void *data;
	int log_dirfd;      /* where CRIU_LOG_FILE is */
	const char *log_dir; /* its name, for the error */
	const char *log_file;
};

/* criu_request() - Ask, and wait until it is done and criu has ended; @c is empty then. A failure
 * is worded with what criu's log gives as the reason. */
int criu_request(struct criu *c, const struct criu_call *call, struct coffer_error *err);

#endif /* OCI_CRIU_H */
