/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/control.c - what is done to a container while it runs
 *
 * Most of it is its cgroup's business.  Without one, or with one that it shares, a
 * pid namespace of its own still keeps its processes together: killing its init
 * ends all of them.
 *
 * Callers: agent, OCI runtime.
 */
#include "engine/container.h"

#include <signal.h>

#include "base/procinfo.h"
#include "engine/stats_net.h"

static int control_need_cgroup(const struct engine_container *c, struct coffer_error *err)
{
	return c->cgroup ? 0 : err_unsupported(err, "container %s has no cgroup", c->id);
}

int engine_kill(struct engine_container *c, int sig, struct coffer_error *err)
{
	const struct child *init = &c->launch.process.child;
	int r;

	if (!engine_alive(c))
		return err_sysn(err, ESRCH, "signal container %s", c->id);
	r = child_kill(init, sig);
	if (r < 0)
		return err_sysn(err, r, "signal container %s", c->id);
	/* A v1 freezer keeps even the killed ones. */
	if (sig == SIGKILL && c->cgroup && cgroup_frozen(c->cgroup, NULL) > 0)
		r = cgroup_freeze(c->cgroup, false, err);
	return r;
}

static int control_kill_init(struct engine_container *c, int sig, struct coffer_error *err)
{
	const struct child *init = &c->launch.process.child;
	int r;

	if (sig != SIGKILL || !container_has_pid_namespace(c))
		return err_unsupported(err, "the container has no cgroup of its own");
	r = init->pid == 0 ? 0 : child_kill(init, SIGKILL);
	return r < 0 ? err_sysn(err, r, "kill init") : 0;
}

int engine_kill_all(struct engine_container *c, int sig, struct coffer_error *err)
{
	int r = container_owns_cgroup(c) ? cgroup_kill(c->cgroup, sig, err) :
					   control_kill_init(c, sig, err);

	return r < 0 ? err_wrap(err, "kill container %s", c->id) : 0;
}

static int control_freeze(struct engine_container *c, bool on, struct coffer_error *err)
{
	int r = control_need_cgroup(c, err);

	return r < 0 ? r : cgroup_freeze(c->cgroup, on, err);
}

int engine_pause(struct engine_container *c, struct coffer_error *err)
{
	int r = control_freeze(c, true, err);

	return r < 0 ? err_wrap(err, "pause container %s", c->id) : 0;
}

int engine_resume(struct engine_container *c, struct coffer_error *err)
{
	int r = control_freeze(c, false, err);

	return r < 0 ? err_wrap(err, "resume container %s", c->id) : 0;
}

int engine_paused(struct engine_container *c, struct coffer_error *err)
{
	return c->cgroup ? cgroup_frozen(c->cgroup, err) : 0;
}

int engine_update(struct engine_container *c, const struct oci_resources *res,
		  struct coffer_error *err)
{
	int r = control_need_cgroup(c, err);

	if (r == 0)
		r = cgroup_update(c->cgroup, res, err);
	return r < 0 ? err_wrap(err, "update container %s", c->id) : 0;
}

int engine_stats(struct engine_container *c, struct engine_stats *out, struct coffer_error *err)
{
	int r = control_need_cgroup(c, err);

	if (r == 0)
		r = cgroup_stats(c->cgroup, out, err);
	/* Who has ended has no network any more. */
	if (r == 0 && engine_alive(c))
		stats_net_read(c->launch.process.child.pid, out, NULL);
	return r < 0 ? err_wrap(err, "statistics of container %s", c->id) : 0;
}

int engine_oom_open(struct engine_container *c, struct cgroup_oom **out, struct coffer_error *err)
{
	int r = control_need_cgroup(c, err);

	*out = NULL;
	if (r == 0)
		r = cgroup_oom_open(c->cgroup, out, err);
	return r < 0 ? err_wrap(err, "memory events of container %s", c->id) : 0;
}

int engine_pids(struct engine_container *c, pid_t **pids, size_t *n, struct coffer_error *err)
{
	bool together = container_has_pid_namespace(c) && engine_alive(c);
	int r;

	if (together && !container_owns_cgroup(c))
		r = procinfo_pid_namespace(c->launch.process.child.pid, pids, n, err);
	else if (c->cgroup)
		r = cgroup_pids(c->cgroup, pids, n, err);
	else
		r = control_need_cgroup(c, err);
	return r < 0 ? err_wrap(err, "processes of container %s", c->id) : 0;
}
