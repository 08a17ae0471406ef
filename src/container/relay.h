/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/relay.h - unix sockets of one side made available on the other
 */
#ifndef CONTAINER_RELAY_H
#define CONTAINER_RELAY_H

#include "container/container.h"
#include "spec/spec.h"

/* relay_check() - What can be told of configured relays without touching files; names the field */
int relay_check(const struct coffer_container_config *config, struct coffer_error *err);

/* relay_emit() - The mounts that put the configured ones where the container's init expects them */
int relay_emit(const struct coffer_container_config *config, struct oci_spec *spec,
	       struct coffer_error *err);

/**
 * relay_start_configured() - Those of the configuration; by who is busy with a start, before
 * the container's init is created
 *
 * All relays end by themselves, and take what they made on the host away, when
 * c->gone_fd is readable; until then they are a user of the machine.
 */
int relay_start_configured(struct coffer_container *c, struct coffer_error *err);

/* relay_add(), relay_remove() - coffer_container_relay_add() ... of a container of this process */
int relay_add(struct coffer_container *c, const struct coffer_relay *relay,
	      struct coffer_error *err);
int relay_remove(struct coffer_container *c, const char *id, struct coffer_error *err);

#endif /* CONTAINER_RELAY_H */
