/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/watch.h - how long the watcher waits for what
 */
#ifndef CONTAINER_WATCH_H
#define CONTAINER_WATCH_H

#include "base/clock.h"

/* Tests shorten them. */
extern struct watch_limits {
	usec_t heartbeat; /* between two */
	usec_t silence;	  /* of an agent that is asked; scales under emulation */
	usec_t time;	  /* between two corrections of the guest's clock */
} watch_limits;

#endif /* CONTAINER_WATCH_H */
