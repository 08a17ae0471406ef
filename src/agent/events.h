/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/events.h - what happens to processes, told to whoever listens
 */
#ifndef AGENT_EVENTS_H
#define AGENT_EVENTS_H

#include "agent/extras.h"
#include "contract/events.h"

struct events_oom;

/* events_listened() - As struct contract_ops has it */
void events_listened(void *side);

/* events_tell_start(), events_tell_exit() - @p is RUNNING, STOPPED since just now */
void events_tell_start(const struct process *p);
void events_tell_exit(const struct process *p);

/* events_forget() - @c is about to be freed */
void events_forget(struct container *c);

#endif /* AGENT_EVENTS_H */
