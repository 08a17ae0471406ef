/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/machine.c - the mount table behind the contract's paths
 *
 * Types of mounts are a table: each row turns a source into a super, then one way to put it in
 * place. Names come from the host, but what they lead through may be a container's root, which
 * anything may have been written to: those are resolved with that root as "/".
 *
 * Called on the control loop only.
 */
#define LOG_CATEGORY "machine"
#include "sentry/control/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/sized.h"
#include "sentry/control/container.h"
#include "sentry/task/cred.h"
#include "sentry/vfs/cpio.h"
#include "spec/mount_options.h"

#define MACHINE_LAYERS_MAX  128
#define MACHINE_INIT	    "/init"

/* stub/init.c */
extern const char machine_init_program[];
extern const uint64_t machine_init_program_size;

static struct {
	const struct sentry_config *config;
	struct fs_context *fs;
} machine;

struct cred *machine_cred(void)
{
	static struct cred cred = {
		.refs = 1,
		.cap_effective = UINT64_MAX,
		.cap_permitted = UINT64_MAX,
		.cap_bounding = UINT64_MAX,
	};

	return &cred;
}

struct mount_table *machine_mounts(void)
{
	return machine.fs->mounts;
}

/* ---- paths ---- */

static void machine_walk_from(struct walk *walk, struct fs_context *fs, const struct vfs_path *root)
{
	*walk = (struct walk){ .fs = fs, .cred = machine_cred() };
	if (!root)
		return;
	walk->start = *root;
	walk->in_root = true;
	path_get(&walk->start);
}

int machine_mkdirs(struct walk *walk, const char *path, uint32_t mode, struct coffer_error *err)
{
	autofree char *prefix = strdup(path);

	if (!prefix)
		return err_nomem(err);
	for (char *p = prefix; *p; ) {
		struct vfs_create args = { .mode = S_IFDIR | mode, .exclusive = true };
		char *end = strchrnul(p + 1, '/');
		char saved = *end;
		int r;

		*end = '\0';
		r = strspn(prefix, "/") == strlen(prefix) ? 0 : vfs_create(walk, prefix, &args);
		if (r < 0 && r != -EEXIST)
			return err_sysn(err, r, "create %s", prefix);
		*end = saved;
		p = end;
	}
	return 0;
}

/* An empty file to bind a file on. */
static int machine_make_file(struct walk *walk, const char *path, struct coffer_error *err)
{
	struct vfs_create args = { .mode = S_IFREG | 0644, .exclusive = true };
	autofree char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int r = dir ? 0 : err_nomem(err);

	if (r == 0 && slash && slash != dir) {
		*slash = '\0';
		r = machine_mkdirs(walk, dir, 0755, err);
	}
	if (r < 0)
		return r;
	r = vfs_create(walk, path, &args);
	return r < 0 && r != -EEXIST ? err_sysn(err, r, "create %s", path) : 0;
}

static int machine_find(struct fs_context *fs, const struct vfs_path *root, const char *path,
			struct vfs_path *out, struct coffer_error *err)
{
	struct walk walk;
	int r;

	machine_walk_from(&walk, fs, root);
	r = vfs_walk(&walk, path, 0);
	if (r >= 0) {
		*out = walk.path;
		path_get(out);
	}
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "%s", path) : 0;
}

static int machine_find_target(struct fs_context *fs, const struct vfs_path *root, const char *path,
			       bool dir, struct vfs_path *out, struct coffer_error *err)
{
	struct walk walk;
	int r;

	machine_walk_from(&walk, fs, root);
	/* What is there is used as it is, links inside the root included. */
	r = vfs_walk(&walk, path, 0);
	if (r < 0) {
		walk_end(&walk);
		machine_walk_from(&walk, fs, root);
		r = dir ? machine_mkdirs(&walk, path, 0755, err)
			: machine_make_file(&walk, path, err);
		walk_end(&walk);
		return r < 0 ? r : machine_find(fs, root, path, out, err);
	}
	*out = walk.path;
	path_get(out);
	walk_end(&walk);
	return 0;
}

