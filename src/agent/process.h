/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/process.h - one process of a container: its init or an exec
 *
 *	CREATING --connections made--> CREATED --start--> RUNNING --exit--> STOPPED
 *	                                  `----start failed, or killed-------^
 *
 * CREATING: only waiting is allowed; a failure removes the process.
 * CREATED:  start, wait, resize, close stdin, delete.
 * RUNNING:  everything but start.
 * STOPPED:  wait answers at once, kill and resize do nothing, delete.
 */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <stdint.h>
#include <time.h>

#include "agent/streams.h"
#include "engine/engine.h"
#include "spec/spec.h"

#define PROCESS_ID_MAX 1024

enum process_state {
	PROCESS_CREATING,
	PROCESS_CREATED,
	PROCESS_RUNNING,
	PROCESS_STOPPED,
	PROCESS_STATE_COUNT,
};

struct process;

/* @p is NULL when it was deleted instead of ending. The waiter is off the list already. */
struct process_waiter {
	struct process_waiter *next;
	void (*fn)(struct process_waiter *w, const struct process *p);
};

/* @err: NULL on success. On failure the process is gone. */
typedef void (*process_created)(void *data, const struct coffer_error *err);

struct process {
	struct process *next;	     /* in container->processes */
	struct container *container; /* borrowed */
	char *id;		     /* owned; equals the container's id for its init */
	bool is_init;
	enum process_state state;
	struct oci_spec *spec;	     /* owned */
	struct engine_process exec;  /* an exec's own; unused for init */
	struct engine_process *proc; /* &exec or the engine's init; NULL before there is one */
	pid_t pid;		     /* since it was started, also when it has ended; 0 before */
	struct streams streams;
	struct process_waiter *waiters;
	process_created created;
	void *created_data;
	int ended_by;	   /* the signal that SIGKILL stood in for, see spared.h; else 0 */
	int32_t exit_code; /* STOPPED: status, or 128 + signal */
	struct timespec exited_at;
};

struct process_create_args {
	const char *id;
	struct {
		bool set;
		uint32_t port;
	} stdio[STREAM_COUNT];
	const void *config; /* JSON of a whole OCI spec */
	size_t config_len;
};

/**
 * process_create() - Begin a process in @container, its init when it has none yet
 * @created:	Runs once, maybe before this returns, unless this fails
 *
 * On failure nothing of the process is left.
 */
int process_create(struct container *container, const struct process_create_args *args,
		   process_created created, void *data, struct coffer_error *err);

/* process_start() - On failure the process is STOPPED with 127, 126 or 128 as exit code */
int process_start(struct process *p, int32_t *pid, struct coffer_error *err);
/* process_kill() - A signal that would end any other program ends a container's init, too */
int process_kill(struct process *p, int sig, struct coffer_error *err);
/* process_kill_spared() - @sig has been sent, and the kernel may have spared it: see spared.h */
int process_kill_spared(struct process *p, int sig, struct coffer_error *err);
int process_resize(struct process *p, uint32_t rows, uint32_t columns, struct coffer_error *err);

/* process_wait() - Have @w->fn called when @p has ended, at once when it has */
void process_wait(struct process *p, struct process_waiter *w);
void process_wait_cancel(struct process *p, struct process_waiter *w);

/* process_reap() - The child is dead: take its status, tell the waiters, let output drain */
void process_reap(struct process *p);

/* process_has_child() - Whether it has a child that has not been reaped */
static inline bool process_has_child(const struct process *p)
{
	return p->proc && p->proc->child.pid != 0;
}

/* process_free() - Take it off its container's list, release waiters; a running child is left alone
 */
void process_free(struct process *p);

#endif /* AGENT_PROCESS_H */
