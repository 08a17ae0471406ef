/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_files.c - Mkdir, WriteFile, Stat, FilesystemOperation
 *
 * In a container each is a job, and means what the container sees there; on
 * the agent's own files the quick ones are done at once.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guestfile.h"
#include "agent/job.h"
#include "agent/rpc.h"
#include "base/io.h"
#include "base/path.h"

#define RPC_FILE_MODE 0644
#define RPC_DIR_MODE  0755

/* @path_known: a bad path is INVALID_ARGUMENT, not INTERNAL. */
static void rpc_files_answer(struct agent *agent, struct grpc_call *call, const char *path,
			     bool path_known, struct job_args *args)
{
	autoguestplace struct guestplace place = GUESTPLACE_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;

	if (guestplace_of_path(agent, path, &place, &err) < 0) {
		job_refuse(call, !path_known, &err);
		return;
	}
	args->place = &place;
	args->contract = true;
	args->data = -1;
	job_answer(agent, call, args);
}

/* ---- Mkdir ---- */

static int rpc_mkdir_one(const struct guestpath *gp, mode_t mode, struct coffer_error *err)
{
	const char *name;
	autoclose int parent = path_parent_in_root(gp->rootfd, gp->path, false, &name, err);

	if (parent < 0)
		return parent;
	return mkdirat(parent, name, mode) < 0 ? err_sys(err, "mkdir %s", gp->path) : 0;
}

/* Only the directory that was asked for gets the permissions, and only when it is new. */
static int rpc_mkdir_all(const struct guestpath *gp, mode_t mode, struct coffer_error *err)
{
	autoclose int parent = -1, fd = -1;
	const char *name;

	/* "/", "a/", "a/." have no last name; such a path is made plainly. */
	parent = path_parent_in_root(gp->rootfd, gp->path, true, &name, NULL);
	if (parent >= 0 && mkdirat(parent, name, mode) == 0)
		return 0;
	fd = path_mkdirs_in_root(gp->rootfd, gp->path, mode, err);
	return fd < 0 ? fd : 0;
}

static int rpc_mkdir_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Sc__MkdirRequest *req = arg;
	/* No umask here: permissions that are asked for are meant as they are. */
	mode_t mode = req->perms ? req->perms & 07777 : RPC_DIR_MODE;
	int r = req->all ? rpc_mkdir_all(&job->gp, mode, err) : rpc_mkdir_one(&job->gp, mode, err);

	return r < 0 ? r : job_say(job, &rpc_empty.base, err);
}

void rpc_mkdir(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__MkdirRequest *req = (const void *)msg;
	struct job_args args = { .fn = rpc_mkdir_job,
				 .arg = req,
				 .reply = &sc__mkdir_response__descriptor,
				 .quick = true };

	rpc_files_answer(data, call, req->path, false, &args);
}

/* ---- WriteFile ---- */

static int rpc_write_file_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Sc__WriteFileRequest *req = arg;
	const struct guestfile_create how = {
		.create = req->flags && req->flags->create_if_missing,
		.parents = req->flags && req->flags->create_parent_dirs,
		.mode = req->mode ? req->mode & 07777 : RPC_FILE_MODE,
		.flags = req->flags && req->flags->append ? O_APPEND : 0,
	};
	autoclose int fd = guestfile_write(&job->gp, &how, err);
	int r;

	if (fd < 0)
		return fd;
	r = io_write_full(fd, req->data.data, req->data.len);
	if (r < 0)
		return err_sysn(err, r, "write %s", req->path);
	return job_say(job, &rpc_empty.base, err);
}

void rpc_write_file(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__WriteFileRequest *req = (const void *)msg;
	struct job_args args = { .fn = rpc_write_file_job,
				 .arg = req,
				 .reply = &sc__write_file_response__descriptor,
				 .quick = true };

	rpc_files_answer(data, call, req->path, false, &args);
}

/* ---- Stat ---- */

static int rpc_stat_say(struct job *job, const struct stat *st, struct coffer_error *err)
{
	Google__Protobuf__Timestamp atime = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp mtime = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Google__Protobuf__Timestamp ctime_ = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	Sc__StatResponse reply = SC__STAT_RESPONSE__INIT;
	Sc__Stat out = SC__STAT__INIT;

	atime.seconds = st->st_atim.tv_sec;
	atime.nanos = (int32_t)st->st_atim.tv_nsec;
	mtime.seconds = st->st_mtim.tv_sec;
	mtime.nanos = (int32_t)st->st_mtim.tv_nsec;
	ctime_.seconds = st->st_ctim.tv_sec;
	ctime_.nanos = (int32_t)st->st_ctim.tv_nsec;
	out.dev = st->st_dev;
	out.ino = st->st_ino;
	out.mode = st->st_mode;
	out.nlink = st->st_nlink;
	out.uid = st->st_uid;
	out.gid = st->st_gid;
	out.rdev = st->st_rdev;
	out.size = st->st_size;
	out.blksize = st->st_blksize;
	out.blocks = st->st_blocks;
	out.atime = &atime;
	out.mtime = &mtime;
	out.ctime = &ctime_;
	reply.stat = &out;
	return job_say(job, &reply.base, err);
}

