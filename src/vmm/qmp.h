/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qmp.h - client of QEMU's control protocol
 *
 * Source: QEMU's docs/interop/qmp-spec.txt.  One JSON object a line each way.
 * The machine's process may have been taken over by its guest, so what comes
 * back is foreign: lines, nesting and outstanding commands are bounded, and a
 * breach ends the connection, never the monitor.
 */
#ifndef VMM_QMP_H
#define VMM_QMP_H

#include <json-c/json.h>

#include "base/cleanup.h"
#include "base/loop.h"

#define QMP_LINE_MAX    65536
#define QMP_PENDING_MAX 16

struct qmp;

/* @ret is the command's return value (borrowed), NULL when @err says what went wrong.  Called
 * exactly once a command, at the latest from qmp_free(). */
typedef void (*qmp_done)(const struct coffer_error *err, struct json_object *ret, void *data);

struct qmp_args {
	int sock; /* connected; taken over on success */
	/* The greeting was answered: commands may be sent. */
	void (*on_ready)(void *data);
	/* @event such as "SHUTDOWN"; @info is its data object or NULL (borrowed) */
	void (*on_event)(const char *event, struct json_object *info, void *data);
	/* The connection is over, @err says why; may free the client. */
	void (*on_close)(const struct coffer_error *err, void *data);
	void *data;
};

int qmp_new(struct loop *loop, const struct qmp_args *args, struct qmp **out,
	    struct coffer_error *err);
void qmp_free(struct qmp *qmp);
DEFINE_CLEANUP(struct qmp *, qmp_free);

/* qmp_command() - Send a command that takes no arguments; @done may be NULL */
int qmp_command(struct qmp *qmp, const char *command, qmp_done done, void *data,
		struct coffer_error *err);

/* qmp_read() - Take what the socket holds now; for a peer that has just died */
void qmp_read(struct qmp *qmp);

#endif /* VMM_QMP_H */
