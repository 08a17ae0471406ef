/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/socket.h - connections into and out of a container's machine
 *
 * All of it goes over vsock: no network is needed on either side.
 */
#ifndef COFFER_SOCKET_H
#define COFFER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct coffer_container;

enum coffer_relay_direction {
	COFFER_RELAY_INTO,   /* a socket of the host appears in the container */
	COFFER_RELAY_OUT_OF, /* a socket of the container appears on the host */
};

/* A unix socket (stream) of one side made available on the other; half-closes pass through. */
struct coffer_relay {
	const char *id;         /* as a process's; unique in the container */
	enum coffer_relay_direction direction;
	const char *host_path;
	const char *guest_path; /* as the container's processes see it */
	mode_t mode;            /* of the socket that is made; 0: 0600 on the host, 0666 inside */
};

/**
 * coffer_container_relay_add() - While started; the configured ones are added by start
 *
 * A socket that is there already at the path that is made is replaced, anything
 * else on the host is not.  The relay ends with a stop or
 * coffer_container_relay_remove(), and what it made on the host goes with it.
 * At most 1024 connections of all relays are carried at once, or a quarter of the
 * descriptors that this process may have if that is less; later ones wait.
 *
 * Errors: already-exists (@relay->id, or a file in its place), invalid-argument,
 * invalid-state, not-found (the directory of host_path)
 */
COFFER_PUBLIC int coffer_container_relay_add(struct coffer_container *container,
					     const struct coffer_relay *relay,
					     struct coffer_error *err);
/* coffer_container_relay_remove() - Ends its connections as well. Errors: not-found */
COFFER_PUBLIC int coffer_container_relay_remove(struct coffer_container *container, const char *id,
						struct coffer_error *err);

/* coffer_container_dial() - From created on. Return: a stream to the guest's vsock @port, or negative
 * errno; INTERRUPTED: nobody listens there */
COFFER_PUBLIC int coffer_container_dial(struct coffer_container *container, uint32_t port,
					struct coffer_error *err);

/**
 * coffer_container_listen() - Take connections from the guest to vsock CID 2, @port
 * @port:	1025 to 0x0fffffff
 *
 * Return: a listening socket for accept(2), the caller's; or negative errno
 */
COFFER_PUBLIC int coffer_container_listen(struct coffer_container *container, uint32_t port,
					  struct coffer_error *err);
/* coffer_container_unlisten() - New ones are refused from now on */
COFFER_PUBLIC void coffer_container_unlisten(struct coffer_container *container, uint32_t port);

/**
 * coffer_container_connect() - A connection to a TCP port on the container's loopback
 *
 * No network is needed for it.
 *
 * Return: stream, or negative errno
 * Errors: invalid-argument, invalid-state, interrupted (nobody listens there)
 */
COFFER_PUBLIC int coffer_container_connect(struct coffer_container *container, uint16_t port,
					   struct coffer_error *err);

/**
 * coffer_container_forward() - Forward what connects to @listen_fd to the container's TCP @port
 * @listen_fd:	Listening stream socket, TCP or unix; borrowed
 * @stop_fd:	Readable: end, and cut what is connected; -1: never
 *
 * A client for whom nobody listens inside is closed.
 *
 * Return: 0 once @stop_fd is readable; -ECONNRESET (INTERRUPTED) when the
 * container is no longer started
 */
COFFER_PUBLIC int coffer_container_forward(struct coffer_container *container, int listen_fd,
					   uint16_t port, int stop_fd, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_SOCKET_H */
