/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/event.h - what happens to a container, in order
 */
#ifndef COFFER_EVENT_H
#define COFFER_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct coffer_container;
struct coffer_events; /* a subscription; opaque */

enum coffer_event_type {
	COFFER_EVENT_CREATE,
	COFFER_EVENT_START,
	COFFER_EVENT_EXEC,   /* an exec has been started */
	COFFER_EVENT_OOM,    /* the guest's kernel killed something of it for want of memory */
	COFFER_EVENT_EXIT,   /* a process has ended */
	COFFER_EVENT_PAUSE,
	COFFER_EVENT_RESUME,
	COFFER_EVENT_STOP,   /* stopped by a call */
	COFFER_EVENT_DIE,    /* its machine ended by itself; cause says why */
	COFFER_EVENT_LOST,   /* the reader was too slow: count events are missing here */
	COFFER_EVENT_COUNT,
};

struct coffer_event {
	size_t size; /* sizeof(struct coffer_event), set by the caller */
	enum coffer_event_type type;
	struct timespec at;   /* CLOCK_REALTIME of the host */
	char process[65];     /* EXEC, EXIT, START: whose id */
	int pid;              /* EXEC, START: in the guest */
	int exit_code;        /* EXIT */
	uint64_t count;       /* OOM: kills so far; LOST: how many */
	struct coffer_error cause; /* DIE */
};

/* coffer_event_str() - "create", "start" ...; a static string */
COFFER_PUBLIC const char *coffer_event_str(enum coffer_event_type type);

/**
 * coffer_container_events() - Subscribe: what happens from now on, whatever the state
 * @out:	Give it back with coffer_events_free(), before the container
 */
COFFER_PUBLIC int coffer_container_events(struct coffer_container *container,
					  struct coffer_events **out, struct coffer_error *err);
/* coffer_events_fd() - Readable while there is an event; borrowed */
COFFER_PUBLIC int coffer_events_fd(struct coffer_events *events);
/* coffer_events_next() - Errors: timeout; interrupted (the owner of the container is gone) */
COFFER_PUBLIC int coffer_events_next(struct coffer_events *events, uint64_t timeout,
				     struct coffer_event *out, struct coffer_error *err);
COFFER_PUBLIC void coffer_events_free(struct coffer_events *events);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_EVENT_H */
