/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/clock.c - monotonic time, deadlines, scaled budgets
 *
 * All arithmetic saturates, so USEC_INFINITY can be passed anywhere.
 */
#include "base/clock.h"

#include <limits.h>
#include <stdatomic.h>
#include <time.h>

static atomic_uint clock_scale = 1;

usec_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

void clock_set_scale(unsigned factor)
{
	clock_scale = factor < 1 ? 1 : factor > 100 ? 100 : factor;
}

usec_t clock_budget(usec_t usec)
{
	unsigned scale = clock_scale;

	return usec > USEC_INFINITY / scale ? USEC_INFINITY : usec * scale;
}

usec_t deadline_in(usec_t usec)
{
	usec_t now = clock_now();

	return usec > USEC_INFINITY - now ? USEC_INFINITY : now + usec;
}

usec_t deadline_left(usec_t deadline)
{
	usec_t now;

	if (deadline == USEC_INFINITY)
		return USEC_INFINITY;
	now = clock_now();
	return deadline > now ? deadline - now : 0;
}

int deadline_poll_ms(usec_t deadline)
{
	usec_t left = deadline_left(deadline);

	if (left == USEC_INFINITY)
		return -1;
	left = (left + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
	return left > INT_MAX ? INT_MAX : (int)left;
}
