/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/document.c - indices and manifests
 *
 *	text -> json_node.c -> descriptors
 *
 * What is stored under a descriptor is not looked at here.  Types that we do
 * not know are kept as they are, since whoever only copies an image need not
 * know them; who builds one asks manifest_check_image().  An index leads to
 * others by digest, so it cannot lead back to itself; how deep that goes is
 * bounded by who follows.  Callers: the rest of image/.
 */
#include "image/document.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json_text.h"
#include "image/json_node.h"
#include "image/platform.h"

#define DOCUMENT_REF_NAME  "org.opencontainers.image.ref.name"
#define DOCUMENT_FULL_NAME "io.containerd.image.name" /* where the other is a tag only */
#define DOCUMENT_SCHEMA_1 "application/vnd.docker.distribution.manifest.v1+"

void descriptor_free(struct descriptor *d)
{
	free(d->media_type);
	free(d->ref_name);
	*d = (struct descriptor){ 0 };
}

int descriptor_copy(struct descriptor *dst, const struct descriptor *src)
{
	*dst = *src;
	dst->media_type = src->media_type ? strdup(src->media_type) : NULL;
	dst->ref_name = src->ref_name ? strdup(src->ref_name) : NULL;
	if ((src->media_type && !dst->media_type) || (src->ref_name && !dst->ref_name)) {
		descriptor_free(dst);
		return -ENOMEM;
	}
	return 0;
}

/* ---- reading ---- */

/* document_read_size() - What is a document itself has a limit */
static int document_read_size(const struct json_node *node, struct descriptor *d,
			      struct coffer_error *err)
{
	static const size_t limits[] = {
		[MEDIA_INDEX] = DOCUMENT_MANIFEST_MAX,
		[MEDIA_MANIFEST] = DOCUMENT_MANIFEST_MAX,
		[MEDIA_CONFIG] = DOCUMENT_CONFIG_MAX,
		[MEDIA_LAYER] = 0,
	};
	size_t limit = d->type ? limits[d->type->kind] : 0;
	int r = json_node_size(node, &d->size, err);

	if (r == 0 && limit && d->size > limit)
		return json_node_fail(node, err, "%" PRIu64 " bytes, the limit is %zu", d->size,
				      limit);
	return r;
}

static int document_read_descriptor(const struct json_node *node, struct descriptor *d,
				    struct coffer_error *err)
{
	struct json_node type = json_node_member(node, "mediaType");
	struct json_node digest = json_node_member(node, "digest");
	struct json_node size = json_node_member(node, "size");
	struct json_node platform = json_node_member(node, "platform");
	struct json_node notes = json_node_member(node, "annotations");
	struct json_node name = json_node_member(&notes, DOCUMENT_REF_NAME);
	struct json_node full = json_node_member(&notes, DOCUMENT_FULL_NAME);
	const char *text = "";
	int r = json_node_expect(node, json_type_object, err);

	if (r == 0)
		r = json_node_text(&type, true, &text, err);
	if (r < 0)
		return r;
	/* By its name in our table: parameters mean nothing, but would go into headers. */
	d->type = media_type_find(text);
	d->media_type = strdup(d->type ? d->type->name : text);
	if (!d->media_type)
		return err_nomem(err);
	r = json_node_digest(&digest, &d->digest, err);
	if (r == 0)
		r = document_read_size(&size, d, err);
	if (r == 0)
		r = json_node_object(&platform, err);
	if (r == 0)
		r = platform_read(&platform, false, &d->platform, err);
	/* Some makers leave the words of what is no program empty. */
	d->has_platform = d->platform.os[0] && d->platform.arch[0];
	if (r == 0)
		r = json_node_object(&notes, err);
	return r == 0 ? json_node_copy(full.json ? &full : &name, &d->ref_name, err) : r;
}

