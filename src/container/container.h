/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/container.h - container and process objects, inside the room
 *
 *	container.c  the object, who may use it when, calls of the agent
 *	create.c     create and start      stop.c     stop, the end of a machine
 *	pause.c      pause, resume         watch.c    the thread that looks after it
 *	launch.c     processes are made    process.c  and handled
 *	stream.c     streams that are ours document.c what the agent is told
 *
 * One lock a container, held for moments only, never across a call of the
 * agent or the sandbox:
 *
 *	busy     mark of a create, start, stop, pause or resume.  They exclude
 *	         each other; who has it may change the state and the machine.
 *	users    calls that use the machine (container_enter() to _leave()).  Any
 *	         number at a time; a machine is freed when there are none.
 *	watcher  a thread, from create to the machine's end.  Waits of the agent
 *	         are its; it settles processes that end, and a container whose
 *	         machine ends.
 *
 * Whoever waits for a process sleeps on its end_fd and holds nothing.
 */
#ifndef CONTAINER_CONTAINER_H
#define CONTAINER_CONTAINER_H

#include <pthread.h>

#include "coffer/container.h"

#include "container/config.h"
#include "container/events.h"
#include "container/stream.h"
#include "container/storage.h"
#include "container/timing.h"
#include "sandbox/sandbox.h"

#define CONTAINER_KILLED     137 /* exit code of what a machine's end ends: 128 + SIGKILL */
#define CONTAINER_AGENTS_MAX 8	 /* connections kept for the next call */

struct control;
struct relays;
struct remote;

enum process_phase {
	PROCESS_NEW,	   /* not started */
	PROCESS_LAUNCHING, /* an exec on its way; its id is taken, nobody else knows it */
	PROCESS_RUNNING,   /* the watcher waits for its end */
	PROCESS_ENDED,	   /* exit is known, what it wrote may be under way to us */
	PROCESS_SETTLED,   /* and has arrived: waiters are told */
	PROCESS_LOST,	   /* of a remote container: it will never be known; lost says why */
};

struct coffer_process {
	struct coffer_container *container; /* borrowed */
	char id[COFFER_ID_MAX + 1];
	uint64_t serial; /* unique in the container's life */
	struct coffer_process_config *config; /* owned */
	int end_fd; /* eventfd, readable from PROCESS_SETTLED on */

	/* Guarded by the container's lock. */
	struct coffer_process *next; /* in container->execs or ->deleted */
	enum process_phase phase;
	int pid;			  /* -1: not started */
	struct agent *agent;		  /* its wait's connection; the watcher's alone */
	bool watched;			  /* the watcher knows it */
	int streams[COFFER_STREAM_COUNT]; /* the caller's ends until taken */
	struct stream *stdio[COFFER_STREAM_COUNT]; /* ours; NULL: none */
	int exit_fd;	   /* eventfd for them, readable from PROCESS_ENDED on; else -1 */
	unsigned arriving; /* outputs of them that are not through, and the launch itself */
	struct coffer_exit exit;
	bool deleting, deleted;

	/* Of a remote container's (remote_process.c) alone, which has none of the above but id, pid,
	 * phase, config and streams. */
	pthread_mutex_t lock;
	int remote_fd; /* where its end is told; -1: not asked yet */
	bool mine;     /* an exec of this handle */
	struct coffer_error lost;
};

struct watch {
	pthread_t thread;
	bool joinable; /* there is a thread to join */
	bool quit;     /* it has been asked to end */
	int wake_fd;   /* eventfd: look again */
};

struct coffer_container {
	char id[COFFER_ID_MAX + 1];
	struct coffer_container_config *config; /* owned */
	sandbox_maker maker;
	struct remote *remote; /* another process owns it, and calls go there; NULL: it is ours */
	int cancel_fd; /* eventfd, readable: give up */
	int gone_fd;   /* eventfd, readable: the machine ends or has ended */
	struct control *control; /* serves other processes; changed by who is busy */

	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t changed; /* busy, users, watch.quit, a process's agent */
	bool busy;
	bool closing; /* the machine is being ended: nobody may enter */
	unsigned users;
	struct relays *relays; /* relay.c's; they are a user themselves. NULL: none */
	enum coffer_state state;
	struct coffer_error cause; /* of COFFER_STATE_ERRORED */
	struct coffer_death death; /* size 0: it has not died */
	struct agent *agents[CONTAINER_AGENTS_MAX]; /* idle connections */
	unsigned nagents;
	struct coffer_process *init;
	struct coffer_process *execs;	/* list */
	uint64_t serial;
	struct coffer_process *deleted; /* list, latest first: late callers may still hold them */
	struct events events;
	struct timing timing;
	struct json_object *calls; /* calls.c's; owned, NULL: not known */
	struct timespec created_at, started_at, finished_at; /* CLOCK_REALTIME, 0: not yet */
	uint64_t oom_kills;
	struct watch watch;

