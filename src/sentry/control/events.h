/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/events.h - what happens to processes, told to whoever listens
 */
#ifndef SENTRY_CONTROL_EVENTS_H
#define SENTRY_CONTROL_EVENTS_H

#include "contract/events.h"
#include "sentry/control/rpc.h"

/* events_tell_start(), events_tell_exit() - @p is RUNNING, STOPPED since just now */
void events_tell_start(const struct control_process *p);
void events_tell_exit(const struct control_process *p);

#endif /* SENTRY_CONTROL_EVENTS_H */
