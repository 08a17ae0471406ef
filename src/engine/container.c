/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/container.c - the parent's side of a container's life
 *
 *	engine_create:  check, plan (namespaces, mounts, filter), cgroup, launch init
 *	engine_start:   limits on init from outside, then let it execve
 *	engine_delete:  kill, reap, remove the cgroup, free
 *
 * Whatever can be refused is refused before the first system call that leaves
 * a trace.  When a later step fails, what was made is taken down by the same
 * engine_delete() that ends a healthy container.
 *
 * Callers: agent, host sandbox, OCI runtime.
 */
#include "engine/container.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "engine/rlimit.h"
#include "engine/support.h"
#include "engine/sysctl.h"

#define CONTAINER_END_BUDGET (5 * USEC_PER_SEC)

static int container_open_null(const struct engine_stdio *stdio, int *null,
			       struct coffer_error *err)
{
	if (stdio->in >= 0 && stdio->out >= 0 && stdio->err >= 0)
		return 0;
	*null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return *null < 0 ? err_sys(err, "open /dev/null") : 0;
}

int container_fill_init(const struct engine_container *c, const struct oci_process *process,
			const struct engine_stdio *stdio, struct init *out, int *null,
			struct coffer_error *err)
{
	int r = container_open_null(stdio, null, err);

	if (r < 0)
		return r;
	*out = (struct init)INIT_INIT;
	out->id = c->id;
	out->spec = c->spec;
	out->process = process;
	out->seccomp = &c->seccomp;
	caps_parse(process->capabilities, &out->caps);
	out->stdio.in = stdio->in >= 0 ? stdio->in : *null;
	out->stdio.out = stdio->out >= 0 ? stdio->out : *null;
	out->stdio.err = stdio->err >= 0 ? stdio->err : *null;
	return 0;
}

static int container_plan(struct engine_container *c, const struct engine_create_args *args,
			  struct coffer_error *err)
{
	const struct oci_spec *spec = args->spec;
	const char *root;
	int r;

	r = support_check_spec(spec, NULL, err);
	if (r == 0)
		r = ns_plan_spec(spec, &c->ns, err);
	if (r == 0)
		r = support_check_spec(spec, &c->ns, err);
	if (r == 0)
		r = sysctl_check(&spec->linux_->sysctl, &c->ns, args->own_kernel, err);
	if (r == 0)
		r = mount_plan_spec(spec, args->bundle, &c->mounts, err);
	if (r == 0)
		r = seccomp_compile(spec->linux_->seccomp, &c->seccomp, err);
	if (r < 0)
		return r;
	root = spec->root->path;
	c->id = strdup(args->id);
	c->rootfs = root[0] == '/' ? strdup(root) : path_join(args->bundle, root);
	return c->id && c->rootfs ? 0 : err_nomem(err);
}

static int container_launch(struct engine_container *c, const struct engine_create_args *args,
			    struct coffer_error *err)
{
	autoclose int null = -1;
	struct init init;
	int r;

	r = container_fill_init(c, args->spec->process, &args->stdio, &init, &null, err);
	if (r < 0)
		return r;
	init.rootfs = c->rootfs;
	init.ns = &c->ns;
	init.mounts = &c->mounts;
	c->launch.ns = &c->ns;
	c->launch.cgroup = c->cgroup.fd;
	c->launch.main = init_main;
	c->launch.data = &init;
	r = launch_start(&c->launch, err);
	/* The child has its own copy. */
	c->launch.data = NULL;
	mount_plans_free(&c->mounts);
	ns_plan_free(&c->ns);
	if (r == 0)
		r = cgroup_limit_devices(&c->cgroup, c->spec->linux_->resources, err);
	return r;
}

int engine_create(const struct engine_create_args *args, struct engine_container **out,
		  struct coffer_error *err)
{
	struct engine_container *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_nomem(err);
	c->spec = args->spec;
	c->ns = (struct ns_plan)NS_PLAN_INIT;
	c->cgroup = (struct cgroup)CGROUP_INIT;
	c->launch = (struct launch)LAUNCH_INIT;
	r = container_plan(c, args, err);
	if (r == 0)
		r = cgroup_create(c->spec, c->id, &c->cgroup, err);
	if (r == 0)
		r = container_launch(c, args, err);
	if (r < 0) {
		engine_delete(c, NULL);
		return err_wrap(err, "create container %s", args->id);
	}
	*out = c;
	return 0;
}

struct engine_process *engine_init(struct engine_container *c)
{
	return &c->launch.process;
}

int engine_start(struct engine_container *c, struct coffer_error *err)
{
	int r;

	if (c->state != CONTAINER_CREATED)
		return err_state(err, "start container %s: it was started before", c->id);
	if (c->launch.process.child.pid == 0)
		return err_state(err, "start container %s: its init has ended", c->id);
	c->state = CONTAINER_STARTED;
	r = rlimit_apply(c->spec->process, c->launch.process.child.pid, err);
	if (r < 0)
		launch_end(&c->launch);
	else
		r = launch_go(&c->launch, err);
	return r < 0 ? err_wrap(err, "start container %s", c->id) : 0;
}

int engine_kill_all(struct engine_container *c, int sig, struct coffer_error *err)
{
	const struct child *init = &c->launch.process.child;
	int r = cgroup_kill(&c->cgroup, sig, err);

	if (r == -ENOENT && c->cgroup.fd < 0) {
		/* The end of a pid namespace's init is the end of all in it. */
		if (sig != SIGKILL || !(c->ns.create & CLONE_NEWPID))
			r = err_unsupported(err, "the container has no cgroup");
		else
			r = init->pid == 0 ? 0 : child_kill(init, SIGKILL);
		if (r < 0 && err && err->kind == COFFER_ERR_NONE)
			err_sysn(err, r, "kill init");
	}
	return r < 0 ? err_wrap(err, "kill container %s", c->id) : 0;
}

static int container_reap(struct engine_container *c, struct coffer_error *err)
{
	struct child *init = &c->launch.process.child;
	siginfo_t si;
	int r;

	if (init->pid == 0)
		return 0;
	child_kill(init, SIGKILL);
	r = child_wait(init, deadline_in(clock_budget(CONTAINER_END_BUDGET)), &si);
	return r < 0 ? err_sysn(err, r, "wait for init") : 0;
}

int engine_delete(struct engine_container *c, struct coffer_error *err)
{
	struct coffer_error *first = err;
	int r = 0, step;

	if (c->cgroup.fd >= 0)
		r = cgroup_kill(&c->cgroup, SIGKILL, first);
	step = container_reap(c, r < 0 ? NULL : first);
	r = r < 0 ? r : step;
	step = cgroup_remove(&c->cgroup, r < 0 ? NULL : first);
	r = r < 0 ? r : step;
	if (r < 0 && c->id)
		err_wrap(err, "delete container %s", c->id);
	close_fd(&c->launch.process.child.pidfd);
	close_fd(&c->launch.process.ptmx);
	close_fd(&c->launch.sock);
	mount_plans_free(&c->mounts);
	ns_plan_free(&c->ns);
	seccomp_filter_free(&c->seccomp);
	free(c->rootfs);
	free(c->id);
	free(c);
	return r;
}
