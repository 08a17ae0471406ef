/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/share_jail.h - the walls around the server of a shared directory
 */
#ifndef VMM_SHARE_JAIL_H
#define VMM_SHARE_JAIL_H

#include "base/spawn.h"
#include "vmm/jail.h"

#define SHARE_JAIL_FD_SOCKET 3 /* where it finds its listener */
#define SHARE_JAIL_FD_DIR    4 /* what it shares; closed before it runs */
#define SHARE_JAIL_DIR	     "share" /* where it sees that, in its root */

struct share_jail {
	const struct jail *jail;
	const char *vm_dir;
	const char *program;
	bool readonly;
	const char *file; /* the one file of it that is shared; "": all */
	bool own_id_only; /* set in here */
};

/**
 * share_jail_spawn() - spawn_exec() in namespaces of its own
 * @args:	Without hooks and flags, which are put in here
 *
 * Return: 0 or negative errno; -EPERM with words where the host forbids the namespaces
 */
int share_jail_spawn(const struct share_jail *jail, struct spawn_args *args, struct child *out,
		     struct coffer_error *err);

#endif /* VMM_SHARE_JAIL_H */
