/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/setup.c - a container's file systems, from its document
 *
 *	copy of the machine's mounts -> the document's mounts in the root -> devices, masked and
 *	read-only paths -> the root becomes the only thing there is
 *
 * Destinations are resolved inside the root, which an image made and nobody trusts. Processes are
 * in setup_process.c.
 *
 * Called on the control loop only.
 */
#define LOG_CATEGORY "setup"
#include "sentry/control/setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "sentry/control/boot.h"
#include "sentry/control/container.h"
#include "sentry/control/machine.h"
#include "sentry/mm/mm.h"

struct setup {
	struct sandbox_container *container;
	struct fs_context *fs;	/* of the copy: its root is the machine's */
	struct vfs_path root;	/* the container's, in there */
	const struct oci_spec *spec;
};

static void setup_walk(const struct setup *s, struct walk *walk)
{
	*walk = (struct walk){ .fs = s->fs, .cred = machine_cred(), .start = s->root,
			       .in_root = true };
	path_get(&walk->start);
}

static int setup_find_root(struct setup *s, const char *bundle, struct coffer_error *err)
{
	const char *path = s->spec->root->path;
	autofree char *joined = NULL;
	struct walk walk = { .fs = s->fs, .cred = machine_cred() };
	int r;

	if (asprintf(&joined, "%s%s%s", path[0] == '/' ? "" : bundle, path[0] == '/' ? "" : "/",
		     path) < 0) {
		joined = NULL;
		return err_nomem(err);
	}
	r = vfs_walk(&walk, joined, WALK_DIRECTORY);
	if (r == 0) {
		s->root = walk.path;
		path_get(&s->root);
	}
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "root.path %s", joined) : 0;
}

/* The kernel's own devices come with the file system for /dev, which a document asks for as a tmpfs
 * that the runtime fills. */
static int setup_dev(const struct setup *s, const struct vfs_path *at, struct coffer_error *err)
{
	struct super *super;
	int r = devfs_new(&super);

	if (r == 0)
		r = mount_add(s->fs->mounts, at, super, MNT_NOSUID, "tmpfs");
	return r < 0 ? err_sysn(err, r, "mount /dev") : 0;
}

static int setup_mount_dev(const struct setup *s, struct coffer_error *err)
{
	struct walk walk;
	int r;

	setup_walk(s, &walk);
	r = machine_mkdirs(&walk, "/dev", 0755, err);
	walk_end(&walk);
	if (r < 0)
		return r;
	setup_walk(s, &walk);
	r = vfs_walk(&walk, "/dev", 0);
	r = r < 0 ? err_sysn(err, r, "/dev") : setup_dev(s, &walk.path, err);
	walk_end(&walk);
	return r;
}

static int setup_mount(const struct setup *s, const struct oci_mount *m, struct coffer_error *err)
{
	const char *type = m->type ? m->type : "bind";
	const struct machine_mount mount = { type, m->source ? m->source : type, m->destination,
					     &m->options };

	if (m->uid_mappings.n || m->gid_mappings.n)
		return err_unsupported(err, "mount %s: mapped ids", m->destination);
	if (strcmp(m->destination, "/dev") == 0 && strcmp(type, "tmpfs") == 0)
		return setup_mount_dev(s, err);
	return machine_mount_in(s->fs, &s->root, s->container, &mount, err);
}

static int setup_mounts(const struct setup *s, struct coffer_error *err)
{
	bool dev = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->spec->mounts.n; i++) {
		dev |= strcmp(s->spec->mounts.v[i].destination, "/dev") == 0;
		r = setup_mount(s, &s->spec->mounts.v[i], err);
	}
	return r < 0 || dev ? r : setup_mount_dev(s, err);
}

/* In a root of its own; one of the host's is somebody's to whom it would be news. */
static void setup_hostname(const struct setup *s)
{
	const char *name = s->spec->hostname;
	autofile struct file *file = NULL;
	struct stat st = { 0 };
	struct walk walk;
	long r;

	if (!name || strcmp(s->root.dentry->super->ops->type, "hostfs") == 0)
		return;
	setup_walk(s, &walk);
	r = vfs_open(&walk, "/etc/hostname", O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY,
		     0644, 0, &file);
	walk_end(&walk);
	if (r == 0)
		r = file_stat(file, &st);
	/* The image's name for a device would have us write onto that. */
	if (r == 0 && S_ISREG(st.st_mode))
		r = file_write_kernel(file, name, strlen(name), 0);
	if (r > 0)
		r = file_write_kernel(file, "\n", 1, r);
	if (r < 0)
		log_debug("write /etc/hostname: %s", strerror((int)-r));
}

