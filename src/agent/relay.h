/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/relay.h - bytes from one descriptor to another, one way, on the loop
 */
#ifndef AGENT_RELAY_H
#define AGENT_RELAY_H

#include "base/cleanup.h"
#include "base/loop.h"

struct relay;

/**
 * relay_new() - Start copying @src to @dst
 * @src, @dst:	Pipe, socket or terminal master, non-blocking; taken over on success
 *
 * Both descriptors are closed when the source ends and everything read has
 * been written, or as soon as the destination is gone; nobody is told.
 */
int relay_new(struct loop *loop, int src, int dst, struct relay **out, struct coffer_error *err);

/**
 * relay_finish() - End once the source has nothing more to read
 * @quiet:	How long it must have been silent, for data still on its way; 0: not at all
 */
void relay_finish(struct relay *r, usec_t quiet);

/* relay_free() - Close both ends at once; what was read and not yet written is lost */
void relay_free(struct relay *r);
DEFINE_CLEANUP(struct relay *, relay_free);

#endif /* AGENT_RELAY_H */
