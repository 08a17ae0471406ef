/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/bound.h - how much of one kind guests can pile up in the sentry's own memory
 *
 * What lies in guest memory is limited with it. What a guest makes us remember besides (open files,
 * names, messages) is counted here, all containers together, and ends at a share of the memory that
 * guests have: as on Linux, where most of these limits are shares of the machine's.
 */
#ifndef SENTRY_VFS_BOUND_H
#define SENTRY_VFS_BOUND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* One for each @each bytes of guests' memory, but at least @least and at most @most. */
struct bound {
	size_t each, least, most;
	_Atomic size_t used;
};

size_t bound_limit(const struct bound *b);
/* bound_add() - Also beyond the limit: bound_is_full() is asked where it can be said */
void bound_add(struct bound *b, size_t n);
bool bound_is_full(const struct bound *b);
/* bound_take() - Return: false: there are no @n more */
bool bound_take(struct bound *b, size_t n);
void bound_give(struct bound *b, size_t n);

#endif /* SENTRY_VFS_BOUND_H */