/* The init that a document may bind into its container: here from when it is first wanted. */
static int machine_add_init(struct coffer_error *err)
{
	autofile struct file *file = NULL;
	struct walk walk;
	long n;

	machine_walk_from(&walk, machine.fs, NULL);
	n = vfs_open(&walk, MACHINE_INIT, O_WRONLY | O_CREAT | O_EXCL, 0755, 0, &file);
	walk_end(&walk);
	if (n == 0)
		n = file_write_kernel(file, machine_init_program, machine_init_program_size, 0);
	return n < 0 && n != -EEXIST ? err_sysn(err, (int)n, "make %s", MACHINE_INIT) : 0;
}

/* ---- sources ---- */

struct machine_source {
	struct fs_context *fs;
	struct sandbox_container *container; /* NULL: of the machine itself */
	const struct machine_mount *mount;
	const struct mount_options *options;
};

/* The value of @key in comma-separated words; NULL: not there. free() it. */
static char *machine_word(const char *data, const char *key)
{
	size_t n = strlen(key);

	while (data && *data) {
		const char *end = strchrnul(data, ',');

		if (strncmp(data, key, n) == 0 && data[n] == '=')
			return strndup(data + n + 1, (size_t)(end - data) - n - 1);
		data = *end ? end + 1 : end;
	}
	return NULL;
}

static int machine_number(const char *data, const char *key, int base, uint64_t *out,
			  struct coffer_error *err)
{
	autofree char *text = machine_word(data, key);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*out = strtoull(text, &end, base);
	for (int i = 0; *end && i < 3; i++) {
		if (*end != "kmg"[i] && *end != "KMG"[i])
			continue;
		*out <<= 10 * (i + 1);
		end++;
		break;
	}
	return *end || end == text || errno ? err_invalid(err, "%s=%s: no number", key, text) : 0;
}

static int machine_tmpfs(const struct machine_source *s, struct super **out,
			 struct coffer_error *err)
{
	uint64_t size = 0, mode = 01777;
	int r = machine_number(s->options->data, "size", 10, &size, err);

	if (r == 0)
		r = machine_number(s->options->data, "mode", 8, &mode, err);
	if (r < 0)
		return r;
	r = tmpfs_new(size, (uint32_t)mode & 07777, out);
	return r < 0 ? err_sysn(err, r, "tmpfs") : 0;
}

static int machine_devpts(const struct machine_source *s, struct super **out,
			  struct coffer_error *err)
{
	uint64_t mode = 0666, gid = 5;
	int r = machine_number(s->options->data, "ptmxmode", 8, &mode, err);

	if (r == 0)
		r = machine_number(s->options->data, "gid", 10, &gid, err);
	if (r < 0)
		return r;
	r = devpts_new((uint32_t)mode & 0777, (uint32_t)gid, out);
	if (r < 0)
		return err_sysn(err, r, "devpts");
	if (s->container && !s->container->devpts) {
		(*out)->refs++;
		s->container->devpts = *out;
	}
	return 0;
}

static int machine_proc(const struct machine_source *s, struct super **out,
			struct coffer_error *err)
{
	int r = s->container ? procfs_new(s->container, out) : -EOPNOTSUPP;

	return r < 0 ? err_sysn(err, r, "proc") : 0;
}

static int machine_sysfs(const struct machine_source *s, struct super **out,
			 struct coffer_error *err)
{
	int r = sysfs_new(out);

	return r < 0 ? err_sysn(err, r, "sysfs") : 0;
}

static int machine_cgroup(const struct machine_source *s, struct super **out,
			  struct coffer_error *err)
{
	int r = s->container ? cgroupfs_new(s->container, out) : -EOPNOTSUPP;

	return r < 0 ? err_sysn(err, r, "cgroup") : 0;
}

