/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/retry.h - how often something is tried again, and when
 */
#ifndef IMAGE_REGISTRY_RETRY_H
#define IMAGE_REGISTRY_RETRY_H

#include "base/clock.h"

#define RETRY_AFTER_MAX 90 /* seconds: who wants a longer pause is not waited for */

/* All zero at first. */
struct retry {
	unsigned tries; /* since something was last achieved */
	unsigned all;
};

/**
 * retry_next() - Pause before the next try
 * @after:	Seconds that the other side asks for; 0: it does not
 *
 * Return: microseconds; USEC_INFINITY: it has been tried often enough
 */
usec_t retry_next(struct retry *r, unsigned after);
/* retry_achieved() - It got somewhere: pauses are short again */
static inline void retry_achieved(struct retry *r)
{
	r->tries = 0;
}

#endif /* IMAGE_REGISTRY_RETRY_H */
