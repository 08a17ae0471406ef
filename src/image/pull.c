/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/pull.c - from a registry's name to an image of the store
 *
 *	resolve (one request) --> index, manifest --> configuration, layers --> name
 *	                                                   |
 *	                                                   +--> root file system
 *
 * Documents that are in the store already are not asked for again, nor what a
 * manifest of the store refers to, if it is there: so a pull of what is here is
 * the one request, without any other way through the code.  Everything is in
 * the lease before it is looked for.  Documents reach the store after what they
 * refer to and the name comes last: wherever this ends, nothing is half there.
 */
#include <string.h>

#include "image/pull_internal.h"

#define PULL_MANIFESTS_MAX 256

static void pull_end(struct pull *p)
{
	for (size_t i = 0; i < p->nmanifests; i++) {
		descriptor_free(&p->manifests[i].self);
		manifest_free(&p->manifests[i].manifest);
	}
	free(p->manifests);
	for (size_t i = 0; i < p->ndocuments; i++)
		buf_free(&p->documents[i].text);
	free(p->documents);
	visited_free(&p->visited);
	descriptor_free(&p->top);
	if (p->registry)
		registry_close(p->registry);
	if (p->lease)
		store_lease_close(p->lease);
}

/* ---- documents ---- */

static int pull_keep_document(struct pull *p, const struct digest *digest, struct buf *text,
			      struct coffer_error *err)
{
	struct pull_document *list;