static int machine_virtiofs(const struct machine_source *s, struct super **out,
			    struct coffer_error *err)
{
	for (unsigned i = 0; i < machine.config->ntrees; i++) {
		const struct sentry_tree *tree = &machine.config->trees[i];
		int r;

		if (strcmp(tree->tag, s->mount->source) != 0)
			continue;
		r = hostfs_new(i, tree->read_only, out);
		return r < 0 ? err_sysn(err, r, "share %s", tree->tag) : 0;
	}
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no share has the tag %s", s->mount->source);
}

static int machine_ext4(const struct machine_source *s, struct super **out,
			struct coffer_error *err)
{
	const char *source = s->mount->source;
	unsigned i = (unsigned)(unsigned char)source[strlen("/dev/vd")] - 'a';
	int fd, r;

	if (strncmp(source, "/dev/vd", 7) != 0 || strlen(source) != 8 ||
	    i >= machine.config->ndisks)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no disk is %s", source);
	if (!(s->options->flags & MS_RDONLY))
		return err_unsupported(err, "%s: without a kernel of its own a sandbox reads "
					    "disks, but does not write to them", source);
	fd = fcntl(machine.config->disks[i].fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, "disk %s", source);
	r = ext4fs_new(fd, out);
	return r < 0 ? err_sysn(err, r, "ext4 of %s", source) : 0;
}

static int machine_overlay_lower(const struct machine_source *s, struct vfs_path *lower, size_t *n,
				 struct coffer_error *err)
{
	autofree char *list = machine_word(s->options->data, "lowerdir");
	char *save = NULL;

	if (!list)
		return err_invalid(err, "overlay: lowerdir is missing");
	for (char *p = strtok_r(list, ":", &save); p; p = strtok_r(NULL, ":", &save)) {
		int r;

		if (*n == MACHINE_LAYERS_MAX)
			return err_invalid(err, "overlay: more than %d layers", MACHINE_LAYERS_MAX);
		r = machine_find(s->fs, NULL, p, &lower[*n], err);
		if (r < 0)
			return r;
		++*n;
	}
	return 0;
}

static int machine_overlay(const struct machine_source *s, struct super **out,
			   struct coffer_error *err)
{
	autofree struct vfs_path *lower = calloc(MACHINE_LAYERS_MAX, sizeof(*lower));
	autofree char *dir = machine_word(s->options->data, "upperdir");
	struct vfs_path upper = { NULL, NULL };
	size_t n = 0;
	int r = lower ? machine_overlay_lower(s, lower, &n, err) : err_nomem(err);

	if (r == 0 && dir)
		r = machine_find(s->fs, NULL, dir, &upper, err);
	if (r == 0) {
		r = overlay_new(lower, n, dir ? &upper : NULL, out);
		if (r < 0)
			err_sysn(err, r, "overlay");
	}
	for (size_t i = 0; i < n; i++)
		path_put(&lower[i]);
	if (upper.mount)
		path_put(&upper);
	return r;
}

static const struct {
	const char *type;
	int (*open)(const struct machine_source *s, struct super **out, struct coffer_error *err);
} machine_types[] = {
	{ "tmpfs", machine_tmpfs },	{ "ramfs", machine_tmpfs },   { "mqueue", machine_tmpfs },
	{ "devpts", machine_devpts },	{ "proc", machine_proc },     { "sysfs", machine_sysfs },
	{ "cgroup", machine_cgroup },	{ "cgroup2", machine_cgroup }, { "overlay", machine_overlay },
	{ "virtiofs", machine_virtiofs }, { "ext4", machine_ext4 },
};

static int machine_open(const struct machine_source *s, struct super **out,
			struct coffer_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(machine_types); i++)
		if (strcmp(machine_types[i].type, s->mount->type) == 0)
			return machine_types[i].open(s, out, err);
	return err_unsupported(err, "file systems of type %s", s->mount->type);
}

/* ---- mounts ---- */