/* document_read_list() - Descriptors; what was read is the caller's to free, also on failure */
static int document_read_list(const struct json_node *node, size_t max, struct descriptor **list,
			      size_t *count, struct coffer_error *err)
{
	size_t n = 0;
	int r = json_node_expect(node, json_type_array, err);

	if (r == 0)
		r = json_node_list(node, max, &n, err);
	if (r < 0 || n == 0)
		return r;
	*list = calloc(n, sizeof(**list));
	if (!*list)
		return err_nomem(err);
	for (*count = 0; r == 0 && *count < n; ++*count) {
		struct json_node here = json_node_element(node, *count);

		r = document_read_descriptor(&here, *list + *count, err);
	}
	return r;
}

/* document_read_schema() - Docker's first format has no list of layers to speak of */
static int document_read_schema(const struct json_node *root, struct coffer_error *err)
{
	struct json_node version = json_node_member(root, "schemaVersion");
	uint64_t n;
	int r = json_node_size(&version, &n, err);

	if (r < 0)
		return r;
	if (n == 1)
		return json_node_unsupported(&version, err,
					     "1 is Docker's old format; only 2 is read");
	return n == 2 ? 0 : json_node_fail(&version, err, "%" PRIu64 ", only 2 is known", n);
}

/* document_check_type() - A type as somebody says it is one of ours, and of @kind */
static int document_check_type(const char *name, enum media_kind kind, const char *what,
			       const struct media_type **out, struct coffer_error *err)
{
	char quoted[JSON_QUOTE_MAX];

	*out = media_type_find(name);
	if (strncasecmp(name, DOCUMENT_SCHEMA_1, strlen(DOCUMENT_SCHEMA_1)) == 0)
		return err_unsupported(err, "%s: Docker's old format, schema 1", what);
	if (!*out)
		return err_unsupported(err, "%s: the media type \"%s\"", what,
				       json_text_quote(quoted, name));
	if ((*out)->kind != kind)
		return err_invalid(err, "%s: its media type is that of something else, %s", what,
				   (*out)->name);
	return 0;
}

/**
 * document_read_type() - What was told with a document and what it says have to agree
 *
 * Without either it is OCI's.  One that could be read as an index as well as as
 * a manifest would be another image to others.
 */
static int document_read_type(const struct json_node *root, const char *told, enum media_kind kind,
			      const struct media_type **out, struct coffer_error *err)
{
	static const char *const others[] = { "config", "layers", "fsLayers" };
	struct json_node said = json_node_member(root, "mediaType");
	const struct media_type *type = NULL;
	const char *text;
	int r = json_node_text(&said, false, &text, err);

	if (r == 0 && told)
		r = document_check_type(told, kind, root->name, &type, err);
	if (r < 0)
		return r;
	if (text && *text) {
		r = document_check_type(text, kind, root->name, out, err);
		if (r < 0)
			return r;
		if (type && type != *out)
			return json_node_fail(&said, err, "%s, but it came as %s", (*out)->name,
					      type->name);
		type = *out;
	}
	*out = type ? type
		    : media_type_find(kind == MEDIA_INDEX
					  ? "application/vnd.oci.image.index.v1+json"
					  : "application/vnd.oci.image.manifest.v1+json");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (json_object_object_get(root->json, others[i]) &&
		    json_object_object_get(root->json, "manifests"))
			return json_node_fail(root, err, "both an index and a manifest");
	return 0;
}

/* ---- indices ---- */

void index_free(struct index *x)
{
	for (size_t i = 0; i < x->count; i++)
		descriptor_free(&x->list[i]);
	free(x->list);
	*x = (struct index){ 0 };
}

int index_parse(const void *text, size_t len, const char *media_type, struct index *out,
		struct coffer_error *err)
{
	autojson struct json_object *tree = NULL;
	struct json_node root, list;
	int r;

