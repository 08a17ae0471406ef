/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/images.c - a store with the settings it is used with, and names for what is in it
 *
 * Also where images that are made here (import, commit) become whole: what
 * refers to other blobs is put after them, the name last.
 */
#include "image/images.h"

#include <string.h>

#include "base/path.h"
#include "base/paths.h"
#include "base/sized.h"

#define IMAGES_FOLDER "images"
#define IMAGES_CONFIG_TYPE(docker)                                                                 \
	((docker) ? "application/vnd.docker.container.image.v1+json"                               \
		  : "application/vnd.oci.image.config.v1+json")

static int images_find_dir(const char *wanted, char **dir, struct coffer_error *err)
{
	autofree char *home = NULL;
	int r = 0;

	if (wanted && *wanted != '/')
		return err_invalid(err, "%s: not an absolute path", wanted);
	if (!wanted)
		r = paths_find_home(&home, err);
	if (r < 0)
		return r;
	*dir = wanted ? strdup(wanted) : path_join(home, IMAGES_FOLDER);
	return *dir ? 0 : err_nomem(err);
}

int coffer_images_open(const struct coffer_images_config *config, struct coffer_images **out,
		       struct coffer_error *err)
{
	struct coffer_images_config c = COFFER_IMAGES_CONFIG_INIT;
	CLEANUP(coffer_images_closep) struct coffer_images *images = NULL;
	int r = config ? sized_import(&c, sizeof(c), config, "images", err) : 0;

	if (r < 0)
		return r;
	images = calloc(1, sizeof(*images));
	if (!images)
		return err_nomem(err);
	r = settings_load(c.settings, c.auth, &images->settings, err);
	if (r < 0)
		return r;
	r = images_find_dir(c.dir, &images->dir, err);
	if (r == 0)
		r = store_open(images->dir, &images->store, err);
	if (r < 0)
		return err_wrap(err, "open the store of images");
	*out = steal_ptr(images);
	return 0;
}

void coffer_images_close(struct coffer_images *images)
{
	if (!images)
		return;
	if (images->store)
		store_close(images->store);
	settings_free(&images->settings);
	free(images->dir);
	free(images);
}

int images_reference(struct coffer_images *images, const char *name, struct reference *out,
		     struct coffer_error *err)
{
	return reference_parse(name, images->settings.default_registry, out, err);
}

int images_reference_new(struct coffer_images *images, const char *name, struct reference *out,
			 struct coffer_error *err)
{
	int r = images_reference(images, name, out, err);

	if (r < 0)
		return r;
	if (!digest_is_empty(&out->digest))
		return err_invalid(err, "name %s: with a digest it says what it is for already",
				   name);
	return 0;
}

/* A small document of ours, by its type. */
static int images_put(struct coffer_images *images, struct store_lease *lease,
		      const struct buf *text, const char *type, struct descriptor *out,
		      struct coffer_error *err)
{
	int r = store_blob_put(images->store, lease, buf_data(text), text->len, &out->digest, err);

	if (r < 0)
		return r;
	free(out->media_type);
	out->media_type = strdup(type);
	out->type = media_type_find(type);
	out->size = text->len;
	return out->media_type ? 0 : err_nomem(err);
}

static int images_put_image(struct coffer_images *images, struct store_lease *lease,
			    const struct image_config *config, struct manifest *manifest,
			    struct descriptor *self, struct coffer_error *err)
{
	static const char oci[] = "application/vnd.oci.image.manifest.v1+json";
	autobuf struct buf config_text = BUF_INIT(DOCUMENT_CONFIG_MAX);
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	int r = image_config_emit(config, &config_text, err);

	if (!manifest->type)
		manifest->type = media_type_find(oci);
	if (r == 0)
		r = images_put(images, lease, &config_text,
			       IMAGES_CONFIG_TYPE(manifest->type->docker), &manifest->config, err);
	if (r == 0)
		r = manifest_emit(manifest, &text, err);
	if (r == 0)
		r = images_put(images, lease, &text, manifest->type->name, self, err);
	return r;
}

int image_create(struct coffer_images *images, const struct image_config *config,
		 struct manifest *manifest, const char *name, struct store_lease *lease,
		 struct coffer_image **out, struct coffer_error *err)
{
	CLEANUP(store_lease_closep) struct store_lease *own = lease;
	autodescriptor struct descriptor self = { 0 };
	char canonical[REFERENCE_TEXT_MAX];
	struct reference ref;
	int r = name ? images_reference_new(images, name, &ref, err) : 0;

	if (r < 0)
		return r;
	if (name)
		reference_canonical(&ref, canonical);
	r = images_put_image(images, own, config, manifest, &self, err);
	if (r == 0)
		r = store_name_set(images->store, name ? canonical : NULL, &self, err);
	if (r < 0)
		return err_wrap(err, "image %s", name ? name : "without a name");
	if (!out)
		return 0;
	return image_open(images, &self, name ? canonical : NULL, NULL, steal_ptr(own), out, err);
}
