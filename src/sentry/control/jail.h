/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/jail.h - the walls around the sentry itself
 */
#ifndef SENTRY_CONTROL_JAIL_H
#define SENTRY_CONTROL_JAIL_H

#include <stdbool.h>

#include "base/error.h"
#include "sentry/jail.h"

/* What an own network namespace begins with: its loopback device up. Before jail_enter() */
int jail_network(bool own, struct coffer_error *err);

/* jail_enter() - An empty root directory that nobody can write to, no capabilities, no way back */
int jail_enter(struct coffer_error *err);

/* The calls that the sentry may make, in groups: what any needs, files of the host, sockets of the
 * host. */
extern const struct jail_list jail_sentry_core[], jail_sentry_files[], jail_sentry_sockets[];
extern const size_t jail_sentry_ncore, jail_sentry_nfiles, jail_sentry_nsockets;

/* jail_shut() - The filter, last of all. Return: how many different calls are left, or -errno */
int jail_shut(bool sockets, struct coffer_error *err);

#endif /* SENTRY_CONTROL_JAIL_H */
