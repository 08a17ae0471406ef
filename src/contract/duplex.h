/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/duplex.h - two connected sockets joined, both ways, each way with its own end
 */
#ifndef CONTRACT_DUPLEX_H
#define CONTRACT_DUPLEX_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/loop.h"

struct duplex;

/**
 * duplex_new() - Join @a and @b
 * @a, @b:	Connected, non-blocking; taken over on success
 * @ended:	Called once, the last thing done, when both ways have ended; frees the duplex
 */
int duplex_new(struct loop *loop, int a, int b, void (*ended)(void *data), void *data,
	       struct duplex **out, struct coffer_error *err);

/* duplex_free() - Close both at once; what is on its way is lost */
void duplex_free(struct duplex *d);

#endif /* CONTRACT_DUPLEX_H */
