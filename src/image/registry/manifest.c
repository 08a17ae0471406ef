/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/manifest.c - what a name stands for, and manifests and indices themselves
 *
 * The digest is what counts: of a tag it is what the registry says, of bytes
 * what they hash to, and all that were told have to be the same.  What a
 * document means is document.h's; here it is only found out of which type it
 * is, which some registries do not say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/registry/registry_internal.h"

#define MANIFEST_DEPTH	16
#define MANIFEST_ACCEPT 1024

/* One question about a manifest. */
struct manifest_question {
	struct inquiry x;
	char tail[REFERENCE_TAG_MAX + DIGEST_TEXT_MAX + 16];
	char accept[MANIFEST_ACCEPT];
	struct digest want;	/* empty: whatever the tag stands for */
	const char *type;	/* it must be of this one; NULL: what it says */
	struct descriptor *out; /* borrowed */
	bool is_incomplete;	/* HEAD has not said all */
};

static void manifest_question_free(struct manifest_question *q)
{
	inquiry_free(&q->x);
}

static void manifest_question_init(struct manifest_question *q, struct registry *r,
				   const struct descriptor *want, struct descriptor *out)
{
	const struct digest *digest = want ? &want->digest : &r->ref->digest;
	const char *name = digest_is_empty(digest) ? r->ref->tag : digest->text;

	*q = (struct manifest_question){ .x = INQUIRY_INIT(DOCUMENT_MANIFEST_MAX), .out = out };
	q->want = *digest;
	q->type = want ? want->media_type : NULL;
	snprintf(q->tail, sizeof(q->tail), "manifests/%s", name);
	snprintf(q->accept, sizeof(q->accept), "Accept: %s", media_type_accept);
	snprintf(q->x.what, sizeof(q->x.what), "manifest %s", name);
	q->x.owner = q;
	q->x.tail = q->tail;
	q->x.accept = q->accept;
	q->x.endpoint = r->current;
	*out = (struct descriptor){ 0 };
}

/* manifest_media_type() - What the header says, without parameters; "" if that means nothing */
static void manifest_media_type(const struct inquiry *x, char *out, size_t size)
{
	static const char *const nothing[] = { "application/json", "application/octet-stream",
					       "text/plain", "binary/octet-stream" };
	const char *type = http_header(&x->call, "Content-Type", 0);
	size_t n = type ? strcspn(type, "; \t") : 0;

	snprintf(out, size, "%.*s", n < size ? (int)n : 0, type ? type : "");
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++)
		if (strcasecmp(out, nothing[i]) == 0)
			out[0] = '\0';
}

static int manifest_check_type(const char *type, struct coffer_error *err)
{
	if (strcasecmp(type, "text/html") == 0)
		return err_invalid(err, "it is an HTML page: is this a registry?");
	if (strncmp(type, "application/vnd.docker.distribution.manifest.v1+", 48) == 0)
		return err_unsupported(err, "it is of Docker's schema 1, which is obsolete");
	return 0;
}

/* manifest_told_digest() - What the header says; empty: nothing */
static int manifest_told_digest(const struct inquiry *x, const struct digest *want,
				struct digest *out, struct coffer_error *err)
{
	const char *told = http_header(&x->call, "Docker-Content-Digest", 0);

	*out = (struct digest){ 0 };
	if (!told || told[0] == '\0')
		return 0;
	if (digest_parse(told, out, err) < 0)
		return err_wrap(err, "Docker-Content-Digest");
	if (!digest_is_empty(want) && strcmp(digest_algorithm(want), digest_algorithm(out)) == 0 &&
	    !digest_is_equal(want, out))
		return err_invalid(err, "the registry says that it is %s", told);
	return 0;
}

static int manifest_set(struct descriptor *out, const char *type, const struct digest *digest,
			uint64_t size, struct coffer_error *err)
{
	free(out->media_type);
	out->media_type = strdup(type);
	if (!out->media_type)
		return err_nomem(err);
	out->type = media_type_find(type);
	out->digest = *digest;
	out->size = size;
	return 0;
}

static int manifest_resolved(struct inquiry *x, struct coffer_error *err)
{
	struct manifest_question *q = x->owner;
	const char *length = http_header(&x->call, "Content-Length", 0);
	struct digest told;
	uint64_t size = 0;
	char type[200], *end;
	int r;

	/* Some do not know HEAD here, or leave out what it is asked for. */
	q->is_incomplete = x->call.status == 405 || x->call.status == 501;
	if (q->is_incomplete)
		return INQUIRY_DONE;
	if (x->call.status != 200)
		return inquiry_refuse(x, err);
	manifest_media_type(x, type, sizeof(type));
	r = manifest_check_type(type, err);
	if (r == 0)
		r = manifest_told_digest(x, &q->want, &told, err);
	if (r < 0)
		return r;
	if (length)
		size = strtoull(length, &end, 10);
	if (size > DOCUMENT_MANIFEST_MAX)
		return err_invalid(err, "it has %llu bytes, more than %zu",
				   (unsigned long long)size, DOCUMENT_MANIFEST_MAX);
	if (digest_is_empty(&told))
		told = q->want;
	q->is_incomplete = size == 0 || type[0] == '\0' || digest_is_empty(&told);
	return q->is_incomplete ? INQUIRY_DONE : manifest_set(q->out, type, &told, size, err);
}

