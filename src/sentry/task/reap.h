/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/reap.h - waiting for children
 */
#ifndef SENTRY_TASK_REAP_H
#define SENTRY_TASK_REAP_H

#include <stdint.h>
#include <sys/resource.h>

struct process;
struct task;

enum reap_what { REAP_ANY, REAP_PID, REAP_PGRP, REAP_PROCESS };

struct reap {
	enum reap_what what;
	int id;				/* PID, PGRP */
	const struct process *process;	/* PROCESS: of a pidfd */
	uint32_t options;		/* of waitid(2) */
	/* What was found */
	int pid;			/* 0: nothing, with WNOHANG */
	uint32_t uid;
	int code;			/* CLD_* */
	int status;			/* exit code or signal */
	int raw;			/* as wait4(2) tells it */
	struct rusage usage;
};

/* reap_wait() - Return: 0, -ECHILD, -ERESTARTSYS */
long reap_wait(struct task *task, struct reap *reap);

#endif /* SENTRY_TASK_REAP_H */