/* But for a file that is missing, a failure is part of the answer. */
static int rpc_stat_job(struct job *job, const void *arg, struct coffer_error *err)
{
	Sc__StatResponse failed = SC__STAT_RESPONSE__INIT;
	struct stat st;
	autoclose int fd = guestfile_find(&job->gp, 0, &st, err);

	if (fd == -ENOENT)
		return job_mark(fd, err);
	if (fd >= 0)
		return rpc_stat_say(job, &st, err);
	failed.error = err->message;
	return job_say(job, &failed.base, err);
}

void rpc_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__StatRequest *req = (const void *)msg;
	struct job_args args = { .fn = rpc_stat_job,
				 .reply = &sc__stat_response__descriptor,
				 .quick = true };

	rpc_files_answer(data, call, req->path, false, &args);
}

/* ---- FilesystemOperation ---- */

static int rpc_fs_freeze(int fd, Sc__FilesystemOperationResponse *reply, struct coffer_error *err)
{
	return ioctl(fd, FIFREEZE, 0) < 0 ? err_sys(err, "freeze") : 0;
}

static int rpc_fs_thaw(int fd, Sc__FilesystemOperationResponse *reply, struct coffer_error *err)
{
	return ioctl(fd, FITHAW, 0) < 0 ? err_sys(err, "thaw") : 0;
}

static int rpc_fs_trim(int fd, Sc__FilesystemOperationResponse *reply, struct coffer_error *err)
{
	struct fstrim_range range = { .len = UINT64_MAX };

	if (ioctl(fd, FITRIM, &range) < 0)
		return err_sys(err, "trim");
	/* The kernel leaves there how much it was. */
	reply->trim->trimmed_bytes = range.len;
	reply->result_case = SC__FILESYSTEM_OPERATION_RESPONSE__RESULT_TRIM;
	return 0;
}

static int (*const rpc_fs_operations[])(int fd, Sc__FilesystemOperationResponse *reply,
					struct coffer_error *err) = {
	[SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_TRIM] = rpc_fs_trim,
	[SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_FREEZE] = rpc_fs_freeze,
	[SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_THAW] = rpc_fs_thaw,
};

static int rpc_filesystem_operation_job(struct job *job, const void *arg, struct coffer_error *err)
{
	const Sc__FilesystemOperationRequest *req = arg;
	Sc__FilesystemOperationResponse reply = SC__FILESYSTEM_OPERATION_RESPONSE__INIT;
	Sc__FiTrimResult trim = SC__FI_TRIM_RESULT__INIT;
	struct stat st;
	autoclose int node = guestfile_find(&job->gp, O_NOFOLLOW, &st, err), fd = -1;
	int r;

	if (node < 0) {
		err->kind = COFFER_ERR_NOT_FOUND;
		return job_mark(node, err);
	}
	fd = guestfile_reopen(node, O_RDONLY | O_NONBLOCK, req->path, err);
	if (fd < 0)
		return fd;
	reply.trim = &trim;
	r = rpc_fs_operations[req->operation_case](fd, &reply, err);
	if (r < 0)
		return err_wrap(err, "%s", req->path);
	return job_say(job, &reply.base, err);
}

void rpc_filesystem_operation(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__FilesystemOperationRequest *req = (const void *)msg;
	struct job_args args = { .fn = rpc_filesystem_operation_job,
				 .arg = req,
				 .reply = &sc__filesystem_operation_response__descriptor };

	if (req->operation_case == SC__FILESYSTEM_OPERATION_REQUEST__OPERATION__NOT_SET) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "no operation is asked for");
		return;
	}
	if (req->operation_case == SC__FILESYSTEM_OPERATION_REQUEST__OPERATION_TRIM &&
	    req->trim->schedule_case == SC__FI_TRIM_PARAMS__SCHEDULE__NOT_SET) {
		grpc_call_finish(call, GRPC_INVALID_ARGUMENT, "trim has no schedule");
		return;
	}
	rpc_files_answer(data, call, req->path, true, &args);
}
