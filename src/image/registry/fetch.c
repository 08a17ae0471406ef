/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/fetch.c - blobs, side by side, each from where it broke off
 *
 * A blob has as many bytes as its descriptor says: neither more nor less are
 * believed.  Its digest is the store's, when the part is committed.  A range is
 * asked for if there is something already; who answers with another one is
 * asked for the whole, once and for all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/registry/registry_internal.h"

#define FETCH_TELL (100 * USEC_PER_MSEC) /* between two reports of progress */

struct fetch {
	const struct registry_blob *blob; /* borrowed */
	struct fetch_all *all;
	char tail[DIGEST_TEXT_MAX + 16];
	bool is_ranged;	 /* this try has asked for a range */
	bool no_ranges;	 /* the registry cannot do them */
	bool is_checked; /* the answer's headers are those of our question */
	uint64_t begun;	 /* bytes there were before this try */
	usec_t told;
};

struct fetch_all {
	struct registry *registry;
	struct fetch *list;
	struct inquiry *inquiries;
	int (*done)(void *data, size_t number, struct coffer_error *err);
	void *data;
};

static void fetch_tell(struct fetch *f, enum coffer_progress_kind kind)
{
	const struct descriptor *d = f->blob->desc;

	f->told = clock_now();
	registry_tell(f->all->registry, kind, d->digest.text, store_part_offset(f->blob->part),
		      d->size);
}

static int fetch_ask(struct inquiry *x, struct coffer_error *err)
{
	struct fetch *f = x->owner;

	f->begun = store_part_offset(f->blob->part);
	f->is_checked = false;
	if (f->begun > 0 && f->no_ranges) {
		int r = store_part_restart(f->blob->part, err);

		if (r < 0)
			return r;
		f->begun = 0;
	}
	f->is_ranged = f->begun > 0;
	x->header[0][0] = '\0';
	if (f->is_ranged)
		snprintf(x->header[0], sizeof(x->header[0]), "Range: bytes=%llu-",
			 (unsigned long long)f->begun);
	fetch_tell(f, COFFER_PROGRESS_BLOB);
	return 0;
}

/* fetch_check_range() - Of a 206: from where we stopped to the end. */
static int fetch_check_range(struct inquiry *x, struct coffer_error *err)
{
	struct fetch *f = x->owner;
	const char *range = http_header(&x->call, "Content-Range", 0);
	unsigned long long from = 0, to = 0, total = 0;
	uint64_t size = f->blob->desc->size;
	int end = 0;
	bool ok = range && f->is_ranged &&
		  sscanf(range, "bytes %20llu-%20llu/%n", &from, &to, &end) == 2 && end > 0;

	if (ok && strcmp(range + end, "*") != 0)
		ok = sscanf(range + end, "%20llu", &total) == 1 && total == size;
	if (ok && from == f->begun && to >= from && to < size)
		return 0;
	x->is_passing = f->is_ranged;
	f->no_ranges = true;
	return err_invalid(err, "a range that was not asked for: %.100s",
			   range ? range : "it is not said which");
}

/* fetch_check_whole() - Of a 200 */
static int fetch_check_whole(struct inquiry *x, struct coffer_error *err)
{
	struct fetch *f = x->owner;
	const char *length = http_header(&x->call, "Content-Length", 0);
	uint64_t size = f->blob->desc->size;

	if (length && strtoull(length, NULL, 10) != size)
		return err_invalid(err, "it has %.20s bytes instead of %llu", length,
				   (unsigned long long)size);
	f->begun = 0;
	x->is_ours = true;
	if (store_part_offset(f->blob->part) > 0 && store_part_restart(f->blob->part, err) < 0)
		return -EIO;
	x->is_ours = false;
	return 0;
}

