/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/reaper.h - SIGCHLD: the agent's own children and orphans
 */
#ifndef AGENT_REAPER_H
#define AGENT_REAPER_H

#include "agent/agent.h"

/* reaper_init() - Reap on SIGCHLD from now on */
int reaper_init(struct agent *agent, struct coffer_error *err);

/* reaper_reap() - Everything that has ended by now; for a handler that waits for processes */
void reaper_reap(struct agent *agent);

#endif /* AGENT_REAPER_H */
