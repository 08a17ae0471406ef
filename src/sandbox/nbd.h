/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/nbd.h - disks of network block device servers
 *
 *	nbd://host[:port][/export]
 *	nbd+unix:///[export]?socket=/path
 *
 * The connection is made here, so that the machine gets a descriptor and needs
 * no way to the network.  It ends with the machine; one that breaks is not made
 * again, and the guest gets errors from its disk.
 */
#ifndef SANDBOX_NBD_H
#define SANDBOX_NBD_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

#define NBD_EXPORT_MAX 255

struct nbd_address {
	char host[256]; /* "": a unix socket */
	char port[6];
	char socket[108];
	char export[NBD_EXPORT_MAX + 1]; /* "": the server's default */
};

/* nbd_parse() - Take an URL apart; %XX stands for any byte but 0 */
int nbd_parse(const char *url, struct nbd_address *out, struct coffer_error *err);

/* For the connection and the greeting; tests have more patience, and less. */
extern usec_t nbd_budget;

/* nbd_connect() - And wait for the server's greeting, 5 s in all. Return: descriptor (blocking),
 * from which the greeting can still be read, or negative errno */
int nbd_connect(const struct nbd_address *address, struct coffer_error *err);

#endif /* SANDBOX_NBD_H */
