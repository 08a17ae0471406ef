/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/mount.h - what a container sees beside its root file system
 *
 * Only configuration, and calls on file systems of a started container, by the
 * paths its processes see.
 */
#ifndef COFFER_MOUNT_H
#define COFFER_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct coffer_container;

/* Where what a container writes into its root goes. */
enum coffer_layer_kind {
	COFFER_LAYER_AUTO,  /* into a root copied for it; else memory */
	COFFER_LAYER_NONE,  /* into the root itself: a shared directory, or an image of the caller's,
			     * which is changed, and gets its hosts, hostname and resolv.conf. One
			     * that is read_only is left as it is */
	COFFER_LAYER_TMPFS, /* memory of the machine */
	COFFER_LAYER_DISK,  /* an ext4 image of its own, as overlay */
};

/* Of the image's ext4. */
enum coffer_journal {
	COFFER_JOURNAL_DEFAULT, /* ordered */
	COFFER_JOURNAL_NONE,
	COFFER_JOURNAL_WRITEBACK,
	COFFER_JOURNAL_ORDERED,
	COFFER_JOURNAL_DATA,
};

struct coffer_layer {
	enum coffer_layer_kind kind;
	uint64_t size;    /* bytes; 0: 8 GiB of disk (sparse), half the memory of tmpfs */
	const char *path; /* disk: made when missing, kept, and used again. NULL: private, gone with
			   * the container's stop */
	enum coffer_journal journal; /* disk, when it is made and mounted */
};

enum coffer_mount_kind {
	COFFER_MOUNT_SHARE,  /* a directory or a file of the host, live (virtiofs) */
	COFFER_MOUNT_TMPFS,  /* memory */
	COFFER_MOUNT_VOLUME, /* a named directory below $COFFER_DATA/volumes, made when missing */
	COFFER_MOUNT_DISK,   /* a file or block device with an ext4 or erofs file system */
	COFFER_MOUNT_NBD,    /* such a disk behind a URL nbd://HOST[:PORT][/EXPORT] or
			      * nbd+unix:///[EXPORT]?socket=PATH */
	COFFER_MOUNT_KIND_COUNT,
};

/*
 * Mounts are made in the order of their targets' depth.  A target that exists
 * has to be a directory, or a file if the source is one.
 *
 * Of a shared file nothing beside it is to be seen, not even by a guest that
 * has taken over its machine.  It is the file of the time of create: writes
 * inside reach it and writes outside are seen, but when it is replaced outside
 * (renamed over, as editors do), the container goes on having the old one.
 *
 * Mounts of the same source share one device, which is read-only if all of them
 * are: then no guest can write.  A machine has 16 devices for shares, 20 for
 * disks, layer and root included, and 22 together.
 *
 * A disk that is written to is one container's alone; it is unmounted and
 * written back by the stop.
 */
struct coffer_mount {
	enum coffer_mount_kind kind;
	const char *source;      /* path, name or URL; NULL for tmpfs */
	const char *target;      /* absolute, in the container; made when missing */
	bool read_only;
	uint64_t size;           /* tmpfs: bytes, 0: half the memory */
	const char *const *options; /* further words of mount(8) ("noexec", "rslave", "mode=1777");
				     * NULL-terminated or NULL */
};

/**
 * coffer_disk_create() - A file with an empty ext4 file system
 * @path:	Must not exist
 * @size:	Bytes, 1 MiB to 16 TiB; the file is sparse
 *
 * Errors: already-exists, invalid-argument, internal
 */
COFFER_PUBLIC int coffer_disk_create(const char *path, uint64_t size, enum coffer_journal journal,
				     struct coffer_error *err);

/**
 * coffer_container_fs_freeze() - Have the file system at @path hold all writes
 *
 * Reads go on.  What wrote before is on the disk.  Legal while started.
 *
 * Errors: not-found, invalid-argument, invalid-state (frozen already), unsupported (tmpfs ...)
 */
COFFER_PUBLIC int coffer_container_fs_freeze(struct coffer_container *container, const char *path,
					     struct coffer_error *err);
COFFER_PUBLIC int coffer_container_fs_thaw(struct coffer_container *container, const char *path,
					   struct coffer_error *err);
/* coffer_container_fs_trim() - Give the unused blocks back; *@bytes of them (may be NULL) */
COFFER_PUBLIC int coffer_container_fs_trim(struct coffer_container *container, const char *path,
					   uint64_t *bytes, struct coffer_error *err);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_MOUNT_H */
