/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/intake.c - the files of an archive, put into the store as they come
 *
 * In one pass, as the archive may come by a pipe and says at its end what its
 * files are.  "blobs/ALGORITHM/HEX" has to have that digest; other files are
 * remembered by name.  Links are remembered, too, and followed when a name is
 * asked for: as text, among the names of the archive.  Image manifests wait
 * until what they refer to is there, as the store wants it.
 *
 * Callers: load.c.
 */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "image/exchange/exchange.h"

#define INTAKE_LINKS	16 /* that lead to one another */
#define INTAKE_HELD_MAX ((size_t)64 << 20)

struct intake_file {
	char *name;
	char *link; /* name of what it stands for; NULL: @blob is filled */
	struct intake_blob blob;
};

struct intake_held {
	struct intake_held *next;
	struct buf text;
};

/* libarchive's reader, and what went wrong in it. */
struct intake_reader {
	struct intake *in;
	struct stream *stream;
	struct coffer_error error;
	char buffer[128 << 10];
};

/* ---- names ---- */

/* intake_clean_name() - @name as seen from directory @base, without "." and ".."; both inside.
 * Return: 0, or -EINVAL: it leads out, or is too long */
static int intake_clean_name(const char *base, const char *name, char out[EXCHANGE_NAME_MAX])
{
	size_t n = 0;

	for (int part = 0; part < 2; part++) {
		const char *at = part == 0 ? base : name;

		while (*at) {
			size_t len = strcspn(at, "/");

			if (len == 2 && memcmp(at, "..", 2) == 0) {
				if (n == 0)
					return -EINVAL;
				while (n > 0 && out[--n] != '/')
					;
			} else if (len > 0 && !(len == 1 && *at == '.')) {
				if (n + 1 + len >= EXCHANGE_NAME_MAX)
					return -EINVAL;
				if (n > 0)
					out[n++] = '/';
				memcpy(out + n, at, len);
				n += len;
			}
			at += len + (at[len] == '/');
		}
	}
	out[n] = '\0';
	return n > 0 ? 0 : -EINVAL;
}