static int setup_find(const struct setup *s, const char *path, struct vfs_path *out)
{
	struct walk walk;
	int r;

	setup_walk(s, &walk);
	r = vfs_walk(&walk, path, 0);
	if (r == 0) {
		*out = walk.path;
		path_get(out);
	}
	walk_end(&walk);
	return r;
}

static int setup_lock(const struct setup *s, const struct vfs_path *at)
{
	return mount_bind(s->fs->mounts, at, at, MNT_READ_ONLY | mount_flags(at->mount), true);
}

static int setup_mask_dir(const struct setup *s, const struct vfs_path *at)
{
	struct super *empty;
	int r = tmpfs_new(PAGE_SIZE, 0755, &empty);

	return r < 0 ? r : mount_add(s->fs->mounts, at, empty, MNT_READ_ONLY, "tmpfs");
}

static int setup_mask(const struct setup *s, const struct vfs_path *at)
{
	struct vfs_path null;
	int r;

	if (S_ISDIR(at->dentry->inode->attr.st_mode))
		return setup_mask_dir(s, at);
	r = setup_find(s, "/dev/null", &null);
	if (r < 0)
		return r;
	r = mount_bind(s->fs->mounts, at, &null, MNT_NOSUID, false);
	path_put(&null);
	return r;
}

/* A path that is not there needs neither mask nor lock. */
static int setup_cover(const struct setup *s, const struct oci_strv *paths, const char *what,
		       int (*cover)(const struct setup *s, const struct vfs_path *at),
		       struct coffer_error *err)
{
	for (size_t i = 0; i < paths->n; i++) {
		struct vfs_path at;
		int r = setup_find(s, paths->v[i], &at);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r == 0) {
			r = cover(s, &at);
			path_put(&at);
		}
		if (r < 0)
			return err_sysn(err, r, "linux.%s: %s", what, paths->v[i]);
	}
	return 0;
}

/* ---- what is refused, and what is left out ---- */

static int setup_check_namespaces(const struct oci_linux *linux_, struct coffer_error *err)
{
	for (size_t i = 0; i < linux_->namespaces.n; i++) {
		const struct oci_namespace *ns = &linux_->namespaces.v[i];

		/* The network's is entered by who starts the sentry. */
		if (ns->path && strcmp(ns->type, "network") != 0)
			return err_unsupported(err, "linux.namespaces: %s of another process",
					       ns->type);
	}
	return 0;
}

static int setup_check(const struct oci_spec *spec, struct coffer_error *err)
{
	const struct oci_linux *linux_ = spec->linux_;

	if (spec->hooks && (spec->hooks->create_container.n || spec->hooks->start_container.n))
		return err_unsupported(err, "hooks.createContainer, startContainer: they would run "
					    "in namespaces this container does not have");
	if (linux_->devices.n)
		return err_unsupported(err, "linux.devices: %s: devices of the host",
				       linux_->devices.v[0].path);
	if (linux_->time_offsets.n)
		return err_unsupported(err, "linux.timeOffsets");
	if (linux_->intel_rdt)
		return err_unsupported(err, "linux.intelRdt");
	if (linux_->personality && strcmp(linux_->personality->domain, "LINUX") != 0)
		return err_unsupported(err, "linux.personality: %s", linux_->personality->domain);
	if (linux_->seccomp)
		log_info("linux.seccomp is left out: the host's kernel is out of reach anyway");
	return setup_check_namespaces(linux_, err);
}

/* ---- all of it ---- */

static void setup_names(struct sandbox_container *c, const struct oci_spec *spec)
{
	snprintf(c->hostname, sizeof(c->hostname), "%s", spec->hostname ? spec->hostname : c->id);
	snprintf(c->domainname, sizeof(c->domainname), "%s",
		 spec->domainname ? spec->domainname : "(none)");
}

