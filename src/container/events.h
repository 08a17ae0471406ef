/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/events.h - what happens to a container, told to subscribers
 */
#ifndef CONTAINER_EVENTS_H
#define CONTAINER_EVENTS_H

#include "coffer/event.h"

/* Of a container; guarded by its lock. {0} is fine. */
struct events {
	struct coffer_events *first;
};

/* events_emit() - With the container's lock. @event: its size and time are filled in */
void events_emit(struct coffer_container *c, struct coffer_event event);

/* events_close() - The container is about to be freed: its subscribers, if any, hear no more */
void events_close(struct coffer_container *c);

#endif /* CONTAINER_EVENTS_H */