	p->bytes += text->len;
	if (p->bytes > IMAGE_DOCUMENTS_BYTES)
		return err_unsupported(err, "its manifests are more than %zu bytes",
				       IMAGE_DOCUMENTS_BYTES);
	list = reallocarray(p->documents, p->ndocuments + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	p->documents = list;
	list[p->ndocuments++] = (struct pull_document){ .digest = *digest, .text = *text };
	*text = (struct buf){ 0 };
	return 0;
}

static int pull_keep_manifest(struct pull *p, const struct descriptor *self, struct manifest *m,
			      bool here, struct coffer_error *err)
{
	struct pull_manifest *list;

	if (p->nmanifests == PULL_MANIFESTS_MAX)
		return err_unsupported(err, "more than %d images in one index", PULL_MANIFESTS_MAX);
	list = reallocarray(p->manifests, p->nmanifests + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	p->manifests = list;
	list += p->nmanifests;
	*list = (struct pull_manifest){ .here = here };
	if (descriptor_copy(&list->self, self) < 0)
		return err_nomem(err);
	p->nmanifests++;
	list->manifest = *m;
	*m = (struct manifest){ 0 };
	return 0;
}

/* Return: 1 when it is in the store, 0 when it was fetched, or negative errno */
static int pull_read(struct pull *p, const struct descriptor *d, struct buf *text,
		     struct coffer_error *err)
{
	autodescriptor struct descriptor got = { 0 };
	int r = store_lease_add(p->lease, &d->digest, err);

	if (r == 0)
		r = store_blob_read(p->images->store, &d->digest, DOCUMENT_MANIFEST_MAX, text, err);
	if (r != -ENOENT)
		return r < 0 ? r : 1;
	r = registry_manifest(p->registry, d, &got, text, err);
	return r < 0 ? r : 0;
}

static int pull_follow(struct pull *p, const struct descriptor *d, unsigned depth, bool is_main,
		       struct coffer_error *err);

static int pull_follow_index(struct pull *p, const struct index *x, unsigned depth, bool is_main,
			     struct coffer_error *err)
{
	bool all = p->progress.how.all_platforms;
	int r = 0, chosen;

	if (depth == DOCUMENT_INDEX_DEPTH)
		return err_invalid(err, "indices in indices, too deep");
	chosen = index_choose(x, &p->want, err);
	/* Who wants all of them need not run any. */
	if (chosen < 0 && (!all || (is_main && p->progress.how.platform)))
		return chosen;
	if (chosen >= 0)
		r = pull_follow(p, &x->list[chosen], depth + 1, is_main, err);
	for (size_t i = 0; i < x->count && r == 0 && all; i++)
		r = pull_follow(p, &x->list[i], depth + 1, false, err);
	return r;
}

/* Whether what a manifest of the store refers to is there, as it should be. */
static bool pull_is_whole(const struct pull *p, const struct manifest *m)
{
	for (size_t i = 0; i <= m->nlayers; i++) {
		const struct descriptor *d = i < m->nlayers ? &m->layers[i] : &m->config;
		autoclose int fd = store_blob_open(p->images->store, &d->digest, NULL, NULL);

		if (fd < 0)
			return false;
	}
	return true;
}

static int pull_follow_manifest(struct pull *p, const struct descriptor *d, const struct buf *text,
				bool here, bool is_main, struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int r = manifest_parse(buf_data(text), text->len, d->media_type, &m, err);

	if (r == 0 && is_main)
		r = manifest_check_image(&m, err);
	if (r == 0)
		r = pull_keep_manifest(p, d, &m, here && pull_is_whole(p, &m), err);
	if (r == 0 && is_main)
		p->main = (ssize_t)p->nmanifests - 1;
	return r;
}

/* An index or manifest, and those below it that are wanted. */
static int pull_follow(struct pull *p, const struct descriptor *d, unsigned depth, bool is_main,
		       struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	CLEANUP(index_free) struct index x = { 0 };
	int r, here;

	if (!d->type || (d->type->kind != MEDIA_INDEX && d->type->kind != MEDIA_MANIFEST))
		return err_unsupported(err, "%s: %.100s is no media type of an image",
				       d->digest.text, d->media_type ? d->media_type : "nothing");
	r = visited_add(&p->visited, &d->digest, err);
	if (r != 0)
		return r < 0 ? r : 0;
	here = pull_read(p, d, &text, err);
	if (here < 0)
		return here;
	if (d->type->kind == MEDIA_MANIFEST) {
		r = pull_follow_manifest(p, d, &text, here, is_main, err);
	} else {
		r = index_parse(buf_data(&text), text.len, d->media_type, &x, err);
		if (r == 0)
			r = pull_follow_index(p, &x, depth, is_main, err);
	}
	if (r < 0)
		return err_wrap(err, "%s", d->digest.text);
	return here ? 0 : pull_keep_document(p, &d->digest, &text, err);
}

static int pull_put_document(struct pull *p, struct pull_document *d, struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	int r = store_part_open(p->images->store, &d->digest, d->text.len, p->progress.cancel_fd,
				&part, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = store_part_restart(part, err);
	if (r == 0)
		r = store_part_write(part, buf_data(&d->text), d->text.len, err);
	return r < 0 ? r : store_part_commit(part, p->lease, NULL, err);
}

/* ---- the whole ---- */

static int pull_prepare(struct pull *p, const char *name, struct coffer_error *err)
{
	const struct registry_how how = {
		.parallel = p->progress.how.parallel,
		.cancel_fd = p->progress.cancel_fd,
		.progress = progress_forward,
		.data = &p->progress,
	};
	int r = images_reference(p->images, name, &p->ref, err);

	if (r < 0)
		return r;
	reference_canonical(&p->ref, p->name);
	reference_familiar(&p->ref, p->what);
	r = platform_parse(p->progress.how.platform, &p->want, err);
	if (r == 0)
		r = store_lease_open(p->images->store, &p->lease, err);
	if (r == 0)
		r = registry_open(&p->ref, &p->images->settings, &how, &p->registry, err);
	return r;
}

/* What a digest stands for does not change: if it is here, nobody has to be asked. */
static int pull_resolve(struct pull *p, struct coffer_error *err)
{
	int r = -ENOENT;

	if (!digest_is_empty(&p->ref.digest))
		r = store_name_get(p->images->store, p->name, &p->top, err);
	if (r == -ENOENT)
		r = registry_resolve(p->registry, &p->top, err);
	if (r == 0)
		progress_tell(&p->progress, COFFER_PROGRESS_RESOLVED, p->top.digest.text, 0, 0);
	return r;
}

static int pull_name(struct pull *p, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < p->ndocuments && r == 0; i++)
		r = pull_put_document(p, &p->documents[i], err);
	if (r == 0)
		r = progress_check(&p->progress, err);
	return r < 0 ? r : store_name_set(p->images->store, p->name, &p->top, err);
}

static int pull_run(struct pull *p, const char *name, struct coffer_image **out,
		    struct coffer_error *err)
{
	const struct descriptor *opened = &p->top;
	int r = pull_prepare(p, name, err);

	if (r == 0)
		r = pull_resolve(p, err);
	if (r == 0)
		r = pull_follow(p, &p->top, 0, true, err);
	if (r == 0)
		r = pull_blobs(p, err);
	if (r == 0)
		r = pull_name(p, err);
	if (r < 0)
		return err_wrap(err, "pull %s", p->what[0] ? p->what : name);
	if (!out)
		return 0;
	/* Of all platforms, none was this machine's. */
	if (p->main < 0 && p->nmanifests > 0)
		opened = &p->manifests[0].self;
	return image_open(p->images, opened, p->name, p->progress.how.platform, steal_ptr(p->lease),
			  out, err);
}

int coffer_image_pull(struct coffer_images *images, const char *name,
		      const struct coffer_transfer *how, struct coffer_image **out,
		      struct coffer_error *err)
{
	struct pull p = { .images = images, .main = -1 };
	struct coffer_error why = COFFER_ERROR_INIT;
	int r = progress_open(&p.progress, how, err);

	if (r < 0)
		return r;
	r = pull_run(&p, name, out, &why);
	/* What was refused will be refused again; what broke off is gone on with. */
	if (r < 0 &&
	    (why.kind == COFFER_ERR_INVALID_ARGUMENT || why.kind == COFFER_ERR_UNSUPPORTED) &&
	    p.lease)
		store_lease_end(steal_ptr(p.lease), NULL);
	if (r < 0 && err)
		*err = why;
	pull_end(&p);
	progress_close(&p.progress);
	return r;
}
