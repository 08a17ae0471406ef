/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/vm_internal.h - shared by the vm_*.c files only
 */
#ifndef SANDBOX_VM_INTERNAL_H
#define SANDBOX_VM_INTERNAL_H

#include <pthread.h>

#include "base/spawn.h"
#include "sandbox/hello.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm_cost.h"

struct vm {
	struct sandbox sb;
	struct sandbox_config cfg;
	char *program;        /* coffer-vmm; owned */
	int kernel_fd;        /* owned, as all below */
	int initrd_fd;        /* with the archive behind it, if there is one */
	int lifetime_fd;      /* our end; the monitor ends when it is closed */
	int greeting_fd;      /* listener for the agent */
	int agent_fd;         /* the agent's connection, over which it greets */
	char hello[AGENT_HELLO_MAX]; /* what there is of the greeting */
	size_t hello_len;
	struct sandbox_info info;

	pthread_mutex_t lock; /* guards what follows */
	struct child monitor;
	struct vm_process monitor_process;
	int end_fd;           /* readable when the monitor has ended; also after it was reaped */
	int status_fd;        /* its words to us */
	struct vm_process processes[1 + SANDBOX_SHARES_MAX]; /* below the monitor */
	unsigned nprocesses;
	bool has_ended;
	struct sandbox_end end; /* when it has */
	uint64_t oom_kills;     /* by the host's kernel before the boot */
};

/* vm_spawn() - Start coffer-vmm with vm->cfg; fills monitor, lifetime_fd, status_fd */
int vm_spawn(struct vm *vm, struct coffer_error *err);

#endif /* SANDBOX_VM_INTERNAL_H */
