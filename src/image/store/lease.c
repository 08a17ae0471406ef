/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/store/lease.c - what live transfers and open images need
 *
 * A lease is a file that its owner holds a flock(2) on; a lease that nobody
 * holds is a dead process's and goes with the next prune.  It is not synced: a
 * power cut ends all owners.  Lines come by single appends, so many threads may
 * add at once.
 *
 * Callers: the rest of image/.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "image/store/store_internal.h"

#define LEASE_MAX ((size_t)16 << 20)

struct store_lease {
	struct store *store; /* borrowed */
	int fd;
	char name[STORE_FILE_MAX];
};

int store_lease_open(struct store *s, struct store_lease **out, struct coffer_error *err)
{
	autofree struct store_lease *l = calloc(1, sizeof(*l));
	autoclose int lock = -1, fd = -1;
	int r;

	*out = NULL;
	if (!l)
		return err_nomem(err);
	l->store = s;
	r = store_random_name("", l->name, err);
	if (r < 0)
		return r;
	/* The lock: no prune sees it without our flock. */
	lock = store_lock(s, LOCK_SH, err);
	if (lock < 0)
		return lock;
	fd = openat(s->leases, l->name,
		    O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "image store %s: make a lease", s->path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		r = err_sys(err, "image store %s: lock a lease", s->path);
		unlinkat(s->leases, l->name, 0);
		return r;
	}
	l->fd = steal_fd(&fd);
	*out = steal_ptr(l);
	return 0;
}

int store_lease_add(struct store_lease *l, const struct digest *d, struct coffer_error *err)
{
	autoclose int lock = store_lock(l->store, LOCK_SH, err);
	char line[DIGEST_TEXT_MAX + 1];
	int n = snprintf(line, sizeof(line), "%s\n", d->text), r;
	struct stat st;

	if (lock < 0)
		return steal_fd(&lock);
	/* A prune has to be able to read it. */
	if (fstat(l->fd, &st) == 0 && st.st_size + n > (off_t)LEASE_MAX)
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, ENOSPC,
			       "more than %zu blobs at once", LEASE_MAX / (size_t)n);
	r = io_write_full(l->fd, line, (size_t)n);
	return r < 0 ? err_sysn(err, r, "image store %s: write a lease", l->store->path) : 0;
}

void store_lease_close(struct store_lease *l)
{
	unlinkat(l->store->leases, l->name, 0);
	close_fd(&l->fd);
	free(l);
}

int store_lease_end(struct store_lease *l, struct coffer_error *err)
{
	int r = store_prune_lease(l->store, l->name, err);

	store_lease_close(l);
	return r;
}

int store_lease_digests(struct store *s, const char *name,
			int (*fn)(void *data, const struct digest *d, struct coffer_error *err),
			void *data, struct coffer_error *err)
{
	autoclose int fd = openat(s->leases, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autofree char *text = NULL;
	char *save = NULL;
	struct digest d;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "lease %s", name);
	r = io_read_stream(fd, name, LEASE_MAX, &text, NULL, err);
	if (r < 0)
		return err_wrap(err, "lease");
	for (char *line = strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		if (digest_parse(line, &d, NULL) == 0)
			r = fn(data, &d, err);
	return r;
}
