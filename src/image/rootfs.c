/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/rootfs.c - layers of the store to a root file system of the store
 *
 *	chain id --> is it there? --> begin (who else builds it is waited for) --> layer by layer
 *
 * Layers may still be on their way (pull.c): each is waited for when it is its
 * turn.  What fails leaves nothing in the store.
 */
#include "image/rootfs.h"

#include <string.h>

#include "image/layer/layer.h"

struct rootfs_build {
	const struct rootfs_job *job;
	struct layer_stack *stack; /* owned */
	struct store_root *root;   /* owned */
	struct layer_watch watch;
	uint64_t packed; /* bytes of all layers */
};

static void rootfs_build_end(struct rootfs_build *b)
{
	if (b->stack)
		layer_stack_free(b->stack);
	if (b->root)
		store_root_close(b->root);
}

static void rootfs_tell(void *data, uint64_t done)
{
	const struct rootfs_build *b = data;

	progress_tell(b->job->progress, COFFER_PROGRESS_BUILD, b->job->what, done, b->packed);
}

static int rootfs_add_layer(struct rootfs_build *b, size_t i, struct coffer_error *err)
{
	const struct rootfs_job *job = b->job;
	const struct descriptor *d = &job->manifest->layers[i];
	struct layer_source source = {
		.blob = d->digest,
		.compression = d->type->compression,
		.diff_id = job->config->diff_ids[i],
	};
	autoclose int fd = -1;
	int r = job->await ? job->await(job->data, i, err) : 0;

	if (r < 0)
		return r;
	fd = store_blob_open(job->images->store, &d->digest, &source.size, err);
	if (fd == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "layer %s: not in the store",
			       d->digest.text);
	if (fd < 0)
		return steal_fd(&fd);
	source.fd = fd;
	r = layer_stack_add(b->stack, &source, NULL, err);
	if (r == 0)
		store_root_flush(b->root);
	return r;
}

static int rootfs_stack(struct rootfs_build *b, int fd, struct coffer_error *err)
{
	const struct rootfs_job *job = b->job;
	int r;

	b->watch = (struct layer_watch){
		.cancel_fd = job->progress->cancel_fd,
		.progress = rootfs_tell,
		.data = b,
	};
	for (size_t i = 0; i < job->manifest->nlayers; i++)
		b->packed += job->manifest->layers[i].size;
	r = layer_stack_new(fd, &job->images->settings.limits, &b->watch, &b->stack, err);
	for (size_t i = 0; r == 0 && i < job->manifest->nlayers; i++)
		r = rootfs_add_layer(b, i, err);
	if (r == 0)
		r = layer_stack_finish(b->stack, err);
	if (r == 0)
		r = store_root_commit(b->root, err);
	if (r == 0)
		progress_tell(job->progress, COFFER_PROGRESS_BUILD_DONE, job->what, b->packed,
			      b->packed);
	return r;
}

static int rootfs_make(const struct rootfs_job *job, const struct digest *chain,
		       struct coffer_error *err)
{
	CLEANUP(rootfs_build_end) struct rootfs_build b = { .job = job };
	int fd = -1, r = manifest_check_image(job->manifest, err);

	if (r == 0)
		r = store_root_begin(job->images->store, chain, job->progress->cancel_fd, &b.root,
				     &fd, err);
	/* 1: somebody else has made it meanwhile */
	return r == 0 ? rootfs_stack(&b, fd, err) : r < 0 ? r : 0;
}

int rootfs_build(const struct rootfs_job *job, char **path, struct coffer_error *err)
{
	struct store *store = job->images->store;
	struct digest chain;
	int r = chain_id(job->config->diff_ids, job->config->ndiff_ids, &chain, err);

	if (r == 0)
		r = store_lease_add(job->lease, &chain, err);
	if (r == 0)
		r = store_root_open(store, &chain, path, err);
	if (r != -ENOENT)
		return r;
	r = rootfs_make(job, &chain, err);
	if (r < 0)
		return r;
	r = store_root_open(store, &chain, path, err);
	return r == -ENOENT ? err_sysn(err, r, "the root file system that was built") : r;
}

static int rootfs_of(struct coffer_image *image, const struct coffer_transfer *how,
		     struct coffer_error *err)
{
	struct progress progress;
	const struct rootfs_job job = {
		.images = image->images,
		.lease = image->lease,
		.manifest = &image->manifest,
		.config = &image->config,
		.what = image->what,
		.progress = &progress,
	};
	int r = progress_open(&progress, how, err);

	if (r < 0)
		return r;
	r = rootfs_build(&job, &image->rootfs, err);
	progress_close(&progress);
	return r;
}

int coffer_image_rootfs(struct coffer_image *image, const struct coffer_transfer *how,
			const char **path, struct coffer_error *err)
{
	int r = 0;

	pthread_mutex_lock(&image->lock);
	if (!image->builtin && !image->rootfs)
		r = rootfs_of(image, how, err);
	*path = image->rootfs;
	pthread_mutex_unlock(&image->lock);
	return r < 0 ? err_wrap(err, "image %s", image->what) : 0;
}
