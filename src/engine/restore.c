/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/restore.c - a container whose init somebody else makes, out of a checkpoint
 *
 *	engine_restore()        as engine_create(), up to where init would be cloned
 *	engine_restore_root()   in the maker: the root, with every mount point in it
 *	engine_restore_enter()  the maker goes into the container's cgroup, and so will its children
 *	engine_restore_hooks()  namespaces are there
 *	engine_restore_adopt()  init is there, and is our child
 *
 * A failure at any point is undone with engine_delete(), as ever: it kills what
 * is in the cgroup by then.
 *
 * Caller: OCI runtime.
 */
#include "engine/container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "engine/loopback.h"

int engine_restore(const struct engine_create_args *args, struct engine_container **out,
		   struct coffer_error *err)
{
	return container_make(args, "restore", NULL, out, err);
}

/* ---- the root ---- */

/* Below a tmpfs nothing is needed: it is restored with all that was in it. */
static bool restore_in_tmpfs(const struct mount_plans *plans, size_t index)
{
	const char *target = plans->v[index].target;

	for (size_t i = 0; i < index; i++) {
		const struct mount_plan *m = &plans->v[i];
		size_t n = strlen(m->target);

		if (m->type && strcmp(m->type, "tmpfs") == 0 &&
		    strncmp(target, m->target, n) == 0 && target[n] == '/')
			return true;
	}
	return false;
}

/* A bind is mounted for as long as that takes, since others may have their place in it. */
static int restore_make_place(const struct mount_plan *m, int rootfd, struct coffer_error *err)
{
	autoclose int target = -1;
	struct stat st = { .st_mode = S_IFDIR };

	if (!m->type && stat(m->source, &st) < 0)
		return err_sys(err, "stat %s", m->source);
	target = mount_target(rootfd, m->target, S_ISDIR(st.st_mode), err);
	if (target < 0)
		return target;
	if (!m->type && mount_at(target, m->source, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(err, "bind %s", m->source);
	return 0;
}

static int restore_make_places(const struct engine_container *c, int rootfd,
			       struct coffer_error *err)
{
	int r;

	for (size_t i = 0; i < c->mounts.n; i++) {
		const struct mount_plan *m = &c->mounts.v[i];

		if ((m->options.flags & MS_REMOUNT) || restore_in_tmpfs(&c->mounts, i))
			continue;
		r = restore_make_place(m, rootfd, err);
		if (r < 0)
			return err_wrap(err, "mounts[%zu]", i);
	}
	return 0;
}

static int restore_bind_root(const struct engine_container *c, const char *dir,
			     struct coffer_error *err)
{
	if (mount(c->rootfs, dir, NULL, MS_BIND | MS_REC, NULL) < 0 ||
	    mount(NULL, dir, NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return err_sys(err, "bind root.path %s to %s", c->rootfs, dir);
	return 0;
}

int engine_restore_root(struct engine_container *c, const char *dir, struct coffer_error *err)
{
	autoclose int rootfd = -1;
	int r;

	/* Of its own, so that they are gone when it is. What happens outside still comes in. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return err_sys(err, "unshare mounts");
	r = restore_bind_root(c, dir, err);
	if (r < 0)
		return r;
	rootfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return err_sys(err, "open %s", dir);
	r = restore_make_places(c, rootfd, err);
	close_fd(&rootfd);
	if (r < 0)
		return r;
	/* Again, without the binds. */
	if (umount2(dir, MNT_DETACH) < 0)
		return err_sys(err, "unmount %s", dir);
	return restore_bind_root(c, dir, err);
}

/* ---- the processes ---- */

int engine_restore_enter(struct engine_container *c, pid_t pid, struct coffer_error *err)
{
	const struct oci_resources *res = c->spec->linux_->resources;
	int r;

	if (!c->cgroup)
		return 0;
	r = cgroup_move(c->cgroup, pid, res, err);
	return r < 0 ? r : cgroup_limit_devices(c->cgroup, res, err);
}

/* A new network namespace has its loopback down, and connections over it need it now. */
static int restore_loopback_child(const struct engine_container *c, int pidfd)
{
	return setns(pidfd, CLONE_NEWNET) < 0 ? -errno : loopback_raise(NULL);
}

/* criu binds what masks a file, but not all of them read-only: see rootfs.c. */
static int restore_masks_child(const struct engine_container *c, int pidfd)
{
	struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	const struct oci_strv *paths = &c->spec->linux_->masked_paths;
	int rootfd;

	if (setns(pidfd, CLONE_NEWNS) < 0)
		return -errno;
	rootfd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < paths->n; i++) {
		autoclose int fd = path_open_in_root(rootfd, paths->v[i], O_PATH, 0, NULL);

		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		if (fd < 0 ||
		    mount_setattr(fd, "", AT_EMPTY_PATH, &readonly, sizeof(readonly)) < 0)
			return -errno;
	}
	return 0;
}

/* Have a child do something in a namespace of @pid's. */
static int restore_from_inside(const struct engine_container *c, pid_t pid,
			       int (*fn)(const struct engine_container *c, int pidfd),
			       const char *what, struct coffer_error *err)
{
	autoclose int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	autochild struct child child = CHILD_INIT;
	siginfo_t si;
	int r;

	if (pidfd < 0)
		return err_sys(err, "open process %d", (int)pid);
	r = spawn_fork(0, &child, err);
	if (r == 0)
		_exit(-fn(c, pidfd));
	if (r < 0)
		return r;
	r = child_wait(&child, USEC_INFINITY, &si);
	if (r == 0)
		r = spawn_exit_code(&si);
	return r ? err_sysn(err, r, "%s", what) : 0;
}

static int restore_loopback(const struct engine_container *c, pid_t pid, struct coffer_error *err)
{
	const struct oci_namespace *ns = oci_namespace_find(c->spec, "network");

	if (!ns || ns->path)
		return 0;
	return restore_from_inside(c, pid, restore_loopback_child, "set up the loopback interface",
				   err);
}

int engine_restore_hooks(struct engine_container *c, pid_t pid, struct coffer_error *err)
{
	int r = restore_loopback(c, pid, err);

	if (r < 0 || !c->spec->hooks)
		return r;
	/* Hooks may ask the runtime about the container. */
	r = container_record(c, pid, err);
	return r < 0 ? r : container_hooks(pid, c, err);
}

int engine_restore_adopt(struct engine_container *c, pid_t pid, struct coffer_error *err)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), r;

	if (pidfd < 0)
		return err_sys(err, "open process %d", (int)pid);
	c->launch.process.child = (struct child){ .pid = pid, .pidfd = pidfd };
	c->launch.forked = true;
	c->state = CONTAINER_STARTED;
	r = restore_from_inside(c, pid, restore_masks_child, "linux.maskedPaths", err);
	if (r == 0)
		r = container_record(c, pid, err);
	c->args = NULL;
	mount_plans_free(&c->mounts);
	ns_plan_free(&c->ns);
	return r;
}
