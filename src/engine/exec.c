/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/exec.c - a further process in a running container
 *
 * It is cloned into the container's cgroup, joins every namespace that init
 * has of its own (all of them in one setns(2) by init's pidfd) and passes the
 * same last stages: the container's seccomp filter, and capabilities, limits
 * and no_new_privs of its own document, so an exec is never looser than what
 * its caller wrote.
 *
 * Callers: agent, OCI runtime.
 */
#include <sched.h>

#include "engine/container.h"
#include "engine/rlimit.h"
#include "engine/scheduling.h"
#include "engine/support.h"
#include "engine/user.h"

static int exec_place(pid_t pid, void *data, struct coffer_error *err)
{
	struct engine_container *c = data;

	return cgroup_join(c->cgroup, pid, c->launch.process.child.pid, err);
}

static int exec_run(struct engine_container *c, const struct engine_exec_args *args,
		    const struct ns_plan *ns, struct launch *launch, struct coffer_error *err)
{
	struct scheduling_cpus cpus;
	autoclose int null = -1;
	struct init init;
	int r;

	r = container_fill_init(c, args->process, &args->stdio, &init, &null, err);
	if (r < 0)
		return r;
	init.ns = launch->ns = ns;
	init.preserve_fds = args->preserve_fds;
	init.no_new_keyring = args->no_new_keyring;
	launch->main = init_exec_main;
	launch->data = &init;
	launch->program = args->process;
	if (c->cgroup) {
		launch->cgroup = cgroup_clone_fd(c->cgroup);
		launch->groups = c->cgroup;
		launch->place = exec_place;
		launch->place_always = cgroup_needs_place(c->cgroup);
	}
	launch->below = args->cgroups;
	launch->nbelow = args->ncgroups;
	launch->listener = container_pass_listener;
	launch->parent_data = c;
	r = scheduling_enter_initial(args->process, &cpus, err);
	if (r == 0)
		r = launch_start(launch, err);
	/* The child has its own copy. */
	launch->data = NULL;
	scheduling_leave_initial(&cpus);
	if (r == 0)
		r = rlimit_apply(args->process, launch->process.child.pid, err);
	return r < 0 ? r : launch_go(launch, err);
}

int engine_exec(struct engine_container *c, const struct engine_exec_args *args,
		struct engine_process *out, struct coffer_error *err)
{
	autolaunch struct launch launch = LAUNCH_INIT;
	const struct child *init = &c->launch.process.child;
	struct ns_plan ns = NS_PLAN_INIT;
	int r;

	if (init->pid == 0)
		return err_state(err, "exec in container %s: its init has ended", c->id);
	if (args->ncgroups > 0 && !c->cgroup)
		return err_unsupported(err, "exec in container %s: it has no cgroup", c->id);
	r = support_check_process(args->process, err);
	if (r == 0)
		r = ns_plan_join_pid(init->pid, init->pidfd, &ns, err);
	if (args->own_mounts) {
		ns.join &= ~(uint64_t)CLONE_NEWNS;
		close_fd(&ns.rootfd);
	}
	ns.keep_groups = user_keeps_groups(c->spec);
	if (r == 0)
		r = exec_run(c, args, &ns, &launch, err);
	ns_plan_free(&ns);
	if (r < 0)
		return err_wrap(err, "exec in container %s", c->id);
	*out = (struct engine_process){
		.child = child_steal(&launch.process.child),
		.ptmx = steal_fd(&launch.process.ptmx),
	};
	return 0;
}
