/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/container.h - a container inside the kernel
 *
 * What its processes share: process ids, mounts, host name, limits. Made by control/ from an OCI
 * document, looked at by every room.
 */
#ifndef SENTRY_CONTROL_CONTAINER_H
#define SENTRY_CONTROL_CONTAINER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sentry/kernel.h"
#include "sentry/net/socket.h"

struct ipc_space;
struct mount_table;
struct pid_table;
struct process;

struct sandbox_container {
	struct sandbox_container *next;	/* kernel.containers */
	_Atomic unsigned refs;
	char *id;			/* owned */
	uint64_t serial;		/* from 1, never used again: for who compares and holds no reference */
	uint64_t net_space;		/* what abstract names are looked up in: serial; 0: the sandbox's */
	char hostname[65], domainname[65]; /* tasks_lock */
	struct mount_table *mounts;	/* a reference: what its init begins with */
	struct pid_table *pids;		/* owned; task/pid.c, tasks_lock */
	struct process *init;		/* a reference; NULL: not started, or gone */
	struct super *devpts;		/* a reference: its /dev/pts */
	const struct socket_backend *network; /* NULL: no inet sockets */
	struct ipc_space *ipc;		/* owned; ipc/ids.c, ipc_lock(); NULL: nothing was made */
	uint64_t cpu_usec;		/* tasks_lock: of tasks that have ended */
	uint64_t memory_max;		/* 0: as the sandbox's */
	unsigned pids_max, npids;	/* tasks_lock */
	unsigned nsignals;		/* tasks_lock: queued for its processes */
	int oom_score_adj;
	_Atomic uint64_t oom_kills;
	_Atomic bool frozen;
	struct waitq events;		/* something changed that control/ tells the host */
};

/* References keep what is above readable for processes and files that outlive the container: in
 * descriptors that others were given. Any thread, any lock; container_free() is boot.h's */
struct sandbox_container *container_get(struct sandbox_container *container);
void container_put(struct sandbox_container *container);

#endif /* SENTRY_CONTROL_CONTAINER_H */
