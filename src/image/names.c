/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/names.c - names of images, given and taken; what no name leads to is removed
 *
 * docker's rules.  An image that somebody uses loses its names like any other;
 * what is in its lease goes with a later prune.
 */
#include <string.h>

#include "base/sized.h"
#include "image/builtin.h"
#include "image/catalog.h"

#define NAMES_SHOWN 10 /* in an error */

int coffer_image_tag(struct coffer_image *image, const char *name, struct coffer_error *err)
{
	char canonical[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r;

	if (image->builtin)
		return err_unsupported(err, "image %s is built in: it can have no other name",
				       image->what);
	r = images_reference_new(image->images, name, &ref, err);
	if (r < 0)
		return r;
	reference_canonical(&ref, canonical);
	r = store_name_set(image->images->store, canonical, &image->top, err);
	return r < 0 ? err_wrap(err, "image %s", image->what) : 0;
}

/* What @name (canonical) stands for. -ENOENT without an error filled */
static int names_take(struct coffer_images *images, const char *name, struct descriptor *top,
		      struct store_lease *lease, struct coffer_error *err)
{
	int r = store_name_get(images->store, name, top, err);

	/* What is nobody's for a moment must not be pruned in it. */
	if (r == 0)
		r = store_lease_add(lease, &top->digest, err);
	return r < 0 ? r : store_name_remove(images->store, name, err);
}

int coffer_images_untag(struct coffer_images *images, const char *name, struct coffer_error *err)
{
	CLEANUP(store_lease_closep) struct store_lease *lease = NULL;
	autodescriptor struct descriptor top = { 0 };
	char canonical[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r = images_reference(images, name, &ref, err);

	if (r == 0)
		r = store_lease_open(images->store, &lease, err);
	if (r < 0)
		return r;
	reference_canonical(&ref, canonical);
	r = names_take(images, canonical, &top, lease, err);
	if (r == -ENOENT && builtin_is_named(images, canonical))
		return err_unsupported(err, "image %s is built in, and stays", name);
	if (r == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "image %s: not in the store", name);
	/* Its id is good until it is pruned. */
	if (r == 0)
		r = store_name_set(images->store, NULL, &top, err);
	return r < 0 ? err_wrap(err, "untag %s", name) : 0;
}

/* All entries that lead to one image. */
struct names_of {
	const struct digest *top, *self;
	struct index entries; /* owned */
	size_t named;
};

static int names_collect(void *data, const struct catalog_entry *e, struct coffer_error *err)
{
	struct names_of *n = data;
	int r;

	if (!digest_is_equal(&e->top->digest, n->top) &&
	    !digest_is_equal(&e->self->digest, n->self))
		return 0;
	for (size_t i = 0; i < n->entries.count; i++)
		if (digest_is_equal(&n->entries.list[i].digest, &e->top->digest) &&
		    strcmp(n->entries.list[i].ref_name ? n->entries.list[i].ref_name : "",
			   e->top->ref_name ? e->top->ref_name : "") == 0)
			return 0;
	r = catalog_append(&n->entries, e->top, err);
	if (r == 0 && e->top->ref_name)
		n->named++;
	return r;
}

static int names_refuse(const struct names_of *n, struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(COFFER_ERROR_MESSAGE_MAX);
	size_t shown = 0;

	for (size_t i = 0; i < n->entries.count && shown < NAMES_SHOWN; i++) {
		const char *name = n->entries.list[i].ref_name;
		char familiar[REFERENCE_TEXT_MAX];
		struct reference ref;

		if (!name || reference_parse(name, NULL, &ref, NULL) < 0)
			continue;
		reference_familiar(&ref, familiar);
		buf_printf(&text, "%s%s", shown++ ? ", " : "", familiar);
	}
	return err_state(err, "it has %zu names (%.*s): all at once they only go by force",
			 n->named, (int)text.len, (const char *)buf_data(&text));
}

/* Take all names of @n away. @lease: gets what they were for */
static int names_drop(struct coffer_images *images, const struct names_of *n,
		      struct store_lease *lease, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; i < n->entries.count && r == 0; i++) {
		const struct digest *d = &n->entries.list[i].digest;

		r = store_lease_add(lease, d, err);
		if (r == 0)
			r = store_name_drop(images->store, d, err);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

static int names_remove_id(struct coffer_images *images, const char *id, bool force,
			   struct coffer_error *err)
{
	CLEANUP(coffer_image_freep) struct coffer_image *image = NULL;
	struct names_of n = { 0 };
	int r = coffer_image_find(images, id, NULL, &image, err);

	if (r < 0)
		return r;
	if (image->builtin)
		return err_unsupported(err, "image %s is built in, and stays", id);
	n.top = &image->top.digest;
	n.self = &image->self.digest;
	r = catalog_walk(images, names_collect, &n, err);
	if (r == 0 && n.named > 1 && !force)
		r = names_refuse(&n, err);
	if (r == 0)
		r = names_drop(images, &n, image->lease, err);
	if (r == 0)
		r = store_lease_end(steal_ptr(image->lease), err);
	index_free(&n.entries);
	return r < 0 ? err_wrap(err, "remove image %s", id) : 0;
}

int coffer_images_remove(struct coffer_images *images, const char *name, bool force,
			 struct coffer_error *err)
{
	CLEANUP(store_lease_closep) struct store_lease *lease = NULL;
	autodescriptor struct descriptor top = { 0 };
	char canonical[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r;

	if (images_reference(images, name, &ref, NULL) < 0)
		return names_remove_id(images, name, force, err);
	reference_canonical(&ref, canonical);
	r = store_lease_open(images->store, &lease, err);
	if (r == 0)
		r = names_take(images, canonical, &top, lease, err);
	if (r == -ENOENT)
		return names_remove_id(images, name, force, err);
	if (r == 0)
		r = store_lease_end(steal_ptr(lease), err);
	return r < 0 ? err_wrap(err, "remove image %s", name) : 0;
}

int coffer_images_prune(struct coffer_images *images, bool all, struct coffer_prune *out,
			struct coffer_error *err)
{
	struct coffer_prune full = { .size = sizeof(full) };
	int r = store_prune(images->store, all, &full, err);

	if (r < 0 || !out)
		return r;
	return sized_export(out, &full, sizeof(full), "prune", err);
}

int coffer_images_check(struct coffer_images *images, bool repair,
			void (*found)(void *data, const char *fault), void *data,
			struct coffer_error *err)
{
	return store_check(images->store, repair, found, data, err);
}
