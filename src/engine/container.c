/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/container.c - a container made and ended by the parent
 *
 *	engine_create:  check, plan (namespaces, mounts, filter, cgroup), record the plan,
 *	                make the cgroup, launch init, record init
 *	engine_start:   limits on init from outside, then let it execve
 *	engine_delete:  kill, reap, remove the cgroup, free
 *
 * Whatever can be refused is refused before the first system call that leaves
 * a trace.  When a later step fails, what was made is taken down by the same
 * steps that end a healthy container.  Taking hold of one that another process
 * made is in open.c, what can be done to a running one in control.c.
 *
 * Callers: agent, OCI runtime.
 */
#include "engine/container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "base/procinfo.h"
#include "engine/rlimit.h"
#include "engine/seccomp_notify.h"
#include "engine/support.h"
#include "engine/sysctl.h"

#define CONTAINER_END_BUDGET (5 * USEC_PER_SEC)
#define CONTAINER_STUCK_BUDGET (USEC_PER_SEC / 2) /* until we look for what holds init */

int container_alloc(const char *id, const char *bundle, const struct oci_spec *spec,
		  struct engine_container **out, struct coffer_error *err)
{
	struct engine_container *c = calloc(1, sizeof(*c));
	const struct oci_hooks *h = spec->hooks;

	if (!c)
		return err_nomem(err);
	c->spec = spec;
	c->ns = (struct ns_plan)NS_PLAN_INIT;
	c->mounts = (struct mount_plans)MOUNT_PLANS_INIT;
	c->launch = (struct launch)LAUNCH_INIT;
	c->launch.patient = h && (h->create_container.n > 0 || h->start_container.n > 0);
	c->id = strdup(id);
	c->bundle = strdup(bundle);
	if (!c->id || !c->bundle) {
		engine_release(c);
		return err_nomem(err);
	}
	*out = c;
	return 0;
}

void engine_release(struct engine_container *c)
{
	if (!c)
		return;
	close_fd(&c->launch.process.child.pidfd);
	close_fd(&c->launch.process.ptmx);
	close_fd(&c->launch.sock);
	cgroup_free(c->cgroup);
	mount_plans_free(&c->mounts);
	ns_plan_free(&c->ns);
	seccomp_filter_free(&c->seccomp);
	free(c->rootfs);
	free(c->bundle);
	free(c->id);
	free(c);
}

struct hook_state container_hook_state(const struct engine_container *c, const char *status,
				       pid_t pid)
{
	return (struct hook_state){
		.id = c->id,
		.status = status,
		.pid = pid,
		.bundle = c->bundle,
		.annotations = &c->spec->annotations,
		.oci_version = c->spec->oci_version,
		.env = (const char *const *)environ,
	};
}

int container_pass_listener(int listener, pid_t pid, void *data, struct coffer_error *err)
{
	const struct engine_container *c = data;
	const struct oci_seccomp *filter = c->spec->linux_->seccomp;
	pid_t init = c->launch.process.child.pid;
	struct hook_state state = container_hook_state(c, pid == init ? "created" : "running",
						       init);

	if (!filter || !filter->listener_path)
		return err_internal(err, "a listener that nobody wanted");
	return seccomp_notify_send(filter, &state, pid, listener, err);
}

bool container_owns_cgroup(const struct engine_container *c)
{
	return c->cgroup && !cgroup_is_shared(c->cgroup);
}

bool container_has_pid_namespace(const struct engine_container *c)
{
	const struct oci_namespace *ns = oci_namespace_find(c->spec, "pid");

	return ns && !ns->path;
}

/* ---- create ---- */

static int container_open_null(const struct engine_stdio *stdio, int *null,
			       struct coffer_error *err)
{
	if (stdio->in >= 0 && stdio->out >= 0 && stdio->err >= 0)
		return 0;
	*null = open("/dev/null", O_RDWR | O_CLOEXEC);
	return *null < 0 ? err_sys(err, "open /dev/null") : 0;
}

static int container_compile_filter(struct engine_container *c, struct coffer_error *err)
{
	int r = c->seccomp_ready ? 0 : seccomp_compile(c->spec->linux_->seccomp, &c->seccomp, err);

	c->seccomp_ready = r == 0;
	return r;
}

int container_fill_init(struct engine_container *c, const struct oci_process *process,
			const struct engine_stdio *stdio, struct init *out, int *null,
			struct coffer_error *err)
{
	int r = container_compile_filter(c, err);

