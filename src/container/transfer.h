/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/transfer.h - what copies, relays and connections need of the sandbox
 *
 * A row for the process that owns the machine and one for a handle on a
 * container that somebody else owns, which asks the owner over its control
 * socket.  Everything that crosses is small: arguments, an error, and
 * descriptors.  Archives, pumps and destination rules run in the caller's
 * process on either side.
 *
 * All functions fill @err as the public calls do, may be called by any number
 * of threads at once, and hold no lock while they wait for the guest.
 */
#ifndef CONTAINER_TRANSFER_H
#define CONTAINER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "container/container.h"

/* How the guest says a transfer ended; one comes over transfer.verdict_fd, as it is in memory. */
struct transfer_verdict {
	struct coffer_error error; /* COFFER_ERR_NONE: all of it */
	uint64_t count;            /* get: bytes of the archive; put: entries made */
};

/*
 * A plain pax archive on its way.  Both descriptors are stream sockets and the
 * taker's; closing verdict_fd calls the transfer off.  They may be passed to
 * another process: nothing else of a transfer is kept.
 */
struct transfer {
	int data_fd;    /* get: to its end of file; put: shutdown(SHUT_WR) is its end */
	int verdict_fd; /* one struct transfer_verdict, then end of file; without: it failed */
};
#define TRANSFER_INIT { .data_fd = -1, .verdict_fd = -1 }

static inline void transfer_close(struct transfer *t)
{
	close_fd(&t->data_fd);
	close_fd(&t->verdict_fd);
}
#define autotransfer CLEANUP(transfer_close)

enum transfer_kind {
	TRANSFER_GET, /* the archive of path, whose last component is its root */
	TRANSFER_PUT, /* an archive into the directory path */
	TRANSFER_ROOT,  /* the archive of the root file system, without mounts; path is "/" */
	TRANSFER_LAYER, /* of what has been written there, as a layer of an image; likewise */
	TRANSFER_KIND_COUNT,
};

struct transfer_request {
	enum transfer_kind kind;
	const char *path; /* absolute, at most PATH_MAX - 1 bytes */
	bool follow;      /* get: what a symbolic link at the end points to */
	bool keep_types;  /* put: refuse to put a directory over something else and reverse */
	bool keep_owners; /* put: those of the archive; else root */
	bool pause;       /* root, layer: its processes stand still meanwhile */
};

struct transfer_ops {
	/* Returns when the guest has connected, or has said why not; @cancel_fd (-1: none) readable:
	 * give up. */
	int (*open)(struct coffer_container *c, const struct transfer_request *request,
		    int cancel_fd, struct transfer *out, struct coffer_error *err);
	int (*stat)(struct coffer_container *c, const char *path, bool follow,
		    struct coffer_path_stat *out, struct coffer_error *err);
	/* The same as the public calls, but that connect() may be called off. */
	int (*dial)(struct coffer_container *c, uint32_t port, struct coffer_error *err);
	int (*listen)(struct coffer_container *c, uint32_t port, struct coffer_error *err);
	void (*unlisten)(struct coffer_container *c, uint32_t port);
	int (*connect)(struct coffer_container *c, uint16_t port, int cancel_fd,
		       struct coffer_error *err);
	int (*relay_add)(struct coffer_container *c, const struct coffer_relay *relay,
			 struct coffer_error *err);
	int (*relay_remove)(struct coffer_container *c, const char *id, struct coffer_error *err);
};

/* For containers of this process; the owner serves others' requests by calling these. */
extern const struct transfer_ops transfer_local;
/* For those with container->remote (remote.c). */
extern const struct transfer_ops transfer_remote;

static inline const struct transfer_ops *transfer_ops_of(const struct coffer_container *c)
{
	return c->remote ? &transfer_remote : &transfer_local;
}

#endif /* CONTAINER_TRANSFER_H */
