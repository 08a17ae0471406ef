/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/root.c - root file systems, built once for every chain of layers
 *
 *	parts/root-ALGORITHM-HEX, written by who holds its flock(2) -> synced
 *	-> roots/ALGORITHM-HEX.ext4
 *
 * What was left behind half-built is begun anew.  Machines hold a shared
 * flock(2) on the root that they run on; prune.c leaves those.
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image/store/store_internal.h"

struct store_root {
	struct store *store; /* borrowed */
	struct digest chain;
	int fd;
	char name[STORE_FILE_MAX]; /* below parts */
};

int store_root_open(struct store *s, const struct digest *chain, char **path,
		    struct coffer_error *err)
{
	char name[STORE_FILE_MAX];
	struct stat st;

	*path = NULL;
	store_file_name("", chain, STORE_ROOT_SUFFIX, name);
	if (fstatat(s->roots, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : err_sys(err, "root file system %s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, COFFER_ERR_INTERNAL, EBADMSG, "root file system %s: not a file",
			       name);
	if (asprintf(path, "%s/roots/%s", s->path, name) < 0) {
		*path = NULL;
		return err_nomem(err);
	}
	return 0;
}

/* Return: 1: it is there */
static int root_begin(struct store_root *b, int cancel_fd, struct coffer_error *err)
{
	autofree char *path = NULL;
	int r = store_root_open(b->store, &b->chain, &path, err);

	if (r != -ENOENT)
		return r == 0 ? 1 : r;
	store_file_name("root-", &b->chain, "", b->name);
	b->fd = store_hold(b->store, b->name, cancel_fd, err);
	if (b->fd < 0)
		return b->fd;
	/* Who had it before us may have finished it; our own is unlinked by the close. */
	r = store_root_open(b->store, &b->chain, &path, err);
	if (r != -ENOENT)
		return r == 0 ? 1 : r;
	if (ftruncate(b->fd, 0) < 0)
		return err_sys(err, "image store %s: truncate parts/%s", b->store->path, b->name);
	return 0;
}

int store_root_begin(struct store *s, const struct digest *chain, int cancel_fd,
		     struct store_root **out, int *fd, struct coffer_error *err)
{
	CLEANUP(store_root_closep) struct store_root *b = calloc(1, sizeof(*b));
	int r;

	*out = NULL;
	*fd = -1;
	if (!b)
		return err_nomem(err);
	*b = (struct store_root){ .store = s, .chain = *chain, .fd = -1 };
	r = root_begin(b, cancel_fd, err);
	if (r == 0) {
		*fd = b->fd;
		*out = steal_ptr(b);
	}
	return r;
}

void store_root_flush(struct store_root *r)
{
	sync_file_range(r->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int store_root_commit(struct store_root *r, struct coffer_error *err)
{
	char name[STORE_FILE_MAX];

	store_file_name("", &r->chain, STORE_ROOT_SUFFIX, name);
	if (fchmod(r->fd, STORE_BLOB_MODE) < 0 || fdatasync(r->fd) < 0)
		return err_sys(err, "image store %s: sync parts/%s", r->store->path, r->name);
	if (renameat(r->store->parts, r->name, r->store->roots, name) < 0)
		return err_sys(err, "image store %s: rename parts/%s", r->store->path, r->name);
	/* A machine cannot share it with us. */
	close_fd(&r->fd);
	return 0;
}

void store_root_close(struct store_root *r)
{
	if (r->fd >= 0)
		unlinkat(r->store->parts, r->name, 0);
	close_fd(&r->fd);
	free(r);
}
