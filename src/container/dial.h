/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/dial.h - streams between this process and the machine of a container of ours
 *
 * The rows of transfer_local; relays use them as well.
 */
#ifndef CONTAINER_DIAL_H
#define CONTAINER_DIAL_H

#include "container/container.h"

/* dial_guest() - Return: a stream to the guest's vsock port, or negative errno */
int dial_guest(struct coffer_container *c, uint32_t port, struct coffer_error *err);

/* dial_listen(), dial_unlisten() - coffer_container_listen() and its reverse */
int dial_listen(struct coffer_container *c, uint32_t port, struct coffer_error *err);
void dial_unlisten(struct coffer_container *c, uint32_t port);

/* dial_connect() - Return: a stream to a TCP port of the container's loopback, or negative errno.
 * @cancel_fd (-1: none) readable: give up */
int dial_connect(struct coffer_container *c, uint16_t port, int cancel_fd,
		 struct coffer_error *err);

#endif /* CONTAINER_DIAL_H */
