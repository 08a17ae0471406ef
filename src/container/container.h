/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/container.h - container and process objects, inside the room
 *
 * Lock order: a container's lock before a process's.  A waiter holds only its
 * process's lock, and not while it sleeps, so neither kill nor stop waits for
 * it.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include <pthread.h>

#include "coffer/container.h"

#include "container/config.h"
#include "container/storage.h"
#include "sandbox/sandbox.h"

struct control;
struct relays;
struct remote;

/* What a wait on a process would say. */
enum process_phase {
	PROCESS_NEW,     /* not started */
	PROCESS_RUNNING, /* the waiter connection will tell of its end */
	PROCESS_ENDED,   /* exit is known */
	PROCESS_LOST,    /* it will never be known; lost says why */
};

struct coffer_process {
	struct coffer_container *container; /* borrowed */
	char id[COFFER_ID_MAX + 1];
	struct coffer_process_config *config; /* owned */
	struct coffer_process *next; /* in container->execs */

	/* Guarded by container->lock. */
	int pid; /* -1: not started */
	int streams[COFFER_STREAM_COUNT]; /* the caller's ends until taken */

	pthread_mutex_t lock; /* guards what follows */
	enum process_phase phase;
	struct agent *waiter; /* connection for the wait alone; kept, but shut, after the end */
	struct coffer_exit exit;
	struct coffer_error lost;
	int remote_fd; /* of a remote container's: where its end is told; -1: not asked yet */
	bool mine;     /* likewise: an exec of this handle */
};

struct coffer_container {
	char id[COFFER_ID_MAX + 1];
	struct coffer_container_config *config; /* owned */
	sandbox_maker maker;
	struct remote *remote; /* another process owns it, and calls go there; NULL: it is ours */
	int cancel_fd; /* eventfd, readable: give up */
	int gone_fd;   /* eventfd, readable: the machine ends or has ended */
	struct control *control; /* serves other processes; guarded by lock */

	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t changed; /* users */
	unsigned users;		/* between container_enter() and container_leave() */
	struct relays *relays;	/* relay.c's; they are a user themselves. NULL: none */
	enum coffer_state state;
	struct coffer_error cause; /* of COFFER_STATE_ERRORED */
	struct rundir *dir;        /* these four from create to stop */
	struct sandbox *sandbox;
	struct agent *agent;
	struct storage *storage;
	struct coffer_timing timing;
	struct coffer_process *init;
	struct coffer_process *execs; /* list */
};

/* container_new() - coffer_container_new() with a choice of sandbox */
int container_new(const char *id, const struct coffer_container_config *config,
		  sandbox_maker maker, struct coffer_container **out, struct coffer_error *err);

/**
 * container_enter() - Use the machine without holding the container's lock
 * @states:	CONTAINER_IN(state) bits it is legal in
 * @what:	The call, for the error: "copy into"
 *
 * Until container_leave() sandbox, dir and storage are there, though the machine may end at any
 * time: connections break then and gone_fd is readable.  Leave soon after.
 */
#define CONTAINER_IN(state)    (1u << (state))
#define CONTAINER_IN_STARTED   CONTAINER_IN(COFFER_STATE_STARTED)
int container_enter(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err);
void container_leave(struct coffer_container *c);

/* The next two between container_enter() and container_leave(), with or without the lock. */

/* container_agent_open() - A connection of the caller's own; close it with agent_close() */
int container_agent_open(struct coffer_container *c, struct agent **out, struct coffer_error *err);

/* container_port_take() - A vsock port of ours that nobody has, and that nobody inside can guess */
uint32_t container_port_take(void);

/* container_check_started() - With the lock held. Return: 0 or negative errno */
int container_check_started(struct coffer_container *c, const char *what,
			    struct coffer_error *err);

/* container_check_cancel() - Has somebody asked to give up? Return: 0 or -ECANCELED */
int container_check_cancel(const struct coffer_container *c, struct coffer_error *err);

/* container_random_id() - 12 hexadecimal digits */
int container_random_id(char id[static COFFER_ID_MAX + 1], struct coffer_error *err);

/* container_lost() - The connection @p is waited for on broke: the container becomes errored,
 * unless it has been stopped meanwhile. Takes the lock */
void container_lost(struct coffer_container *c, struct coffer_process *p);

/* process_new() - On failure nothing is left */
int process_new(struct coffer_container *c, const char *id,
		const struct coffer_process_config *config, struct coffer_process **out,
		struct coffer_error *err);
void process_free(struct coffer_process *p);

/* process_launch() - Create and start it; container's lock held, machine up */
int process_launch(struct coffer_process *p, struct coffer_error *err);

/* process_settle() - End of the machine: a process that still runs ends with @code. If @why is
 * given, one that runs or was never started is lost with it. Container's lock held */
void process_settle(struct coffer_process *p, int code, const struct coffer_error *why);

/* process_reset() - Back to PROCESS_NEW, for another create. Container's lock held */
void process_reset(struct coffer_process *p);

/* process_has_ended() - Takes the process's lock */
bool process_has_ended(struct coffer_process *p);

/* process_is_broken() - It runs, but will never tell of its end; @why. Takes its lock */
bool process_is_broken(struct coffer_process *p, struct coffer_error *why);

#endif /* CONTAINER_CONTAINER_H */
