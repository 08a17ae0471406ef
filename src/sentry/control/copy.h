/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/copy.h - Copy, and CopyIn and CopyOut, which there were before it
 *
 *	copy.c         a file or a tree over a connection that we dial
 *	copy_stream.c  a file as a stream of messages
 */
#ifndef SENTRY_CONTROL_COPY_H
#define SENTRY_CONTROL_COPY_H

#include "sandbox_context_copy.pb-c.h"
#include "sentry/control/rpc.h"
#include "sentry/vfs/vfs.h"

RPC_METHOD(rpc_copy);
RPC_METHOD(rpc_copy_in);
RPC_METHOD(rpc_copy_out);

#define COPY_CHUNK (60u << 10)

/* copy_stop() - End the streams of @container's files, before it goes */
void copy_stop(const struct control_container *container);

/* copy_container() - Whose root a path of the contract lies in; NULL: nobody's */
const struct control_container *copy_container(const struct control *control, const char *path);
/* copy_create() - A regular file to write to from its beginning, new or not */
int copy_create(const char *path, uint32_t mode, struct file **out, struct coffer_error *err);
/* copy_find() - What is there, links followed; a reference */
int copy_find(const char *path, struct vfs_path *at, struct stat *st, struct coffer_error *err);
/* copy_open() - A regular file to read */
int copy_open(const struct vfs_path *at, const char *path, struct file **out,
	      struct coffer_error *err);
/* copy_write() - All of it, where the file is */
int copy_write(struct file *file, const void *data, size_t len);
/* copy_refuse() - INTERNAL, as the contract has it, but for what is not there */
void copy_refuse(struct grpc_call *call, int r, const struct coffer_error *err);

#endif /* SENTRY_CONTROL_COPY_H */
