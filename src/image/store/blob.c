/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/blob.c - blobs that are there
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

bool store_blob_digest(const char *algorithm, const char *name, struct digest *out)
{
	char text[DIGEST_TEXT_MAX];

	return snprintf(text, sizeof(text), "%s:%s", algorithm, name) < (int)sizeof(text) &&
	       digest_parse(text, out, NULL) == 0;
}

int store_blob_open(struct store *s, const struct digest *d, uint64_t *size,
		    struct coffer_error *err)
{
	/* Non-blocking: what stands there may be a fifo. */
	autoclose int fd = openat(store_blob_dir(s, d), digest_hex(d),
				  O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "blob %s", d->text);
	if (!S_ISREG(st.st_mode))
		return err_set(err, COFFER_ERR_INTERNAL, EBADMSG, "blob %s: is not a file",
			       d->text);
	if (size)
		*size = (uint64_t)st.st_size;
	return steal_fd(&fd);
}

/* store_blob_verify() - Whether @text is what @d names */
static int store_blob_verify(const struct digest *d, const struct buf *text,
			     struct coffer_error *err)
{
	CLEANUP(hasher_freep) struct hasher *h = NULL;
	struct digest is;
	int r = hasher_new(d, &h, err);

	if (r < 0)
		return r;
	hasher_update(h, buf_data(text), text->len);
	r = hasher_end(h, &is, err);
	if (r < 0)
		return r;
	if (!digest_is_equal(d, &is))
		return err_set(err, COFFER_ERR_INTERNAL, EBADMSG,
			       "blob %s: is damaged: what is stored is %s", d->text, is.text);
	return 0;
}

int store_blob_read(struct store *s, const struct digest *d, size_t max, struct buf *out,
		    struct coffer_error *err)
{
	uint64_t size = 0;
	autoclose int fd = store_blob_open(s, d, &size, err);
	struct buf text = BUF_INIT(max);
	uint8_t *at = NULL;
	ssize_t n;
	int r;

	*out = text;
	if (fd < 0)
		return steal_fd(&fd);
	if (size > max)
		return err_invalid(err, "blob %s: %llu bytes, which is more than %zu", d->text,
				   (unsigned long long)size, max);
	/* One byte more than nothing, so that there is memory to point to. */
	r = buf_reserve(&text, size ? (size_t)size : 1, &at);
	if (r < 0)
		return err_nomem(err);
	n = io_read_full(fd, at, (size_t)size);
	if (n < 0)
		r = err_sysn(err, (int)n, "blob %s: read", d->text);
	if (r == 0) {
		buf_commit(&text, (size_t)n);
		r = store_blob_verify(d, &text, err);
	}
	if (r < 0) {
		buf_free(&text);
		return r;
	}
	*out = text;
	return 0;
}

int store_blob_put(struct store *s, struct store_lease *l, const void *data, size_t n,
		   struct digest *out, struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	int r = store_part_open(s, NULL, n, -1, &part, err);

	if (r == 0)
		r = store_part_write(part, data, n, err);
	return r < 0 ? r : store_part_commit(part, l, out, err);
}
