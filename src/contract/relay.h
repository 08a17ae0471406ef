/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/relay.h - bytes from one descriptor to another, one way, on the loop
 */
#ifndef CONTRACT_RELAY_H
#define CONTRACT_RELAY_H

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
 * relay_share() - The descriptors are halves of sockets that another relay shares
 *
 * At its end the destination is told that nothing more comes, and the source,
 * if the destination is gone, that nothing more is taken.  Then, unless it is
 * freed first, @ended is called, the last thing done: it may free the relay.
 * To be called before the loop turns.
 */
void relay_share(struct relay *r, void (*ended)(void *data), void *data);

/* relay_finish() - Deliver what the source holds now, at most @most bytes, and end */
void relay_finish(struct relay *r, size_t most);

/* relay_finish_quiet() - End once the source has been silent for @quiet: data may still be on its
 * way */
void relay_finish_quiet(struct relay *r, usec_t quiet);

/* relay_free() - Close both ends at once; what was read and not yet written is lost */
void relay_free(struct relay *r);
DEFINE_CLEANUP(struct relay *, relay_free);

#endif /* CONTRACT_RELAY_H */
