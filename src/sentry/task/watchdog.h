/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/watchdog.h - who has not moved for long is told
 */
#ifndef SENTRY_TASK_WATCHDOG_H
#define SENTRY_TASK_WATCHDOG_H

#include "base/clock.h"
#include "base/error.h"

/**
 * watchdog_start() - Look at all tasks from now on
 * @interval:	Between two looks
 *
 * A task that is in a call at WATCHDOG_TELL looks in a row, and has not slept, is logged. A kernel
 * whose tasks_lock cannot be had for WATCHDOG_END looks is ended with abort(3): nothing in it can
 * go on, and who waits for its containers would wait for ever.
 */
int watchdog_start(usec_t interval, struct coffer_error *err);
void watchdog_stop(void);

#define WATCHDOG_INTERVAL (10 * USEC_PER_SEC)
#define WATCHDOG_TELL	  3
#define WATCHDOG_END	  12

#endif /* SENTRY_TASK_WATCHDOG_H */
