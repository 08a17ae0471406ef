/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/reader.c - a layer, entry by entry, everything checked
 *
 *	feed (another thread) --> hash --> libarchive (tar) --> entry.c --> layer_ops
 *
 * Of libarchive only the tar format is used; what it would do on its own (make
 * files, resolve anything) is not.  Some of what it reads it keeps without a
 * limit (a map of a file's holes), so what it may take before anything comes
 * of it is limited here.
 *
 * The hash covers all of the stream, so also what comes after the archive's
 * end, which may only be padding.
 *
 * Callers: layer_stack.c, unpack.c, diff_id.c.
 */
#include "image/layer/reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/layer/entry.h"
#include "image/layer/feed.h"

#define READER_NAME_SHOWN    200
#define READER_FRUITLESS_MAX ((uint64_t)8 << 20) /* bytes between what something came of */
#define READER_PADDING_MAX   ((uint64_t)16 << 20)

struct reader {
	const struct settings_limits *limits;
	struct layer_used *used;
	const struct layer_watch *watch;
	const struct layer_ops *ops;
	void *data;
	struct feed *feed;	 /* owned */
	struct hasher *hasher;	 /* owned */
	struct archive *archive; /* owned */
	const uint8_t *chunk;	 /* the feed's */
	size_t chunk_len;
	uint64_t given;	    /* bytes that libarchive got */
	uint64_t fruitless; /* of them, since something came of them */
	int failed;	    /* what reading failed with, */
	struct coffer_error error; /* and why */
	struct entry_space space;
};

static void reader_free(struct reader *r)
{
	if (r->archive)
		archive_read_free(r->archive);
	if (r->feed)
		feed_free(r->feed);
	if (r->hasher)
		hasher_free(r->hasher);
	free(r);
}
DEFINE_CLEANUP(struct reader *, reader_free);

/* ---- bytes ---- */

static int reader_watch(struct reader *r, uint64_t taken, struct coffer_error *err)
{
	struct pollfd p = { .fd = r->watch ? r->watch->cancel_fd : -1, .events = POLLIN };

	if (p.fd >= 0 && poll(&p, 1, 0) > 0)
		return err_set(err, COFFER_ERR_CANCELLED, 0, "given up");
	if (r->watch && r->watch->progress)
		r->watch->progress(r->watch->data, r->used->packed + taken);
	return 0;
}

/* Return: 1, 0 at the end, or negative errno */
static int reader_chunk(struct reader *r, struct coffer_error *err)
{
	uint64_t taken = 0;
	int n;

	n = feed_next(r->feed, &r->chunk, &r->chunk_len, &taken, err);
	if (n <= 0) {
		r->chunk_len = 0;
		return n;
	}
	hasher_update(r->hasher, r->chunk, r->chunk_len);
	r->given += r->chunk_len;
	n = reader_watch(r, taken, err);
	return n < 0 ? n : 1;
}

static ssize_t reader_callback(struct archive *a, void *data, const void **block)
{
	struct reader *r = data;
	int n = reader_chunk(r, &r->error);

	r->fruitless += r->chunk_len;
	if (n >= 0 && r->fruitless > READER_FRUITLESS_MAX)
		n = err_invalid(&r->error, "it describes too much and holds too little");
	*block = r->chunk;
	if (n >= 0)
		return (ssize_t)r->chunk_len;
	r->failed = n;
	archive_set_error(a, -n, "read");
	return ARCHIVE_FATAL;
}

/* What libarchive says is wrong, unless it is what it was told. */
static int reader_damaged(struct reader *r, struct coffer_error *err)
{
	const char *why = archive_error_string(r->archive);

	if (!r->failed)
		return err_invalid(err, "damaged archive: %s", why ? why : "unreadable");
	if (err)
		*err = r->error;
	return r->failed;
}

/* ---- entries ---- */

/* A file's bytes, its holes left out. @size: what it may have; all is read whatever it is */
static int reader_data(struct reader *r, uint64_t size, bool wanted, struct coffer_error *err)
{
	uint64_t end = 0;
	const void *block;
	int64_t off;
	size_t n;
	int ar, res = 0;

	while (res == 0) {
		ar = archive_read_data_block(r->archive, &block, &n, &off);
		if (ar == ARCHIVE_EOF)
			break;
		if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN)
			return reader_damaged(r, err);
		if (n == 0)
			continue;
		r->fruitless = 0;
		if (!wanted)
			continue;
		if (off < 0 || (uint64_t)off < end || (uint64_t)off > size ||
		    n > size - (uint64_t)off)
			return err_invalid(err, "its data are not where they should be");
		end = (uint64_t)off + n;
		if (r->ops->data)
			res = r->ops->data(r->data, block, n, (uint64_t)off, err);
	}
	return res;
}

static int reader_count(struct reader *r, const struct layer_entry *e, struct coffer_error *err)
{
	if (e->kind != LAYER_FILE)
		return 0;
	if (e->size > r->limits->bytes || r->used->bytes > r->limits->bytes - e->size)
		return err_invalid(err, "with it the files have more than %" PRIu64 " bytes",
				   r->limits->bytes);
	r->used->bytes += e->size;
	return 0;
}

