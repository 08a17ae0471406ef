/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/docker_archive.c - manifest.json of what docker save makes
 *
 *	[{"Config":"HEX.json","RepoTags":["redis:latest"],"Layers":["HEX/layer.tar",...]}]
 *
 * It has no manifests in our sense, so one is made of each entry; configurations
 * and layers stay what they are, and with them the image's id.  Layers may be
 * packed.  What is written has its layers as they are in the store.
 *
 * Callers: load.c, save.c.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "image/exchange/exchange.h"
#include "image/json_node.h"

#define DOCKER_IMAGES_MAX 1024
#define DOCKER_OCI	  "application/vnd.oci.image."

/* ---- reading ---- */

static int docker_layer(struct exchange *x, const struct intake *in, const char *name,
			const struct digest *diff_id, struct descriptor *out,
			struct coffer_error *err)
{
	struct intake_blob blob = { 0 };
	autoclose int fd = -1;
	int r = intake_find(in, name, &blob, err);

	if (r < 0)
		return r;
	fd = store_blob_open(x->images->store, &blob.digest, NULL, err);
	if (fd < 0)
		return fd == -ENOENT ? err_internal(err, "blob %s: is gone", blob.digest.text)
				     : steal_fd(&fd);
	r = exchange_layer_type(fd, out, err);
	if (r < 0)
		return r;
	out->digest = blob.digest;
	out->size = blob.size;
	/* What is packed is compared when it is unpacked. */
	if (out->type->compression == MEDIA_PLAIN && !digest_is_equal(&blob.digest, diff_id))
		return err_invalid(err, "the layer \"%.200s\": has the digest %s, not %s", name,
				   blob.digest.text, diff_id->text);
	return 0;
}

static int docker_layers(struct exchange *x, const struct intake *in, const struct json_node *node,
			 const struct image_config *config, struct manifest *m,
			 struct coffer_error *err)
{
	size_t count = 0;
	int r = json_node_list(node, DOCUMENT_LAYERS_MAX, &count, err);

	if (r < 0)
		return r;
	if (count != config->ndiff_ids)
		return json_node_fail(node, err, "%zu layers, the configuration has %zu", count,
				      config->ndiff_ids);
	m->layers = calloc(count ? count : 1, sizeof(*m->layers));
	if (!m->layers)
		return err_nomem(err);
	m->nlayers = count;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct json_node element = json_node_element(node, i);
		const char *name;

		r = json_node_text(&element, true, &name, err);
		if (r == 0)
			r = docker_layer(x, in, name, &config->diff_ids[i], &m->layers[i], err);
	}
	return r;
}

static int docker_config(struct exchange *x, const struct intake *in, const struct json_node *node,
			 struct image_config *config, struct descriptor *out,
			 struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(0);
	struct intake_blob blob = { 0 };
	const char *name = NULL;
	int r = json_node_text(node, true, &name, err);

	if (r == 0)
		r = intake_find(in, name, &blob, err);
	if (r == 0)
		r = store_blob_read(x->images->store, &blob.digest, DOCUMENT_CONFIG_MAX, &text,
				    err);
	if (r == 0)
		r = image_config_parse(buf_data(&text), text.len, config, err);
	if (r < 0)
		return err_wrap(err, "the configuration \"%.200s\"", name ? name : "");
	out->digest = blob.digest;
	out->size = blob.size;
	out->media_type = strdup(DOCKER_OCI "config.v1+json");
	out->type = media_type_find(DOCKER_OCI "config.v1+json");
	return out->media_type ? 0 : err_nomem(err);
}

static int docker_put_manifest(struct exchange *x, const struct manifest *m, struct descriptor *out,
			       struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	int r = manifest_emit(m, &text, err);

	if (r == 0)
		r = store_blob_put(x->images->store, x->lease, buf_data(&text), text.len,
				   &out->digest, err);
	if (r < 0)
		return r;
	out->size = text.len;
	out->type = m->type;
	out->media_type = strdup(m->type->name);
	return out->media_type ? 0 : err_nomem(err);
}

static int docker_names(struct exchange *x, const struct json_node *node,
			const struct descriptor *d, struct index *out, struct coffer_error *err)
{
	size_t count = 0;
	int r = json_node_list(node, DOCKER_IMAGES_MAX, &count, err);

	if (r == 0 && count == 0)
		return exchange_append(out, d, NULL, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct json_node element = json_node_element(node, i);
		char canonical[REFERENCE_TEXT_MAX];
		struct reference ref;
		const char *name;

		r = json_node_text(&element, true, &name, err);
		if (r == 0)
			r = images_reference_new(x->images, name, &ref, err);
		if (r < 0)
			return r;
		reference_canonical(&ref, canonical);
		r = exchange_append(out, d, canonical, err);
	}
	return r;
}

