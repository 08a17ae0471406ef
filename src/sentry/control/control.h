/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/control.h - the agent contract, served by the kernel itself
 *
 *	main.c       configuration, kernel, jail, then the loop
 *	rpc*.c       one handler per method
 *	process.c    what the process methods act on
 *	relay.c      between a terminal and the host
 *	machine.c    what paths and mounts of requests mean
 *	setup*.c     containers and processes from documents
 *
 * One thread, one loop, beside the tasks' threads. Handlers answer at once; what the guest decides the
 * length of (a wait) is kept and answered when it has happened.
 */
#ifndef SENTRY_CONTROL_CONTROL_H
#define SENTRY_CONTROL_CONTROL_H

#include <time.h>

#include "base/loop.h"
#include "rpc/grpc_server.h"
#include "sentry/config.h"
#include "sentry/task/waitq.h"
#include "spec/spec.h"

#define CONTROL_ID_MAX 128

struct control_process;
struct file;
struct process;
struct sandbox_container;
struct tty;
struct tty_relay;

struct control {
	struct loop *loop;		/* owned */
	struct grpc_server *server;	/* owned */
	const struct sentry_config *config; /* borrowed */
	struct control_container *containers; /* owned list */
	int ended_fd;			/* eventfd: a process may have ended */
};

/* Known from the CreateProcess that names it first until its init is deleted. */
struct control_container {
	struct control_container *next;
	struct control *control;
	char *id;			    /* owned */
	struct sandbox_container *kernel;   /* owned */
	struct control_process *processes;  /* owned list */
	uint64_t oom_told;		    /* kills that listeners know of */
};

enum control_state {
	CONTROL_CREATED,
	CONTROL_RUNNING,
	CONTROL_STOPPED,
	CONTROL_STATE_COUNT,
};

/* @p is NULL when it was deleted instead of ending. The waiter is off the list already. */
struct control_waiter {
	struct control_waiter *next;
	void (*fn)(struct control_waiter *w, const struct control_process *p);
};

struct control_process {
	struct control_process *next;
	struct control_container *container; /* borrowed */
	char *id;			/* owned; equals the container's for its init */
	bool is_init;
	enum control_state state;
	struct oci_spec *spec;		/* owned */
	struct process *process;	/* a reference; since it was started */
	int32_t pid;
	int sock[3];			/* owned; connections to the host, -1: none */
	struct tty *tty;		/* a reference; with a terminal */
	struct tty_relay *relay;	/* owned; with a terminal that runs */
	struct wait_entry ended;	/* on process->exited */
	int ended_fd;			/* control's; borrowed */
	struct control_waiter *waiters;
	int32_t exit_code;		/* STOPPED: status, or 128 + signal */
	struct timespec exited_at;
};

struct control_create {
	const char *container, *id;
	uint32_t ports[3];		/* 0: no stream */
	const void *config;		/* JSON of an OCI document */
	size_t config_len;
};

int control_create(struct control *control, const struct control_create *args,
		   struct coffer_error *err);
int control_start(struct control_process *p, struct coffer_error *err);
int control_kill(struct control_process *p, int sig, struct coffer_error *err);
int control_resize(struct control_process *p, uint32_t rows, uint32_t columns,
		   struct coffer_error *err);
void control_close_stdin(struct control_process *p);
int control_delete(struct control_process *p, struct coffer_error *err);
void control_wait(struct control_process *p, struct control_waiter *w);
void control_wait_cancel(struct control_process *p, struct control_waiter *w);
/* control_reap() - Look which processes have ended */
void control_reap(struct control *control);

struct control_container *control_container_find(const struct control *control, const char *id);
struct control_process *control_process_find(const struct control_container *c, const char *id);

/* rpc_start() - Make the server and serve; rpc.c */
int rpc_start(struct control *control, struct coffer_error *err);

/* tty_relay_new() - Copy between a terminal's @master and connections; takes the master's reference and
 * the descriptors over (-1: none) */
int tty_relay_new(struct loop *loop, struct file *master, int in, int out, struct tty_relay **rel,
		  struct coffer_error *err);
/* tty_relay_finish() - Nobody writes any more: deliver what is left, then close */
void tty_relay_finish(struct tty_relay *relay);
void tty_relay_free(struct tty_relay *relay);

#endif /* SENTRY_CONTROL_CONTROL_H */
