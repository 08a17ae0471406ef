/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/container.c - the table of containers and their processes
 *
 * A container is known from the CreateProcess that names it first until its
 * init is deleted, or until that CreateProcess fails.
 *
 * Callers: rpc_process.c, process.c, reaper.c.
 */
#define LOG_CATEGORY "container"
#include "agent/container.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/events.h"
#include "agent/freezer.h"
#include "agent/reaper.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"

/* How long a killed process may take to be gone. */
#define CONTAINER_KILL_BUDGET (5 * USEC_PER_SEC)
#define CONTAINER_REAP_STEP   (10 * USEC_PER_MSEC)

struct container *container_find(const struct agent *agent, const char *id)
{
	for (struct container *c = agent->containers; c; c = c->next)
		if (strcmp(c->id, id) == 0)
			return c;
	return NULL;
}

struct process *container_process(const struct container *c, const char *id)
{
	for (struct process *p = c->processes; p; p = p->next)
		if (strcmp(p->id, id) == 0)
			return p;
	return NULL;
}

/* The id becomes a directory and a cgroup. */
static int container_check_id(const char *id, struct coffer_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(id);

	if (n == 0 || n > CONTAINER_ID_MAX || id[0] == '.' || strspn(id, allowed) != n)
		return err_invalid(err,
				   "container id \"%.*s\": want 1 to %d of letters, digits, "
				   "\"_.-\", not starting with a dot",
				   CONTAINER_ID_MAX, id, CONTAINER_ID_MAX);
	return 0;
}

int container_new(struct agent *agent, const char *id, struct container **out,
		  struct coffer_error *err)
{
	struct container *c;
	int r;

	r = container_check_id(id, err);
	if (r < 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(err);
	c->agent = agent;
	c->id = strdup(id);
	c->bundle = path_join(agent->state_dir, id);
	c->next = agent->containers;
	agent->containers = c;
	if (!c->id || !c->bundle) {
		container_free(c);
		return err_nomem(err);
	}
	*out = c;
	return 0;
}

void container_free(struct container *c)
{
	struct container **link = &c->agent->containers;

	freezer_forget(c);
	events_forget(c);
	/* Before its init is freed, whose document it has borrowed. */
	if (c->engine)
		engine_delete(steal_ptr(c->engine), NULL);
	while (c->processes)
		process_free(c->processes);
	while (*link != c)
		link = &(*link)->next;
	*link = c->next;
	free(c->rootfs);
	free(c->bundle);
	free(c->id);
	free(c);
}

static struct process *container_running(const struct container *c)
{
	for (struct process *p = c->processes; p; p = p->next)
		if (process_has_child(p))
			return p;
	return NULL;
}

/*
 * Waiters of every process learn how it ended before anything is freed.  The
 * init of a pid namespace ends only after every other process in it has been
 * reaped, and execs - deleted ones too - are for the agent to reap: so all
 * children are, while this waits.
 */
static void container_end_processes(struct container *c)
{
	usec_t deadline = deadline_in(clock_budget(CONTAINER_KILL_BUDGET));
	struct coffer_error err = COFFER_ERROR_INIT;
	struct process *p;

	if (c->engine && engine_kill_all(c->engine, SIGKILL, &err) < 0)
		log_warning("kill container %s: %s", c->id, err.message);
	for (p = c->processes; p; p = p->next)
		if (process_has_child(p))
			child_kill(&p->proc->child, SIGKILL);
	while ((p = container_running(c)) && deadline_left(deadline) > 0) {
		io_wait(p->proc->child.pidfd, POLLIN, deadline_in(CONTAINER_REAP_STEP));
		reaper_reap(c->agent);
	}
	if (p)
		log_warning("process %s of %s does not end", p->id, c->id);
}

/* Layers below the rootfs are the host's to unmount: it mounted them one by one. */
static int container_remove_dirs(struct container *c, struct coffer_error *err)
{
	autofree char *rootfs = path_join(c->bundle, "rootfs");

	if (!rootfs)
		return err_nomem(err);
	/* EINVAL: no mount point. */
	if (umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount %s", rootfs);
	if (rmdir(rootfs) < 0 || rmdir(c->bundle) < 0)
		log_debug("keep %s: %s", c->bundle, strerror(errno));
	return 0;
}

int container_delete(struct container *c, struct coffer_error *err)
{
	int r = 0, r2;

	container_end_processes(c);
	if (c->engine)
		r = engine_delete(steal_ptr(c->engine), err);
	r2 = container_remove_dirs(c, r < 0 ? NULL : err);
	container_free(c);
	return r < 0 ? r : r2;
}

bool container_reap(struct agent *agent, pid_t pid)
{
	for (struct container *c = agent->containers; c; c = c->next)
		for (struct process *p = c->processes; p; p = p->next)
			if (p->proc && p->proc->child.pid == pid) {
				process_reap(p);
				return true;
			}
	return false;
}
