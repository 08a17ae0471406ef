/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/retry.c - how often something is tried again, and when
 *
 * Pauses double, and differ between those whom the same failure hit at the
 * same time.  Both numbers of tries are bounded: a registry that lets go after
 * each byte is not achieving anything.  Callers: inquiry.c.
 */
#include "image/registry/retry.h"

#define RETRY_TRIES 5
#define RETRY_ALL   40
#define RETRY_FIRST (300 * USEC_PER_MSEC)

usec_t retry_next(struct retry *r, unsigned after)
{
	usec_t pause;

	if (after > RETRY_AFTER_MAX || r->tries >= RETRY_TRIES || r->all >= RETRY_ALL)
		return USEC_INFINITY;
	pause = RETRY_FIRST << r->tries++;
	r->all++;
	pause += clock_now() % (pause / 4);
	return after * USEC_PER_SEC > pause ? after * USEC_PER_SEC : pause;
}
