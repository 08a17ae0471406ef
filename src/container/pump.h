/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/pump.h - connections taken on one side and carried to a partner on the other
 *
 * A pump is one event loop with one buffer.  It belongs to the thread that
 * turns the loop; all functions are for that thread.
 */
#ifndef CONTAINER_PUMP_H
#define CONTAINER_PUMP_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/loop.h"

/*
 * Of a pump, and no more than leave half of the descriptors to the rest of the process: those who
 * connect may be a guest's.  Who comes later waits in the listener's queue.
 */
#define PUMP_CONNECTIONS_MAX 1024

struct pump;
struct pump_door; /* a listener */

/* Where a door leads. */
struct pump_target {
	/* Return: a connected stream socket, or negative errno. Runs in a thread of its own, may
	 * block, but not for ever. */
	int (*connect)(void *data, struct coffer_error *err);
	/* Told of one that failed, whose client is closed; NULL: nobody */
	void (*failed)(void *data, const struct coffer_error *err);
	void *data;
};

int pump_new(struct pump **out, struct coffer_error *err);
/* pump_free() - Cuts what is connected; waits for connect() calls under way */
void pump_free(struct pump *p);
DEFINE_CLEANUP(struct pump *, pump_free);

struct loop *pump_loop(struct pump *p);

/**
 * pump_open_door() - Each client of a listener gets a partner
 * @fd:		Listening stream socket; borrowed. Must not block
 */
int pump_open_door(struct pump *p, int fd, const struct pump_target *target,
		   struct pump_door **out, struct coffer_error *err);

/**
 * pump_close_door() - Cut its connections, take no more
 * @closed:	Called when no connect() is under way any more, maybe at once
 */
void pump_close_door(struct pump_door *door, void (*closed)(void *data), void *data);

#endif /* CONTAINER_PUMP_H */
