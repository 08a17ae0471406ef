/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/mounts.c - what a container sees beside its root
 *
 *	share   directory -> virtiofs device -> /run/virtiofs/<tag>   -> bind in the container
 *	        file      -> the same, with nothing in it but that    -> bind of the one name
 *	volume  a directory of ours                                  -> as a share
 *	disk    image     -> block device    -> /run/volumes/<n>      -> bind in the container
 *	nbd     socket    -> block device                            -> as a disk
 *	tmpfs                                                        -> mounted in the container
 *
 * The guest has each device once, however many mounts there are of it.  What is
 * to be read only is so in the container; the device itself is when nobody
 * writes to it, and then a guest that has taken over its kernel cannot either.
 *
 * The container's own mounts are made by the engine, which keeps their targets
 * inside the container's root.
 */
#include "container/mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"
#include "container/volume.h"
#include "engine/mount_options.h"
#include "sandbox_context.pb-c.h"

#define MOUNTS_SHARES  "/run/virtiofs"
#define MOUNTS_VOLUMES "/run/volumes"

/* --- plan --- */

static bool mounts_asks_for_ro(const struct coffer_mount *m)
{
	bool ro = m->read_only;

	for (const char *const *o = m->options; o && *o; o++)
		ro |= strcmp(*o, "ro") == 0 || strcmp(*o, "rro") == 0;
	return ro;
}

static bool mounts_has_disk(const struct mounts_entry *e)
{
	return e->config->kind == COFFER_MOUNT_DISK || e->config->kind == COFFER_MOUNT_NBD;
}

/* Stable, and there are few. */
static void mounts_sort(struct mounts *mounts)
{
	for (size_t i = 1; i < mounts->n; i++) {
		struct mounts_entry e = mounts->v[i];
		size_t at = i;

		for (; at > 0 && mounts->v[at - 1].depth > e.depth; at--)
			mounts->v[at] = mounts->v[at - 1];
		mounts->v[at] = e;
	}
}

/* A disk that is asked for twice is attached once, for writing if anybody wants that. */
static void mounts_merge_disks(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++) {
		struct mounts_entry *e = &mounts->v[i], *first = mounts->v;

		e->device_read_only = e->read_only;
		if (!mounts_has_disk(e))
			continue;
		while (first != e && (first->config->kind != e->config->kind ||
				      strcmp(first->config->source, e->config->source) != 0))
			first++;
		if (first == e)
			continue;
		e->same = first;
		first->device_read_only &= e->read_only;
	}
}

static int mounts_check_twice(const struct mounts *mounts, struct coffer_error *err)
{
	for (size_t i = 0; i < mounts->n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(mounts->v[i].target, mounts->v[k].target) == 0)
				return err_invalid(err, "mounts: target %s: given twice",
						   mounts->v[i].target);
	return 0;
}

int mounts_plan(const struct coffer_mount *list, size_t n, struct mounts *out,
		struct coffer_error *err)
{
	int r;

	*out = (struct mounts){ .v = calloc(n + 1, sizeof(*out->v)) };
	if (!out->v)
		return err_nomem(err);
	for (; out->n < n; out->n++) {
		struct mounts_entry *e = &out->v[out->n];

		*e = (struct mounts_entry){ .config = &list[out->n],
					    .read_only = mounts_asks_for_ro(&list[out->n]),
					    .disk = DISK_INIT,
					    .dir_fd = -1 };
		e->target = mounts_target(list[out->n].target, err);
		if (!e->target)
			return err_wrap(err, "mounts[%zu]", out->n);
		for (const char *p = e->target; *p; p++)
			e->depth += *p == '/';
	}
	r = mounts_check_twice(out, err);
	if (r < 0)
		return r;
	mounts_sort(out);
	mounts_merge_disks(out);
	return 0;
}

/* --- sources on the host --- */

/*
 * A file is shared by the directory that it is really in.  That is found by the
 * name that the kernel gives the open file, and has to have that file.
 */
static int mounts_open_file(struct mounts_entry *e, int fd, const struct stat *st,
			    struct coffer_error *err)
{
	char link[64], path[PATH_MAX], *slash;
	struct stat there;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 1)
		return err_sys(err, "%s: read link", e->config->source);
	path[n] = '\0';
	slash = strrchr(path, '/');
	e->name = slash ? strdup(slash + 1) : NULL;
	if (!e->name)
		return err_nomem(err);
	slash[slash == path] = '\0';
	e->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dir_fd < 0)
		return err_sys(err, "%s: open its directory %s", e->config->source, path);
	if (fstatat(e->dir_fd, e->name, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, "%s: stat", e->config->source);
	if (there.st_dev != st->st_dev || there.st_ino != st->st_ino)
		return err_set(err, COFFER_ERR_INVALID_STATE, ESTALE, "%s: is being replaced",
			       e->config->source);
	return 0;
}

static int mounts_open_share(struct mounts_entry *e, struct coffer_error *err)
{
	const char *path = e->config->source;
	autoclose int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (S_ISREG(st.st_mode))
		return mounts_open_file(e, fd, &st, err);
	if (!S_ISDIR(st.st_mode))
		return err_invalid(err, "%s: neither a directory nor a regular file", path);
	e->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return e->dir_fd < 0 ? err_sys(err, "%s", path) : 0;
}

