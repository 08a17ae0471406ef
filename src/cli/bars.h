/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/bars.h - how a transfer of images goes, for people: bars on a terminal, else lines
 */
#ifndef CLI_BARS_H
#define CLI_BARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "coffer/image.h"

#define BARS_MAX 24 /* at once; more than the library transfers side by side */
#define BARS_NAME_MAX 160

/* Something that is under way. */
struct bar {
	char what[BARS_NAME_MAX]; /* a digest, or an image */
	bool build;               /* of its root file system */
	uint64_t done, total;     /* bytes; total 0: not known */
	usec_t since;             /* when it was first told of */
	double rate;              /* bytes a second, smoothed; 0: not known yet */
	usec_t looked_at;         /* for the rate */
	uint64_t looked_done;
};

struct bars {
	int fd; /* borrowed */
	bool terminal;
	struct bar v[BARS_MAX]; /* in the order in which they began */
	size_t n;
	size_t widths[BARS_MAX]; /* of the lines that are on the terminal now */
	size_t drawn;
	usec_t drawn_at;
};

/* bars_begin() - On @fd */
void bars_begin(struct bars *bars, int fd);
/* bars_tell() - struct coffer_transfer.progress, with the struct bars as its data */
void bars_tell(void *data, const struct coffer_progress *p);
/* bars_end() - Nothing that was under way stays on the terminal */
void bars_end(struct bars *bars);

/* bars_line() - One as text of less than @columns characters. Return: how many */
size_t bars_line(const struct bar *bar, size_t columns, char *out, size_t size);

#endif /* CLI_BARS_H */