static const struct {
	unsigned long ms;
	unsigned mnt;
} machine_flag_map[] = {
	{ MS_RDONLY, MNT_READ_ONLY }, { MS_NOSUID, MNT_NOSUID }, { MS_NODEV, MNT_NODEV },
	{ MS_NOEXEC, MNT_NOEXEC }, { MS_NOATIME, MNT_NOATIME }, { MS_RELATIME, MNT_RELATIME },
	{ MS_NODIRATIME, MNT_NODIRATIME },
};

static unsigned machine_flags(const struct mount_options *o)
{
	unsigned flags = 0;

	for (size_t i = 0; i < ARRAY_SIZE(machine_flag_map); i++)
		if (o->flags & machine_flag_map[i].ms)
			flags |= machine_flag_map[i].mnt;
	return flags;
}

static int machine_bind(const struct machine_source *s, const struct vfs_path *root,
			struct coffer_error *err)
{
	struct vfs_path source, target;
	bool dir;
	int r;

	if (strcmp(s->mount->source, MACHINE_INIT) == 0 && machine_add_init(err) < 0)
		return err_wrap(err, "source");
	r = machine_find(s->fs, NULL, s->mount->source, &source, err);
	if (r < 0)
		return err_wrap(err, "source");
	dir = S_ISDIR(source.dentry->inode->attr.st_mode);
	r = machine_find_target(s->fs, root, s->mount->destination, dir, &target, err);
	if (r == 0) {
		r = mount_bind(s->fs->mounts, &target, &source, machine_flags(s->options),
			       s->options->flags & MS_REC);
		if (r < 0)
			err_sysn(err, r, "bind");
		path_put(&target);
	}
	path_put(&source);
	return r;
}

static int machine_place(const struct machine_source *s, const struct vfs_path *root,
			 struct coffer_error *err)
{
	struct super *super = NULL;
	struct vfs_path target;
	int r;

	if (s->options->flags & MS_BIND || strcmp(s->mount->type, "bind") == 0)
		return machine_bind(s, root, err);
	r = machine_find_target(s->fs, root, s->mount->destination, true, &target, err);
	if (r < 0)
		return r;
	r = machine_open(s, &super, err);
	if (r == 0) {
		r = mount_add(s->fs->mounts, &target, super, machine_flags(s->options),
			      s->mount->source);
		if (r < 0)
			err_sysn(err, r, "mount");
	}
	path_put(&target);
	return r;
}

int machine_mount_in(struct fs_context *fs, const struct vfs_path *root,
		     struct sandbox_container *container, const struct machine_mount *mount,
		     struct coffer_error *err)
{
	struct mount_options options = { 0 };
	const struct machine_source source = { fs, container, mount, &options };
	int r = mount_options_parse(mount->options, &options, err);

	if (r == 0)
		r = machine_place(&source, root, err);
	mount_options_free(&options);
	return r < 0 ? err_wrap(err, "mount %s (%s) on %s", mount->source, mount->type,
				mount->destination)
		     : 0;
}

int machine_mount(const struct machine_mount *mount, struct coffer_error *err)
{
	return machine_mount_in(machine.fs, NULL, NULL, mount, err);
}

int machine_unmount(const char *path, int flags, struct coffer_error *err)
{
	struct vfs_path at;
	int r = machine_find(machine.fs, NULL, path, &at, err);

	if (r < 0)
		return r;
	r = mount_remove(machine.fs->mounts, &at, flags & MNT_DETACH);
	path_put(&at);
	return r < 0 ? err_sysn(err, r, "unmount %s", path) : 0;
}

void machine_forget(const char *id)
{
	char path[sizeof(MACHINE_STATE_DIR) + NAME_MAX + 16];
	struct walk walk;

	snprintf(path, sizeof(path), MACHINE_STATE_DIR "/%s/rootfs", id);
	/* No mount point if the container was never given a root of its own. */
	machine_unmount(path, MNT_DETACH, NULL);
	machine_walk_from(&walk, machine.fs, NULL);
	if (vfs_unlink(&walk, path, true) == 0) {
		*strrchr(path, '/') = '\0';
		vfs_unlink(&walk, path, true);
	}
	walk_end(&walk);
}

