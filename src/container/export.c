/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/export.c - what a container's root holds, as it runs
 *
 *	agent --> archive --> the caller's descriptor, or commit.c
 *
 * The guest reads the root file system beneath the container's mounts, so
 * volumes, /proc and the like are directories without content.  As with any
 * archive out of a container nothing is looked into here: see copy_archive.c.
 */
#include "container/export.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "container/copy_run.h"

#define EXPORT_CHUNK ((size_t)1 << 20)

static int export_pass(struct export *e, const struct copy_run *run, uint64_t *got,
		       struct coffer_error *err)
{
	autofree uint8_t *chunk = malloc(EXPORT_CHUNK);
	int r = 0;

	if (!chunk)
		return err_nomem(err);
	while (r == 0) {
		ssize_t n = read(run->t.data_fd, chunk, EXPORT_CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, "read from the guest") : 0;
		*got += (uint64_t)n;
		r = e->take(e->data, chunk, (size_t)n, err);
		progress_tell(e->progress, COFFER_PROGRESS_BUILD, e->container->id, *got, 0);
	}
	return r;
}

int export_run(struct export *e, struct coffer_error *err)
{
	const struct transfer_request request = { .kind = e->layer ? TRANSFER_LAYER : TRANSFER_ROOT,
						  .path = "/",
						  .pause = e->pause };
	uint64_t got = 0, sent = 0;
	struct copy_run run;
	int r = copy_run_begin(&run, e->container, &request, e->progress->cancel_fd, err);

	if (r < 0)
		return r;
	r = export_pass(e, &run, &got, err);
	r = copy_run_end(&run, r, &sent, err);
	if (r == 0 && sent != got)
		r = err_set(err, COFFER_ERR_INTERNAL, EPROTO,
			    "the guest sent %llu bytes and says %llu", (unsigned long long)got,
			    (unsigned long long)sent);
	return r;
}

static int export_write(void *data, const void *bytes, size_t n, struct coffer_error *err)
{
	const int *fd = data;
	int r = io_write_full(*fd, bytes, n);

	return r < 0 ? err_sysn(err, r, "write the archive") : 0;
}

int coffer_container_export(struct coffer_container *c, int fd, const struct coffer_transfer *how,
			    struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	struct progress progress;
	struct export e = {
		.container = c, .progress = &progress, .take = export_write, .data = &fd
	};
	int r = progress_open(&progress, how, &own);

	if (r == 0) {
		r = export_run(&e, &own);
		progress_close(&progress);
	}
	if (r == 0)
		return 0;
	r = err_wrap(&own, "export container %s", c->id);
	if (err)
		*err = own;
	return r;
}