static bool fetch_data(struct inquiry *x, const void *data, size_t n)
{
	struct fetch *f = x->owner;
	struct store_part *part = f->blob->part;

	if (!f->is_checked) {
		int r = x->call.status == 206 ? fetch_check_range(x, &x->error)
					      : fetch_check_whole(x, &x->error);

		if (r < 0)
			return false;
		f->is_checked = true;
	}
	if (n > f->blob->desc->size - store_part_offset(part)) {
		err_invalid(&x->error, "it has more than %llu bytes",
			    (unsigned long long)f->blob->desc->size);
		return false;
	}
	if (store_part_write(part, data, n, &x->error) < 0) {
		x->is_ours = true;
		return false;
	}
	if (clock_now() - f->told > FETCH_TELL)
		fetch_tell(f, COFFER_PROGRESS_BLOB);
	return true;
}

static void fetch_broken(struct inquiry *x)
{
	const struct fetch *f = x->owner;

	if (store_part_offset(f->blob->part) > f->begun)
		retry_achieved(&x->retry);
}

/* fetch_finish() - It is whole */
static int fetch_finish(struct fetch *f, struct inquiry *x, struct coffer_error *err)
{
	int r;

	if (f->told == 0 || store_part_offset(f->blob->part) > f->begun)
		fetch_tell(f, COFFER_PROGRESS_BLOB);
	x->is_ours = true;
	r = f->all->done ? f->all->done(f->all->data, (size_t)(f - f->all->list), err) : 0;
	if (r < 0)
		return r;
	registry_tell(f->all->registry, COFFER_PROGRESS_BLOB_DONE, f->blob->desc->digest.text,
		      f->blob->desc->size, f->blob->desc->size);
	return INQUIRY_DONE;
}

static int fetch_answered(struct inquiry *x, struct coffer_error *err)
{
	struct fetch *f = x->owner;
	uint64_t have;

	if (x->call.status == 416 && f->is_ranged) {
		f->no_ranges = true;
		return INQUIRY_NEXT;
	}
	if (x->call.status != 200 && x->call.status != 206)
		return inquiry_refuse(x, err);
	have = store_part_offset(f->blob->part);
	if (have == f->blob->desc->size && f->is_checked)
		return fetch_finish(f, x, err);
	err_set(&x->error, COFFER_ERR_INTERRUPTED, 0, "it ended after %llu of %llu bytes",
		(unsigned long long)have, (unsigned long long)f->blob->desc->size);
	return INQUIRY_AGAIN;
}

static void fetch_init(struct fetch_all *all, size_t i, const struct registry_blob *blob)
{
	struct inquiry *x = &all->inquiries[i];
	struct fetch *f = &all->list[i];

	*f = (struct fetch){ .blob = blob, .all = all };
	snprintf(f->tail, sizeof(f->tail), "blobs/%s", blob->desc->digest.text);
	*x = (struct inquiry)INQUIRY_INIT(INQUIRY_TEXT_MAX);
	snprintf(x->what, sizeof(x->what), "blob %s", blob->desc->digest.text);
	x->owner = f;
	x->endpoint = all->registry->current;
	x->method = "GET";
	x->tail = f->tail;
	x->ask = fetch_ask;
	x->data = fetch_data;
	x->broken = fetch_broken;
	x->answered = fetch_answered;
}

int registry_fetch(struct registry *r, const struct registry_blob *blobs, size_t count,
		   int (*done)(void *data, size_t number, struct coffer_error *err), void *data,
		   struct coffer_error *err)
{
	autofree struct fetch *list = calloc(count + 1, sizeof(*list));
	autofree struct inquiry *inquiries = calloc(count + 1, sizeof(*inquiries));
	struct fetch_all all = { r, list, inquiries, done, data };
	int bad = 0;

	if (!list || !inquiries)
		return err_nomem(err);
	for (size_t i = 0; i < count; i++)
		fetch_init(&all, i, &blobs[i]);
	for (size_t i = 0; i < count && bad >= 0; i++) {
		/* An earlier transfer has got all of it, or there is nothing to get. */
		if (store_part_offset(blobs[i].part) != blobs[i].desc->size)
			continue;
		bad = fetch_finish(&list[i], &inquiries[i], err);
		inquiries[i].state = INQUIRY_ENDED;
	}
	if (bad >= 0)
		bad = inquiry_run(r, inquiries, count, r->how.parallel, err);
	for (size_t i = 0; i < count; i++)
		inquiry_free(&inquiries[i]);
	return bad;
}
