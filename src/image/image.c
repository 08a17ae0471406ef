/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/image.c - one image of the store: found, opened, asked about
 *
 *	name --> index.json --> index --> manifest of one platform --> configuration
 *
 * What a name stands for goes into the image's lease first and is looked at
 * then, so that no prune takes it in between.  An id is looked for in all
 * manifests.  An image does not change: a tag that moves leaves it alone.
 */
#include "image/images.h"

#include <string.h>

#include "base/sized.h"
#include "image/builtin.h"
#include "image/catalog.h"

struct coffer_image *image_new(struct coffer_images *images, struct coffer_error *err)
{
	struct coffer_image *image = calloc(1, sizeof(*image));

	if (!image) {
		err_nomem(err);
		return NULL;
	}
	image->images = images;
	pthread_mutex_init(&image->lock, NULL);
	return image;
}

void coffer_image_free(struct coffer_image *image)
{
	if (!image)
		return;
	if (image->lease)
		store_lease_close(image->lease);
	descriptor_free(&image->top);
	descriptor_free(&image->self);
	manifest_free(&image->manifest);
	image_config_free(&image->config);
	free(image->name);
	free(image->what);
	free(image->rootfs);
	pthread_mutex_destroy(&image->lock);
	free(image);
}

static int image_miss(const struct digest *d, struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "%s: not in the store", d->text);
}

int image_load_manifest(struct coffer_images *images, const struct descriptor *self,
			struct manifest *out, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	int r = store_blob_read(images->store, &self->digest, DOCUMENT_MANIFEST_MAX, &text, err);

	if (r < 0)
		return r;
	r = manifest_parse(buf_data(&text), text.len, self->media_type, out, err);
	return r < 0 ? err_wrap(err, "manifest %s", self->digest.text) : 0;
}

int image_load_config(struct coffer_images *images, const struct manifest *manifest,
		      struct image_config *out, struct coffer_error *err)
{
	const struct digest *digest = &manifest->config.digest;
	autobuf struct buf text = BUF_INIT(DOCUMENT_CONFIG_MAX);
	int r = store_blob_read(images->store, digest, DOCUMENT_CONFIG_MAX, &text, err);

	if (r == -ENOENT)
		return image_miss(digest, err);
	if (r < 0)
		return r;
	r = image_config_parse(buf_data(&text), text.len, out, err);
	if (r == 0 && out->ndiff_ids != manifest->nlayers)
		r = err_invalid(err, "it has %zu layers, the manifest %zu", out->ndiff_ids,
				manifest->nlayers);
	return r < 0 ? err_wrap(err, "configuration %s", digest->text) : 0;
}

/* What an index does not say of its manifest, the configuration does. */
static int image_learn_platform(struct coffer_images *images, struct descriptor *self,
				struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	CLEANUP(image_config_free) struct image_config config = { 0 };
	int r;

	if (self->has_platform)
		return 0;
	r = image_load_manifest(images, self, &m, err);
	if (r == -ENOENT)
		return image_miss(&self->digest, err);
	if (r == 0)
		r = image_load_config(images, &m, &config, err);
	if (r < 0)
		return r;
	self->has_platform = true;
	self->platform = config.platform;
	return 0;
}

/* Return: the number of the manifest that is meant, or negative errno */
static int image_choose(struct coffer_images *images, const struct index *here,
			const char *platform, struct coffer_error *err)
{
	struct platform want;
	int r = platform_parse(platform, &want, err);

	if (r < 0)
		return r;
	if (here->count == 0)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "no image of its index is here");
	if (!platform && here->count == 1)
		return 0;
	for (size_t i = 0; i < here->count && r == 0; i++)
		r = image_learn_platform(images, &here->list[i], err);
	return r < 0 ? r : index_choose(here, &want, err);
}

