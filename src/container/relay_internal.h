/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/relay_internal.h - what the files of the relays share
 */
#ifndef CONTAINER_RELAY_INTERNAL_H
#define CONTAINER_RELAY_INTERNAL_H

#include <pthread.h>

#include "container/pump.h"
#include "container/relay.h"

struct relay {
	struct relay *next;	 /* in relays->list */
	struct relays *relays;	 /* borrowed */
	char id[COFFER_ID_MAX + 1];
	enum coffer_relay_direction direction;
	char *path;	   /* owned; host_path */
	const char *name;  /* its last component */
	int dirfd;	   /* owned; the rest */
	uint32_t port;	   /* into: ours, out of: the guest's */
	int listen_fd;	   /* owned */
	bool is_ours;	   /* out of: the node is as below */
	dev_t dev;
	ino_t ino;
	bool in_guest;	   /* the agent has its half */
	bool is_ready;	   /* it may be removed; guarded by relays->lock */
	struct pump_door *door; /* the thread's */
};

struct relays {
	struct coffer_container *c; /* borrowed */
	struct pump *pump;	    /* owned; the thread's once it runs */
	int wake_fd;		    /* owned; eventfd: there are orders */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct relay *list; /* owned */
	struct relay_order *orders;
	unsigned callers; /* who have a pointer to this */
	bool ended;
};

/* relay_free() - Of a relay that nothing uses any more; takes its node on the host away */
void relay_free(struct relay *relay);

/* relay_target() - Where its clients are to be connected to */
struct pump_target relay_target(struct relay *relay);

/* relays_get() - Those of @c, made if need be; c->lock held. Return: what the caller gives back with
 * relays_put(), or NULL with @err filled */
struct relays *relays_get(struct coffer_container *c, struct coffer_error *err);
void relays_put(struct relays *all);

/* relay_order() - Have the thread open or close a relay's door, and wait until it has; INTERRUPTED:
 * the machine has ended, and the door with it */
int relay_order(struct relay *relay, bool open, struct coffer_error *err);

#endif /* CONTAINER_RELAY_INTERNAL_H */
