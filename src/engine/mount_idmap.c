/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_idmap.c - binds whose files change owners on the way
 *
 * The kernel takes the map as a user namespace.  One is made for it by a
 * helper that lives just long enough for its namespace to be opened; mounts
 * that follow each other with the same map share it.  A document that asks for
 * "idmap" and gives no map means that of the container's user namespace.
 *
 * In the parent, because mapping takes privilege over the file system and not
 * only over the container.  Caller: mount_plan.c.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/spawn.h"
#include "engine/idmap.h"
#include "engine/mount_internal.h"

#define MOUNT_IDMAP_NS_USER (NS_COUNT - 1) /* its row in struct ns_plan */

/* Return: the user namespace's descriptor or negative errno; the helper is gone by then */
static int mount_idmap_make(const struct oci_linux *maps, struct coffer_error *err)
{
	autochild struct child helper = CHILD_INIT;
	struct clone_args args = {
		.flags = CLONE_NEWUSER | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&helper.pidfd,
		.exit_signal = SIGCHLD,
	};
	char path[48];
	long pid;
	int fd, r;

	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return err_sys(err, "make a user namespace for mapped ids");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	helper.pid = (pid_t)pid;
	r = idmap_write(maps, helper.pid, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open %s", path) : fd;
}

static bool mount_idmap_same(const struct oci_id_mappings *a, const struct oci_id_mappings *b)
{
	return a && a->n == b->n && memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0;
}

/* Return: borrowed descriptor of a user namespace with these maps, or negative errno */
static int mount_idmap_get(const struct oci_id_mappings *uid, const struct oci_id_mappings *gid,
			   struct mount_idmap_cache *cache, struct coffer_error *err)
{
	struct oci_linux maps = { .uid_mappings = *uid, .gid_mappings = *gid };

	if (cache->ns >= 0 && mount_idmap_same(cache->uid, uid) &&
	    mount_idmap_same(cache->gid, gid))
		return cache->ns;
	close_fd(&cache->ns);
	cache->uid = uid;
	cache->gid = gid;
	cache->ns = mount_idmap_make(&maps, err);
	return cache->ns;
}

int mount_idmap(const struct mount_plan *m, const struct oci_linux *linux_,
		const struct ns_plan *ns, struct mount_idmap_cache *cache,
		struct coffer_error *err)
{
	const struct oci_mount *spec = m->spec;
	bool own = spec->uid_mappings.n > 0;
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	int fd;

	if (!own && ns->join & CLONE_NEWUSER)
		fd = ns->fds[MOUNT_IDMAP_NS_USER];
	else if (!own && linux_->uid_mappings.n == 0)
		return err_invalid(err, "idmap without uidMappings takes a user namespace");
	else
		fd = mount_idmap_get(own ? &spec->uid_mappings : &linux_->uid_mappings,
				     own ? &spec->gid_mappings : &linux_->gid_mappings, cache, err);
	if (fd < 0)
		return fd;
	attr.userns_fd = (uint64_t)fd;
	if (mount_set_attr(m->tree, m->options.idmap == MOUNT_IDMAP_TREE, &attr) < 0)
		return err_sys(err, "map the ids of %s", m->source);
	return 0;
}
