/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/mm/oom.h - when guests want more memory than there is; mm/'s own
 */
#ifndef SENTRY_MM_OOM_H
#define SENTRY_MM_OOM_H

#include <stdbool.h>

/* oom_relieve() - A page could not be had: see that somebody gives some back, and wait a little.
 * No mm->lock held. Return: whether it is worth trying again */
bool oom_relieve(void);
/* oom_begin() - There is an address space: look after the limit if the memory file does not */
void oom_begin(void);

#endif /* SENTRY_MM_OOM_H */
