/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/record.h - what is told and kept of a container
 */
#ifndef CONTAINER_RECORD_H
#define CONTAINER_RECORD_H

#include "base/json.h"
#include "container/container.h"

/* record_note() - The container's state is @state, or will be in a moment: write its record, if one is
 * to be kept. For who is busy, without the lock; at the end, before c->dir is given up */
void record_note(struct coffer_container *c, enum coffer_state state);

/* What inspect tells that is asked for without the lock. */
struct inspect_phases {
	struct coffer_phase v[COFFER_PHASES_MAX];
	size_t n;
};

/* inspect_make() - All there is to say; container's lock held. Return: an object, or NULL */
struct json_object *inspect_make(struct coffer_container *c, enum coffer_state state,
				 const struct inspect_phases *phases);

/* inspect_make_lost() - Make a record's object say that its owner went without a word. Return: false
 * without memory */
bool inspect_make_lost(struct json_object *doc);

/* inspect_text() - An object as text of its own, for a file or for people */
int inspect_text(struct json_object *doc, char **out, struct coffer_error *err);

#endif /* CONTAINER_RECORD_H */
