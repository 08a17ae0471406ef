/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/registry/registry.h - the distribution-spec's client
 *
 * One object is one repository of one registry, with its mirrors, its
 * connections (kept open, HTTP/2 where both can) and its token.  A call is the
 * caller's thread's; blobs are transferred side by side within one call.
 *
 * Failures of the network, 429 and 5xx are tried again with growing pauses
 * (Retry-After is kept); a blob goes on where it broke off.  Credentials go to
 * the registry and the token server it names, never to where it redirects.
 */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/document.h"
#include "image/reference.h"
#include "image/settings.h"
#include "image/store/store.h"

struct registry;

struct registry_how {
	bool push;	   /* ask for the right to write, too */
	unsigned parallel; /* transfers at once */
	int cancel_fd;	   /* -1: never */
	unsigned stall;	   /* seconds without progress before a connection is given up; 0: 60 */
	void (*progress)(void *data, const struct coffer_progress *p); /* may be NULL */
	void *data;
};

/* registry_open() - Nothing is asked yet. @ref, @settings, @how: borrowed until close */
int registry_open(const struct reference *ref, const struct settings *settings,
		  const struct registry_how *how, struct registry **out, struct coffer_error *err);
void registry_close(struct registry *r);
DEFINE_CLEANUP(struct registry *, registry_close);

/* registry_ping() - Whether it lets us in with @user (login) */
int registry_ping(const char *host, const struct settings *settings, const char *user,
		  const char *password, struct coffer_error *err);

/* registry_resolve() - Digest, type and size of what the reference names; one request (HEAD).
 * Errors: not-found */
int registry_resolve(struct registry *r, struct descriptor *out, struct coffer_error *err);
/* registry_manifest() - A manifest or index by digest, or NULL: the reference's own; verified */
int registry_manifest(struct registry *r, const struct descriptor *want, struct descriptor *out,
		      struct buf *body, struct coffer_error *err);

/* A blob to fetch. */
struct registry_blob {
	const struct descriptor *desc; /* borrowed */
	struct store_part *part;       /* borrowed; not committed by us */
};
/**
 * registry_fetch() - Fetch blobs, in this order but several at once
 * @done:	Each when it is whole; an error of its ends the call. Called in the caller's thread
 */
int registry_fetch(struct registry *r, const struct registry_blob *blobs, size_t count,
		   int (*done)(void *data, size_t number, struct coffer_error *err), void *data,
		   struct coffer_error *err);

struct registry_upload {
	const struct descriptor *desc;
	int fd;			/* of the blob */
	const char *mount_from; /* repository of this registry that may have it, or NULL */
};
/* registry_push() - Blobs that it does not have yet, side by side */
int registry_push(struct registry *r, const struct registry_upload *list, size_t count,
		  struct coffer_error *err);
/* registry_push_manifest() - @tag: NULL: by digest only */
int registry_push_manifest(struct registry *r, const char *tag, const struct descriptor *desc,
			   const void *body, size_t len, struct coffer_error *err);

#endif /* IMAGE_REGISTRY_H */
