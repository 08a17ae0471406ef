/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/bridge.h - a connection that is there, joined to one that is made for it
 */
#ifndef CONTRACT_BRIDGE_H
#define CONTRACT_BRIDGE_H

#include "contract/contract.h"

struct bridge;

/* All of one owner, who frees them. {0} is empty. */
struct bridges {
	struct bridge *first;
	size_t n;
};

/* Where the other connection leads: a port of the host, or what @connect finds. */
struct bridge_target {
	uint32_t port; /* 0: @connect */
	/* Return: a connected non-blocking descriptor; -EAGAIN: it is asked again soon; other
	 * negative errno */
	int (*connect)(void *data, struct coffer_error *err);
	/* Told once how the connecting ended, NULL: well.  The bridge stands, or is gone. */
	void (*connected)(void *data, const struct coffer_error *err);
	/* Told when one that stood has gone away by itself; may be NULL */
	void (*ended)(void *data);
	void *data;
};

/**
 * bridge_new() - Connect to @target and join
 * @near:	Connected, non-blocking; taken over on success
 *
 * It goes away by itself when both ways have ended or the connecting fails.
 */
int bridge_new(struct bridges *list, int near, const struct bridge_target *target,
	       struct coffer_error *err);

/* bridges_free() - End all of them; nobody is told */
void bridges_free(struct bridges *list);

#endif /* CONTRACT_BRIDGE_H */
