/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/boot.h - the kernel, from nothing to where containers can be made
 */
#ifndef SENTRY_CONTROL_BOOT_H
#define SENTRY_CONTROL_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "sentry/trap/trap.h"

struct sandbox_container;
struct mount_table;

struct boot_args {
	uint64_t memory_max;
	unsigned pids_max;
	unsigned cpus;
	enum trap_how how;
	bool strace;
	int gofer; /* socket to a gofer, taken over; -1: none */
};

/* boot_kernel() - Fill struct kernel; before any other thread, and before the jail is shut: it
 * starts the zygote */
int boot_kernel(const struct boot_args *args, struct coffer_error *err);
/* boot_shutdown() - Kill every stub; for tests, a sentry just exits */
void boot_shutdown(void);

/* container_new() - Known to the kernel from now on. @mounts: a reference is taken over, also when
 * this fails; what is mounted in it is the caller's matter */
int container_new(const char *id, struct mount_table *mounts, struct sandbox_container **out,
		  struct coffer_error *err);
/* container_free() - Unknown from now on, its mounts gone. No process of it may be left */
void container_free(struct sandbox_container *container);

#endif /* SENTRY_CONTROL_BOOT_H */