	*out = (struct index){ 0 };
	r = json_node_read("index", text, len, DOCUMENT_MANIFEST_MAX, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root("index", tree);
	list = json_node_member(&root, "manifests");
	r = document_read_type(&root, media_type, MEDIA_INDEX, &out->type, err);
	if (r == 0)
		r = document_read_schema(&root, err);
	if (r == 0)
		r = document_read_list(&list, DOCUMENT_INDEX_MAX, &out->list, &out->count, err);
	if (r < 0)
		index_free(out);
	return r;
}

/* index_rank() - What does not say what it is for is better than nothing */
static int index_rank(const struct descriptor *d, const struct platform *want)
{
	if (!d->type || (d->type->kind != MEDIA_INDEX && d->type->kind != MEDIA_MANIFEST))
		return 0;
	return d->has_platform ? platform_rank(want, &d->platform) * 2 : 1;
}

static int index_fail(const struct index *x, const struct platform *want, struct coffer_error *err)
{
	char text[100], found[600] = "";
	size_t n = 0;

	for (size_t i = 0; i < x->count && n < sizeof(found) - 110; i++) {
		if (!x->list[i].has_platform || strcmp(x->list[i].platform.os, "unknown") == 0)
			continue;
		platform_format(&x->list[i].platform, text);
		n += (size_t)snprintf(found + n, sizeof(found) - n, "%s%s", n ? ", " : "", text);
	}
	platform_format(want, text);
	return err_set(err, COFFER_ERR_NOT_FOUND, 0, "nothing for %s; there is %s", text,
		       n ? found : "nothing else");
}

int index_choose(const struct index *x, const struct platform *want, struct coffer_error *err)
{
	int best = 0, chosen = -1;

	for (size_t i = 0; i < x->count; i++) {
		int rank = index_rank(&x->list[i], want);

		if (rank > best) {
			best = rank;
			chosen = (int)i;
		}
	}
	return chosen < 0 ? index_fail(x, want, err) : chosen;
}

/* ---- manifests ---- */

void manifest_free(struct manifest *m)
{
	descriptor_free(&m->config);
	for (size_t i = 0; i < m->nlayers; i++)
		descriptor_free(&m->layers[i]);
	free(m->layers);
	*m = (struct manifest){ 0 };
}

/* manifest_check_kinds() - What we know to be something else; and that sizes can be added up */
static int manifest_check_kinds(const struct json_node *config, const struct json_node *layers,
				const struct manifest *m, struct coffer_error *err)
{
	uint64_t total = 0;

	if (m->config.type && m->config.type->kind != MEDIA_CONFIG)
		return json_node_fail(config, err, "its media type is %s", m->config.type->name);
	if (m->config.size > DOCUMENT_CONFIG_MAX)
		return json_node_fail(config, err, "%" PRIu64 " bytes, the limit is %zu",
				      m->config.size, DOCUMENT_CONFIG_MAX);
	for (size_t i = 0; i < m->nlayers; i++) {
		struct json_node here = json_node_element(layers, i);
		const struct media_type *type = m->layers[i].type;

		if (type && type->kind != MEDIA_LAYER)
			return json_node_fail(&here, err, "its media type is %s", type->name);
		total += m->layers[i].size;
		if (total > INT64_MAX)
			return json_node_fail(layers, err, "together too large");
	}
	return 0;
}

int manifest_parse(const void *text, size_t len, const char *media_type, struct manifest *out,
		   struct coffer_error *err)
{
	autojson struct json_object *tree = NULL;
	struct json_node root, config, layers;
	int r;

	*out = (struct manifest){ 0 };
	r = json_node_read("manifest", text, len, DOCUMENT_MANIFEST_MAX, &tree, err);
	if (r < 0)
		return r;
	root = json_node_root("manifest", tree);
	config = json_node_member(&root, "config");
	layers = json_node_member(&root, "layers");
	r = document_read_type(&root, media_type, MEDIA_MANIFEST, &out->type, err);
	if (r == 0)
		r = document_read_schema(&root, err);
	if (r == 0)
		r = document_read_descriptor(&config, &out->config, err);
	if (r == 0)
		r = document_read_list(&layers, DOCUMENT_LAYERS_MAX, &out->layers, &out->nlayers,
				       err);
	if (r == 0)
		r = manifest_check_kinds(&config, &layers, out, err);
	if (r < 0)
		manifest_free(out);
	return r;
}

int manifest_check_image(const struct manifest *m, struct coffer_error *err)
{
	char quoted[JSON_QUOTE_MAX];

	if (!m->config.type)
		return err_unsupported(err,
				       "manifest: config: the media type \"%s\": not an image "
				       "of a container",
				       json_text_quote(quoted, m->config.media_type));
	for (size_t i = 0; i < m->nlayers; i++)
		if (!m->layers[i].type)
			return err_unsupported(err, "manifest: layers[%zu]: the media type \"%s\"",
					       i, json_text_quote(quoted, m->layers[i].media_type));
	return 0;
}

/* ---- writing ---- */

static struct json_object *document_emit_platform(const struct platform *p)
{
	autojson struct json_object *json = json_object_new_object();

