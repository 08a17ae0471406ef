/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/control.h - a container serves the other processes of its user
 *
 * Inside the room: control.c accepts and frames, control_calls.c and
 * control_process.c are the calls.  They use the public API only, from threads
 * of their own, so that there is one state machine.
 */
#ifndef CONTAINER_CONTROL_H
#define CONTAINER_CONTROL_H

#include "container/container.h"
#include "container/wire.h"

/* control_open() - Serve in c->dir, from create on; for who is busy, without the lock */
int control_open(struct coffer_container *c, struct coffer_error *err);

/* control_close() - Take no more; what is under way goes on. Likewise; idempotent */
void control_close(struct coffer_container *c);

/* control_free() - Wait for what is under way, cut what would not end. The container has no machine
 * any more */
void control_free(struct coffer_container *c);

/* A connection and its one call. Replies may be filled with what `hold` keeps until it is sent. */
struct control_call {
	struct coffer_container *c; /* borrowed */
	int sock;                   /* borrowed; readable: the caller has gone */
	const Ct__Request *req;
	Ct__Reply reply;
	struct wire_fds fds; /* owned */
	void *hold;          /* freed with free(3) */
	bool told;           /* the last reply has been sent */
};

/* control_call() - Carry out call->req */
int control_call(struct control_call *call, struct coffer_error *err);

/* control_reply() - Send what the call has filled, or @err's verdict. Return: 0 or negative errno */
int control_reply(struct control_call *call, const struct coffer_error *err);

/* control_process() - The process a request names; init if none */
int control_process(struct control_call *call, struct coffer_process **out,
		    struct coffer_error *err);

/* control_exec() ... - Of control_process.c, for the table */
int control_exec(struct control_call *call, struct coffer_error *err);
int control_find(struct control_call *call, struct coffer_error *err);
int control_wait(struct control_call *call, struct coffer_error *err);
int control_kill(struct control_call *call, struct coffer_error *err);
int control_kill_foreground(struct control_call *call, struct coffer_error *err);
int control_resize(struct control_call *call, struct coffer_error *err);
int control_close_stdin(struct control_call *call, struct coffer_error *err);
int control_delete(struct control_call *call, struct coffer_error *err);

#endif /* CONTAINER_CONTROL_H */
