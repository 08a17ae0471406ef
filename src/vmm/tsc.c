/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/tsc.c - the host's time stamp counter rate, for the guest's kernel
 *
 * A sample is the tightest of a few counter-clock-counter triples, so an
 * interrupt in one of them does no harm; two samples a millisecond apart give
 * the rate within a few ppm.  The perf interface would give it exactly, but its
 * first use on a host costs an RCU grace period (16 ms measured) and it is often
 * forbidden.
 */
#include "vmm/tsc.h"

#include <time.h>

#define TSC_TRIES    16
#define TSC_SPAN_MIN UINT64_C(1000000) /* ns */

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>

static uint64_t tsc_read(void)
{
	return __rdtsc();
}
#else
/* QEMU counts nanoseconds for x86 guests on other hosts. */
static uint64_t tsc_read(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}
#endif

void tsc_take(struct tsc_sample *s)
{
	uint64_t best = UINT64_MAX;

	*s = (struct tsc_sample){ 0 };
	for (int i = 0; i < TSC_TRIES; i++) {
		struct timespec ts;
		uint64_t before = tsc_read(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = tsc_read();
		if (after - before < best) {
			best = after - before;
			s->tsc = before + best / 2;
			s->nsec = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
		}
	}
}

uint32_t tsc_khz_since(const struct tsc_sample *start)
{
	struct tsc_sample now;

	do {
		tsc_take(&now);
	} while (now.nsec - start->nsec < TSC_SPAN_MIN);
	return (uint32_t)((double)(now.tsc - start->tsc) * 1e6 / (double)(now.nsec - start->nsec) +
			  0.5);
}