	if (!json || !json_add(json, "architecture", json_object_new_string(p->arch)) ||
	    !json_add(json, "os", json_object_new_string(p->os)) ||
	    (p->variant[0] && !json_add(json, "variant", json_object_new_string(p->variant))))
		return NULL;
	return steal_ptr(json);
}

static struct json_object *document_emit_descriptor(const struct descriptor *d)
{
	const char *type = d->media_type ? d->media_type : d->type ? d->type->name : "";
	autojson struct json_object *json = json_object_new_object();

	if (!json || !json_add(json, "mediaType", json_object_new_string(type)) ||
	    !json_add(json, "digest", json_object_new_string(d->digest.text)) ||
	    !json_add(json, "size", json_object_new_int64((int64_t)d->size)))
		return NULL;
	if (d->has_platform && !json_add(json, "platform", document_emit_platform(&d->platform)))
		return NULL;
	if (d->ref_name) {
		struct json_object *notes = json_object_new_object();

		if (!json_add(json, "annotations", notes) ||
		    !json_add(notes, DOCUMENT_REF_NAME, json_object_new_string(d->ref_name)))
			return NULL;
	}
	return steal_ptr(json);
}

static struct json_object *document_emit_list(const struct descriptor *list, size_t count)
{
	autojson struct json_object *json = json_object_new_array_ext(count > 0 ? (int)count : 1);

	for (size_t i = 0; json && i < count; i++) {
		struct json_object *d = document_emit_descriptor(&list[i]);

		if (!d || json_object_array_add(json, d) < 0) {
			json_object_put(d);
			return NULL;
		}
	}
	return json ? steal_ptr(json) : NULL;
}

/* document_emit() - Begin with what all have, end as text */
static struct json_object *document_emit_head(const struct media_type *type)
{
	autojson struct json_object *json = json_object_new_object();

	if (!json || !json_add(json, "schemaVersion", json_object_new_int(2)) ||
	    !json_add(json, "mediaType", json_object_new_string(type->name)))
		return NULL;
	return steal_ptr(json);
}

int index_append(struct index *x, const struct descriptor *d, const char *name,
		 struct coffer_error *err)
{
	struct descriptor *list = reallocarray(x->list, x->count + 1, sizeof(*list));

	if (!list)
		return err_nomem(err);
	x->list = list;
	list += x->count;
	if (descriptor_copy(list, d) < 0)
		return err_nomem(err);
	x->count++;
	free(list->ref_name);
	list->ref_name = name ? strdup(name) : NULL;
	return name && !list->ref_name ? err_nomem(err) : 0;
}

int index_emit(const struct index *x, struct buf *out, struct coffer_error *err)
{
	autojson struct json_object *json = document_emit_head(x->type);

	if (!json || !json_add(json, "manifests", document_emit_list(x->list, x->count)))
		return err_nomem(err);
	return json_node_emit(json, out, err);
}

int manifest_emit(const struct manifest *m, struct buf *out, struct coffer_error *err)
{
	autojson struct json_object *json = document_emit_head(m->type);

	if (!json || !json_add(json, "config", document_emit_descriptor(&m->config)) ||
	    !json_add(json, "layers", document_emit_list(m->layers, m->nlayers)))
		return err_nomem(err);
	return json_node_emit(json, out, err);
}
