/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/hybrid.h - vsock through unix sockets, the caller's side
 *
 *	into the guest:	connect to vsock.sock, "CONNECT <port>\n", then read "OK <port>\n"
 *	out of it:	the guest's connection to our port P reaches a listener at vsock.sock_P
 */
#ifndef SANDBOX_HYBRID_H
#define SANDBOX_HYBRID_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

/* hybrid_dial() - Ask for a connection to @port; @dirfd has the sockets. Return: descriptor */
int hybrid_dial(int dirfd, uint32_t port, struct coffer_error *err);

/* hybrid_dialled() - Wait for the answer to it. Return: 0, then bytes flow; negative errno */
int hybrid_dialled(int fd, usec_t deadline, struct coffer_error *err);

/* hybrid_listen() - Return: non-blocking listening socket for the guest's connections to @port */
int hybrid_listen(int dirfd, uint32_t port, struct coffer_error *err);
void hybrid_unlisten(int dirfd, uint32_t port);

#endif /* SANDBOX_HYBRID_H */
