/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/copy.c - Copy: a file or a tree over a connection that we dial
 *
 *	COPY_IN    parents, dial, file or archive made, COMPLETE
 *	COPY_OUT   found, METADATA, dial, file or archive sent, COMPLETE
 *
 * A tree is a pax archive, compressed; its names are relative to the path. The end of the
 * connection is the end of what is copied. A thread of archive.c does the work.
 *
 * Called on the control loop.
 */
#include "sentry/control/copy.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "sentry/control/archive.h"
#include "sentry/control/machine.h"

#define COPY_FILE_MODE 0644
#define COPY_DIR_MODE  0755

/* ---- files ---- */

const struct control_container *copy_container(const struct control *control, const char *path)
{
	const size_t n = strlen(MACHINE_STATE_DIR "/");

	if (strncmp(path, MACHINE_STATE_DIR "/", n) != 0)
		return NULL;
	for (const struct control_container *c = control->containers; c; c = c->next)
		if (strncmp(path + n, c->id, strlen(c->id)) == 0 && path[n + strlen(c->id)] == '/')
			return c;
	return NULL;
}

int copy_create(const char *path, uint32_t mode, struct file **out, struct coffer_error *err)
{
	return rpc_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode ? mode & 07777 : COPY_FILE_MODE,
			out, err);
}

int copy_find(const char *path, struct vfs_path *at, struct stat *st, struct coffer_error *err)
{
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, path, &rest, err);

	if (r < 0)
		return r;
	r = vfs_walk(&walk, rest, 0);
	if (r == 0)
		r = vfs_stat(&walk.path, st);
	if (r == 0) {
		*at = walk.path;
		path_get(at);
	}
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "%.200s", path) : 0;
}

int copy_open(const struct vfs_path *at, const char *path, struct file **out,
	      struct coffer_error *err)
{
	int r = vfs_open_path(at, machine_cred(), NULL, O_RDONLY | O_NONBLOCK | O_NOCTTY, out);

	return r < 0 ? err_sysn(err, r, "open %.200s", path) : 0;
}

int copy_write(struct file *file, const void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		long n = file_write_kernel(file, (const char *)data + done, len - done, -1);

		if (n <= 0)
			return n < 0 ? (int)n : -ENOSPC;
		done += (size_t)n;
	}
	return 0;
}

/* ---- in a thread ---- */

static int copy_in_run(struct archive_work *work, struct coffer_error *err)
{
	autofree char *chunk = malloc(COPY_CHUNK);
	ssize_t n = 0;
	int r = chunk ? 0 : err_nomem(err);

	while (r == 0 && (n = io_read_full(work->sock, chunk, COPY_CHUNK)) > 0) {
		r = work->stop ? -ECANCELED : copy_write(work->file, chunk, (size_t)n);
		if (r < 0)
			return err_sysn(err, r, "write");
	}
	return n < 0 ? err_sysn(err, (int)n, "read") : r;
}

static int copy_out_run(struct archive_work *work, struct coffer_error *err)
{
	autofree char *chunk = malloc(COPY_CHUNK);
	uint64_t left = work->size;
	int r = chunk ? 0 : err_nomem(err);

	while (r == 0 && left) {
		long n = file_read_kernel(work->file, chunk, left < COPY_CHUNK ? left : COPY_CHUNK,
					  -1);

		if (n <= 0)
			return n < 0 ? err_sysn(err, (int)n, "read") : 0;
		left -= (uint64_t)n;
		r = io_write_full(work->sock, chunk, (size_t)n);
		if (r < 0)
			err_sysn(err, r, "write");
	}
	return r;
}

/* ---- in ---- */

/* Before anything is overwritten it is known that there is something to write. */
static int copy_check_parent(const char *path, struct coffer_error *err)
{
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, path, &rest, err);

	if (r < 0)
		return r;
	r = vfs_walk(&walk, rest, WALK_PARENT);
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "%.200s", path) : 0;
}

static int copy_in_file(struct archive_job *job, const Sc__CopyRequest *req,
			struct coffer_error *err)
{
	int r = req->create_parents ? rpc_parents(req->path, err) : 0;

	if (r == 0)
		r = copy_check_parent(req->path, err);
	if (r == 0)
		r = archive_dial(job, req->vsock_port, err);
	if (r == 0)
		r = copy_create(req->path, req->mode, &job->work.file, err);
	job->run = copy_in_run;
	return r;
}