/* ---- the contract's paths ---- */

void machine_walk_container(struct walk *walk, struct sandbox_container *container)
{
	struct vfs_path root;

	mount_table_root(container->mounts, &root);
	machine_walk_from(walk, machine.fs, &root);
	path_put(&root);
}

void machine_walk_at(struct walk *walk, const struct vfs_path *at)
{
	machine_walk_from(walk, machine.fs, at);
}

int machine_find_own(const char *path, struct vfs_path *out, struct coffer_error *err)
{
	if (path[0] != '/')
		return err_invalid(err, "path \"%.200s\" is not absolute", path);
	return machine_find(machine.fs, NULL, path, out, err);
}

static struct sandbox_container *machine_container(const char *id, size_t n)
{
	for (struct sandbox_container *c = kernel.containers; c; c = c->next)
		if (strlen(c->id) == n && memcmp(c->id, id, n) == 0)
			return c;
	return NULL;
}

/* Length of "/run/container/<id>/rootfs" at the head of @path; 0: elsewhere */
static size_t machine_split(const char *path, const char **id, size_t *id_len)
{
	static const char head[] = MACHINE_STATE_DIR "/", tail[] = "/rootfs";
	const char *slash;

	if (strncmp(path, head, strlen(head)) != 0)
		return 0;
	*id = path + strlen(head);
	slash = strchr(*id, '/');
	if (!slash || strncmp(slash, tail, strlen(tail)) != 0)
		return 0;
	*id_len = (size_t)(slash - *id);
	slash += strlen(tail);
	return *slash && *slash != '/' ? 0 : (size_t)(slash - path);
}

int machine_walk(struct walk *walk, const char *path, const char **rest, struct coffer_error *err)
{
	struct sandbox_container *container;
	struct vfs_path root = { NULL, NULL };
	const char *id = NULL;
	size_t id_len = 0, n = machine_split(path, &id, &id_len);
	autofree char *head = NULL;
	int r;

	*rest = path;
	if (path[0] != '/')
		return err_invalid(err, "path %s: must be absolute", path);
	if (n == 0) {
		machine_walk_from(walk, machine.fs, NULL);
		return 0;
	}
	*rest = path[n] ? path + n : "/";
	container = machine_container(id, id_len);
	if (container) {
		machine_walk_container(walk, container);
		return 0;
	}
	head = strndup(path, n);
	r = head ? machine_find(machine.fs, NULL, head, &root, err) : err_nomem(err);
	if (r < 0)
		return r;
	machine_walk_from(walk, machine.fs, &root);
	path_put(&root);
	return 0;
}

/* ---- start ---- */

/* Names in it are those of a guest: busybox/bin/sh ... */
static int machine_unpack(struct coffer_error *err)
{
	struct vfs_path root;
	int r;

	if (machine.config->archive_fd < 0)
		return 0;
	mount_table_root(machine.fs->mounts, &root);
	r = cpio_unpack(machine.config->archive_fd, &root, err);
	path_put(&root);
	return r < 0 ? err_wrap(err, "unpack the built-in root") : 0;
}

int machine_start(const struct sentry_config *config, struct coffer_error *err)
{
	struct mount_table *mounts;
	struct super *root;
	int r = tmpfs_new(0, 0755, &root);

	machine.config = config;
	if (r < 0)
		return err_sysn(err, r, "tmpfs");
	mounts = mount_table_new(root, 0);
	machine.fs = mounts ? fs_context_new(mounts) : NULL;
	if (mounts)
		mount_table_put(mounts);
	if (!machine.fs)
		return err_nomem(err);
	/* Permissions that are asked for are meant as they are. */
	machine.fs->umask = 0;
	return machine_unpack(err);
}