	if (r == 0)
		r = container_open_null(stdio, null, err);
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

static int container_plan(struct engine_container *c, struct coffer_error *err)
{
	const struct engine_create_args *args = c->args;
	const struct oci_spec *spec = args->spec;
	const struct cgroup_plan_args cgroup = { .spec = spec,
						 .id = args->id,
						 .manager = args->manager,
						 .rootless = args->rootless,
						 .own_kernel = args->own_kernel };
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
		r = container_compile_filter(c, err);
	if (r == 0 && c->args->manager != ENGINE_NO_CGROUP)
		r = cgroup_plan(&cgroup, &c->cgroup, err);
	if (r < 0)
		return r;
	root = spec->root->path;
	c->rootfs = root[0] == '/' ? strdup(root) : path_join(args->bundle, root);
	if (!c->rootfs)
		return err_nomem(err);
	c->mounts.cgroup = c->cgroup;
	return mount_plan_open(&c->mounts, c->rootfs, spec, &c->ns, err);
}

int container_record(const struct engine_container *c, pid_t pid, struct coffer_error *err)
{
	static const struct oci_strv none;
	struct engine_record rec = { .pid = pid };
	int r = 0;

	if (!c->args->record)
		return 0;
	rec.cgroup = c->cgroup ? cgroup_save(c->cgroup) : &none;
	if (pid > 0)
		r = procinfo_start_time(pid, &rec.start_time, err);
	return r < 0 ? r : c->args->record(&rec, c->args->record_data, err);
}

static int container_place(pid_t pid, void *data, struct coffer_error *err)
{
	struct engine_container *c = data;

	return cgroup_place(c->cgroup, pid, c->spec->linux_->resources, err);
}

static int container_born(pid_t pid, void *data, struct coffer_error *err)
{
	return container_record(data, pid, err);
}

int container_hooks(pid_t pid, void *data, struct coffer_error *err)
{
	struct engine_container *c = data;
	struct hook_state state = container_hook_state(c, "creating", pid);
	int r = hooks_run(&c->spec->hooks->prestart, "prestart", &state, err);

	if (r == 0)
		r = hooks_run(&c->spec->hooks->create_runtime, "createRuntime", &state, err);
	return r;
}

static void container_fill_launch(struct engine_container *c, struct init *init)
{
	struct launch *l = &c->launch;

	/* The only process of a machine of its own is not to leave its namespace. */
	if (!c->args->own_kernel)
		ns_lend_network(&c->ns);
	l->ns = &c->ns;
	l->main = init_main;
	l->data = init;
	l->program = init->process;
	if (c->cgroup) {
		l->cgroup = cgroup_clone_fd(c->cgroup);
		l->groups = c->cgroup;
		l->place = container_place;
		l->place_always = cgroup_needs_place(c->cgroup);
	}
	/* Its record is written while it is busy. */
	l->born = container_born;
	l->hooks = container_hooks;
	l->parent_data = c;
}

static int container_launch(struct engine_container *c, struct coffer_error *err)
{
	/* Init is process 1 to itself where it has a namespace of its own. */
	struct hook_state state = container_hook_state(c, "creating", 0);
	const struct engine_create_args *args = c->args;
	autoclose int null = -1;
	struct init init;
	int r;

	r = container_fill_init(c, args->spec->process, &args->stdio, &init, &null, err);
	if (r < 0)
		return r;
	init.rootfs = c->rootfs;
	init.ns = &c->ns;
	init.mounts = &c->mounts;
	init.gate = args->gate;
	init.preserve_fds = args->preserve_fds;
	init.no_pivot = args->no_pivot;
	init.no_new_keyring = args->no_new_keyring;
	init.find_program = args->find_program;
	init.hooks = &state;
	container_fill_launch(c, &init);
	r = launch_start(&c->launch, err);
	/* The child has its own copy. */
	c->launch.data = NULL;
	mount_plans_free(&c->mounts);
	ns_plan_free(&c->ns);
	return r;
}

static int container_prepare(struct engine_container *c, struct coffer_error *err)
{
	int r = container_plan(c, err);

	if (r == 0)
		r = container_record(c, 0, err);
	if (r == 0 && c->cgroup)
		r = cgroup_create(c->cgroup, c->spec->linux_->resources, err);
	return r;
}

int container_make(const struct engine_create_args *args, const char *verb,
		   int (*rest)(struct engine_container *c, struct coffer_error *err),
		   struct engine_container **out, struct coffer_error *err)
{
	struct engine_container *c;
	int r = container_alloc(args->id, args->bundle, args->spec, &c, err);