/* inet sockets are those of the sandbox's network, whatever a document says; what is inside the kernel
 * is the container's own if it asks for a network. */
static void setup_network(struct sandbox_container *c, const struct oci_spec *spec)
{
	const struct oci_namespace *ns = oci_namespace_find(spec, "network");

	if (!ns || ns->path)
		c->net_space = 0;
}

int setup_limits(struct sandbox_container *c, const struct oci_resources *res,
		 struct coffer_error *err)
{
	if (!res)
		return 0;
	pthread_mutex_lock(&kernel.tasks_lock);
	if (res->memory && res->memory->limit.set)
		c->memory_max = res->memory->limit.v > 0 ? (uint64_t)res->memory->limit.v : 0;
	if (res->pids && res->pids->limit)
		c->pids_max = res->pids->limit > 0 && res->pids->limit <= UINT32_MAX
				  ? (unsigned)res->pids->limit : 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (c->memory_max)
		mm_oom_watch();
	return 0;
}

/* Each is a file below /proc/sys; those of the host's kernel alone are not there. */
static int setup_sysctls(const struct setup *s, struct coffer_error *err)
{
	const struct oci_pairs *pairs = &s->spec->linux_->sysctl;

	for (size_t i = 0; i < pairs->n; i++) {
		autofree char *path = NULL;
		autofile struct file *file = NULL;
		struct walk walk;
		long r;

		if (asprintf(&path, "/proc/sys/%s", pairs->v[i].key) < 0) {
			path = NULL;
			return err_nomem(err);
		}
		for (char *p = path + strlen("/proc/sys/"); *p; p++)
			if (*p == '.')
				*p = '/';
		setup_walk(s, &walk);
		r = vfs_open(&walk, path, O_WRONLY, 0, 0, &file);
		walk_end(&walk);
		if (r == 0)
			r = file_write_kernel(file, pairs->v[i].value, strlen(pairs->v[i].value),
					      0);
		if (r < 0)
			return err_sysn(err, (int)r, "linux.sysctl: %s", pairs->v[i].key);
	}
	return 0;
}

static int setup_finish(const struct setup *s, struct coffer_error *err)
{
	int r = 0;

	if (s->spec->root->readonly) {
		r = mount_remount(s->fs->mounts, &s->root,
				  MNT_READ_ONLY | mount_flags(s->root.mount));
		if (r < 0)
			return err_sysn(err, r, "root.readonly");
	}
	r = mount_pivot(s->fs->mounts, &s->root);
	return r < 0 ? err_sysn(err, r, "enter the root") : 0;
}

static int setup_files(struct setup *s, const char *bundle, struct coffer_error *err)
{
	const struct oci_linux *linux_ = s->spec->linux_;
	int r = setup_find_root(s, bundle, err);

	if (r == 0)
		setup_hostname(s);
	if (r == 0)
		r = setup_mounts(s, err);
	if (r == 0)
		r = setup_sysctls(s, err);
	if (r == 0)
		r = setup_cover(s, &linux_->masked_paths, "maskedPaths", setup_mask, err);
	if (r == 0)
		r = setup_cover(s, &linux_->readonly_paths, "readonlyPaths", setup_lock, err);
	if (r == 0)
		r = setup_finish(s, err);
	if (s->root.mount)
		path_put(&s->root);
	return r;
}

int setup_container(const char *id, const char *bundle, const struct oci_spec *spec,
		    struct sandbox_container **out, struct coffer_error *err)
{
	struct setup s = { .spec = spec };
	struct mount_table *mounts;
	int r = setup_check(spec, err);

	if (r < 0)
		return r;
	mounts = mount_table_copy(machine_mounts());
	if (!mounts)
		return err_nomem(err);
	s.fs = fs_context_new(mounts);
	r = container_new(id, mounts, &s.container, err);
	if (r == 0 && !s.fs)
		r = err_nomem(err);
	if (r == 0) {
		setup_names(s.container, spec);
		setup_network(s.container, spec);
		r = setup_limits(s.container, spec->linux_->resources, err);
	}
	if (r == 0)
		r = setup_files(&s, bundle, err);
	if (s.fs)
		fs_context_put(s.fs);
	if (r < 0 && s.container)
		container_free(s.container);
	if (r == 0)
		*out = s.container;
	return r;
}
