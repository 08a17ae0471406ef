/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/gofer.h - the process that holds what the sentry may not reach itself
 *
 *	sentry  --request, descriptor of a directory-->  gofer
 *	        <--answer, descriptor of a file--------
 *
 * At its start the gofer hands over a descriptor for each tree (root file system, share, volume),
 * a detached mount. Whatever mode bits let the sentry do below a descriptor it does itself
 * (openat with O_NOFOLLOW, one component at a time). What needs more rights than its own, the gofer
 * does on a directory's descriptor and one name: open what only root may, chown, mknod, privileged
 * attributes; connecting to and binding unix sockets by path; connections to the host's ports.
 *
 * The gofer's answers are trusted, its requests are ours; but names come from the guest, so each is
 * one component, and no link is ever followed. When it dies, gofer_broken_fd() tells.
 */
#ifndef SENTRY_GOFER_GOFER_H
#define SENTRY_GOFER_GOFER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

struct gofer;

enum gofer_op {
	GOFER_TREE,	/* number -> descriptor of its root directory */
	GOFER_OPEN,	/* dir, name, flags, mode -> descriptor (O_CREAT | O_EXCL as well) */
	GOFER_CHOWN,	/* dir, name, uid, gid; name "": the descriptor itself */
	GOFER_CHMOD,	/* dir, name, mode */
	GOFER_UTIMES,
	GOFER_MKDIR,	/* dir, name, mode, uid, gid */
	GOFER_MKNOD,	/* regular files, FIFOs, sockets, and devices where the host lets it */
	GOFER_SYMLINK,
	GOFER_LINK,	/* dir, name, second descriptor */
	GOFER_UNLINK,	/* flags: AT_REMOVEDIR */
	GOFER_RENAME,	/* two directories, two names, flags */
	GOFER_READLINK,
	GOFER_TRUNCATE,
	GOFER_GETXATTR, GOFER_SETXATTR, GOFER_LISTXATTR, GOFER_REMOVEXATTR,
	GOFER_CONNECT,	/* dir, name, type -> connected unix socket */
	GOFER_BIND,	/* dir, name, type -> bound unix socket */
	GOFER_DIAL,	/* host's port -> connected stream */
	GOFER_LISTEN,	/* guest's port -> listening socket at which the host dials */
	GOFER_UNLISTEN,
	GOFER_OP_COUNT,
};

#define GOFER_DATA_MAX 65536 /* of an attribute's value, the longest thing that travels */

struct gofer_call {
	enum gofer_op op;
	int fd, fd2;		/* borrowed; -1: none */
	const char *name, *name2; /* one component; NULL: none */
	uint64_t args[4];	/* as the operation lists them */
	const void *data;	/* attribute value, link target */
	size_t data_len;
	void *reply;		/* filled: link target, attribute; may be NULL */
	size_t reply_size;
};

/* gofer_attach() - The sentry's end; the socket is taken over */
int gofer_attach(int socket, struct gofer **out, struct coffer_error *err);
void gofer_free(struct gofer *gofer);
/* gofer_call() - Any thread. Return: >= 0 (a descriptor for the caller to close, a length, or 0); negative
 * errno of the operation; -ESRCH: the gofer is gone */
long gofer_call(struct gofer *gofer, const struct gofer_call *call);
int gofer_broken_fd(const struct gofer *gofer);

/* gofer_main() - The other process: never returns. gofer/main.c */

#endif /* SENTRY_GOFER_GOFER_H */
