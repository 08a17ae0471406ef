/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/calls.h - which system calls a container's programs made that its sandbox does not have
 */
#ifndef CONTAINER_CALLS_H
#define CONTAINER_CALLS_H

#include <json-c/json.h>

struct coffer_container;

/* calls_ask() - Once more, while it can be asked; where the sandbox does not count, nothing is done.
 * c->lock is not held. */
void calls_ask(struct coffer_container *c);

/* calls_make() - What was last known, {"getpid": 3 ...}; NULL: nothing, or no memory. c->lock is held */
struct json_object *calls_make(const struct coffer_container *c);

#endif /* CONTAINER_CALLS_H */
