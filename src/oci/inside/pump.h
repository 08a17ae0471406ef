/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/inside/pump.h - bytes one way between a standard stream and a socket
 */
#ifndef OCI_INSIDE_PUMP_H
#define OCI_INSIDE_PUMP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Small enough that a descriptor ready for writing takes it at once. */
#define PUMP_CHUNK 4096

struct pump {
	int from, to;	/* from -1: nothing more to read; borrowed but for the socket */
	int socket;	/* whichever of them is; owned */
	char buf[PUMP_CHUNK];
	size_t len, off;
};

#define PUMP_INIT { .from = -1, .to = -1, .socket = -1 }

/* pump_begin() - @socket: taken over */
void pump_begin(struct pump *p, int stream, int socket, bool input);
struct pollfd pump_poll(const struct pump *p);
void pump_move(struct pump *p, short revents);
/* pump_over() - Has all been delivered, or will nothing more be? */
bool pump_over(const struct pump *p);
void pump_end(struct pump *p);

#endif /* OCI_INSIDE_PUMP_H */
