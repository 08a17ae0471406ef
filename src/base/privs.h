/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/privs.h - giving up ids, capabilities and the way back
 */
#ifndef BASE_PRIVS_H
#define BASE_PRIVS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct privs {
	bool set_ids; /* change to the two below and to no other group; else keep what there is */
	uid_t uid;
	gid_t gid;
};

/**
 * privs_drop() - Ids, all capabilities, the bounding set; no new privileges, no core dumps
 *
 * Afterwards no other process of the same user may trace this one.
 */
int privs_drop(const struct privs *p, struct coffer_error *err);

#endif /* BASE_PRIVS_H */
