/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/oom.h - was it the host's kernel, for want of memory?
 *
 * Nothing about a killed process says so.  What the host tells: how many it has
 * killed so far, and, to whom may read it, which ones.
 */
#ifndef SANDBOX_OOM_H
#define SANDBOX_OOM_H

#include <stdbool.h>
#include <stdint.h>

/* oom_count() - Processes that the kernel has killed since it started; 0: it does not tell */
uint64_t oom_count(void);

/* oom_has_killed() - Was @pid, dead by SIGKILL, one of them? @before: the count of an earlier time.
 * Where only the count is to be had, an increase is taken for a yes */
bool oom_has_killed(uint64_t before, int pid);

#endif /* SANDBOX_OOM_H */
