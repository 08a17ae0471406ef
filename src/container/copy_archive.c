/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/copy_archive.c - archives of the caller's into and out of a container
 *
 *	put   caller's descriptor --> decompressed --> guest, which unpacks it
 *	get   guest --> caller's descriptor
 *
 * Neither is looked into here.  What is put is the guest's to read, confined to
 * the container.  What is got is passed on byte for byte: it comes from the
 * container and may say anything, so whoever unpacks it has to be as careful
 * as with any archive of a stranger.
 *
 * libarchive decompresses (its "raw" format is the stream itself).
 */
#include <archive.h>
#include <archive_entry.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "container/copy_options.h"
#include "container/copy_plan.h"
#include "container/copy_run.h"

#define COPY_CHUNK ((size_t)1 << 20)

struct copy_input {
	int fd;
	const struct copy_run *run;
	uint8_t *chunk; /* COPY_CHUNK */
	int error;      /* errno of a read that failed, or ECANCELED, EPIPE */
};

/* The caller's descriptor may be silent for as long as it likes, unless somebody gives up. */
static int copy_input_wait(const struct copy_input *in)
{
	struct pollfd fds[] = { { .fd = in->fd, .events = POLLIN },
				{ .fd = in->run->cancel_fd, .events = POLLIN },
				{ .fd = in->run->t.verdict_fd, .events = POLLIN } };
	int r;

	do
		r = poll(fds, 3, -1);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno;
	if (fds[1].revents)
		return ECANCELED;
	return fds[2].revents ? EPIPE : 0;
}

static la_ssize_t copy_input_read(struct archive *a, void *data, const void **block)
{
	struct copy_input *in = data;
	ssize_t n = 0;

	*block = in->chunk;
	do {
		in->error = copy_input_wait(in);
		if (!in->error)
			n = read(in->fd, in->chunk, COPY_CHUNK);
	} while (!in->error && n < 0 && (errno == EINTR || errno == EAGAIN));
	if (!in->error && n < 0)
		in->error = errno;
	if (!in->error)
		return n;
	archive_set_error(a, in->error, "%s", strerror(in->error));
	return ARCHIVE_FATAL;
}

static int copy_input_fail(const struct copy_input *in, struct archive *a,
			   struct coffer_error *err)
{
	const char *why = archive_error_string(a);

	if (in->error)
		return err_sysn(err, in->error, "read the archive");
	return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG, "read the archive: %s",
		       why ? why : "damaged");
}

static int copy_input_pass(const struct copy_input *in, struct archive *a,
			   struct coffer_error *err)
{
	const void *block;
	la_int64_t off;
	size_t n;
	int r;

	for (;;) {
		r = archive_read_data_block(a, &block, &n, &off);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return copy_input_fail(in, a, err);
		r = io_write_full(in->run->t.data_fd, block, n);
		if (r < 0)
			return err_sysn(err, r, "write to the guest");
	}
}

static int copy_input_open(struct copy_input *in, struct archive *a, struct coffer_error *err)
{
	struct archive_entry *entry;
	int r;

	if (archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK)
		return err_unsupported(err, "libarchive lacks gzip, zstd or xz");
	if (archive_read_open(a, in, NULL, copy_input_read, NULL) != ARCHIVE_OK)
		return copy_input_fail(in, a, err);
	r = archive_read_next_header(a, &entry);
	if (r == ARCHIVE_EOF)
		return 0;
	return r == ARCHIVE_OK ? copy_input_pass(in, a, err) : copy_input_fail(in, a, err);
}

static int copy_put(const struct copy_run *run, int fd, struct coffer_error *err)
{
	struct copy_input in = { .fd = fd, .run = run, .chunk = malloc(COPY_CHUNK) };
	struct archive *a = archive_read_new();
	int r = a && in.chunk ? copy_input_open(&in, a, err) : err_nomem(err);

	archive_read_free(a);
	free(in.chunk);
	return r;
}

static int copy_put_to(struct coffer_container *c, int fd, const char *target,
		       const struct coffer_copy_options *o, struct coffer_error *err)
{
	const struct copy_side guest = copy_guest(c);
	struct transfer_request request = { .kind = TRANSFER_PUT, .keep_types = true,
					    .keep_owners = o->keep_owners };
	char path[PATH_MAX];
	struct copy_run run;
	int r = copy_plan_path(&guest, target, path, err);

	if (r < 0)
		return r;
	request.path = path;
	r = copy_run_begin(&run, c, &request, o->cancel_fd, err);
	if (r < 0)
		return r;
	r = copy_put(&run, fd, err);
	return copy_run_end(&run, r, NULL, err);
}

int coffer_container_put_archive(struct coffer_container *c, int fd, const char *target,
				 const struct coffer_copy_options *options,
				 struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_copy_options o;
	int r = copy_take_options(options, &o, &own);

	if (r == 0)
		r = copy_put_to(c, fd, target, &o, &own);
	if (r == 0)
		return 0;
	r = err_wrap(&own, "put an archive into %s in container %s", target, c->id);
	if (err)
		*err = own;
	return r;
}

static int copy_get(const struct copy_run *run, int fd, uint64_t *bytes, struct coffer_error *err)
{
	autofree uint8_t *chunk = malloc(COPY_CHUNK);
	ssize_t n;
	int r;

	if (!chunk)
		return err_nomem(err);
	for (;;) {
		n = read(run->t.data_fd, chunk, COPY_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, "read from the guest") : 0;
		*bytes += (uint64_t)n;
		r = io_write_full(fd, chunk, (size_t)n);
		if (r < 0)
			return err_sysn(err, r, "write the archive");
	}
}

static int copy_get_from(struct coffer_container *c, const char *source, int fd,
			 const struct coffer_copy_options *o, struct coffer_error *err)
{
	const struct copy_side guest = copy_guest(c);
	struct transfer_request request = { .kind = TRANSFER_GET, .follow = o->follow_link };
	uint64_t got = 0, sent = 0;
	char path[PATH_MAX];
	struct copy_run run;
	int r = copy_plan_path(&guest, source, path, err);

	if (r < 0)
		return r;
	request.path = path;
	r = copy_run_begin(&run, c, &request, o->cancel_fd, err);
	if (r < 0)
		return r;
	r = copy_get(&run, fd, &got, err);
	r = copy_run_end(&run, r, &sent, err);
	if (r == 0 && sent != got)
		r = err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			    "the guest sent %llu bytes and says %llu", (unsigned long long)got,
			    (unsigned long long)sent);
	return r;
}

int coffer_container_get_archive(struct coffer_container *c, const char *source, int fd,
				 const struct coffer_copy_options *options,
				 struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	struct coffer_copy_options o;
	int r = copy_take_options(options, &o, &own);

	if (r == 0)
		r = copy_get_from(c, source, fd, &o, &own);
	if (r == 0)
		return 0;
	r = err_wrap(&own, "get an archive of %s in container %s", source, c->id);
	if (err)
		*err = own;
	return r;
}
