/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/trace.h - what happens to processes, as lines of JSON for whoever watches a sandbox
 *
 *	{"time":"2026-01-02T03:04:05.678901Z","event":"exec","container":"box","pid":2,"tid":2,
 *	 "path":"/bin/ls","argv":["ls","-l"]}
 *
 * Events: "start" (a process that the host asked for: argv), "clone" (child, thread), "exec" (path,
 * argv), "exit" (status or signal). Nothing is written where nobody asked for it. Lines are whole;
 * one that a pipe has no room for is left out, a guest never waits for a reader. Any thread, any
 * lock held.
 */
#ifndef SENTRY_TRACE_H
#define SENTRY_TRACE_H

#include <stdbool.h>

struct process;
struct task;

/* trace_to() - From now on to @fd, which is taken over */
void trace_to(int fd);

void trace_start(const struct process *process, char *const *argv);
void trace_clone(const struct task *task, int child, bool thread);
void trace_exec(const struct task *task, const char *path, char *const *argv);
/* trace_exit() - @status as wait(2) encodes it */
void trace_exit(const struct process *process, int status);

#endif /* SENTRY_TRACE_H */
