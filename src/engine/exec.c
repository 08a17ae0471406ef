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
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/container.h"
#include "engine/rlimit.h"
#include "engine/support.h"

/* Init's root directory, where it is not simply that of its mount namespace. */
static int exec_open_root(const struct engine_container *c, int *fd, struct coffer_error *err)
{
	char path[48];

	if (!(c->ns.join & CLONE_NEWNS))
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)c->launch.process.child.pid);
	*fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? err_sys(err, "open %s", path) : 0;
}

static int exec_launch(struct engine_container *c, const struct oci_process *process,
		       const struct engine_stdio *stdio, struct launch *launch,
		       struct coffer_error *err)
{
	autoclose int null = -1, root = -1;
	struct ns_plan ns;
	struct init init;
	int r;

	r = exec_open_root(c, &root, err);
	if (r == 0)
		r = container_fill_init(c, process, stdio, &init, &null, err);
	if (r < 0)
		return r;
	ns_plan_join(&c->ns, c->launch.process.child.pidfd, &ns);
	init.ns = &ns;
	init.chroot = root;
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
