/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/layer.h - layers: what is in them, laid over each other
 *
 *	blob -> decompressed -> digest of that (diff id), tar entries checked
 *	     -> ext4 image (layer_stack), or directory (layer_unpack)
 *
 * One pass; a layer's archive is foreign.  Refused are names that lead out or
 * through something that is no directory, links out, entries beyond the limits,
 * times and sizes that no file can have, archives that end early or go on after
 * their end.  The error names blob and entry.
 */
#ifndef IMAGE_LAYER_H
#define IMAGE_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/document.h"
#include "image/settings.h"

struct layer_source {
	int fd;		       /* the blob, borrowed, read by offset */
	uint64_t size;	       /* of it */
	struct digest blob;    /* for errors */
	enum media_compression compression; /* as its media type says; the blob itself is asked */
	struct digest diff_id; /* expected; empty: not known. */
};

/* Asked and told now and then, from the thread of the call. */
struct layer_watch {
	int cancel_fd; /* -1: never */
	void (*progress)(void *data, uint64_t done); /* packed bytes of all layers; may be NULL */
	void *data;
};

struct layer_stack; /* an ext4 image that is being made */

/**
 * layer_stack_new() - @fd: a regular file for reading and writing; what it held is lost
 *
 * @fd, @limits and @watch are borrowed until the end.
 */
int layer_stack_new(int fd, const struct settings_limits *limits, const struct layer_watch *watch,
		    struct layer_stack **out, struct coffer_error *err);
/* layer_stack_add() - The next layer, from the bottom up. @diff_id: what it was; may be NULL. After
 * an error the stack can only be freed */
int layer_stack_add(struct layer_stack *s, const struct layer_source *layer,
		    struct digest *diff_id, struct coffer_error *err);
/* layer_stack_finish() - Equal layers, however packed, give equal images. Not synced */
int layer_stack_finish(struct layer_stack *s, struct coffer_error *err);
void layer_stack_free(struct layer_stack *s);
DEFINE_CLEANUP(struct layer_stack *, layer_stack_free);

struct layer_used;

/**
 * layer_unpack() - One layer over a directory
 * @dir:	Borrowed
 * @chown:	Owners as in the layer; else all is the caller's
 * @used:	Of the layers below, counted on (reader.h)
 *
 * The caller's umask is the modes', too, and modes of the layer may be in the
 * way of who has no rights over all files.  Devices that may not be made become
 * empty files.
 */
int layer_unpack(const struct layer_source *layer, int dir, bool chown,
		 const struct settings_limits *limits, struct layer_used *used,
		 const struct layer_watch *watch, struct coffer_error *err);

/* layer_diff_id() - Only what it would be, with everything checked as if it was unpacked */
int layer_diff_id(const struct layer_source *layer, const struct settings_limits *limits,
		  const struct layer_watch *watch, struct digest *out, struct coffer_error *err);

#endif /* IMAGE_LAYER_H */
