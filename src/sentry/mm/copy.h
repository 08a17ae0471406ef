/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/copy.h - copying that survives memory the host cannot give
 *
 * Guest pages come into being when they are touched. When the host has none left it says so with
 * SIGBUS; these end early instead.
 */
#ifndef SENTRY_MM_COPY_H
#define SENTRY_MM_COPY_H

#include <stddef.h>
#include <stdint.h>

/* copy_init() - Once a process: handles SIGBUS. Return: 0 or negative errno */
int copy_init(void);

/* Return: bytes that were not done, 0: all were */
size_t copy_bytes(void *dst, const void *src, size_t n);
size_t copy_zeros(void *dst, size_t n);

/*
 * The memory file's mapping. Whoever touches it by other means than these, and meets a page that
 * cannot be had, works on zeros of our own until copy_area_repair().
 */
void copy_area_set(void *base, size_t size, int fd); /* NULL: none */
/* copy_area_repair() - Cheap when there is nothing to do */
void copy_area_repair(void);

/*
 * A page of a file of the host that we have to look at in place. If the host takes it away, zeros
 * of our own come in its stead.
 */
struct copy_window {
	struct copy_window *next; /* copy.c's */
	void *page;
};

int copy_window_open(int fd, uint64_t offset, int prot, struct copy_window **out);
void copy_window_close(struct copy_window *window);

#endif /* SENTRY_MM_COPY_H */
