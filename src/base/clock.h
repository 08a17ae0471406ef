/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/clock.h - monotonic time, deadlines, and budgets that scale under emulation
 *
 * A time budget is written in the code for a machine with hardware
 * virtualization; clock_set_scale() stretches every budget of the process when
 * the guest runs emulated.  A deadline is an absolute monotonic time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef uint64_t usec_t;

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

/* clock_now() - CLOCK_MONOTONIC in microseconds */
usec_t clock_now(void);

/* clock_set_scale() - Stretch budgets by @factor (1 to 100) from now on; process-wide */
void clock_set_scale(unsigned factor);

/* clock_budget() - @usec stretched by the scale; USEC_INFINITY stays */
usec_t clock_budget(usec_t usec);

/* deadline_in() - Absolute time @usec from now, saturating */
usec_t deadline_in(usec_t usec);

/* deadline_left() - Microseconds until @deadline, 0 when passed, USEC_INFINITY when it is that */
usec_t deadline_left(usec_t deadline);

/* deadline_poll_ms() - The same for poll(2): milliseconds rounded up, -1 for never */
int deadline_poll_ms(usec_t deadline);

#endif /* BASE_CLOCK_H */
