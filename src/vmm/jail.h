/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/jail.h - the walls around the monitor and its machine
 *
 * What each of the two is left with:
 *
 *	                monitor                       QEMU
 *	root directory  vm_dir                        read-only: /usr and what it needs
 *	network, IPC    own and empty                 own and empty
 *	processes       sees the host's, may not      sees itself only
 *	                signal any but QEMU
 *	ids             a user of this VM alone       the same user
 *	capabilities    none                          none
 *	system calls    vmm/syscalls.def              QEMU's own -sandbox; it cannot
 *	                                              give up its parent-death signal
 *
 * Started as root, the ids are those of the config or, by default, 0x70000000
 * plus the monitor's process id: above every range that systemd or the usual
 * sub-id files give out, and different for each VM.  Started by a user, the ids
 * stay and a user namespace gives the right to the rest; where the host forbids
 * that, the namespaces are left out, and the log says so.  Root without the right to
 * make namespaces (in many containers) is treated the same.
 */
#ifndef VMM_JAIL_H
#define VMM_JAIL_H

#include "vmm/config.h"
#include "base/privs.h"

struct jail {
	struct privs privs;
	bool namespaces; /* the right to make them was there */
	int self_pidfd;  /* owned; this process, for its child to see it die */
};

#define JAIL_INIT { .self_pidfd = -1 }

/* jail_init() - First of all */
int jail_init(struct jail *j, struct coffer_error *err);

/**
 * jail_prepare() - Decide the above; before the machine is started
 * @dirfd:	vm_dir, given to the chosen user
 *
 * The next child is the first process of a new pid namespace.
 */
int jail_prepare(struct jail *j, const struct vmm_config *cfg, int dirfd,
		 struct coffer_error *err);

/**
 * jail_enter() - Lock this process in
 * @dirfd:	vm_dir; replaced by a descriptor that leads nowhere else
 *
 * The working directory is vm_dir afterwards.
 */
int jail_enter(struct jail *j, const struct vmm_config *cfg, int *dirfd, struct coffer_error *err);

/**
 * jail_filter() - From now on a system call outside vmm/syscalls.def kills the process
 *
 * Return: 0; 1 in sanitizer builds, which have no filter; negative errno
 */
int jail_filter(struct coffer_error *err);

/* jail_tie() - In a child, for good: it shall not outlive the monitor, even if it is taken over */
int jail_tie(const struct jail *j, struct coffer_error *err);

/* jail_filter_ids() - From now on this process, which has one id only, keeps it: calls that would
 * change it succeed and do nothing */
int jail_filter_ids(struct coffer_error *err);

/* jail_filter_machine() - From now on this process cannot change its parent-death signal */
int jail_filter_machine(struct coffer_error *err);

#endif /* VMM_JAIL_H */
