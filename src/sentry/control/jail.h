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

/* jail_shut() - The filter, last of all; with the calls for @files and inet @sockets of the host or
 * without. Return: how many different calls are left, or negative errno */
int jail_shut(bool files, bool sockets, struct coffer_error *err);

#endif /* SENTRY_CONTROL_JAIL_H */