static int reader_entry(struct reader *r, struct archive_entry *a, struct coffer_error *err)
{
	struct layer_entry e;
	int n;

	if (r->used->entries++ >= r->limits->entries)
		return err_invalid(err, "with it there are more than %" PRIu64 " entries",
				   r->limits->entries);
	n = entry_check(a, r->limits->name, &r->space, &e, err);
	if (n <= 0)
		return n < 0 ? n : reader_data(r, 0, false, err);
	n = reader_count(r, &e, err);
	if (n == 0 && r->ops->entry)
		n = r->ops->entry(r->data, &e, err);
	/* Of what is no file, data can come with hard links, and mean nothing. */
	if (n == 0)
		n = reader_data(r, e.size, e.kind == LAYER_FILE, err);
	if (n == 0 && e.kind == LAYER_FILE && r->ops->end)
		n = r->ops->end(r->data, err);
	return n;
}

static bool reader_is_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static int reader_padding(struct reader *r, struct coffer_error *err)
{
	uint64_t used = (uint64_t)archive_filter_bytes(r->archive, 0);
	uint64_t left = r->given > used ? r->given - used : 0, all = left;
	size_t n = left < r->chunk_len ? (size_t)left : r->chunk_len;
	int more = 1;

	if (!reader_is_zero(r->chunk + r->chunk_len - n, n))
		more = err_invalid(err, "something comes after the archive's end");
	while (more > 0) {
		more = reader_chunk(r, err);
		all += r->chunk_len;
		if (more > 0 &&
		    (!reader_is_zero(r->chunk, r->chunk_len) || all > READER_PADDING_MAX))
			more = err_invalid(err, "something comes after the archive's end");
	}
	return more;
}

static int reader_entries(struct reader *r, struct coffer_error *err)
{
	struct archive_entry *a;
	int ar, n;

	for (;;) {
		ar = archive_read_next_header(r->archive, &a);
		r->fruitless = 0;
		if (ar == ARCHIVE_EOF)
			return reader_padding(r, err);
		/* Warnings are about character sets; the bytes are there. */
		if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN)
			return reader_damaged(r, err);
		n = reader_entry(r, a, err);
		if (n < 0) {
			const char *name = archive_entry_pathname(a);

			if (n == -ECANCELED)
				return n;
			return err_wrap(err, "entry \"%.*s\"", READER_NAME_SHOWN, name ? name : "");
		}
	}
}

static int reader_open(struct reader *r, struct coffer_error *err)
{
	r->archive = archive_read_new();
	if (!r->archive || archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
	    archive_read_support_format_empty(r->archive) != ARCHIVE_OK)
		return err_nomem(err);
	if (archive_read_open(r->archive, r, NULL, reader_callback, NULL) != ARCHIVE_OK)
		return reader_damaged(r, err);
	return 0;
}

/* Names are bytes: in a locale with a character set libarchive would change those of pax. */
static int reader_run(struct reader *r, struct coffer_error *err)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;
	int n;

	if (!plain)
		return err_nomem(err);
	old = uselocale(plain);
	n = reader_open(r, err);
	if (n == 0)
		n = reader_entries(r, err);
	uselocale(old);
	freelocale(plain);
	return n;
}

static int reader_verify(struct reader *r, const struct digest *expected, struct digest *diff_id,
			 struct coffer_error *err)
{
	struct digest d;
	int n = hasher_end(r->hasher, &d, err);

	if (n < 0)
		return n;
	if (!digest_is_empty(expected) && !digest_is_equal(&d, expected))
		return err_invalid(err, "it unpacks to %s, not to %s", d.text, expected->text);
	if (diff_id)
		*diff_id = d;
	return 0;
}

int layer_read(const struct layer_source *layer, const struct settings_limits *limits,
	       struct layer_used *used, const struct layer_watch *watch,
	       const struct layer_ops *ops, void *data, struct digest *diff_id,
	       struct coffer_error *err)
{
	CLEANUP(reader_freep) struct reader *r = malloc(sizeof(*r));
	int n;

	if (!r)
		return err_nomem(err);
	memset(r, 0, offsetof(struct reader, space));
	r->limits = limits;
	r->used = used;
	r->watch = watch;
	r->ops = ops;
	r->data = data;
	r->chunk = (const uint8_t *)"";
	r->error = (struct coffer_error)COFFER_ERROR_INIT;
	n = hasher_new(digest_is_empty(&layer->diff_id) ? NULL : &layer->diff_id, &r->hasher, err);
	if (n == 0)
		n = feed_open(layer, limits, &r->feed, err);
	if (n == 0)
		n = reader_run(r, err);
	if (n == 0)
		n = reader_verify(r, &layer->diff_id, diff_id, err);
	if (n < 0)
		return n == -ECANCELED ? n : err_wrap(err, "layer %s", layer->blob.text);
	used->packed += layer->size;
	return 0;
}
