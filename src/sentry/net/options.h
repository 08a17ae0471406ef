/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/options.h - options of SOL_SOCKET for families that are ours
 */
#ifndef SENTRY_NET_OPTIONS_H
#define SENTRY_NET_OPTIONS_H

#include "sentry/net/socket.h"

#define OPTION_BUFFER_DEFAULT 212992

/* option_tell() - As much of an answer as the caller takes. Return: 0 */
int option_tell(void *value, socklen_t *len, const void *answer, size_t size);
/* option_int() - Return: 0 or -EINVAL: too short */
int option_int(const void *value, socklen_t len, int *out);
/* option_buffer() - What SO_SNDBUF or SO_RCVBUF of @value makes of a buffer */
uint32_t option_buffer(int value, uint32_t min);

/* Options that are remembered, or have one value, and mean nothing between sockets of one machine.
 * Return: 0, -ENOPROTOOPT */
int option_get_plain(struct socket *s, int name, void *value, socklen_t *len);
int option_set_plain(struct socket *s, int name, int value);

#endif /* SENTRY_NET_OPTIONS_H */