static int intake_compare(const void *a, const void *b)
{
	const struct intake_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void intake_file_free(void *p)
{
	struct intake_file *f = p;

	free(f->name);
	free(f->link);
	free(f);
}

/* intake_add() - @link: NULL, or what it is a link to; @blob: NULL, or the file's */
static int intake_add(struct intake *in, const char *name, const char *link,
		      const struct intake_blob *blob, struct coffer_error *err)
{
	struct intake_file *f = calloc(1, sizeof(*f)), **at;

	if (!f)
		return err_nomem(err);
	f->name = strdup(name);
	f->link = link ? strdup(link) : NULL;
	if (blob)
		f->blob = *blob;
	at = f->name && (f->link || !link) ? tsearch(f, &in->files, intake_compare) : NULL;
	if (!at) {
		intake_file_free(f);
		return err_nomem(err);
	}
	if (*at == f)
		return 0;
	intake_file_free(f);
	/* A blob is the same whenever it comes. */
	if (blob && !(*at)->link && digest_is_equal(&(*at)->blob.digest, &blob->digest))
		return 0;
	return err_invalid(err, "is there twice");
}

int intake_find(const struct intake *in, const char *name, struct intake_blob *out,
		struct coffer_error *err)
{
	char clean[EXCHANGE_NAME_MAX];
	struct intake_file key = { .name = clean }, **at;

	if (intake_clean_name("", name, clean) < 0)
		return err_invalid(err, "the file \"%.200s\": such a name cannot be in an archive",
				   name);
	for (int i = 0; i < INTAKE_LINKS; i++) {
		at = tfind(&key, &in->files, intake_compare);
		if (!at)
			return err_invalid(err, "the file \"%.200s\": is not in the archive", name);
		if (!(*at)->link) {
			*out = (*at)->blob;
			return 0;
		}
		key.name = (*at)->link;
	}
	return err_invalid(err, "the file \"%.200s\": too many links", name);
}

/* ---- entries ---- */

static int intake_damaged(struct archive *a, struct intake_reader *reader, struct coffer_error *err)
{
	if (reader->error.kind == COFFER_ERR_NONE)
		return err_invalid(err, "damaged, or not a tar archive: %s",
				   archive_error_string(a) ? archive_error_string(a) : "?");
	if (err)
		*err = reader->error;
	return -reader->error.err;
}

static int intake_text(struct archive *a, struct intake_reader *reader, uint64_t size,
		       struct buf *out, struct coffer_error *err)
{
	uint8_t *at = NULL;
	la_ssize_t n;

	buf_free(out);
	*out = (struct buf)BUF_INIT(DOCUMENT_MANIFEST_MAX);
	if (size > DOCUMENT_MANIFEST_MAX)
		return err_invalid(err, "%llu bytes, the limit is %zu", (unsigned long long)size,
				   DOCUMENT_MANIFEST_MAX);
	if (buf_reserve(out, size ? (size_t)size : 1, &at) < 0)
		return err_nomem(err);
	n = archive_read_data(a, at, (size_t)size);
	if (n != (la_ssize_t)size)
		return intake_damaged(a, reader, err);
	buf_commit(out, (size_t)size);
	return 0;
}

static int intake_copy(struct archive *a, struct intake_reader *reader, struct store_part *part,
		       const char *name, uint64_t size, struct coffer_error *err)
{
	struct exchange *x = reader->in->x;
	const void *block;
	int64_t off;
	size_t n;
	int ar, r;

	while ((ar = archive_read_data_block(a, &block, &n, &off)) != ARCHIVE_EOF) {
		if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN)
			return intake_damaged(a, reader, err);
		if (n == 0)
			continue;
		/* A few bytes would be as many as they say, on the disk. */
		if (off < 0 || (uint64_t)off != store_part_offset(part))
			return err_invalid(err, "is a file with holes");
		r = store_part_write(part, block, n, err);
		if (r < 0)
			return r;
		progress_tell(x->progress, COFFER_PROGRESS_BLOB, name, store_part_offset(part),
			      size);
	}
	return 0;
}

/* intake_blob_name() - Whether it is one whose name says its digest */
static bool intake_blob_name(const char *name, struct digest *out)
{
	char text[DIGEST_TEXT_MAX];
	char *slash;

	if (strncmp(name, "blobs/", 6) != 0 || strlen(name + 6) >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%s", name + 6);
	slash = strchr(text, '/');
	if (!slash)
		return false;
	*slash = ':';
	return digest_parse(text, out, NULL) == 0;
}

static int intake_blob(struct archive *a, struct intake_reader *reader, const char *name,
		       const struct digest *digest, struct intake_blob *blob,
		       struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	struct exchange *x = reader->in->x;
	int r = digest ? store_lease_add(x->lease, digest, err) : 0;

	if (r == 0)
		r = store_part_open(x->images->store, digest, blob->size, x->progress->cancel_fd,
				    &part, err);
	if (r == 1) {
		progress_tell(x->progress, COFFER_PROGRESS_BLOB_HAVE, name, blob->size, blob->size);
		return 0;
	}
	if (r == 0 && store_part_offset(part) > 0)
		r = store_part_restart(part, err);
	if (r == 0)
		r = intake_copy(a, reader, part, name, blob->size, err);
	if (r == 0)
		r = store_part_commit(part, x->lease, &blob->digest, err);
	if (r == 0)
		progress_tell(x->progress, COFFER_PROGRESS_BLOB_DONE, name, blob->size, blob->size);
	return r;
}

/* intake_small() - A blob that may be a manifest: it waits if it is one, else it is put */
static int intake_small(struct archive *a, struct intake_reader *reader,
			const struct digest *digest, uint64_t size, struct coffer_error *err)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	autobuf struct buf text = BUF_INIT(0);
	struct exchange *x = reader->in->x;
	struct intake_held *held;
	struct digest is;
	int r = intake_text(a, reader, size, &text, err);

	if (r == 0)
		r = digest_of(buf_data(&text), text.len, &is, err);
	if (r < 0)
		return r;
	if (!digest_is_equal(&is, digest))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG,
			       "what is in it has the digest %s", is.text);
	if (manifest_parse(buf_data(&text), text.len, NULL, &m, NULL) < 0)
		return store_blob_put(x->images->store, x->lease, buf_data(&text), text.len, NULL,
				      err);
	reader->in->held_bytes += text.len;
	if (reader->in->held_bytes > INTAKE_HELD_MAX)
		return err_invalid(err, "more than %zu bytes of manifests", INTAKE_HELD_MAX);
	held = calloc(1, sizeof(*held));
	if (!held)
		return err_nomem(err);
	held->text = text;
	text = (struct buf)BUF_INIT(0);
	held->next = reader->in->held;
	reader->in->held = held;
	return 0;
}

