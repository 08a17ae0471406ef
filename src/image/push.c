/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/push.c - an image of the store to a registry
 *
 *	blobs of all manifests --> manifests --> index, under the tag
 *
 * Documents go as they are, byte by byte, so digests stay.  That is why an index
 * only goes whole: one manifest of it, when a platform is named, is an image of
 * its own.  What another repository of the same registry is known to have is
 * not sent but mounted from there.
 */
#include <string.h>

#include "image/blobset.h"
#include "image/builtin.h"
#include "image/catalog.h"
#include "image/progress.h"
#include "image/registry/registry.h"
#include "image/visited.h"

#define PUSH_BATCH 64 /* blobs that are open at once */

struct push_document {
	struct descriptor desc;
	struct buf text;
	struct manifest manifest; /* empty: it is an index */
};

struct push {
	struct coffer_images *images; /* borrowed */
	struct reference ref;
	char name[REFERENCE_TEXT_MAX]; /* canonical */
	struct progress progress;
	struct registry *registry; /* owned, as all that follows */
	struct store_lease *lease;
	struct descriptor top;		 /* what is pushed */
	struct push_document *documents; /* inner ones first */
	size_t ndocuments;
	size_t bytes; /* how long those are together */
	struct visited visited;
	struct blobset set;
	char **mounts; /* for each blob the repository that it is in, or NULL */
};

static void push_end(struct push *p)
{
	for (size_t i = 0; i < p->ndocuments; i++) {
		descriptor_free(&p->documents[i].desc);
		buf_free(&p->documents[i].text);
		manifest_free(&p->documents[i].manifest);
	}
	free(p->documents);
	visited_free(&p->visited);
	for (size_t i = 0; p->mounts && i < p->set.count; i++)
		free(p->mounts[i]);
	free(p->mounts);
	blobset_free(&p->set);
	if (p->registry)
		registry_close(p->registry);
	descriptor_free(&p->top);
	if (p->lease)
		store_lease_close(p->lease);
}

/* ---- what there is ---- */

static int push_miss(const struct descriptor *d, struct coffer_error *err)
{
	char platform[IMAGE_PLATFORM_MAX] = "a part";

	if (d->has_platform)
		platform_format(&d->platform, platform);
	return err_set(err, COFFER_ERR_NOT_FOUND, 0,
		       "%s of its index (%s) is not here: pull all platforms, or push one",
		       platform, d->digest.text);
}

static int push_collect(struct push *p, const struct descriptor *d, unsigned depth,
			struct coffer_error *err);

static int push_collect_index(struct push *p, const struct descriptor *d, const struct buf *text,
			      unsigned depth, struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	int r = index_parse(buf_data(text), text->len, d->media_type, &x, err);

	if (depth == DOCUMENT_INDEX_DEPTH)
		return err_invalid(err, "indices in indices, too deep");
	for (size_t i = 0; i < x.count && r == 0; i++)
		r = push_collect(p, &x.list[i], depth + 1, err);
	return r;
}

static int push_append(struct push *p, struct push_document *doc, struct coffer_error *err)
{
	struct push_document *list;

	p->bytes += doc->text.len;
	if (p->bytes > IMAGE_DOCUMENTS_BYTES)
		return err_unsupported(err, "its manifests are more than %zu bytes",
				       IMAGE_DOCUMENTS_BYTES);
	list = reallocarray(p->documents, p->ndocuments + 1, sizeof(*list));
	if (!list)
		return err_nomem(err);
	p->documents = list;
	list[p->ndocuments++] = *doc;
	*doc = (struct push_document){ 0 };
	return 0;
}

static void push_document_free(struct push_document *doc)
{
	descriptor_free(&doc->desc);
	buf_free(&doc->text);
	manifest_free(&doc->manifest);
}

/* A document and those below it, those first. */
static int push_collect(struct push *p, const struct descriptor *d, unsigned depth,
			struct coffer_error *err)
{
	CLEANUP(push_document_free)
	struct push_document doc = {
		.text = BUF_INIT(DOCUMENT_MANIFEST_MAX),
	};
	struct buf *text = &doc.text;
	int r;

	r = visited_add(&p->visited, &d->digest, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = store_blob_read(p->images->store, &d->digest, DOCUMENT_MANIFEST_MAX, text, err);
	if (r == -ENOENT)
		return push_miss(d, err);
	if (r == 0 && descriptor_copy(&doc.desc, d) < 0)
		r = err_nomem(err);
	if (r == 0 && d->type && d->type->kind == MEDIA_INDEX)
		r = push_collect_index(p, d, text, depth, err);
	else if (r == 0)
		r = manifest_parse(buf_data(text), text->len, d->media_type, &doc.manifest, err);
	if (r < 0)
		return err_wrap(err, "%s", d->digest.text);
	return push_append(p, &doc, err);
}

static int push_list(struct push *p, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < p->ndocuments && r == 0; i++)
		if (p->documents[i].manifest.type)
			r = blobset_add(&p->set, &p->documents[i].manifest, err);
	if (r == 0)
		r = blobset_seal(&p->set, err);
	if (r < 0)
		return r;
	p->mounts = calloc(p->set.count + 1, sizeof(*p->mounts));
	return p->mounts ? 0 : err_nomem(err);
}

