/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/sentry_names.h - what coffer-oci and coffer-oci-sentry leave for each other
 *
 * In the container's directory.
 */
#ifndef OCI_SENTRY_NAMES_H
#define OCI_SENTRY_NAMES_H

#define SENTRY_DOCUMENT "inside.json" /* what the container is to be */
#define SENTRY_SOCKETS	"sentry"      /* directory of the contract's sockets */
#define SENTRY_VERDICT	"verdict"     /* datagram socket: what came of the start */
#define SENTRY_VERDICT_OF "verdict-"  /* the same for a further process, whose id follows */
#define SENTRY_GUARD	"guard"	      /* in SENTRY_SOCKETS: who stands for a process holds a
				       * connection, and has said its id */
#define SENTRY_ID_MAX	64

#endif /* OCI_SENTRY_NAMES_H */
