/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/reach.c - what names and leases lead to
 *
 *	index -> manifests -> configuration, layers; configuration -> chain id -> root
 *
 * Chain ids and digests of blobs are kept together: both are hashes.  An index
 * may have manifests that were never fetched; everything else that is referred
 * to should be there.  What cannot be understood leads nowhere.
 *
 * Repairing, a manifest of which something is missing is removed.
 *
 * Callers: prune.c and check.c, with the lock held.
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/store/store_internal.h"

struct reach_node {
	struct digest digest; /* first: a node is found by a digest */
	bool walked;	      /* as an index or manifest, which is done once only */
	int worst;	      /* what that came to */
};

static int reach_compare(const void *a, const void *b)
{
	const struct digest *x = a, *y = b;

	return strcmp(x->text, y->text);
}

static int reach_add(struct reach *r, const struct digest *d, struct reach_node **out,
		     struct coffer_error *err)
{
	autofree struct reach_node *node = calloc(1, sizeof(*node));
	struct reach_node **at;

	if (!node)
		return err_nomem(err);
	node->digest = *d;
	at = tsearch(node, &r->seen, reach_compare);
	if (!at)
		return err_nomem(err);
	if (out)
		*out = *at;
	if (*at == node)
		steal_ptr(node);
	return 0;
}

bool reach_has(const struct reach *r, const struct digest *d)
{
	return tfind(d, &r->seen, reach_compare) != NULL;
}

void reach_free(struct reach *r)
{
	tdestroy(r->seen, free);
	r->seen = NULL;
}

/* Return: 1, or what the owner of the walk says */
static int reach_missing(struct reach *r, const struct digest *d, const char *what,
			 struct coffer_error *err)
{
	char fault[DIGEST_TEXT_MAX + 160];
	int n;

	if (!r->missing)
		return 1;
	snprintf(fault, sizeof(fault), "blob %s: %s", d->text, what);
	n = r->missing(r->data, fault, err);
	return n < 0 ? n : 1;
}

/* reach_blob() - Note a blob that is referred to. Return: 0; 1: it is missing; negative errno */
static int reach_blob(struct reach *r, const struct descriptor *d, struct coffer_error *err)
{
	uint64_t size = 0;
	autoclose int fd = -1;
	int n = reach_add(r, &d->digest, NULL, err);

	if (n < 0)
		return n;
	fd = store_blob_open(r->store, &d->digest, &size, NULL);
	if (fd == -ENOENT)
		return reach_missing(r, &d->digest, "is missing", err);
	if (fd < 0)
		return reach_missing(r, &d->digest, "cannot be opened", err);
	if (size != d->size)
		return reach_missing(r, &d->digest, "has another size than it is said to have",
				     err);
	return 0;
}

/* What is damaged or not understood is not an error of the walk. */
static bool reach_read(struct reach *r, const struct digest *d, size_t max, struct buf *out)
{
	return store_blob_read(r->store, d, max, out, NULL) == 0;
}

static int reach_chain(struct reach *r, const struct digest *config, struct coffer_error *err)
{
	CLEANUP(image_config_free) struct image_config c = { 0 };
	autobuf struct buf text = BUF_INIT(0);
	struct digest chain;
	int n;

	if (!reach_read(r, config, DOCUMENT_CONFIG_MAX, &text) ||
	    image_config_parse(buf_data(&text), text.len, &c, NULL) < 0 || c.ndiff_ids == 0)
		return 0;
	n = chain_id(c.diff_ids, c.ndiff_ids, &chain, err);
	if (n == 0)
		n = reach_add(r, &chain, NULL, err);
	return n;
}

static int reach_manifest(struct reach *r, const struct manifest *m, struct coffer_error *err)
{
	int worst = reach_blob(r, &m->config, err);

	for (size_t i = 0; worst >= 0 && i < m->nlayers; i++) {
		int n = reach_blob(r, &m->layers[i], err);

		worst = n != 0 ? n : worst;
	}
	if (worst >= 0) {
		int n = reach_chain(r, &m->config.digest, err);

		worst = n < 0 ? n : worst;
	}
	return worst;
}