/* ---- where else it is ---- */

static int push_hint_blob(struct push *p, const struct descriptor *d, const char *path,
			  struct coffer_error *err)
{
	ssize_t i = blobset_find(&p->set, &d->digest);

	if (i < 0 || p->mounts[i])
		return 0;
	p->mounts[i] = strdup(path);
	return p->mounts[i] ? 0 : err_nomem(err);
}

static int push_hint(void *data, const struct catalog_entry *e, struct coffer_error *err)
{
	struct push *p = data;
	struct reference ref;
	int r;

	if (!e->top->ref_name || reference_parse(e->top->ref_name, NULL, &ref, NULL) < 0 ||
	    strcmp(ref.registry, p->ref.registry) != 0 || strcmp(ref.path, p->ref.path) == 0)
		return 0;
	r = push_hint_blob(p, &e->manifest->config, ref.path, err);
	for (size_t i = 0; i < e->manifest->nlayers && r == 0; i++)
		r = push_hint_blob(p, &e->manifest->layers[i], ref.path, err);
	return r;
}

/* ---- sending ---- */

static int push_batch(struct push *p, size_t first, size_t count, struct coffer_error *err)
{
	struct registry_upload list[PUSH_BATCH];
	size_t opened = 0;
	int r = 0;

	for (; opened < count && r == 0; opened++) {
		const struct descriptor *d = p->set.list[first + opened];
		int fd = store_blob_open(p->images->store, &d->digest, NULL, err);

		if (fd == -ENOENT)
			r = err_set(err, COFFER_ERR_NOT_FOUND, 0, "blob %s: not in the store",
				    d->digest.text);
		else if (fd < 0)
			r = fd;
		list[opened] = (struct registry_upload){ d, fd, p->mounts[first + opened] };
	}
	if (r == 0)
		r = registry_push(p->registry, list, count, err);
	for (size_t i = 0; i < opened; i++)
		close_fd(&list[i].fd);
	return r;
}

static int push_send(struct push *p, struct coffer_error *err)
{
	const char *tag = p->ref.tag[0] ? p->ref.tag : NULL;
	int r = 0;

	for (size_t i = 0; i < p->set.count && r == 0; i += PUSH_BATCH) {
		size_t left = p->set.count - i;

		r = push_batch(p, i, left < PUSH_BATCH ? left : PUSH_BATCH, err);
	}
	for (size_t i = 0; i < p->ndocuments && r == 0; i++) {
		struct push_document *doc = &p->documents[i];

		r = registry_push_manifest(p->registry, i + 1 == p->ndocuments ? tag : NULL,
					   &doc->desc, buf_data(&doc->text), doc->text.len, err);
	}
	return r;
}

/* ---- the whole ---- */

/* One image of an index, without the index. */
static int push_narrow(struct push *p, const char *platform, struct coffer_error *err)
{
	CLEANUP(coffer_image_freep) struct coffer_image *image = NULL;
	int r = image_take(p->images, &p->top, p->name, platform, &image, err);

	if (r < 0)
		return r;
	descriptor_free(&p->top);
	return descriptor_copy(&p->top, &image->self) < 0 ? err_nomem(err) : 0;
}

static int push_find(struct push *p, const char *name, struct coffer_error *err)
{
	const char *platform = p->progress.how.platform;
	int r = images_reference(p->images, name, &p->ref, err);

	if (r < 0)
		return r;
	reference_canonical(&p->ref, p->name);
	r = store_name_get(p->images->store, p->name, &p->top, err);
	if (r == -ENOENT && builtin_is_named(p->images, p->name))
		return err_unsupported(err, "it is built in, and has no layers to be pushed");
	if (r == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0,
			       "no image of that name is in the store");
	if (r == 0)
		r = store_lease_open(p->images->store, &p->lease, err);
	if (r == 0)
		r = store_lease_add(p->lease, &p->top.digest, err);
	return r < 0 || !platform ? r : push_narrow(p, platform, err);
}

static int push_run(struct push *p, const char *name, struct coffer_error *err)
{
	const struct registry_how how = {
		.push = true,
		.parallel = p->progress.how.parallel,
		.cancel_fd = p->progress.cancel_fd,
		.progress = progress_forward,
		.data = &p->progress,
	};
	int r = push_find(p, name, err);

	if (r == 0)
		r = push_collect(p, &p->top, 0, err);
	if (r == 0)
		r = push_list(p, err);
	if (r == 0)
		r = catalog_walk(p->images, push_hint, p, err);
	if (r == 0)
		r = registry_open(&p->ref, &p->images->settings, &how, &p->registry, err);
	return r < 0 ? r : push_send(p, err);
}

int coffer_image_push(struct coffer_images *images, const char *name,
		      const struct coffer_transfer *how, struct coffer_error *err)
{
	struct push p = { .images = images };
	int r = progress_open(&p.progress, how, err);

	if (r < 0)
		return r;
	r = push_run(&p, name, err);
	push_end(&p);
	progress_close(&p.progress);
	return r < 0 ? err_wrap(err, "push %s", name) : 0;
}
