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
 * does on a directory's descriptor and one name, or on the descriptor of the object: open what only
 * root may, chown, mknod, privileged attributes; connecting to and binding unix sockets by path;
 * connections to the host's ports.
 *
 * The gofer's answers are trusted. It trusts no request: a name is one component, no link is ever
 * followed, nothing but regular files and directories is opened, and only what the descriptors lead
 * to can be reached. When it dies, gofer_broken_fd() tells.
 */
#ifndef SENTRY_GOFER_GOFER_H
#define SENTRY_GOFER_GOFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/spawn.h"
#include "sentry/jail.h"

struct gofer;

/* An object is @fd, or @name in the directory @fd when there is a name. */
enum gofer_op {
	GOFER_TREE,	/* args: number -> descriptor (O_PATH) of its root directory */
	GOFER_OPEN,	/* object; args: flags, O_PATH for whatever it is -> descriptor */
	GOFER_STAT,	/* object -> reply: struct stat */
	GOFER_CREATE,	/* fd, name; args: mode with S_IFMT, uid, gid, rdev; data: a link's target */
	GOFER_CHOWN,	/* object; args: uid, gid; UINT32_MAX: as it is */
	GOFER_CHMOD,	/* object; args: mode */
	GOFER_UTIMES,	/* object; args: two struct timespec as seconds, nanoseconds */
	GOFER_LINK,	/* fd, name: where; fd2: what */
	GOFER_UNLINK,	/* fd, name; args: AT_REMOVEDIR */
	GOFER_RENAME,	/* fd, name, fd2, name2; args: RENAME_* */
	GOFER_GETXATTR,	/* fd; name: the attribute's -> length, reply */
	GOFER_SETXATTR,	/* fd; name: the attribute's; args: XATTR_*; data: value */
	GOFER_LISTXATTR, /* fd -> length, reply */
	GOFER_REMOVEXATTR, /* fd; name: the attribute's */
	GOFER_CONNECT,	/* object; args: type -> connected unix socket */
	GOFER_BIND,	/* fd, name; args: type, uid, gid, mode -> bound unix socket */
	GOFER_DIAL,	/* args: host's port -> connected stream */
	GOFER_LISTEN,	/* args: guest's port -> listening socket at which the host dials */
	GOFER_UNLISTEN,	/* args: guest's port */
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
	void *reply;		/* filled: attribute; may be NULL */
	size_t reply_size;
};

/* gofer_attach() - The sentry's end, as gofer_start() gave it; the socket is taken over */
int gofer_attach(int socket, struct gofer **out, struct coffer_error *err);
void gofer_free(struct gofer *gofer);
/* gofer_call() - Any thread. Return: >= 0 (a descriptor for the caller to close, a length, or 0);
 * negative errno of the operation; -ESRCH: the gofer is gone */
long gofer_call(struct gofer *gofer, const struct gofer_call *call);
/* gofer_dial_port() - GOFER_DIAL. Return: a non-blocking connection, or negative errno */
int gofer_dial_port(struct gofer *gofer, uint32_t port);
/* gofer_broken_fd() - Readable (hang-up) when it is gone */
int gofer_broken_fd(const struct gofer *gofer);

/* What this process is and may have open, as it was when it attached: it cannot ask later. */
struct gofer_self {
	uid_t uid;
	gid_t gid;
	unsigned files;
};

/* gofer_self_of() - NULL: as it is now */
struct gofer_self gofer_self_of(const struct gofer *gofer);

/* --- the other process; gofer/start.c --- */

#define GOFER_TREES_MAX 32

/* A directory of the host. */
struct gofer_tree {
	int fd;		  /* borrowed */
	bool read_only;
	const char *file; /* the one file of it that can be seen; NULL or "": all */
};

struct gofer_config {
	const struct gofer_tree *trees; /* numbered from 0 on, as in hostfs_new() */
	size_t ntrees;
	int ports_fd;	/* directory with vsock.sock_<port> and guest_<port>; -1: no ports; borrowed */
	int log_fd;	/* where the log's sink writes; -1: stderr */
};

/**
 * gofer_start() - Make the trees and the process that holds them
 * @child:	The process; it ends when @socket's other end is closed
 * @socket:	For gofer_attach()
 *
 * By a process with one thread, before it gives up anything: it needs to be root, root of its user
 * namespace, or allowed to make one, which it then enters. It sets the umask to 0. The descriptors of
 * the trees are not needed afterwards.
 *
 * Return: 0 or negative errno; -EPERM with words where namespaces are forbidden
 */
int gofer_start(const struct gofer_config *config, struct child *child, int *socket,
		struct coffer_error *err);

/* What a sentry with a gofer needs besides, for its filter */
extern const struct jail_list gofer_client_calls;

#endif /* SENTRY_GOFER_GOFER_H */