static int image_fill(struct coffer_image *image, const struct descriptor *top,
		      const char *platform, struct coffer_error *err)
{
	CLEANUP(index_free) struct index here = { 0 };
	int r = catalog_manifests(image->images, top, &here, err);

	if (r == -ENOENT)
		return image_miss(&top->digest, err);
	if (r == 0)
		r = image_choose(image->images, &here, platform, err);
	if (r < 0)
		return r;
	if (descriptor_copy(&image->self, &here.list[r]) < 0 ||
	    descriptor_copy(&image->top, top) < 0)
		return err_nomem(err);
	r = image_load_manifest(image->images, &image->self, &image->manifest, err);
	if (r == -ENOENT)
		return image_miss(&image->self.digest, err);
	if (r == 0)
		r = image_load_config(image->images, &image->manifest, &image->config, err);
	if (r == 0)
		platform_format(&image->config.platform, image->platform);
	return r;
}

/* What it is called from now on. */
static int image_call(struct coffer_image *image, const char *name, const struct descriptor *top,
		      struct coffer_error *err)
{
	char familiar[REFERENCE_TEXT_MAX];
	struct reference ref;

	if (name && reference_parse(name, NULL, &ref, NULL) == 0)
		reference_familiar(&ref, familiar);
	else
		name = NULL;
	image->name = name ? strdup(name) : NULL;
	image->what = strdup(name ? familiar : top->digest.text);
	return image->what && (image->name || !name) ? 0 : err_nomem(err);
}

int image_open(struct coffer_images *images, const struct descriptor *top, const char *name,
	       const char *platform, struct store_lease *lease, struct coffer_image **out,
	       struct coffer_error *err)
{
	CLEANUP(store_lease_closep) struct store_lease *own = lease;
	CLEANUP(coffer_image_freep) struct coffer_image *image = image_new(images, err);
	int r;

	if (!image)
		return -ENOMEM;
	image->lease = steal_ptr(own);
	r = image_call(image, name, top, err);
	if (r < 0)
		return r;
	r = image_fill(image, top, platform, err);
	if (r < 0)
		return err_wrap(err, "image %s", image->what);
	*out = steal_ptr(image);
	return 0;
}

/* An id, or its beginning, among all that there is. */
struct image_search {
	const char *text;	     /* a whole digest, or the beginning of its digits */
	const struct reference *ref; /* instead: an image of this repository, with that digest */
	bool found;
	struct descriptor hit; /* owned */
	struct digest id;
};

static bool image_search_is(const struct image_search *s, const struct digest *d)
{
	if (s->ref)
		return digest_is_equal(d, &s->ref->digest);
	if (strchr(s->text, ':'))
		return strcmp(d->text, s->text) == 0;
	return strncmp(digest_hex(d), s->text, strlen(s->text)) == 0;
}

static bool image_search_is_there(const struct image_search *s, const char *name)
{
	struct reference own;

	return !s->ref ||
	       (name && reference_parse(name, NULL, &own, NULL) == 0 &&
		strcmp(own.registry, s->ref->registry) == 0 && strcmp(own.path, s->ref->path) == 0);
}

static int image_search_visit(void *data, const struct catalog_entry *e, struct coffer_error *err)
{
	struct image_search *s = data;
	const struct digest *id = &e->manifest->config.digest;
	const struct descriptor *hit = NULL;

	if (!image_search_is_there(s, e->top->ref_name))
		return 0;
	if (image_search_is(s, &e->top->digest))
		hit = e->top;
	else if (image_search_is(s, &e->self->digest) || (!s->ref && image_search_is(s, id)))
		hit = e->self;
	if (!hit || (s->found && (digest_is_equal(&hit->digest, &s->hit.digest) ||
				  digest_is_equal(id, &s->id))))
		return 0;
	if (s->found)
		return err_invalid(err, "several begin so: %s, %s", s->id.text, id->text);
	s->found = true;
	s->id = *id;
	return descriptor_copy(&s->hit, hit) < 0 ? err_nomem(err) : 0;
}

int image_take(struct coffer_images *images, const struct descriptor *top, const char *name,
	       const char *platform, struct coffer_image **out, struct coffer_error *err)
{
	CLEANUP(store_lease_closep) struct store_lease *lease = NULL;
	int r = store_lease_open(images->store, &lease, err);

	if (r == 0)
		r = store_lease_add(lease, &top->digest, err);
	return r < 0 ? r : image_open(images, top, name, platform, steal_ptr(lease), out, err);
}

