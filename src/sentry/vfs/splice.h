/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/splice.h - bytes from one open file to another
 *
 * Access was checked by the caller. All wait as the files' flags say, and return how much was moved,
 * or a negative errno when nothing was.
 */
#ifndef SENTRY_VFS_SPLICE_H
#define SENTRY_VFS_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file;
struct task;

/* A file and where in it: @offset -1 is its own. Set to where it went on. */
struct splice_end {
	struct file *file;
	int64_t offset;
};

/* splice_copy() - From a file with an offset, by way of a buffer */
long splice_copy(struct task *task, struct splice_end *in, struct splice_end *out, size_t len);
/* splice_from_pipe(), splice_to_pipe(), splice_pipes() - splice(2); @nonblock: of the pipes */
long splice_from_pipe(struct task *task, struct file *pipe, struct splice_end *out, size_t len,
		      bool nonblock);
long splice_to_pipe(struct task *task, struct splice_end *in, struct file *pipe, size_t len,
		    bool nonblock);
long splice_pipes(struct task *task, struct file *in, struct file *out, size_t len,
		  bool nonblock);
/* splice_tee() - tee(2): what is in @in now, which stays there */
long splice_tee(struct task *task, struct file *in, struct file *out, size_t len, bool nonblock);

#endif /* SENTRY_VFS_SPLICE_H */