static int docker_image(struct exchange *x, const struct intake *in, const struct json_node *node,
			struct index *out, struct coffer_error *err)
{
	CLEANUP(image_config_free) struct image_config config = { 0 };
	CLEANUP(manifest_free) struct manifest m = { 0 };
	autodescriptor struct descriptor d = { 0 };
	struct json_node config_node = json_node_member(node, "Config");
	struct json_node layers = json_node_member(node, "Layers");
	struct json_node tags = json_node_member(node, "RepoTags");
	int r = json_node_expect(node, json_type_object, err);

	if (r == 0)
		r = docker_config(x, in, &config_node, &config, &m.config, err);
	if (r == 0)
		r = docker_layers(x, in, &layers, &config, &m, err);
	if (r < 0)
		return r;
	m.type = media_type_find(DOCKER_OCI "manifest.v1+json");
	r = docker_put_manifest(x, &m, &d, err);
	if (r < 0)
		return r;
	d.has_platform = true;
	d.platform = config.platform;
	return docker_names(x, &tags, &d, out, err);
}

int docker_archive_read(struct exchange *x, const struct intake *in, struct index *out,
			struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX + 64);
	autojson struct json_object *tree = NULL;
	struct json_node root, images;
	size_t count = 0;
	int r;

	/* It is an array, and documents are objects. */
	if (buf_printf(&text, "{\"images\":") < 0 ||
	    buf_append(&text, buf_data(&in->docker), in->docker.len) < 0 ||
	    buf_printf(&text, "}") < 0)
		return err_nomem(err);
	r = json_node_read("manifest.json", buf_data(&text), text.len, text.len, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root("manifest.json", tree);
	images = json_node_member(&root, "images");
	r = json_node_list(&images, DOCKER_IMAGES_MAX, &count, err);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct json_node element = json_node_element(&images, i);

		r = docker_image(x, in, &element, out, err);
		if (r < 0)
			r = err_wrap(err, "image %zu of manifest.json", i);
	}
	return r;
}

/* ---- writing ---- */

static bool docker_entry(const struct coffer_image *image, const char *name, const char *config,
			 struct json_object *entry)
{
	struct json_object *tags = name ? json_object_new_array() : NULL;
	struct json_object *layers = json_object_new_array();
	char file[EXCHANGE_NAME_MAX];

	if (!json_add(entry, "Config", json_object_new_string(config)) ||
	    json_object_object_add(entry, "RepoTags", tags) < 0 ||
	    !json_add(entry, "Layers", layers))
		return false;
	if (name && json_object_array_add(tags, json_object_new_string(name)) < 0)
		return false;
	for (size_t i = 0; i < image->manifest.nlayers; i++) {
		snprintf(file, sizeof(file), "%s.tar",
			 digest_hex(&image->manifest.layers[i].digest));
		if (json_object_array_add(layers, json_object_new_string(file)) < 0)
			return false;
	}
	return true;
}

int docker_archive_write(struct exchange *x, struct sink *s, const struct coffer_image *image,
			 const char *name, struct json_object *out, struct coffer_error *err)
{
	const struct manifest *m = &image->manifest;
	struct json_object *entry;
	char file[EXCHANGE_NAME_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->nlayers; i++) {
		snprintf(file, sizeof(file), "%s.tar", digest_hex(&m->layers[i].digest));
		r = sink_put_blob(s, x, file, &m->layers[i].digest, err);
	}
	snprintf(file, sizeof(file), "%s.json", digest_hex(&m->config.digest));
	if (r == 0)
		r = sink_put_blob(s, x, file, &m->config.digest, err);
	if (r < 0)
		return r;
	entry = json_object_new_object();
	if (!entry || json_object_array_add(out, entry) < 0) {
		json_object_put(entry);
		return err_nomem(err);
	}
	return docker_entry(image, name, file, entry) ? 0 : err_nomem(err);
}

int docker_archive_finish(struct sink *s, struct json_object *out, struct coffer_error *err)
{
	size_t n = 0;
	const char *text =
	    json_object_to_json_string_length(out, JSON_C_TO_STRING_NOSLASHESCAPE, &n);

	return text ? sink_put(s, "manifest.json", text, n, err) : err_nomem(err);
}
