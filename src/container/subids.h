/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/subids.h - the ids that an ordinary user has been given
 */
#ifndef CONTAINER_SUBIDS_H
#define CONTAINER_SUBIDS_H

#include <stdbool.h>

#include "base/error.h"
#include "spec/spec.h"

struct subids {
	bool ranges; /* more than one's own */
	/* Root is the user, the ids from 1 on those of /etc/subuid and /etc/subgid. */
	struct oci_id_mappings uids, gids; /* owned */
};

/* subids_find() - Of who calls. Without both files' ranges, or without newuidmap and newgidmap, the
 * maps have one's own id alone */
int subids_find(struct subids *out, struct coffer_error *err);
/* subids_parse() - Add the ranges of @name, or @id as a number, in the @n bytes @text of such a
 * file to @map */
int subids_parse(const char *text, size_t n, const char *name, uint32_t id,
		 struct oci_id_mappings *map, struct coffer_error *err);
void subids_free(struct subids *s);

#endif /* CONTAINER_SUBIDS_H */
