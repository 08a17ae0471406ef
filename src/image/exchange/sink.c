/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/exchange/sink.c - where images are written to: a tar, or a directory
 *
 * Times and owners in the tar are none, so equal images give equal archives.
 * The directory has to be empty, and is so again if it does not become whole.
 *
 * Callers: save.c and the formats.
 */
#include <dirent.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/pax_write.h"
#include "base/io.h"
#include "base/path.h"
#include "image/exchange/exchange.h"

struct sink {
	struct pax_writer *tar; /* NULL: a directory */
	int dir;		/* borrowed */
	int fd;			/* the file in it that is being written */
	bool finished;
	void *names; /* tsearch(3) tree of what has been written */
};

/* ---- one file ---- */

static int sink_begin(struct sink *s, const char *name, uint64_t size, struct coffer_error *err)
{
	const struct pax_entry entry = { .path = name, .type = '0', .mode = 0644, .size = size };
	char parent[EXCHANGE_NAME_MAX];
	const char *slash = strrchr(name, '/');

	if (s->tar)
		return pax_begin(s->tar, &entry, err);
	if (slash) {
		autoclose int fd = -1;

		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
		fd = path_mkdirs_in_root(s->dir, parent, 0755, err);
		if (fd < 0)
			return steal_fd(&fd);
	}
	s->fd = path_open_beneath(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644, err);
	return s->fd < 0 ? s->fd : 0;
}

static int sink_data(struct sink *s, const void *data, size_t n, struct coffer_error *err)
{
	int r = s->tar ? pax_data(s->tar, data, n, err) : io_write_full(s->fd, data, n);

	return r < 0 && !s->tar ? err_sysn(err, r, "write") : r;
}

static int sink_end(struct sink *s, struct coffer_error *err)
{
	if (s->tar)
		return pax_end(s->tar, err);
	close_fd(&s->fd);
	return 0;
}

int sink_put(struct sink *s, const char *name, const void *data, size_t n, struct coffer_error *err)
{
	int r = sink_begin(s, name, n, err);

	if (r == 0)
		r = sink_data(s, data, n, err);
	return r < 0 ? err_wrap(err, "write %s", name) : sink_end(s, err);
}

/* ---- blobs ---- */

static int sink_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Return: 1: @name has been written already; 0; negative errno */
static int sink_note(struct sink *s, const char *name, struct coffer_error *err)
{
	char *copy = strdup(name);
	char **at = copy ? tsearch(copy, &s->names, sink_compare) : NULL;

	if (at && *at == copy)
		return 0;
	free(copy);
	return at ? 1 : err_nomem(err);
}

static int sink_copy(struct sink *s, struct exchange *x, const struct digest *d, int fd,
		     uint64_t size, struct coffer_error *err)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < size) {
		ssize_t n = pread(fd, x->chunk, EXCHANGE_CHUNK, (off_t)done);

		if (n <= 0)
			return n < 0 ? err_sys(err, "read") : err_internal(err, "it got shorter");
		done += (uint64_t)n;
		r = sink_data(s, x->chunk, (size_t)n, err);
		if (r == 0)
			r = progress_check(x->progress, err);
		if (r == 0)
			progress_tell(x->progress, COFFER_PROGRESS_BLOB, d->text, done, size);
	}
	return r;
}

int sink_put_blob(struct sink *s, struct exchange *x, const char *name, const struct digest *d,
		  struct coffer_error *err)
{
	uint64_t size = 0;
	autoclose int fd = -1;
	int r = sink_note(s, name, err);

	if (r != 0)
		return r < 0 ? r : 0;
	fd = store_blob_open(x->images->store, d, &size, err);
	if (fd == -ENOENT)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "blob %s: not in the store", d->text);
	if (fd < 0)
		return steal_fd(&fd);
	r = sink_begin(s, name, size, err);
	if (r == 0)
		r = sink_copy(s, x, d, fd, size, err);
	if (r == 0)
		r = sink_end(s, err);
	if (r < 0)
		return r == -ECANCELED ? r : err_wrap(err, "write %s", name);
	progress_tell(x->progress, COFFER_PROGRESS_BLOB_DONE, d->text, size, size);
	return 0;
}

/* ---- the whole ---- */

static struct sink *sink_new(struct coffer_error *err)
{
	struct sink *s = calloc(1, sizeof(*s));

	if (!s) {
		err_nomem(err);
		return NULL;
	}
	s->dir = -1;
	s->fd = -1;
	return s;
}

int sink_open_tar(int fd, struct sink **out, struct coffer_error *err)
{
	CLEANUP(sink_freep) struct sink *s = sink_new(err);
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	r = pax_writer_new(fd, false, &s->tar, err);
	if (r == 0)
		*out = steal_ptr(s);
	return r;
}

static int sink_check_empty(int dir, struct coffer_error *err)
{
	autoclose int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclosedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return err_sys(err, "the directory to save to");
	steal_fd(&fd);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return err_set(err, COFFER_ERR_ALREADY_EXISTS, ENOTEMPTY,
				       "the directory to save to is not empty");
	return 0;
}

int sink_open_dir(int dir, struct sink **out, struct coffer_error *err)
{
	int r = sink_check_empty(dir, err);
	struct sink *s;

	*out = NULL;
	if (r < 0)
		return r;
	s = sink_new(err);
	if (!s)
		return -ENOMEM;
	s->dir = dir;
	*out = s;
	return 0;
}

int sink_finish(struct sink *s, struct coffer_error *err)
{
	int r = s->tar ? pax_finish(s->tar, NULL, err) : 0;

	s->finished = r == 0;
	return r;
}

void sink_free(struct sink *s)
{
	static const char *const made[] = { "index.json", "oci-layout", "blobs" };

	if (s->tar)
		pax_writer_free(s->tar);
	close_fd(&s->fd);
	for (size_t i = 0; s->dir >= 0 && !s->finished && i < ARRAY_SIZE(made); i++)
		path_remove_tree(s->dir, made[i], NULL);
	tdestroy(s->names, free);
	free(s);
}
