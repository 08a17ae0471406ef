/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/status.c - where a container is in its life
 *
 * Nothing of it is stored: what a killed command left would be wrong.
 *
 *	init is no process any more              stopped
 *	STATE_CREATING is there, lock is held    creating
 *	the cgroup is frozen, or the sentry      paused
 *	somebody accepts at the gate             created
 *	else                                     running
 *
 * One that is paused before its start answers to nobody, and is created again
 * when it is resumed.  A pid counts only with its start time.  A connection that says nothing does
 * not bother init.
 *
 * Callers: the commands, with or without the lock.
 */
#include "oci/status.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/io.h"
#include "base/procinfo.h"
#include "engine/cgroup.h"
#include "engine/engine.h"

static const char *const status_names[] = {
	[STATUS_CREATING] = "creating", [STATUS_CREATED] = "created", [STATUS_RUNNING] = "running",
	[STATUS_PAUSED] = "paused",     [STATUS_STOPPED] = "stopped",
};
_Static_assert(ARRAY_SIZE(status_names) == STATUS_COUNT, "one name per status");

const char *status_str(enum status status)
{
	return status_names[status];
}

static bool status_alive(const struct state *state)
{
	autoclose int pidfd = procinfo_open(state->pid, state->start_time, NULL);

	/* Readable: it has ended, though its parent has not asked for it yet. */
	return pidfd >= 0 && io_wait(pidfd, POLLIN, 0) == 0;
}

static bool status_is_creating(const struct state_dir *dir)
{
	return faccessat(dir->fd, STATE_CREATING, F_OK, 0) == 0 && state_dir_busy(dir);
}

static bool status_at_gate(const struct state_dir *dir)
{
	autoclose int gate = engine_gate_connect(dir->fd, NULL);

	return gate >= 0;
}

/* A cgroup that cannot be looked at is not frozen by us. */
static bool status_frozen(const struct state *state)
{
	struct cgroup *cg = NULL;
	int r = cgroup_open(&state->cgroup, &cg, NULL);

	if (r == 0 && cg)
		r = cgroup_frozen(cg, NULL);
	cgroup_free(cg);
	return r > 0;
}

int status_get(const struct state_dir *dir, const struct state *state, struct coffer_error *err)
{
	if (state->pid == 0 || status_alive(state)) {
		if (status_is_creating(dir))
			return STATUS_CREATING;
		if (state->pid == 0)
			return STATUS_STOPPED;
		if (faccessat(dir->fd, STATE_PAUSED, F_OK, 0) == 0 || status_frozen(state))
			return STATUS_PAUSED;
		return status_at_gate(dir) ? STATUS_CREATED : STATUS_RUNNING;
	}
	return STATUS_STOPPED;
}
