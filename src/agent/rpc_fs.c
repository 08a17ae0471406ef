/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_fs.c - Mount, Umount, Mkdir, WriteFile, Stat, Sync
 *
 * Paths go through guestpath.c.  What may wait for a device goes to a worker.
 */
#define LOG_CATEGORY "fs"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guestpath.h"
#include "agent/guestmount.h"
#include "agent/rpc.h"
#include "agent/worker.h"
#include "base/io.h"
#include "base/path.h"

#define RPC_FILE_MODE 0644
#define RPC_DIR_MODE  0777 /* less the umask */

void rpc_mount(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__MountRequest *req = (const void *)msg;
	struct coffer_error err = COFFER_ERROR_INIT;
	const struct guestmount_args args = {
		.agent = data,
		.type = req->type,
		.source = req->source,
		.destination = req->destination,
		.options = { req->options, req->n_options },
	};
	int r = guestmount_make(&args, &err);

	if (r < 0 && guestmount_source_may_appear(&args, &err))
		worker_answer(data, call, guestmount_make_late, &args, &rpc_empty.base);
	else
		rpc_done(call, r, &err);
}

void rpc_umount(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__UmountRequest *req = (const void *)msg;
	const struct guestmount_remove_args args = { .agent = data,
						     .path = req->path,
						     .flags = req->flags };

	worker_answer(data, call, guestmount_remove, &args, &rpc_empty.base);
}

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

/* mkdir(2) takes the umask off; permissions that are asked for are meant as they are. */
static int rpc_mkdir_as(const Sc__MkdirRequest *req, const struct guestpath *gp,
			struct coffer_error *err)
{
	mode_t mode = req->perms ? req->perms & 07777 : RPC_DIR_MODE;
	mode_t old = req->perms ? umask(0) : umask(022);
	int r = req->all ? rpc_mkdir_all(gp, mode, err) : rpc_mkdir_one(gp, mode, err);

	umask(old);
	return r;
}

void rpc_mkdir(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__MkdirRequest *req = (const void *)msg;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	int r;

	r = guestpath_open(data, req->path, &gp, &err);
	if (r == 0)
		r = rpc_mkdir_as(req, &gp, &err);
	rpc_done(call, r, &err);
}

static int rpc_write_file_open(const Sc__WriteFileRequest *req, const struct guestpath *gp,
			       struct coffer_error *err)
{
	/* Opening a fifo that nobody reads must not block. */
	int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY;
	mode_t mode = req->mode ? req->mode & 07777 : RPC_FILE_MODE;
	const char *name;
	int parent;

	if (req->flags && req->flags->create_parent_dirs) {
		parent = path_parent_in_root(gp->rootfd, gp->path, true, &name, err);
		if (parent < 0)
			return parent;
		close(parent);
	}
	if (req->flags && req->flags->create_if_missing)
		flags |= O_CREAT;
	if (req->flags && req->flags->append)
		flags |= O_APPEND;
	return path_open_in_root(gp->rootfd, gp->path, flags, mode, err);
}

/* What an image has in a file's place, a disk's node say, is not for us to write to. */
static int rpc_write_file_check(const struct agent *agent, const char *path, int fd,
				struct coffer_error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISREG(st.st_mode) && guestpath_split(agent->state_dir, path))
		return err_invalid(err, "write %s: not a regular file", path);
	return 0;
}

void rpc_write_file(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__WriteFileRequest *req = (const void *)msg;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int fd = -1;
	int r;

	r = guestpath_open(data, req->path, &gp, &err);
	if (r == 0)
		r = fd = rpc_write_file_open(req, &gp, &err);
	if (r >= 0)
		r = rpc_write_file_check(data, req->path, fd, &err);
	if (r == 0) {
		r = io_write_full(fd, req->data.data, req->data.len);
		if (r < 0)
			err_sysn(&err, r, "write %s", req->path);
	}
	rpc_done(call, r, &err);
}

static void rpc_stat_reply(struct grpc_call *call, const struct stat *st)
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
	grpc_call_reply(call, &reply.base);
}

void rpc_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	const Sc__StatRequest *req = (const void *)msg;
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__StatResponse failed = SC__STAT_RESPONSE__INIT;
	autoclose int fd = -1;
	struct stat st;
	int r;

	r = guestpath_open(data, req->path, &gp, &err);
	if (r == 0)
		r = fd = path_open_in_root(gp.rootfd, gp.path, O_PATH, 0, &err);
	if (r >= 0 && fstat(fd, &st) < 0)
		r = err_sys(&err, "stat %s", req->path);
	if (r >= 0) {
		rpc_stat_reply(call, &st);
	} else if (r == -ENOENT) {
		grpc_call_finish(call, GRPC_NOT_FOUND, err.message);
	} else {
		failed.error = err.message;
		grpc_call_reply(call, &failed.base);
	}
}

static int rpc_sync_worker(const void *arg, struct coffer_error *err)
{
	sync();
	return 0;
}

void rpc_sync(struct grpc_call *call, const ProtobufCMessage *msg, void *data)
{
	worker_answer(data, call, rpc_sync_worker, NULL, &rpc_empty.base);
}
