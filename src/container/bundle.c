/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/bundle.c - an image as an OCI runtime bundle
 *
 *	layers of the store --(aside.c)--> rootfs/
 *	image's configuration --(bundle_config.c)--> config.json, at the end
 *
 * Root unpacks as it is.  An ordinary user does so as root of a user namespace,
 * with the ids that /etc/subuid gives or with its own alone, in which case no
 * file is given away; the document asks for the same namespace.
 *
 * What is made is the caller's to look into: set-user-id programs of images are
 * in there, so nobody else may.  Whatever fails, all of it is removed again, by
 * who has made it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/unpack.h"
#include "base/path.h"
#include "base/paths.h"
#include "container/aside.h"
#include "container/bundle.h"
#include "container/subids.h"
#include "image/images.h"
#include "image/layer/reader.h"
#include "image/progress.h"

#define BUNDLE_ROOTFS  "rootfs"
#define BUNDLE_BUILTIN "busybox.cpio"

struct bundle {
	struct coffer_image *image; /* borrowed */
	const char *dir;
	int fd;	   /* owned; of it */
	bool made; /* it is ours */
	struct progress progress;
	struct subids subids; /* owned; of an ordinary user */
	struct oci_linux ids; /* borrowed from them */
	bool root;
	struct layer_source *layers; /* owned, with their descriptors */
	size_t nlayers;
	uint64_t packed; /* bytes of them */
	int archive_fd;	 /* owned; of the built-in image */
	int rootfs_fd;	 /* owned */
};

static void bundle_free(struct bundle *b)
{
	for (size_t i = 0; i < b->nlayers; i++)
		close_fd(&b->layers[i].fd);
	free(b->layers);
	close_fd(&b->archive_fd);
	close_fd(&b->rootfs_fd);
	close_fd(&b->fd);
	subids_free(&b->subids);
}

/* ---- the directory ---- */

