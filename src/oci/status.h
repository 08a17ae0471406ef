/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/status.h - where a container is in its life
 */
#ifndef OCI_STATUS_H
#define OCI_STATUS_H

#include "oci/state.h"

enum status {
	STATUS_CREATING, /* create or run is at work */
	STATUS_CREATED,  /* init waits for start */
	STATUS_RUNNING,
	STATUS_PAUSED,
	STATUS_STOPPED,  /* init has ended, or was never made by a creation that was killed */
	STATUS_COUNT,
};

#define STATUS_BIT(status) (1u << (status))
/* There is an init, and it is complete. */
#define STATUS_LIVE (STATUS_BIT(STATUS_CREATED) | STATUS_BIT(STATUS_RUNNING) | STATUS_BIT(STATUS_PAUSED))

/* status_str() - As the specification words it */
const char *status_str(enum status status);

/* status_get() - Found out, not stored. Return: enum status or negative errno */
int status_get(const struct state_dir *dir, const struct state *state, struct coffer_error *err);

#endif /* OCI_STATUS_H */
