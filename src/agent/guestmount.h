/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestmount.h - the Mount and Umount requests
 */
#ifndef AGENT_GUESTMOUNT_H
#define AGENT_GUESTMOUNT_H

#include "agent/agent.h"
#include "spec/spec.h"

struct guestmount_args {
	const struct agent *agent;
	const char *type, *source, *destination;
	struct oci_strv options; /* borrowed */
};

/* guestmount_make() - Make the target, mount, then propagation and per-mount flags */
int guestmount_make(const struct guestmount_args *args, struct coffer_error *err);

/* guestmount_source_may_appear() - Whether the failure may be a disk that is only being plugged in
 */
bool guestmount_source_may_appear(const struct guestmount_args *args,
				  const struct coffer_error *err);
/* guestmount_make_late() - Like guestmount_make(), trying for two seconds. Blocks: for a worker.
 * @arg: struct guestmount_args */
int guestmount_make_late(const void *arg, struct coffer_error *err);

struct guestmount_remove_args {
	const struct agent *agent;
	const char *path;
	int flags;
};

/* guestmount_remove() - umount2(2), waiting half a second for a busy mount. Blocks: for a worker.
 * @arg: struct guestmount_remove_args */
int guestmount_remove(const void *arg, struct coffer_error *err);

#endif /* AGENT_GUESTMOUNT_H */