/* Return: 1, 0 when there is none, or negative errno */
static int image_search_take(struct coffer_images *images, struct image_search *s, const char *name,
			     const char *platform, struct coffer_image **out,
			     struct coffer_error *err)
{
	int r = catalog_walk(images, image_search_visit, s, err);

	if (r >= 0 && s->found && digest_is_empty(&s->hit.digest))
		r = builtin_open(images, platform, out, err);
	else if (r >= 0 && s->found)
		r = image_take(images, &s->hit, name, platform, out, err);
	descriptor_free(&s->hit);
	return r < 0 ? r : s->found;
}

/* Return: likewise */
static int image_find_id(struct coffer_images *images, const char *text, const char *platform,
			 struct coffer_image **out, struct coffer_error *err)
{
	struct image_search s = { .text = text };
	size_t n;

	if (digest_parse(text, &s.id, NULL) < 0) {
		if (strncmp(text, "sha256:", 7) == 0)
			s.text += 7;
		n = strspn(s.text, "0123456789abcdef");
		if (n == 0 || s.text[n])
			return 0;
	}
	/* What is built in counts, but is no hit in the store. */
	if (digest_parse(builtin_id, &s.id, err) < 0)
		return -EINVAL;
	s.found = image_search_is(&s, &s.id);
	return image_search_take(images, &s, NULL, platform, out, err);
}

/* Return: likewise */
static int image_find_name(struct coffer_images *images, const struct reference *ref,
			   const char *platform, struct coffer_image **out,
			   struct coffer_error *err)
{
	struct image_search s = { .ref = ref };
	char name[REFERENCE_TEXT_MAX];
	struct digest before = { "" };
	int r;

	reference_canonical(ref, name);
	for (;;) {
		autodescriptor struct descriptor top = { 0 };

		r = store_name_get(images->store, name, &top, err);
		if (r < 0)
			break;
		r = image_take(images, &top, name, platform, out, err);
		/* A name that has moved meanwhile may have lost what it was for to a prune. */
		if (r != -ENOENT || digest_is_equal(&before, &top.digest))
			return r < 0 ? r : 1;
		before = top.digest;
		err_clear(err);
	}
	if (r != -ENOENT)
		return r;
	if (!digest_is_empty(&ref->digest))
		return image_search_take(images, &s, name, platform, out, err);
	if (!builtin_is_named(images, name))
		return 0;
	r = builtin_open(images, platform, out, err);
	return r < 0 ? r : 1;
}

int coffer_image_find(struct coffer_images *images, const char *name, const char *platform,
		      struct coffer_image **out, struct coffer_error *err)
{
	struct coffer_error why = COFFER_ERROR_INIT;
	struct reference ref;
	int parsed, r;

	if (!images && strcmp(name, COFFER_IMAGE_BUILTIN) == 0)
		return builtin_open(NULL, platform, out, err);
	if (!images)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "image %s: no store was opened", name);
	parsed = images_reference(images, name, &ref, &why);
	r = parsed == 0 ? image_find_name(images, &ref, platform, out, err) : 0;
	if (r == 0)
		r = image_find_id(images, name, platform, out, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (parsed == 0)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "image %s: not in the store", name);
	if (err)
		*err = why;
	return parsed;
}

const char *coffer_image_id(const struct coffer_image *image)
{
	return image->manifest.config.digest.text;
}

const char *coffer_image_digest(const struct coffer_image *image)
{
	return image->top.digest.text;
}

const char *coffer_image_platform(const struct coffer_image *image)
{
	return image->platform;
}

void coffer_image_get_config(const struct coffer_image *image, struct coffer_image_config *out)
{
	struct coffer_image_config view = { .size = sizeof(view) };

	image_config_view(&image->config, &view);
	sized_export(out, &view, sizeof(view), "image configuration", NULL);
}
