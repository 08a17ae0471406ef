/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/boot.c - the kernel, from nothing to where containers can be made
 *
 *	memory file -> zygote and first stubs -> timers, watchdog -> the table of calls
 *
 * Called once by main before the jail is shut, because the zygote is a process of its own; and by
 * the driver of the tests.
 */
#define LOG_CATEGORY "boot"
#include "sentry/control/boot.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sentry/control/container.h"
#include "sentry/gofer/gofer.h"
#include "sentry/ipc/ipc.h"
#include "sentry/kernel.h"
#include "sentry/mm/memfile.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/task/timer.h"
#include "sentry/task/watchdog.h"
#include "sentry/vfs/facts.h"
#include "sentry/vfs/vfs.h"

int boot_kernel(const struct boot_args *args, struct coffer_error *err)
{
	int r = 0;

	/* For more than one the C library reads files of the host, and each has a reserve of its own. */
	mallopt(M_ARENA_MAX, 1);
	kernel.memory_max = args->memory_max;
	kernel.pids_max = args->pids_max;
	kernel.cpus = args->cpus;
	kernel.strace = args->strace;
	if (args->strace && !log_enabled(LOG_LEVEL_INFO))
		log_set_level(LOG_LEVEL_INFO);
	kernel.boot = clock_now();
	wait_signal_install();
	if (args->gofer >= 0)
		r = gofer_attach(args->gofer, &kernel.gofer, err);
	if (r == 0)
		r = memfile_new(args->memory_max, &kernel.memory, err);
	if (r == 0)
		r = trap_pool_new(kernel.memory, args->how, &kernel.stubs, err);
	if (r == 0)
		r = timers_start(err);
	if (r == 0)
		r = watchdog_start(WATCHDOG_INTERVAL, err);
	if (r < 0)
		return err_wrap(err, "start the kernel");
	syscalls_init();
	facts_read();
	return 0;
}

void boot_shutdown(void)
{
	watchdog_stop();
	timers_stop();
	trap_pool_free(steal_ptr(kernel.stubs));
	memfile_free(steal_ptr(kernel.memory));
	if (kernel.gofer)
		gofer_free(steal_ptr(kernel.gofer));
}

struct sandbox_container *container_get(struct sandbox_container *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void container_put(struct sandbox_container *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	pid_table_free(c->pids);
	ipc_space_free(c->ipc);
	waitq_destroy(&c->events);
	free(c->id);
	free(c);
}

int container_new(const char *id, struct mount_table *mounts, struct sandbox_container **out,
		  struct coffer_error *err)
{
	struct sandbox_container *c = calloc(1, sizeof(*c));
	static uint64_t serial; /* tasks_lock */

	if (!c) {
		mount_table_put(mounts);
		return err_nomem(err);
	}
	atomic_init(&c->refs, 1);
	waitq_init(&c->events);
	c->id = strdup(id);
	c->mounts = mounts;
	c->network = &socket_backend_host;
	c->pids = pid_table_new();
	if (!c->id || !c->pids) {
		container_free(c);
		return err_nomem(err);
	}
	pthread_mutex_lock(&kernel.tasks_lock);
	c->serial = c->net_space = ++serial;
	c->next = kernel.containers;
	kernel.containers = c;
	pthread_mutex_unlock(&kernel.tasks_lock);
	*out = c;
	return 0;
}

void container_free(struct sandbox_container *c)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	for (struct sandbox_container **link = &kernel.containers; *link; link = &(*link)->next) {
		if (*link != c)
			continue;
		*link = c->next;
		break;
	}
	pthread_mutex_unlock(&kernel.tasks_lock);
	process_put(steal_ptr(c->init));
	if (c->devpts)
		super_put(steal_ptr(c->devpts));
	mount_table_put(steal_ptr(c->mounts)); /* of which proc and cgroup refer to it */
	if (kernel.stubs)
		trap_pool_trim(kernel.stubs); /* host files it had mapped may be held there */
	container_put(c);
}
