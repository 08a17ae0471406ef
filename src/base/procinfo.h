/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/procinfo.h - facts about a process that /proc tells
 */
#ifndef BASE_PROCINFO_H
#define BASE_PROCINFO_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* procinfo_start_time() - Clock ticks after boot at which @pid began, proc(5) stat field 22: with
 * it a recorded pid can be told from a later process of the same number. Return: 0 or -ESRCH ... */
int procinfo_start_time(pid_t pid, uint64_t *ticks, struct coffer_error *err);

/**
 * procinfo_open() - The process that was recorded as @pid with @start_time
 *
 * Return: pidfd; -ESRCH when it is no process any more, or another one's number
 */
int procinfo_open(pid_t pid, uint64_t start_time, struct coffer_error *err);

/**
 * procinfo_pid_namespace() - Every process that is in the pid namespace of @init
 * @pids:	Set to a malloc'd list
 *
 * Not those in namespaces nested in it.
 */
int procinfo_pid_namespace(pid_t init, pid_t **pids, size_t *n, struct coffer_error *err);

#endif /* BASE_PROCINFO_H */
