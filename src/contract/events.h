/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/events.h - what happens to processes, told to whoever listens
 */
#ifndef CONTRACT_EVENTS_H
#define CONTRACT_EVENTS_H

#include <time.h>

#include "contract/contract.h"

/* extras_events() - A stream that ends when the client hangs up or does not keep up */
RPC_METHOD(extras_events);

/* events_heard() - Whether anybody listens */
bool events_heard(void);
/* events_tell() - @when: NULL is now */
void events_tell(Ax__Event *event, const struct timespec *when);
/* events_tell_oom() - @kills so far in @container for want of memory */
void events_tell_oom(const char *container, uint64_t kills);

#endif /* CONTRACT_EVENTS_H */
