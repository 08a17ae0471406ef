/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/timer.h - one thread with a heap of deadlines
 *
 * For everything that has to happen at a time while nobody waits for it: itimers, timer_create,
 * alarm, timerfd. A callback runs in that thread without any lock, and must be quick.
 */
#ifndef SENTRY_TASK_TIMER_H
#define SENTRY_TASK_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

struct timer {
	void (*fn)(struct timer *timer);
	/* task/timer.c's */
	uint64_t when;	   /* nanoseconds of clock; 0: not armed */
	clockid_t clock;   /* CLOCK_MONOTONIC, _REALTIME, _BOOTTIME */
	unsigned index;	   /* in the heap */
	bool cancelled;	   /* somebody waits in timer_cancel(): it is not armed again */
};

int timers_start(struct coffer_error *err);
void timers_stop(void);
/* timer_arm() - At @when nanoseconds of @clock; 0 disarms. Return: 0 or -ENOMEM */
int timer_arm(struct timer *timer, clockid_t clock, uint64_t when);
/* timer_cancel() - After this fn does not run and is not running, unless called from fn */
void timer_cancel(struct timer *timer);

uint64_t clock_nanoseconds(clockid_t clock);

#endif /* SENTRY_TASK_TIMER_H */
