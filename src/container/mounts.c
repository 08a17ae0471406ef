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
 * The two columns on the right are mounts_guest.c's.
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
#include "container/volume.h"

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