int registry_resolve(struct registry *r, struct descriptor *out, struct coffer_error *err)
{
	CLEANUP(manifest_question_free) struct manifest_question q;
	autobuf struct buf body = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	int bad;

	manifest_question_init(&q, r, NULL, out);
	q.x.method = "HEAD";
	q.x.answered = manifest_resolved;
	bad = inquiry_run(r, &q.x, 1, 1, err);
	if (bad < 0)
		return bad;
	r->current = q.x.endpoint;
	return q.is_incomplete ? registry_manifest(r, NULL, out, &body, err) : 0;
}

/* manifest_guess_type() - By the document itself */
static int manifest_guess_type(const struct buf *text, char *out, size_t size,
			       struct coffer_error *err)
{
	static const struct {
		const char *member, *type;
	} rows[] = {
		{ "fsLayers", "application/vnd.docker.distribution.manifest.v1+json" },
		{ "manifests", "application/vnd.oci.image.index.v1+json" },
		{ "layers", "application/vnd.oci.image.manifest.v1+json" },
	};
	autotokener struct json_tokener *tok = json_tokener_new_ex(MANIFEST_DEPTH);
	autojson struct json_object *top = NULL;
	struct json_object *said = NULL;

	if (!tok)
		return err_nomem(err);
	out[0] = '\0';
	top = json_tokener_parse_ex(tok, (const char *)buf_data(text), (int)text->len);
	if (!json_object_is_type(top, json_type_object))
		return err_invalid(err, "it is not a JSON object");
	if (json_object_object_get_ex(top, "mediaType", &said) &&
	    json_object_is_type(said, json_type_string))
		snprintf(out, size, "%s", json_object_get_string(said));
	for (size_t i = 0; i < ARRAY_SIZE(rows) && out[0] == '\0'; i++)
		if (json_object_object_get_ex(top, rows[i].member, NULL))
			snprintf(out, size, "%s", rows[i].type);
	return out[0] ? 0 : err_invalid(err, "it is not said what it is");
}

/* manifest_find_type() - By what led here, whose digest is known; else the header; else itself */
static int manifest_find_type(const struct inquiry *x, const char *want, char *out, size_t size,
			      struct coffer_error *err)
{
	int r;

	manifest_media_type(x, out, size);
	r = manifest_check_type(out, err);
	if (r < 0)
		return r;
	if (x->text.len == 0)
		return err_invalid(err, "the answer is empty");
	if (out[0] == '\0' && buf_data(&x->text)[0] == '<')
		snprintf(out, size, "text/html");
	else if (want)
		snprintf(out, size, "%s", want);
	if (out[0] == '\0')
		r = manifest_guess_type(&x->text, out, size, err);
	return r < 0 ? r : manifest_check_type(out, err);
}

/* manifest_hash() - Of the bytes, with the algorithm that @like has */
static int manifest_hash(const struct buf *text, const struct digest *like, struct digest *out,
			 struct coffer_error *err)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	int r = hasher_new(digest_is_empty(like) ? NULL : like, &h, err);

	if (r < 0)
		return r;
	hasher_update(h, buf_data(text), text->len);
	return hasher_end(h, out, err);
}

static int manifest_answered(struct inquiry *x, struct coffer_error *err)
{
	struct manifest_question *q = x->owner;
	struct digest told, real;
	char type[200];
	int r;

	if (x->call.status != 200)
		return inquiry_refuse(x, err);
	r = manifest_find_type(x, q->type, type, sizeof(type), err);
	if (r == 0)
		r = manifest_told_digest(x, &q->want, &told, err);
	if (r == 0)
		r = manifest_hash(&x->text, digest_is_empty(&q->want) ? &told : &q->want, &real,
				  err);
	if (r < 0)
		return r;
	if (!digest_is_empty(&q->want) && !digest_is_equal(&q->want, &real))
		return err_invalid(err, "its digest is %s", real.text);
	if (digest_is_empty(&q->want) && !digest_is_empty(&told) && !digest_is_equal(&told, &real))
		return err_invalid(err, "the registry says that it is %s, but it is %s", told.text,
				   real.text);
	return manifest_set(q->out, type, &real, x->text.len, err);
}

int registry_manifest(struct registry *r, const struct descriptor *want, struct descriptor *out,
		      struct buf *body, struct coffer_error *err)
{
	CLEANUP(manifest_question_free) struct manifest_question q;
	int bad;

	manifest_question_init(&q, r, want, out);
	q.x.method = "GET";
	q.x.answered = manifest_answered;
	bad = inquiry_run(r, &q.x, 1, 1, err);
	if (bad < 0)
		return bad;
	r->current = q.x.endpoint;
	if (want && want->size > 0 && want->size != out->size)
		bad = err_invalid(err, "%s of %s has %llu bytes instead of %llu", q.x.what,
				  r->endpoints[r->current].host, (unsigned long long)out->size,
				  (unsigned long long)want->size);
	else if (buf_append(body, buf_data(&q.x.text), q.x.text.len) < 0)
		bad = err_sysn(err, ENOBUFS, "%s", q.x.what);
	if (bad < 0)
		descriptor_free(out);
	return bad;
}
