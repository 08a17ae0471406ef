/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/timing.c - coffer run --timing
 *
 *	main .. the phases of create and start .. ended .. stopped
 *
 * They follow each other without a gap, so that they sum to the total; the
 * first byte of output comes sometime within "run".  What is too short to be
 * seen has no line.
 */
#include "cli/timing.h"

static void timing_line(FILE *out, const char *name, uint64_t usec, const char *note)
{
	fprintf(out, "%-20s %8llu.%llu ms%s\n", name, (unsigned long long)usec / 1000,
		(unsigned long long)usec / 100 % 10, note);
}

static void timing_stretch(FILE *out, const char *name, uint64_t from, uint64_t to,
			   const char *note)
{
	if (from && to)
		timing_line(out, name, to > from ? to - from : 0, note);
}

void timing_print(const struct timing_run *t, FILE *out)
{
	const struct coffer_phase *last = t->nphases ? &t->phases[t->nphases - 1] : NULL;
	uint64_t started = last ? last->begin + last->duration : 0;

	timing_stretch(out, "prepare", t->main, last ? t->phases[0].begin : 0, "");
	for (size_t i = 0; i < t->nphases; i++)
		timing_line(out, t->phases[i].name, t->phases[i].duration, "");
	timing_stretch(out, "first-byte", started, t->first_byte, "  (within run)");
	timing_stretch(out, "run", started, t->ended, "");
	timing_stretch(out, "stop", t->ended, t->stopped, "");
	timing_stretch(out, "total", t->main, t->stopped, "");
}
