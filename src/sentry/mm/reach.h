/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/reach.h - the piece behind an address, for the files of mm/user.h
 */
#ifndef SENTRY_MM_REACH_H
#define SENTRY_MM_REACH_H

#include <stdbool.h>
#include <stdint.h>

struct mm;
struct piece;

/* reach_lock() - Find what is at @addr, faulted in and accessible. With 0 mm->lock is held for
 * reading, until reach_unlock(). Return: 0, -EFAULT, -ENOMEM */
int reach_lock(struct mm *mm, uint64_t addr, bool write, const struct piece **out);
void reach_unlock(struct mm *mm);

#endif /* SENTRY_MM_REACH_H */