static int copy_in_archive(struct archive_job *job, const Sc__CopyRequest *req,
			   struct coffer_error *err)
{
	struct archive_work *w = &job->work;
	const char *rest;
	struct walk walk;
	struct stat st = { 0 };
	int r = machine_walk(&walk, req->path, &rest, err);

	if (r < 0)
		return r;
	r = machine_mkdirs(&walk, rest, COPY_DIR_MODE, err);
	walk_end(&walk);
	if (r == 0)
		r = copy_find(req->path, &w->at, &st, err);
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = err_sysn(err, ENOTDIR, "%.200s", req->path);
	if (r == 0)
		r = archive_dial(job, req->vsock_port, err);
	w->gzip = w->keep_owners = w->keep_types = true;
	job->run = archive_put_run;
	return r;
}

static int copy_in(struct archive_job *job, const Sc__CopyRequest *req, struct grpc_call *call,
		   struct coffer_error *err)
{
	return req->is_archive ? copy_in_archive(job, req, err) : copy_in_file(job, req, err);
}

/* ---- out ---- */

static int copy_say(struct grpc_call *call, Sc__CopyResponse__Status status, bool is_archive,
		    uint64_t total)
{
	Sc__CopyResponse reply = SC__COPY_RESPONSE__INIT;

	reply.status = status;
	reply.is_archive = is_archive;
	reply.total_size = total;
	return grpc_call_send(call, &reply.base);
}

static int copy_out(struct archive_job *job, const Sc__CopyRequest *req, struct grpc_call *call,
		    struct coffer_error *err)
{
	struct archive_work *w = &job->work;
	struct stat st = { 0 };
	bool is_dir;
	int r = copy_find(req->path, &w->at, &st, err);

	if (r < 0)
		return r;
	is_dir = S_ISDIR(st.st_mode);
	if (!is_dir && !S_ISREG(st.st_mode))
		return err_invalid(err, "%.200s: neither a regular file nor a directory", req->path);
	r = is_dir ? 0 : copy_open(&w->at, req->path, &w->file, err);
	if (r < 0)
		return r;
	r = copy_say(call, SC__COPY_RESPONSE__STATUS__METADATA, is_dir,
		     is_dir ? 0 : (uint64_t)st.st_size);
	if (r < 0)
		return err_sysn(err, r, "answer");
	/* A file of procfs says 0 and has content; one that grows is copied as it was found. */
	w->size = st.st_size ? (uint64_t)st.st_size : UINT64_MAX;
	w->gzip = true;
	job->run = is_dir ? archive_get_run : copy_out_run;
	return archive_dial(job, req->vsock_port, err);
}

/* ---- the method ---- */

void copy_refuse(struct grpc_call *call, int r, const struct coffer_error *err)
{
	if (r == -ENOENT)
		grpc_call_fail(call, err);
	else
		grpc_call_finish(call, GRPC_INTERNAL, err->message);
}

static void copy_reply(const struct archive_job *job)
{
	if (job->result < 0) {
		grpc_call_finish(job->call, GRPC_INTERNAL, job->err.message);
		return;
	}
	copy_say(job->call, SC__COPY_RESPONSE__STATUS__COMPLETE, false, 0);
	grpc_call_finish(job->call, GRPC_OK, NULL);
}

static int (*const copy_ways[])(struct archive_job *job, const Sc__CopyRequest *req,
				struct grpc_call *call, struct coffer_error *err) = {
	[SC__COPY_REQUEST__DIRECTION__COPY_IN] = copy_in,
	[SC__COPY_REQUEST__DIRECTION__COPY_OUT] = copy_out,
};

RPC_METHOD(rpc_copy)
{
	const Sc__CopyRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct archive_job *job = NULL;
	int r;

	if ((unsigned)req->direction >= ARRAY_SIZE(copy_ways)) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "unknown direction");
		return;
	}
	if (req->vsock_port == 0 || req->vsock_port == UINT32_MAX) {
		err_invalid(&err, "vsock port %u is out of range", req->vsock_port);
		rpc_refuse(call, &err);
		return;
	}
	r = archive_new(copy_container(data, req->path), &job, &err);
	if (r == 0) {
		job->reply = copy_reply;
		r = copy_ways[req->direction](job, req, call, &err);
	}
	if (r == 0)
		r = archive_start(job, data, call, &err);
	if (r < 0) {
		archive_free(job);
		copy_refuse(call, req->direction == SC__COPY_REQUEST__DIRECTION__COPY_OUT ? r : 0,
			    &err);
	}
}
