/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry_driver.c - the registry client and a store, for tests
 *
 *	registry_driver STORE REFERENCE resolve|pull|push [FROM=REFERENCE] [mount=REPOSITORY]
 *	                [stall=SECONDS] [parallel=N] [cancel=BYTES]
 *	registry_driver STORE HOST login USER PASSWORD
 *
 * Says each progress in a line, then "ok DIGEST SIZE TYPE" or "error KIND MESSAGE".  pull takes an
 * index's first manifest; cancel= gives up once a blob has got that far.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/registry/registry.h"
#include "image/settings.h"
#include "image/store/store.h"

static struct store *store;
static struct store_lease *lease;
static struct registry_how how = { .parallel = 4, .cancel_fd = -1 };
static uint64_t cancel_at = UINT64_MAX;
static const char *from, *mount_from;

static struct store_part *parts[DOCUMENT_LAYERS_MAX + 1];
static struct registry_blob blobs[DOCUMENT_LAYERS_MAX + 1];
static struct registry_upload uploads[DOCUMENT_LAYERS_MAX + 1];

static void on_progress(void *data, const struct coffer_progress *p)
{
	static const char *const words[] = { "resolved", "blob",  "have", "done",
					     "retry",	 "build", "built" };

	printf("%s %" PRIu64 " %" PRIu64 " %s\n", words[p->kind], p->done, p->total, p->what);
	fflush(stdout);
	if (p->kind == COFFER_PROGRESS_BLOB && p->done >= cancel_at)
		eventfd_write(how.cancel_fd, 1);
}

static int on_done(void *data, size_t number, struct coffer_error *err)
{
	return store_part_commit(parts[number], lease, NULL, err);
}

static int get_manifest(struct registry *r, const struct descriptor *want, struct descriptor *out,
			struct buf *text, struct coffer_error *err)
{
	int bad = registry_manifest(r, want, out, text, err);

	return bad < 0 ? bad : store_blob_put(store, lease, buf_data(text), text->len, NULL, err);
}

/* get_blobs() - The manifest's configuration and layers */
static int get_blobs(struct registry *r, const struct buf *text, struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	size_t n = 0;
	int bad = manifest_parse(buf_data(text), text->len, NULL, &m, err);

	for (size_t i = 0; bad >= 0 && i <= m.nlayers; i++) {
		const struct descriptor *d = i == m.nlayers ? &m.config : &m.layers[i];
		bool seen = false;

		for (size_t k = 0; k < n; k++)
			seen |= digest_is_equal(&blobs[k].desc->digest, &d->digest);
		if (seen)
			continue;
		bad = store_lease_add(lease, &d->digest, err);
		if (bad >= 0)
			bad = store_part_open(store, &d->digest, d->size, -1, &parts[n], err);
		if (bad != 0)
			continue;
		blobs[n] = (struct registry_blob){ d, parts[n] };
		n++;
	}
	if (bad >= 0)
		bad = registry_fetch(r, blobs, n, on_done, NULL, err);
	for (size_t i = 0; i < n; i++)
		store_part_close(parts[i]);
	return bad;
}

static int pull(struct registry *r, const char *name, struct descriptor *top,
		struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	autodescriptor struct descriptor d = { 0 };
	CLEANUP(index_free) struct index x = { 0 };
	int bad = registry_resolve(r, top, err);

	if (bad >= 0)
		bad = get_manifest(r, top, &d, &text, err);
	if (bad >= 0 && d.type && d.type->kind == MEDIA_INDEX) {
		bad = index_parse(buf_data(&text), text.len, d.media_type, &x, err);
		buf_consume(&text, text.len);
		descriptor_free(&d);
		if (bad >= 0)
			bad = get_manifest(r, &x.list[0], &d, &text, err);
	}
	if (bad >= 0)
		bad = get_blobs(r, &text, err);
	return bad < 0 ? bad : store_name_set(store, name, top, err);
}

static int push(struct registry *r, const struct reference *ref, struct descriptor *top,
		struct coffer_error *err)
{
	autobuf struct buf text = BUF_INIT(DOCUMENT_MANIFEST_MAX);
	CLEANUP(manifest_free) struct manifest m = { 0 };
	int bad = store_name_get(store, from, top, err);

	if (bad >= 0)
		bad = store_blob_read(store, &top->digest, DOCUMENT_MANIFEST_MAX, &text, err);
	if (bad >= 0)
		bad = manifest_parse(buf_data(&text), text.len, NULL, &m, err);
	for (size_t i = 0; bad >= 0 && i <= m.nlayers; i++) {
		const struct descriptor *d = i == m.nlayers ? &m.config : &m.layers[i];

		uploads[i] =
		    (struct registry_upload){ d, store_blob_open(store, &d->digest, NULL, err),
					      mount_from };
		bad = uploads[i].fd;
	}
	if (bad >= 0)
		bad = registry_push(r, uploads, m.nlayers + 1, err);
	return bad < 0 ? bad
		       : registry_push_manifest(r, ref->tag, top, buf_data(&text), text.len, err);
}

static int run(char **argv, const struct settings *settings, struct descriptor *out,
	       struct coffer_error *err)
{
	CLEANUP(registry_closep) struct registry *r = NULL;
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	int bad = reference_parse(argv[2], NULL, &ref, err);

	if (bad < 0)
		return bad;
	how.push = strcmp(argv[3], "push") == 0;
	how.progress = on_progress;
	bad = registry_open(&ref, settings, &how, &r, err);
	if (bad < 0)
		return bad;
	reference_canonical(&ref, name);
	if (how.push)
		return push(r, &ref, out, err);
	return strcmp(argv[3], "pull") == 0 ? pull(r, name, out, err)
					    : registry_resolve(r, out, err);
}

static void option(const char *text)
{
	const char *value = strchr(text, '=') + 1;

	if (strncmp(text, "from=", 5) == 0)
		from = value;
	else if (strncmp(text, "mount=", 6) == 0)
		mount_from = value;
	else if (strncmp(text, "stall=", 6) == 0)
		how.stall = (unsigned)atoi(value);
	else if (strncmp(text, "parallel=", 9) == 0)
		how.parallel = (unsigned)atoi(value);
	else if (strncmp(text, "cancel=", 7) == 0)
		cancel_at = strtoull(value, NULL, 10);
}

int main(int argc, char **argv)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct descriptor out = { 0 };
	struct settings settings = { 0 };
	bool login;
	int r;

	if (argc < 4)
		return 2;
	login = strcmp(argv[3], "login") == 0;
	for (int i = 4; !login && i < argc; i++)
		option(argv[i]);
	how.cancel_fd = eventfd(0, EFD_CLOEXEC);
	r = settings_load(NULL, NULL, &settings, &err);
	if (r == 0)
		r = store_open(argv[1], &store, &err);
	if (r == 0)
		r = store_lease_open(store, &lease, &err);
	if (r == 0)
		r = login ? registry_ping(argv[2], &settings, argv[4], argv[5], &err)
			  : run(argv, &settings, &out, &err);
	if (r < 0)
		printf("error %s %s\n", coffer_error_kind_str(err.kind), err.message);
	else
		printf("ok %s %" PRIu64 " %s\n", out.digest.text, out.size,
		       out.media_type ? out.media_type : "");
	descriptor_free(&out);
	settings_free(&settings);
	close(how.cancel_fd);
	store_lease_close(lease);
	store_close(store);
	return r < 0;
}