	/* Changed by who is busy, used between container_enter() and _leave(). */
	struct rundir *dir;
	struct sandbox *sandbox;
	struct storage *storage;
};

/* ---- container.c ---- */

/* container_new() - coffer_container_new() with a choice of sandbox */
int container_new(const char *id, const struct coffer_container_config *config,
		  sandbox_maker maker, struct coffer_container **out, struct coffer_error *err);

#define CONTAINER_IN(state) (1u << (state)) /* for sets of states */
#define CONTAINER_IN_STARTED CONTAINER_IN(COFFER_STATE_STARTED)
#define CONTAINER_LIVE                                                                    \
	(CONTAINER_IN(COFFER_STATE_CREATED) | CONTAINER_IN(COFFER_STATE_STARTED) |        \
	 CONTAINER_IN(COFFER_STATE_PAUSED))

/**
 * container_enter() - Use the machine
 * @states:	It is legal in
 * @what:	The call, for the error: "copy into"
 *
 * Until container_leave() sandbox, dir and storage are there, though the machine may end at any
 * time: connections break then and gone_fd is readable.  Leave soon after.
 */
int container_enter(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err);
void container_leave(struct coffer_container *c);

/* container_begin() - Be the one who is busy; waits for another. Return: 0, or as enter */
int container_begin(struct coffer_container *c, unsigned states, const char *what,
		    struct coffer_error *err);
void container_end(struct coffer_container *c);

/* The next four for who has entered or is busy, without the lock. */

/* container_agent_open() - A connection of the caller's own; close it with agent_close() */
int container_agent_open(struct coffer_container *c, struct agent **out, struct coffer_error *err);
/* container_agent_get() - An idle connection, or a new one */
int container_agent_get(struct coffer_container *c, struct agent **out, struct coffer_error *err);
/* container_agent_put() - Give it back after a call that gave @result */
void container_agent_put(struct coffer_container *c, struct agent *agent, int result);
/* container_call() - One call with one reply, on a connection that is idle; as agent_call() */
int container_call(struct coffer_container *c, enum agent_service service, const char *method,
		   const ProtobufCMessage *msg, usec_t budget, ProtobufCMessage **reply,
		   struct coffer_error *err);

/* container_port_take() - A vsock port of ours that nobody has, and that nobody inside can guess */
uint32_t container_port_take(void);

/* container_refuse() - With the lock: the error of a call in the wrong state */
int container_refuse(const struct coffer_container *c, const char *what, struct coffer_error *err);

/* container_check_cancel() - Has somebody asked to give up? Return: 0 or -ECANCELED */
int container_check_cancel(const struct coffer_container *c, struct coffer_error *err);

/* container_random_id() - 12 hexadecimal digits */
int container_random_id(char id[static COFFER_ID_MAX + 1], struct coffer_error *err);

/* container_wrap() - "start container c1: ..."; the agent words its own errors so already */
int container_wrap(const struct coffer_container *c, const char *verb, struct coffer_error *err);

/* container_signal() - Make an eventfd readable; container_reset() - and no longer */
void container_signal(int event_fd);
void container_reset(int event_fd);

/* ---- stop.c; for who is busy, without the lock ---- */

/* container_teardown() - End the machine and give everything back; what still ran has been killed.
 * In the end the state is @state, with @cause if that is errored */
void container_teardown(struct coffer_container *c, enum coffer_state state,
			const struct coffer_error *cause);

/* container_settle() - Waiters of all that still ran are told that it was killed */
void container_settle(struct coffer_container *c);

/* ---- watch.c ---- */

int watch_start(struct coffer_container *c, struct coffer_error *err);
/* watch_stop() - Also by its own thread, which then ends after this */
void watch_stop(struct coffer_container *c);
/* watch_wake() - Something has changed: a process to wait for, the state */
void watch_wake(struct coffer_container *c);

/* ---- process.c, launch.c ---- */

/* process_new() - On failure nothing is left */
int process_new(struct coffer_container *c, const char *id,
		const struct coffer_process_config *config, struct coffer_process **out,
		struct coffer_error *err);
void process_free(struct coffer_process *p);

/* process_launch() - Create and start it; entered or busy, without the lock */
int process_launch(struct coffer_process *p, struct coffer_error *err);

/* process_prepare_stdio() - Before it runs; process_stdio() - Copy its streams that are not the
 * caller's to take */
int process_prepare_stdio(struct coffer_process *p, struct coffer_error *err);
int process_stdio(struct coffer_process *p, struct coffer_error *err);

/* process_arrived() - One of what p->arriving counts is through. With the lock */
void process_arrived(struct coffer_process *p);

/* process_ended() - It has, with @exit. With the lock. Its agent is the caller's to put away */
void process_ended(struct coffer_process *p, const struct coffer_exit *exit);

/* process_reset() - Back to PROCESS_NEW, for another create. With the lock */
void process_reset(struct coffer_process *p);

#endif /* CONTAINER_CONTAINER_H */
