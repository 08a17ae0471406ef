/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/rpc_files.c - Mkdir, WriteFile, Stat, and the files of names
 *
 * Paths mean what machine_walk() says: below a container's root what its processes see.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/copy.h"
#include "sentry/control/machine.h"
#include "sentry/control/rpc.h"

#define RPC_FILE_MODE 0644
#define RPC_DIR_MODE  0755

/* ---- Mkdir ---- */

static int rpc_mkdir_at(const Sc__MkdirRequest *req, struct coffer_error *err)
{
	struct vfs_create args = { .mode = S_IFDIR | (req->perms ? req->perms & 07777 : RPC_DIR_MODE),
				   .exclusive = true };
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, req->path, &rest, err);

	if (r < 0)
		return r;
	if (req->all) {
		r = machine_mkdirs(&walk, rest, args.mode & 07777, err);
	} else {
		r = vfs_create(&walk, rest, &args);
		if (r < 0)
			err_sysn(err, r, "mkdir %s", req->path);
	}
	walk_end(&walk);
	return r;
}

RPC_METHOD(rpc_mkdir)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = rpc_mkdir_at((const void *)msg, &err);

	rpc_done(call, r, &err);
}

/* ---- WriteFile ---- */

int rpc_parents(const char *path, struct coffer_error *err)
{
	autofree char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	struct walk walk;
	const char *rest;
	int r;

	if (!slash)
		return dir ? 0 : err_nomem(err);
	*slash = '\0';
	if (!*dir)
		return 0;
	r = machine_walk(&walk, dir, &rest, err);
	if (r < 0)
		return r;
	r = machine_mkdirs(&walk, rest, RPC_DIR_MODE, err);
	walk_end(&walk);
	return r;
}

int rpc_open(const char *path, uint32_t flags, uint32_t mode, struct file **out,
	     struct coffer_error *err)
{
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, path, &rest, err);

	if (r < 0)
		return r;
	/* Without waiting: a fifo of the container's would never answer. */
	r = vfs_open(&walk, rest, flags | O_NONBLOCK | O_NOCTTY, mode, 0, out);
	walk_end(&walk);
	if (r < 0)
		return err_sysn(err, r, "open %s", path);
	if ((*out)->inode && S_ISREG((*out)->inode->attr.st_mode))
		return 0;
	file_put(steal_ptr(*out));
	return err_invalid(err, "%s: not a regular file", path);
}

static int rpc_write_at(const Sc__WriteFileRequest *req, struct coffer_error *err)
{
	bool append = req->flags && req->flags->append;
	uint32_t flags = O_WRONLY | (uint32_t)(append ? O_APPEND : 0);
	autofile struct file *file = NULL;
	int r = 0;

	if (req->flags && req->flags->create_if_missing)
		flags |= O_CREAT;
	if (req->flags && req->flags->create_parent_dirs)
		r = rpc_parents(req->path, err);
	if (r == 0)
		r = rpc_open(req->path, flags, req->mode ? req->mode & 07777 : RPC_FILE_MODE, &file,
			     err);
	if (r == 0 && (r = copy_write(file, req->data.data, req->data.len)) < 0)
		err_sysn(err, r, "write %s", req->path);
	return r;
}

RPC_METHOD(rpc_write_file)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	int r = rpc_write_at((const void *)msg, &err);

	rpc_done(call, r, &err);
}

/* ---- Stat ---- */

static int rpc_stat_at(const char *path, struct stat *st, struct coffer_error *err)
{
	struct walk walk;
	const char *rest;
	int r = machine_walk(&walk, path, &rest, err);

	if (r < 0)
		return r;
	r = vfs_walk(&walk, rest, 0);
	if (r == 0)
		r = vfs_stat(&walk.path, st);
	walk_end(&walk);
	return r < 0 ? err_sysn(err, r, "stat %s", path) : 0;
}

static Google__Protobuf__Timestamp rpc_time(const struct timespec *t)
{
	Google__Protobuf__Timestamp at = GOOGLE__PROTOBUF__TIMESTAMP__INIT;

	at.seconds = t->tv_sec;
	at.nanos = (int32_t)t->tv_nsec;
	return at;
}

RPC_METHOD(rpc_stat)
{
	const Sc__StatRequest *req = (const void *)msg;
	Google__Protobuf__Timestamp atime, mtime, ctime_;
	Sc__StatResponse reply = SC__STAT_RESPONSE__INIT;
	struct coffer_error err = COFFER_ERROR_INIT;
	Sc__Stat out = SC__STAT__INIT;
	struct stat st = { 0 };
	int r = rpc_stat_at(req->path, &st, &err);

	/* But for a file that is missing, a failure is part of the answer. */
	if (r == -ENOENT) {
		grpc_call_fail(call, &err);
		return;
	}
	if (r < 0) {
		reply.error = err.message;
		grpc_call_reply(call, &reply.base);
		return;
	}
	atime = rpc_time(&st.st_atim);
	mtime = rpc_time(&st.st_mtim);
	ctime_ = rpc_time(&st.st_ctim);
	out.dev = st.st_dev;
	out.ino = st.st_ino;
	out.mode = st.st_mode;
	out.nlink = st.st_nlink;
	out.uid = st.st_uid;
	out.gid = st.st_gid;
	out.rdev = st.st_rdev;
	out.size = st.st_size;
	out.blksize = st.st_blksize;
	out.blocks = st.st_blocks;
	out.atime = &atime;
	out.mtime = &mtime;
	out.ctime = &ctime_;
	reply.stat = &out;
	grpc_call_reply(call, &reply.base);
}