static int mounts_open_volume(struct mounts_entry *e, struct coffer_error *err)
{
	e->dir_fd = volume_open(e->config->source, err);
	return e->dir_fd < 0 ? steal_fd(&e->dir_fd) : 0;
}

static int mounts_open_disk(struct mounts_entry *e, struct coffer_error *err)
{
	return disk_open("disk", e->config->source, e->device_read_only, &e->disk, err);
}

static int mounts_open_nbd(struct mounts_entry *e, struct coffer_error *err)
{
	int r = nbd_parse(e->config->source, &e->nbd, err);

	if (r == 0)
		r = e->disk.fd = nbd_connect(&e->nbd, err);
	return r < 0 ? r : 0;
}

int mounts_open(struct mounts *mounts, struct coffer_error *err)
{
	static int (*const open_kind[])(struct mounts_entry * e, struct coffer_error * err) = {
		[COFFER_MOUNT_SHARE] = mounts_open_share,   [COFFER_MOUNT_TMPFS] = NULL,
		[COFFER_MOUNT_VOLUME] = mounts_open_volume, [COFFER_MOUNT_DISK] = mounts_open_disk,
		[COFFER_MOUNT_NBD] = mounts_open_nbd,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		struct mounts_entry *e = &mounts->v[i];

		if (!open_kind[e->config->kind] || e->same)
			continue;
		r = open_kind[e->config->kind](e, err);
		if (r < 0)
			err_wrap(err, "mount on %s", e->target);
	}
	return r;
}

static int mounts_attach_one(struct mounts_entry *e, struct sandbox_config *sandbox,
			     struct coffer_error *err)
{
	const struct sandbox_disk disk = { .fd = e->disk.fd,
					   .read_only = e->device_read_only,
					   .nbd = e->config->kind == COFFER_MOUNT_NBD,
					   .export = *e->nbd.export ? e->nbd.export : NULL };
	const char *tag;
	int r;

	if (disk.fd >= 0)
		return disk_attach(&disk, sandbox, e->device, err);
	if (e->dir_fd < 0)
		return 0;
	r = sandbox_config_share_file(sandbox, e->dir_fd, e->name ? e->name : "", e->read_only,
				      &tag, err);
	if (r == 0)
		snprintf(e->tag, sizeof(e->tag), "%s", tag);
	return r;
}

int mounts_attach(struct mounts *mounts, struct sandbox_config *sandbox, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		r = mounts_attach_one(&mounts->v[i], sandbox, err);
		if (r < 0)
			err_wrap(err, "mount on %s", mounts->v[i].target);
	}
	return r;
}

void mounts_close(struct mounts *mounts)
{
	for (size_t i = 0; i < mounts->n; i++) {
		disk_close(&mounts->v[i].disk);
		close_fd(&mounts->v[i].dir_fd);
		free(mounts->v[i].target);
		free(mounts->v[i].name);
	}
	free(mounts->v);
	*mounts = (struct mounts){ 0 };
}

/* --- in the guest --- */

static bool mounts_word_is_of_fs(const char *word)
{
	for (size_t i = 0; mount_options_word(i); i++)
		if (strcmp(mount_options_word(i), word) == 0)
			return false;
	return true;
}

const char *mounts_volume(const struct mounts_entry *e, struct guest_steps *g)
{
	const struct mounts_entry *own = e->same ? e->same : e;

	return *own->device ? guest_text(g, MOUNTS_VOLUMES "/%s", strrchr(own->device, '/') + 1)
			    : NULL;
}

/* "ro", and what the file system is told beside. */
static const char *const *mounts_disk_options(const struct mounts_entry *e, struct guest_steps *g)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 1);
	size_t n = 0;

	if (e->device_read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		if (mounts_word_is_of_fs(*o))
			words[n++] = *o;
	return words;
}

static bool mounts_share_is_first(const struct mounts *mounts, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(mounts->v[k].tag, mounts->v[i].tag) == 0)
			return false;
	return true;
}

void mounts_prepare(const struct mounts *mounts, struct guest_steps *g)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (*e->tag && mounts_share_is_first(mounts, i))
			guest_mount(g, guest_text(g, MOUNTS_SHARES "/%s", e->tag), "virtiofs",
				    e->tag, NULL);
		if (*e->device && e->disk.fs)
			guest_mount(g, mounts_volume(e, g), e->disk.fs, e->device,
				    mounts_disk_options(e, g));
	}
}

static int mounts_try(const struct mounts_entry *e, const char *fs, struct agent *agent,
		      struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };

	guest_mount(&g, mounts_volume(e, &g), fs, e->device, mounts_disk_options(e, &g));
	return guest_run(&g, agent, err);
}

int mounts_prepare_late(const struct mounts *mounts, struct agent *agent, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (!*e->device || e->disk.fs)
			continue;
		r = mounts_try(e, "ext4", agent, err);
		if (r < 0 && e->device_read_only && mounts_try(e, "erofs", agent, NULL) == 0) {
			err_clear(err);
			r = 0;
		}
	}
	return r;
}