	if (r < 0)
		return r;
	c->args = args;
	r = container_prepare(c, err);
	if (r == 0 && rest)
		r = rest(c, err);
	if (r < 0) {
		engine_delete(c, NULL);
		return err_wrap(err, "%s container %s", verb, args->id);
	}
	*out = c;
	return 0;
}

static int container_make_init(struct engine_container *c, struct coffer_error *err)
{
	int r = container_launch(c, err);

	if (r == 0 && c->cgroup)
		r = cgroup_limit_devices(c->cgroup, c->spec->linux_->resources, err);
	if (r == 0 && c->args->gate >= 0)
		r = launch_send_to_gate(&c->launch, err);
	c->args = NULL;
	return r;
}

int engine_create(const struct engine_create_args *args, struct engine_container **out,
		  struct coffer_error *err)
{
	return container_make(args, "create", container_make_init, out, err);
}

struct engine_process *engine_init(struct engine_container *c)
{
	return &c->launch.process;
}

bool engine_alive(const struct engine_container *c)
{
	const struct child *init = &c->launch.process.child;

	return init->pid > 0 && io_wait(init->pidfd, POLLIN, 0) == 0;
}

/* ---- start ---- */

int engine_start(struct engine_container *c, struct coffer_error *err)
{
	struct hook_state state;
	int r;

	if (c->state != CONTAINER_CREATED)
		return err_state(err, "start container %s: it was started before", c->id);
	if (c->launch.process.child.pid == 0)
		return err_state(err, "start container %s: its init has ended", c->id);
	c->state = CONTAINER_STARTED;
	c->launch.listener = container_pass_listener;
	c->launch.parent_data = c;
	r = rlimit_apply(c->spec->process, c->launch.process.child.pid, err);
	if (r < 0)
		launch_end(&c->launch);
	else
		r = launch_go(&c->launch, err);
	if (r < 0)
		return err_wrap(err, "start container %s", c->id);
	state = container_hook_state(c, "running", c->launch.process.child.pid);
	return c->spec->hooks ? hooks_run(&c->spec->hooks->poststart, "poststart", &state, err)
			      : 0;
}

/* ---- the end ---- */

static int container_await_end(struct engine_container *c, usec_t budget)
{
	usec_t deadline = deadline_in(clock_budget(budget));
	struct child *init = &c->launch.process.child;
	siginfo_t si;
	int r;

	if (!c->adopted)
		return child_wait(init, deadline, &si);
	r = io_wait(init->pidfd, POLLIN, deadline);
	return r == 0 ? -ETIMEDOUT : r;
}

static int container_reap(struct engine_container *c, struct coffer_error *err)
{
	struct child *init = &c->launch.process.child;
	int r;

	if (init->pid == 0)
		return 0;
	child_kill(init, SIGKILL);
	r = container_await_end(c, CONTAINER_STUCK_BUDGET);
	if (r == -ETIMEDOUT) {
		if (container_owns_cgroup(c))
			cgroup_rescue(c->cgroup);
		r = container_await_end(c, CONTAINER_END_BUDGET);
	}
	return r < 0 ? err_sysn(err, r, "wait for init") : 0;
}

int engine_delete(struct engine_container *c, struct coffer_error *err)
{
	struct hook_state state = container_hook_state(c, "stopped", 0);
	int r = 0, step;

	if (container_owns_cgroup(c))
		r = cgroup_kill(c->cgroup, SIGKILL, err);
	else if (engine_alive(c))
		engine_kill(c, SIGKILL, NULL); /* what fails shows while we wait */
	r = r == -ENOENT ? 0 : r;
	step = container_reap(c, r < 0 ? NULL : err);
	r = r < 0 ? r : step;
	step = c->cgroup ? cgroup_remove(c->cgroup, r < 0 ? NULL : err) : 0;
	r = r < 0 ? r : step;
	if (r < 0)
		err_wrap(err, "delete container %s", c->id);
	if (c->spec->hooks)
		hooks_run(&c->spec->hooks->poststop, "poststop", &state, NULL);
	engine_release(c);
	return r;
}