static int bundle_check_empty(int fd, struct coffer_error *err)
{
	autoclosedir DIR *d = NULL;
	struct dirent *de;
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		close_fd(&copy);
		return err_sys(err, "open");
	}
	while ((errno = 0, de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			return err_set(err, COFFER_ERR_ALREADY_EXISTS, ENOTEMPTY,
				       "it is not empty");
	return errno ? err_sys(err, "read") : 0;
}

static int bundle_make_dir(struct bundle *b, struct coffer_error *err)
{
	int r;

	b->made = mkdir(b->dir, 0700) == 0;
	if (!b->made && errno != EEXIST)
		return err_sys(err, "make the directory");
	b->fd = open(b->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->fd < 0)
		return err_sys(err, "open");
	if (b->made)
		return 0;
	r = bundle_check_empty(b->fd, err);
	if (r == 0 && fchmod(b->fd, 0700) < 0)
		return err_sys(err, "close it to others");
	return r;
}

static int bundle_make_rootfs(struct bundle *b, struct coffer_error *err)
{
	if (mkdirat(b->fd, BUNDLE_ROOTFS, 0755) < 0)
		return err_sys(err, "make " BUNDLE_ROOTFS);
	b->rootfs_fd = openat(b->fd, BUNDLE_ROOTFS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->rootfs_fd < 0)
		return err_sys(err, "open " BUNDLE_ROOTFS);
	return fchmod(b->rootfs_fd, 0755) < 0 ? err_sys(err, "set the mode of " BUNDLE_ROOTFS) : 0;
}

/* ---- what goes into it ---- */

static int bundle_open_layer(struct bundle *b, size_t n, struct coffer_error *err)
{
	const struct coffer_image *image = b->image;
	const struct descriptor *d = &image->manifest.layers[n];
	struct layer_source *l = &b->layers[n];

	if (!d->type || d->type->kind != MEDIA_LAYER)
		return err_unsupported(err, "layer %s: media type %s", d->digest.text,
				       d->media_type);
	*l = (struct layer_source){ .blob = d->digest,
				    .compression = d->type->compression,
				    .diff_id = image->config.diff_ids[n] };
	l->fd = store_blob_open(image->images->store, &d->digest, &l->size, err);
	if (l->fd == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "layer %s is not in the store",
			       d->digest.text);
	if (l->fd < 0)
		return l->fd;
	b->packed += l->size;
	b->nlayers++;
	return 0;
}

static int bundle_open_builtin(struct bundle *b, struct coffer_error *err)
{
	autofree char *path = NULL;
	int r = paths_find_data(BUNDLE_BUILTIN, &path, err);

	if (r < 0)
		return r;
	b->archive_fd = open(path, O_RDONLY | O_CLOEXEC);
	return b->archive_fd < 0 ? err_sys(err, "open %s", path) : 0;
}

static int bundle_open_layers(struct bundle *b, struct coffer_error *err)
{
	size_t n = b->image->manifest.nlayers;
	int r = 0;

	if (b->image->builtin)
		return bundle_open_builtin(b, err);
	if (n != b->image->config.ndiff_ids)
		return err_invalid(err, "%zu layers, %zu diff ids", n, b->image->config.ndiff_ids);
	b->layers = calloc(n ? n : 1, sizeof(*b->layers));
	if (!b->layers)
		return err_nomem(err);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = bundle_open_layer(b, i, err);
	return r;
}

/* ---- in the child ---- */

static void bundle_count(void *data, uint64_t done)
{
	aside_tell(data, done);
}

static int bundle_unpack(struct aside *a, void *data, struct coffer_error *err)
{
	const struct bundle *b = data;
	const struct unpack_options builtin = { .cpio = true,
						.keep_owners = b->root || b->subids.ranges,
						.root = "",
						.distrust = true };
	const struct layer_watch watch = { .cancel_fd = -1, .progress = bundle_count, .data = a };
	struct layer_used used = { 0 };
	int r = 0;

	if (b->archive_fd >= 0)
		return unpack_tree(b->archive_fd, b->rootfs_fd, &builtin, NULL, err);
	for (size_t i = 0; r == 0 && i < b->nlayers; i++)
		r = layer_unpack(&b->layers[i], b->rootfs_fd, b->root || b->subids.ranges,
				 &b->image->images->settings.limits, &used, &watch, err);
	return r;
}

static int bundle_remove(struct aside *a, void *data, struct coffer_error *err)
{
	const struct bundle *b = data;

	return path_remove_tree(b->fd, BUNDLE_ROOTFS, err);
}

/* ---- here ---- */

static void bundle_told(void *data, uint64_t done)
{
	struct bundle *b = data;

	progress_tell(&b->progress, COFFER_PROGRESS_BUILD, b->image->what, done, b->packed);
}

static int bundle_aside(struct bundle *b, int cancel_fd,
			int (*fn)(struct aside *a, void *data, struct coffer_error *err),
			struct coffer_error *err)
{
	const struct aside_args args = { .ids = b->root ? NULL : &b->ids,
					 .fn = fn,
					 .data = b,
					 .told = bundle_told,
					 .cancel_fd = cancel_fd };

	return aside_run(&args, err);
}

static int bundle_find_ids(struct bundle *b, struct coffer_error *err)
{
	int r;

	b->root = geteuid() == 0;
	if (b->root)
		return 0;
	r = subids_find(&b->subids, err);
	b->ids.uid_mappings = b->subids.uids;
	b->ids.gid_mappings = b->subids.gids;
	return r;
}

static int bundle_fill(struct bundle *b, struct coffer_error *err)
{
	int r = bundle_make_rootfs(b, err);

	if (r == 0)
		r = bundle_aside(b, b->progress.cancel_fd, bundle_unpack, err);
	if (r == 0)
		r = bundle_config_write(b->fd, b->rootfs_fd, &b->image->config,
					b->root ? NULL : &b->subids, err);
	if (r == 0)
		progress_tell(&b->progress, COFFER_PROGRESS_BUILD_DONE, b->image->what, b->packed,
			      b->packed);
	return r;
}

/* Nothing of what was made stays. */
static void bundle_undo(struct bundle *b)
{
	if (b->rootfs_fd >= 0)
		bundle_aside(b, -1, bundle_remove, NULL);
	if (b->made)
		rmdir(b->dir);
}

static int bundle_make(struct bundle *b, struct coffer_error *err)
{
	int r = bundle_open_layers(b, err);

	if (r == 0)
		r = bundle_find_ids(b, err);
	if (r < 0)
		return r;
	r = bundle_make_dir(b, err);
	if (r == 0)
		r = bundle_fill(b, err);
	if (r < 0)
		bundle_undo(b);
	return r;
}

int coffer_image_bundle(struct coffer_image *image, const char *dir,
			const struct coffer_transfer *how, struct coffer_error *err)
{
	CLEANUP(bundle_free)
	struct bundle b = {
		.image = image, .dir = dir, .fd = -1, .archive_fd = -1, .rootfs_fd = -1
	};
	struct coffer_error own = COFFER_ERROR_INIT;
	int r = progress_open(&b.progress, how, &own);

	if (r == 0) {
		r = bundle_make(&b, &own);
		progress_close(&b.progress);
	}
	if (r == 0)
		return 0;
	r = err_wrap(&own, "bundle %s of %s", dir, image->what);
	if (err)
		*err = own;
	return r;
}
