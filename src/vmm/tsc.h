/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/tsc.h - the host's time stamp counter rate, for the guest's kernel
 *
 * Under emulation the guest's counter is the host's, and a guest kernel that
 * has to calibrate it against emulated timers on a busy host may hang for ever.
 * So it is told.
 */
#ifndef VMM_TSC_H
#define VMM_TSC_H

#include <stdint.h>

struct tsc_sample {
	uint64_t tsc;
	uint64_t nsec;
};

/* tsc_take() - Read counter and clock as close together as the machine allows */
void tsc_take(struct tsc_sample *s);

/**
 * tsc_khz_since() - The counter's rate from @start until now
 * @start:	Taken early; anything done since then is free measuring time
 *
 * Waits only for what is missing to 1 ms, which is good for about 2 ppm.
 *
 * Return: kHz
 */
uint32_t tsc_khz_since(const struct tsc_sample *start);

#endif /* VMM_TSC_H */