static bool intake_has(struct intake *in, const struct descriptor *d)
{
	autoclose int fd = store_blob_open(in->x->images->store, &d->digest, NULL, NULL);

	return fd >= 0;
}

/* What builders add about images need not be whole; then it is left out, as the store wants it.
 * That an image is not is said when it is asked for. */
static bool intake_is_wanted(struct intake *in, const struct intake_held *held)
{
	CLEANUP(manifest_free) struct manifest m = { 0 };
	bool whole;

	if (manifest_parse(buf_data(&held->text), held->text.len, NULL, &m, NULL) < 0)
		return false;
	whole = intake_has(in, &m.config);
	for (size_t i = 0; whole && i < m.nlayers; i++)
		whole = intake_has(in, &m.layers[i]);
	return whole || manifest_check_image(&m, NULL) == 0;
}

static int intake_put_held(struct intake *in, struct coffer_error *err)
{
	int r = 0;

	for (struct intake_held *h = in->held; r == 0 && h; h = h->next)
		if (intake_is_wanted(in, h))
			r = store_blob_put(in->x->images->store, in->x->lease, buf_data(&h->text),
					   h->text.len, NULL, err);
	return r;
}

static int intake_file(struct archive *a, struct intake_reader *reader, const char *name,
		       uint64_t size, struct coffer_error *err)
{
	struct intake *in = reader->in;
	struct intake_blob blob = { .size = size };
	struct digest digest = { "" };
	int r;

	if (strcmp(name, "index.json") == 0)
		return intake_text(a, reader, size, &in->index, err);
	if (strcmp(name, "manifest.json") == 0)
		return intake_text(a, reader, size, &in->docker, err);
	if (!intake_blob_name(name, &digest))
		r = intake_blob(a, reader, name, NULL, &blob, err);
	else if (size > DOCUMENT_MANIFEST_MAX || strcmp(digest_algorithm(&digest), "sha256") != 0)
		r = intake_blob(a, reader, digest.text, &digest, &blob, err);
	else
		r = intake_small(a, reader, &digest, size, err);
	if (!digest_is_empty(&digest))
		blob.digest = digest;
	return r < 0 ? r : intake_add(in, name, NULL, &blob, err);
}

static int intake_link(struct intake *in, struct archive_entry *entry, const char *name,
		       struct coffer_error *err)
{
	const char *hard = archive_entry_hardlink(entry);
	const char *soft = archive_entry_symlink(entry);
	const char *slash = strrchr(name, '/'), *target = hard ? hard : soft;
	char base[EXCHANGE_NAME_MAX] = "", clean[EXCHANGE_NAME_MAX];

	if (!hard && slash)
		snprintf(base, sizeof(base), "%.*s", (int)(slash - name), name);
	if (!target || *target == '/' || intake_clean_name(base, target, clean) < 0)
		return err_invalid(err, "is a link that leads out of the archive");
	return intake_add(in, name, clean, NULL, err);
}