static int reach_document(struct reach *r, const struct digest *d, const char *media_type,
			  int depth, struct coffer_error *err);

static int reach_index(struct reach *r, const struct index *x, int depth, struct coffer_error *err)
{
	int worst = 0;

	for (size_t i = 0; worst >= 0 && i < x->count; i++) {
		const struct descriptor *d = &x->list[i];
		autoclose int fd = store_blob_open(r->store, &d->digest, NULL, NULL);
		int n;

		if (fd == -ENOENT)
			continue;
		n = reach_blob(r, d, err);
		if (n == 0)
			n = reach_document(r, &d->digest, d->media_type, depth + 1, err);
		if (n == 1 && r->repair)
			n = 0; /* from now on one that nobody has asked for */
		worst = n != 0 ? n : worst;
	}
	return worst;
}

static int reach_parsed(struct reach *r, const struct digest *d, const char *media_type, int depth,
			struct coffer_error *err)
{
	CLEANUP(index_free) struct index x = { 0 };
	CLEANUP(manifest_free) struct manifest m = { 0 };
	autobuf struct buf text = BUF_INIT(0);

	if (depth > DOCUMENT_INDEX_DEPTH)
		return reach_missing(r, d, "is an index below too many others", err);
	if (!reach_read(r, d, DOCUMENT_MANIFEST_MAX, &text))
		return reach_missing(r, d, "cannot be read", err);
	if (index_parse(buf_data(&text), text.len, media_type, &x, NULL) == 0)
		return reach_index(r, &x, depth, err);
	if (manifest_parse(buf_data(&text), text.len, media_type, &m, NULL) == 0)
		return reach_manifest(r, &m, err);
	return reach_missing(r, d, "is neither an index nor a manifest", err);
}

/* reach_document() - What an index or manifest that is there leads to. Once: a small index can name
 * another a thousand times, which does the same */
static int reach_document(struct reach *r, const struct digest *d, const char *media_type,
			  int depth, struct coffer_error *err)
{
	struct reach_node *node = NULL;
	int n = reach_add(r, d, &node, err);

	if (n < 0)
		return n;
	if (!node->walked) {
		node->walked = true;
		node->worst = reach_parsed(r, d, media_type, depth, err);
		if (node->worst == 1 && r->repair)
			unlinkat(store_blob_dir(r->store, d), digest_hex(d), 0);
	}
	return node->worst;
}

int reach_from(struct reach *r, const struct descriptor *d, struct coffer_error *err)
{
	int n = reach_blob(r, d, err);

	return n != 0 ? n : reach_document(r, &d->digest, d->media_type, 0, err);
}

/* What is to be read for this: a layer begins otherwise, and is larger. */
static bool reach_is_document(struct store *s, const struct digest *d)
{
	uint64_t size = 0;
	autoclose int fd = store_blob_open(s, d, &size, NULL);
	char first = 0;

	return fd >= 0 && size <= DOCUMENT_MANIFEST_MAX && pread(fd, &first, 1, 0) == 1 &&
	       first == '{';
}

int reach_from_digest(struct reach *r, const struct digest *d, struct coffer_error *err)
{
	int n = reach_add(r, d, NULL, err);

	if (n < 0 || !reach_is_document(r->store, d))
		return n;
	n = reach_document(r, d, NULL, 0, err);
	return n < 0 ? n : 0;
}

bool store_blob_is_manifest(struct store *s, const struct digest *d)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	autobuf struct buf text = BUF_INIT(0);

	return reach_is_document(s, d) &&
	       store_blob_read(s, d, DOCUMENT_MANIFEST_MAX, &text, NULL) == 0 &&
	       manifest_parse(buf_data(&text), text.len, NULL, &m, NULL) == 0;
}