/* A target on a mount of ours is not in the root; the engine will find out. */
static bool mounts_target_is_covered(const struct mounts *mounts, const struct mounts_entry *e)
{
	for (const struct mounts_entry *other = mounts->v; other != e; other++) {
		size_t n = strlen(other->target);

		if (strncmp(e->target, other->target, n) == 0 && e->target[n] == '/')
			return true;
	}
	return false;
}

static int mounts_check_target(const struct mounts_entry *e, const char *root, struct agent *agent,
			       struct coffer_error *err)
{
	Sc__StatRequest req = SC__STAT_REQUEST__INIT;
	autoreply ProtobufCMessage *reply = NULL;
	const Sc__StatResponse *resp;
	autofree char *path = path_join(root, e->target + 1);
	struct coffer_error own = COFFER_ERROR_INIT;
	bool dir;
	int r;

	if (!path)
		return err_nomem(err);
	req.path = path;
	r = agent_call(agent, AGENT_CONTRACT, "Stat", &req.base, AGENT_CALL_BUDGET, &reply, &own);
	resp = (const Sc__StatResponse *)reply;
	if (r == -ENOENT || (r == 0 && (!resp || !resp->stat)))
		return 0;
	if (r < 0) {
		if (err)
			*err = own;
		return r;
	}
	dir = S_ISDIR(resp->stat->mode);
	if (dir == !e->name)
		return 0;
	return err_invalid(err, "mount on %s: is %s, and the source is %s", e->target,
			   dir ? "a directory" : "a file",
			   dir ? "a file" : "a directory or a file system");
}

int mounts_check_targets(const struct mounts *mounts, const char *root, struct agent *agent,
			 struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++)
		if (!mounts_target_is_covered(mounts, &mounts->v[i]))
			r = mounts_check_target(&mounts->v[i], root, agent, err);
	return r;
}

void mounts_unmount(const struct mounts *mounts, struct guest_steps *g)
{
	for (size_t i = 0; i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		if (*e->device && !e->device_read_only)
			guest_unmount(g, mounts_volume(e, g));
	}
}

/* --- in the container --- */

static const char *mounts_source(const struct mounts_entry *e, struct guest_steps *g)
{
	if (!*e->tag)
		return mounts_volume(e, g);
	if (e->name)
		return guest_text(g, MOUNTS_SHARES "/%s/%s", e->tag, e->name);
	return guest_text(g, MOUNTS_SHARES "/%s", e->tag);
}

static int mounts_emit_bind(const struct mounts_entry *e, struct guest_steps *g,
			    struct oci_spec *spec, struct coffer_error *err)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 2);
	size_t n = 0;

	words[n++] = "bind";
	if (e->read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		if (!mounts_word_is_of_fs(*o))
			words[n++] = *o;
	return oci_mount_add(spec, e->target, "bind", mounts_source(e, g), words, err);
}

static int mounts_emit_tmpfs(const struct mounts_entry *e, struct guest_steps *g,
			     struct oci_spec *spec, struct coffer_error *err)
{
	const char **words = guest_words(g, MOUNTS_OPTIONS_MAX + 5);
	size_t n = 0;

	/* Else its mode would be that of the directory that is made for it. */
	words[n++] = "mode=1777";
	words[n++] = "nosuid";
	words[n++] = "nodev";
	if (e->config->size)
		words[n++] = guest_text(g, "size=%llu", (unsigned long long)e->config->size);
	if (e->read_only)
		words[n++] = "ro";
	for (const char *const *o = e->config->options; o && *o; o++)
		words[n++] = *o;
	return oci_mount_add(spec, e->target, "tmpfs", "tmpfs", words, err);
}

static unsigned mounts_depth(const char *target)
{
	unsigned depth = 0;

	for (; *target; target++)
		depth += *target == '/';
	return depth;
}

/* Those that every container has are in it already; one on the same target comes after its. */
static void mounts_sort_emitted(struct oci_spec *spec)
{
	for (size_t i = 1; i < spec->mounts.n; i++) {
		struct oci_mount m = spec->mounts.v[i];
		size_t at = i;

		for (; at > 0 && mounts_depth(spec->mounts.v[at - 1].destination) >
				     mounts_depth(m.destination);
		     at--)
			spec->mounts.v[at] = spec->mounts.v[at - 1];
		spec->mounts.v[at] = m;
	}
}

int mounts_emit(const struct mounts *mounts, struct oci_spec *spec, struct coffer_error *err)
{
	autosteps struct guest_steps g = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < mounts->n; i++) {
		const struct mounts_entry *e = &mounts->v[i];

		r = e->config->kind == COFFER_MOUNT_TMPFS ? mounts_emit_tmpfs(e, &g, spec, err)
							  : mounts_emit_bind(e, &g, spec, err);
	}
	if (r == 0 && g.failed < 0)
		r = err_nomem(err);
	if (r == 0 && mounts->n > 0)
		mounts_sort_emitted(spec);
	return r;
}
