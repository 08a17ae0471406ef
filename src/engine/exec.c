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
 * Callers: agent, host sandbox, OCI runtime.
 */
#include "engine/container.h"
#include "engine/rlimit.h"
#include "engine/support.h"

static int exec_launch(struct engine_container *c, const struct oci_process *process,
		       const struct engine_stdio *stdio, struct launch *launch,
		       struct coffer_error *err)
{
	autoclose int null = -1;
	struct ns_plan ns;
	struct init init;
	int r;

	r = container_fill_init(c, process, stdio, &init, &null, err);
	if (r < 0)
		return r;
	ns_plan_join(&c->ns, c->launch.process.child.pidfd, &ns);
	init.ns = &ns;
	launch->ns = &ns;
	launch->cgroup = c->cgroup.fd;
	launch->main = init_exec_main;
	launch->data = &init;
	r = launch_start(launch, err);
	if (r == 0)
		r = rlimit_apply(process, launch->process.child.pid, err);
	return r < 0 ? r : launch_go(launch, err);
}

int engine_exec(struct engine_container *c, const struct oci_process *process,
		const struct engine_stdio *stdio, struct engine_process *out,
		struct coffer_error *err)
{
	autolaunch struct launch launch = LAUNCH_INIT;
	int r;

	if (c->launch.process.child.pid == 0)
		return err_state(err, "exec in container %s: its init has ended", c->id);
	r = support_check_process(process, err);
	if (r == 0)
		r = exec_launch(c, process, stdio, &launch, err);
	if (r < 0)
		return err_wrap(err, "exec in container %s", c->id);
	*out = (struct engine_process){
		.child = child_steal(&launch.process.child),
		.ptmx = steal_fd(&launch.process.ptmx),
	};
	return 0;
}
