/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/stream.c - the bytes of an archive that is a file or comes by a pipe
 *
 * What is not packed is read as it comes.  What is packed is unpacked from a
 * file; if it comes by a pipe it becomes a blob first, which goes again with
 * the lease.  How much it may unpack to is limited, as for a layer.
 */
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/exchange/exchange.h"
#include "image/layer/decompress.h"

#define STREAM_HEAD  6			 /* bytes that tell how it is packed */
#define STREAM_RATIO ((uint64_t)1 << 20) /* bytes from which on the ratio counts */

struct stream {
	struct exchange *x; /* borrowed */
	int fd;		    /* borrowed, or @own */
	int own;
	struct decompress *packed; /* NULL: it is not */
	char head[STREAM_HEAD];	   /* has been read already */
	size_t nhead, head_at;
	uint64_t given;
};

/* The caller can give up while nothing comes. */
static ssize_t stream_read_fd(struct exchange *x, int fd, void *out, size_t n,
			      struct coffer_error *err)
{
	struct pollfd p[] = { { .fd = fd, .events = POLLIN },
			      { .fd = x->progress->cancel_fd, .events = POLLIN } };
	ssize_t got;

	do {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, "wait for the archive");
		if (p[1].revents)
			return progress_check(x->progress, err);
		got = read(fd, out, n);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	return got < 0 ? err_sys(err, "read the archive") : got;
}

static int stream_put_all(struct exchange *x, int fd, struct store_part *part,
			  struct coffer_error *err)
{
	uint64_t total = 0; /* not known */
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		total = (uint64_t)st.st_size;
	while ((n = stream_read_fd(x, fd, x->chunk, EXCHANGE_CHUNK, err)) > 0) {
		int r = store_part_write(part, x->chunk, (size_t)n, err);

		if (r < 0)
			return r;
		progress_tell(x->progress, COFFER_PROGRESS_BLOB, "input", store_part_offset(part),
			      total);
	}
	return (int)n;
}

int stream_put(struct exchange *x, int fd, struct digest *out, uint64_t *size,
	       struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	int r = store_part_open(x->images->store, NULL, UINT64_MAX, -1, &part, err);

	if (r == 0)
		r = stream_put_all(x, fd, part, err);
	if (r < 0)
		return r;
	*size = store_part_offset(part);
	progress_tell(x->progress, COFFER_PROGRESS_BLOB_DONE, "input", *size, *size);
	return store_part_commit(part, x->lease, out, err);
}

static bool stream_is_packed(const struct stream *s)
{
	static const struct decompress_format *const formats[] = { &decompress_gzip,
								   &decompress_zstd,
								   &decompress_xz };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (s->nhead >= formats[i]->magic_len &&
		    memcmp(s->head, formats[i]->magic, formats[i]->magic_len) == 0)
			return true;
	return false;
}

/* Have it in a file that begins where the archive does. */
static int stream_spool(struct stream *s, uint64_t *size, struct coffer_error *err)
{
	CLEANUP(store_part_closep) struct store_part *part = NULL;
	struct digest d;
	struct stat st;
	int r;

	if (fstat(s->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    lseek(s->fd, 0, SEEK_CUR) == (off_t)s->nhead) {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	r = store_part_open(s->x->images->store, NULL, UINT64_MAX, -1, &part, err);
	if (r == 0)
		r = store_part_write(part, s->head, s->nhead, err);
	if (r == 0)
		r = stream_put_all(s->x, s->fd, part, err);
	if (r == 0)
		r = store_part_commit(part, s->x->lease, &d, err);
	if (r < 0)
		return r;
	s->own = store_blob_open(s->x->images->store, &d, size, err);
	s->fd = s->own;
	return s->own == -ENOENT ? err_internal(err, "the archive is gone")
	       : s->own < 0	 ? s->own
				 : 0;
}

static int stream_begin(struct stream *s, struct coffer_error *err)
{
	uint64_t size = 0;
	int r;

	while (s->nhead < STREAM_HEAD) {
		ssize_t n =
		    stream_read_fd(s->x, s->fd, s->head + s->nhead, STREAM_HEAD - s->nhead, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		s->nhead += (size_t)n;
	}
	if (!stream_is_packed(s))
		return 0;
	r = stream_spool(s, &size, err);
	return r < 0 ? r : decompress_open(s->fd, size, true, &s->packed, err);
}

int stream_open(struct exchange *x, int fd, struct stream **out, struct coffer_error *err)
{
	CLEANUP(stream_closep) struct stream *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return err_nomem(err);
	s->x = x;
	s->fd = fd;
	s->own = -1;
	r = stream_begin(s, err);
	if (r == 0)
		*out = steal_ptr(s);
	return r;
}

static int stream_check(const struct stream *s, struct coffer_error *err)
{
	const struct settings_limits *limits = &s->x->images->settings.limits;
	uint64_t taken = s->packed ? decompress_taken(s->packed) : s->given;

	if (s->given > limits->bytes)
		return err_invalid(err, "it unpacks to more than %llu bytes",
				   (unsigned long long)limits->bytes);
	if (s->given > STREAM_RATIO && s->given / limits->ratio > taken)
		return err_invalid(err, "it unpacks to more than %u times its size", limits->ratio);
	return 0;
}

ssize_t stream_read(struct stream *s, void *out, size_t n, struct coffer_error *err)
{
	ssize_t got;
	int r;

	if (s->packed) {
		r = progress_check(s->x->progress, err);
		got = r < 0 ? r : decompress_read(s->packed, out, n, err);
	} else if (s->head_at < s->nhead) {
		got = (ssize_t)(n < s->nhead - s->head_at ? n : s->nhead - s->head_at);
		memcpy(out, s->head + s->head_at, (size_t)got);
		s->head_at += (size_t)got;
	} else {
		got = stream_read_fd(s->x, s->fd, out, n, err);
	}
	if (got < 0)
		return got;
	s->given += (uint64_t)got;
	r = stream_check(s, err);
	return r < 0 ? r : got;
}

void stream_close(struct stream *s)
{
	if (s->packed)
		decompress_free(s->packed);
	close_fd(&s->own);
	free(s);
}
