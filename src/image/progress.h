/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/progress.h - a caller's struct coffer_transfer: told one at a time, cancelled together
 *
 * A transfer's threads tell how it goes through one of these, and look at its
 * one descriptor for whether they shall go on: it is readable when the caller
 * has had enough, or when progress_cancel() was called because another thread
 * has failed.
 */
#ifndef IMAGE_PROGRESS_H
#define IMAGE_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "coffer/image.h"

struct progress {
	struct coffer_transfer how; /* the caller's; parallel is filled in */
	pthread_mutex_t lock;
	int event;     /* owned */
	int cancel_fd; /* owned; never read, only polled */
};

/* progress_open() - @how: NULL: the defaults. Errors: invalid-argument */
int progress_open(struct progress *p, const struct coffer_transfer *how, struct coffer_error *err);
void progress_close(struct progress *p);
/* progress_tell() - Call the caller. @what: may be NULL */
void progress_tell(struct progress *p, enum coffer_progress_kind kind, const char *what,
		   uint64_t done, uint64_t total);
/* progress_forward() - The same as a function for others. @data: the struct progress */
void progress_forward(void *data, const struct coffer_progress *what);
/* progress_cancel() - All that looks at cancel_fd gives up */
void progress_cancel(struct progress *p);
/* progress_check() - Return: 0, or -ECANCELED with @err filled */
int progress_check(struct progress *p, struct coffer_error *err);

#endif /* IMAGE_PROGRESS_H */