static int intake_entry(struct archive *a, struct intake_reader *reader,
			struct archive_entry *entry, struct coffer_error *err)
{
	const char *path = archive_entry_pathname(entry);
	char name[EXCHANGE_NAME_MAX];
	int64_t size = archive_entry_size(entry);
	mode_t type = archive_entry_filetype(entry);

	if (++reader->in->entries > EXCHANGE_ENTRIES_MAX)
		return err_invalid(err, "more than %d entries", EXCHANGE_ENTRIES_MAX);
	if (type == AE_IFDIR)
		return 0;
	if (!path || *path == '/' || intake_clean_name("", path, name) < 0)
		return err_invalid(err, "such a name cannot be in an archive of images");
	if (archive_entry_hardlink(entry) || type == AE_IFLNK)
		return intake_link(reader->in, entry, name, err);
	if (type != AE_IFREG)
		return err_invalid(err, "is neither a file nor a directory");
	if (size < 0)
		return err_invalid(err, "has no size");
	return intake_file(a, reader, name, (uint64_t)size, err);
}

/* ---- the archive ---- */

static la_ssize_t intake_callback(struct archive *a, void *data, const void **buffer)
{
	struct intake_reader *reader = data;
	ssize_t n =
	    stream_read(reader->stream, reader->buffer, sizeof(reader->buffer), &reader->error);

	*buffer = reader->buffer;
	if (n >= 0)
		return n;
	archive_set_error(a, -(int)n, "%s", reader->error.message);
	return -1;
}

static int intake_entries(struct archive *a, struct intake_reader *reader, struct coffer_error *err)
{
	if (archive_read_support_format_tar(a) != ARCHIVE_OK)
		return err_nomem(err);
	if (archive_read_open(a, reader, NULL, intake_callback, NULL) != ARCHIVE_OK)
		return intake_damaged(a, reader, err);
	for (;;) {
		struct archive_entry *entry;
		const char *name;
		int r = archive_read_next_header(a, &entry);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return intake_damaged(a, reader, err);
		r = intake_entry(a, reader, entry, err);
		if (r == -ECANCELED)
			return r;
		name = archive_entry_pathname(entry);
		if (r < 0)
			return err_wrap(err, "entry \"%.200s\"", name ? name : "");
	}
}

/* Names are bytes: in a locale with a character set libarchive would change those of pax. */
static int intake_locale(struct intake_reader *reader, struct coffer_error *err)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;
	struct archive *a = archive_read_new();
	int r;

	if (!plain || !a) {
		archive_read_free(a);
		if (plain)
			freelocale(plain);
		return err_nomem(err);
	}
	old = uselocale(plain);
	r = intake_entries(a, reader, err);
	archive_read_free(a);
	uselocale(old);
	freelocale(plain);
	return r;
}

int intake_run(struct intake *in, int fd, struct coffer_error *err)
{
	CLEANUP(stream_closep) struct stream *stream = NULL;
	autofree struct intake_reader *reader = calloc(1, sizeof(*reader));
	int r = reader ? stream_open(in->x, fd, &stream, err) : err_nomem(err);
	ssize_t n;

	if (r < 0)
		return r;
	reader->in = in;
	reader->stream = stream;
	r = intake_locale(reader, err);
	/* Who writes the archive to a pipe gets rid of its padding, too. */
	while (r == 0 &&
	       (n = stream_read(stream, reader->buffer, sizeof(reader->buffer), err)) != 0)
		r = n < 0 ? (int)n : 0;
	return r < 0 ? r : intake_put_held(in, err);
}

void intake_free(struct intake *in)
{
	while (in->held) {
		struct intake_held *next = in->held->next;

		buf_free(&in->held->text);
		free(in->held);
		in->held = next;
	}
	tdestroy(in->files, intake_file_free);
	buf_free(&in->index);
	buf_free(&in->docker);
}
