/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/reader.h - a layer, entry by entry, everything checked
 *
 * What comes out can be believed: names are relative, clean and short enough,
 * numbers in range, what is counted within the limits.  What cannot be known
 * here is what else is in the way: whether a parent is a symbolic link, whether
 * a link's target is there.
 */
#ifndef IMAGE_LAYER_READER_H
#define IMAGE_LAYER_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "image/ext4_writer.h"
#include "image/layer/layer.h"

#define LAYER_NAME_MAX	 255 /* bytes of a component */
#define LAYER_TARGET_MAX 4095
#define LAYER_XATTRS_MAX 64
#define LAYER_MAJOR_MAX	 0xfffu
#define LAYER_MINOR_MAX	 0xfffffu
/* Seconds that an inode can hold. */
#define LAYER_TIME_MIN (-INT64_C(0x80000000))
#define LAYER_TIME_MAX INT64_C(0x37fffffff)

enum layer_kind {
	LAYER_DIR,
	LAYER_FILE,
	LAYER_SYMLINK,
	LAYER_NODE,	/* device or fifo, by the mode */
	LAYER_HARDLINK, /* one more name; only path and target mean something */
	LAYER_WHITEOUT, /* hides path of the layers below, not of this one; only path */
	LAYER_OPAQUE,	/* hides likewise what is in the directory path, not itself */
};

struct layer_entry {
	enum layer_kind kind;
	const char *path;   /* "usr/bin/env": nothing empty, no "." or ".."; "" the root (a directory) */
	mode_t mode;	    /* with the type */
	uint32_t uid, gid;
	struct timespec mtime;
	uint64_t size;	    /* of a file, holes included */
	dev_t rdev;
	const char *target; /* symbolic link: as it stands, not empty; hard link: like path, not "" */
	struct ext4_xattrs xattrs; /* those that travel (archive/xattrs.h) */
};

/* What is done with it. A call that fails ends the reading; the entry's name is added. */
struct layer_ops {
	/* entry() - What it points to is valid during the call */
	int (*entry)(void *data, const struct layer_entry *e, struct coffer_error *err);
	/* data() - Of the file whose entry came last, at rising offsets, never beyond its size; what
	 * is left out is a hole */
	int (*data)(void *data, const void *bytes, size_t n, uint64_t off, struct coffer_error *err);
	/* end() - That file is whole. Not called for what is no file */
	int (*end)(void *data, struct coffer_error *err);
};

/* What layers of one image have used up so far; begins all zero. */
struct layer_used {
	uint64_t entries, bytes; /* as in struct settings_limits */
	uint64_t packed;	 /* of the blobs before, for progress */
};

/**
 * layer_read() - Read a layer from begin to end, once
 * @used:	Counted on
 * @watch:	May be NULL
 * @ops:	Called in this thread; a member may be NULL
 * @data:	Theirs
 * @diff_id:	Set to the digest of what the blob unpacks to; may be NULL. When the layer says
 *		what it must be, another is an error
 *
 * Which compression it is the blob itself says.
 *
 * Return: 0 or negative errno with @err naming blob and entry
 */
int layer_read(const struct layer_source *layer, const struct settings_limits *limits,
	       struct layer_used *used, const struct layer_watch *watch,
	       const struct layer_ops *ops, void *data, struct digest *diff_id,
	       struct coffer_error *err);

#endif /* IMAGE_LAYER_READER_H */
