/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_copy.c - Copy: a file or a tree over a connection that the guest dials
 *
 *	COPY_IN    parents, dial, file or archive made, COMPLETE
 *	COPY_OUT   found, METADATA, dial, file or archive sent, COMPLETE
 *
 * A tree is a pax archive, compressed; its names are relative to the path, and
 * what they would make elsewhere ends the copy with an error that names them.
 * The end of the connection is the end of what is copied.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/guestfile.h"
#include "agent/job.h"
#include "agent/rpc.h"
#include "agent/transfer.h"
#include "archive/pack.h"
#include "archive/unpack.h"
#include "base/path.h"

#define COPY_FILE_MODE 0644

static int copy_say(struct job *job, Sc__CopyResponse__Status status, bool is_archive,
		    uint64_t total, struct coffer_error *err)
{
	Sc__CopyResponse reply = SC__COPY_RESPONSE__INIT;

	reply.status = status;
	reply.is_archive = is_archive;
	reply.total_size = total;
	return job_say(job, &reply.base, err);
}

static int copy_complete(struct job *job, struct coffer_error *err)
{
	return copy_say(job, SC__COPY_RESPONSE__STATUS__COMPLETE, false, 0, err);
}

/* ---- in ---- */

static int copy_in_file(struct job *job, const Sc__CopyRequest *req, struct coffer_error *err)
{
	const struct guestfile_create how = {
		.create = true,
		.mode = req->mode ? req->mode & 07777 : COPY_FILE_MODE,
		.flags = O_TRUNC,
	};
	autoclose int sock = -1, fd = -1;
	int r;

	/* Before anything is overwritten it is known that there is something to write. */
	r = guestfile_parents(&job->gp, req->create_parents, err);
	if (r < 0)
		return r;
	sock = transfer_dial(job, req->vsock_port, err);
	if (sock < 0)
		return sock;
	fd = guestfile_write(&job->gp, &how, err);
	if (fd < 0)
		return fd;
	r = transfer_all(sock, fd, UINT64_MAX, err);
	return r < 0 ? err_wrap(err, "copy to %.200s", req->path) : 0;
}

static int copy_in_archive(struct job *job, const Sc__CopyRequest *req, struct coffer_error *err)
{
	const struct unpack_options o = { .gzip = true, .keep_owners = true, .keep_types = true };
	autoclose int sock = -1, dest = -1;
	int r = 0;

	dest = path_mkdirs_in_root(job->gp.rootfd, job->gp.path, 0755, err);
	if (dest < 0)
		return dest;
	sock = transfer_dial(job, req->vsock_port, err);
	if (sock < 0)
		return sock;
	r = unpack_tree(sock, dest, &o, NULL, err);
	return r < 0 ? err_wrap(err, "copy to %.200s", req->path) : 0;
}

static int copy_in_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Sc__CopyRequest *req = arg;
	int r = req->is_archive ? copy_in_archive(job, req, err) : copy_in_file(job, req, err);

	return r < 0 ? r : copy_complete(job, err);
}

/* ---- out ---- */

static int copy_out_data(int node, const struct stat *st, int sock, const char *path,
			 struct coffer_error *err)
{
	const struct pack_options o = { .gzip = true };
	autoclose int fd = -1;

	if (S_ISDIR(st->st_mode))
		return pack_tree(sock, node, &o, NULL, err);
	fd = guestfile_reopen(node, O_RDONLY, path, err);
	if (fd < 0)
		return fd;
	/* A file of procfs says 0 and has content; one that grows is copied as it was found. */
	return transfer_all(fd, sock, st->st_size ? (uint64_t)st->st_size : UINT64_MAX, err);
}

static int copy_out_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Sc__CopyRequest *req = arg;
	autoclose int node = -1, sock = -1;
	struct stat st;
	bool is_dir;
	int r;

	node = guestfile_find(&job->gp, 0, &st, err);
	if (node < 0)
		return node == -ENOENT ? job_mark(node, err) : node;
	is_dir = S_ISDIR(st.st_mode);
	if (!is_dir && !S_ISREG(st.st_mode))
		return err_invalid(err, "%.200s: neither a regular file nor a directory", req->path);
	r = copy_say(job, SC__COPY_RESPONSE__STATUS__METADATA, is_dir,
		     is_dir ? 0 : (uint64_t)st.st_size, err);
	if (r < 0)
		return r;
	sock = transfer_dial(job, req->vsock_port, err);
	if (sock < 0)
		return sock;
	r = copy_out_data(node, &st, sock, req->path, err);
	if (r < 0)
		return err_wrap(err, "copy %.200s", req->path);
	close_fd(&sock);
	return copy_complete(job, err);
}

void rpc_copy(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__CopyRequest *req = (const void *)msg;
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	struct job_args args = { .arg = req,
				 .place = &place,
				 .reply = &sc__copy_response__descriptor,
				 .contract = true,
				 .data = -1 };

	switch (req->direction) {
	case SC__COPY_REQUEST__DIRECTION__COPY_IN:
		args.fn = copy_in_job;
		break;
	case SC__COPY_REQUEST__DIRECTION__COPY_OUT:
		args.fn = copy_out_job;
		break;
	default:
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "unknown direction");
		return;
	}
	if (transfer_check_port(req->vsock_port, &err) < 0)
		job_refuse(call, false, &err);
	else if (guestplace_of_path(data, req->path, &place, &err) < 0)
		job_refuse(call, true, &err);
	else
		job_answer(data, call, &args);
}
