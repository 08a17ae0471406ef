/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/spawn.h - child processes that report their own failure to the parent
 *
 * spawn_exec() forks, arranges descriptors, runs an optional hook in the
 * child, and execs.  Whatever fails before execve succeeds (the hook included)
 * comes back to the caller as the error object, sent over a close-on-exec
 * socket.  A struct child is a resource: its cleanup kills and reaps.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"

struct child {
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none; readable when the child has ended */
};

#define CHILD_INIT { .pid = 0, .pidfd = -1 }

/* One descriptor to inherit: @fd of the parent becomes @target in the child. */
struct spawn_fd {
	int fd;
	int target;
};

struct spawn_args {
	const char *path;         /* program; no PATH search */
	const char *const *argv;  /* NULL-terminated */
	const char *const *envp;  /* NULL-terminated; NULL: empty environment */
	const struct spawn_fd *fds; /* every other descriptor is closed; 0..2 default to /dev/null */
	size_t nfds;
	int pdeathsig;            /* signal when the spawning thread dies; 0: none */
	bool new_session;         /* setsid() */
	unsigned long clone_flags; /* CLONE_NEW*: namespaces that the child begins in */
	/* Runs here while the child, which is there, waits; to map its ids for instance. */
	int (*parent_hook)(void *data, pid_t child, struct coffer_error *err);
	/* Runs in the child after descriptors are set, before exec; fills @err on failure. */
	int (*hook)(void *data, struct coffer_error *err);
	void *hook_data;
};

int spawn_exec(const struct spawn_args *args, struct child *out, struct coffer_error *err);

/**
 * spawn_fork() - fork with a pidfd (clone3), signals unblocked and defaulted in the child
 *
 * Return: 0 in the child, 1 in the parent with @out filled, negative errno
 */
int spawn_fork(unsigned long clone_flags, struct child *out, struct coffer_error *err);

/* spawn_reset_signals() - In a child: every signal at its default action, none blocked */
void spawn_reset_signals(void);

/* child_wait() - Reap. Return: 0 with *@si filled, -ETIMEDOUT, or -errno; empties @c on success */
int child_wait(struct child *c, usec_t deadline, siginfo_t *si);
/* child_kill() - Signal through the pidfd; 0 also when it has ended already */
int child_kill(const struct child *c, int sig);
/* child_end() - SIGKILL and reap if there is one; leaves CHILD_INIT */
void child_end(struct child *c);
#define autochild CLEANUP(child_end)

static inline struct child child_steal(struct child *c)
{
	struct child r = *c;

	*c = (struct child)CHILD_INIT;
	return r;
}

/* spawn_exit_code() - 0..255 as a shell says it: the status, or 128 + signal */
int spawn_exit_code(const siginfo_t *si);

/* spawn_signal_parse() - "KILL", "SIGKILL", "9", "RTMIN+3". Return: number or -EINVAL */
int spawn_signal_parse(const char *name);

#endif /* BASE_SPAWN_H */
