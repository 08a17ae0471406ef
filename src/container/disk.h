/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/disk.h - images of file systems: found out about, locked, made
 */
#ifndef CONTAINER_DISK_H
#define CONTAINER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "coffer/mount.h"

#include "base/error.h"
#include "sandbox/sandbox.h"

#define DISK_DEVICE_MAX 16

struct disk {
	int fd;		/* owned; as long as it or a copy of it is open the image is locked */
	const char *fs; /* "ext4" or "erofs" */
	bool journal;	/* of ext4 */
};

#define DISK_INIT                                                                                  \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/**
 * disk_open() - An image or block device with a file system that the guest can mount
 * @what:	For errors, which begin with it and @path
 *
 * One that is written to is one container's alone; any number may read it.
 *
 * Return: 0 or negative errno; -EBUSY (INVALID_STATE): somebody else has it
 */
int disk_open(const char *what, const char *path, bool read_only, struct disk *out,
	      struct coffer_error *err);
void disk_close(struct disk *disk);

/* disk_attach() - Make @wanted one of the sandbox's. @device: set to its name in the guest, and
 * lent to the sandbox as its serial if there is none */
int disk_attach(const struct sandbox_disk *wanted, struct sandbox_config *sandbox,
		char device[static DISK_DEVICE_MAX], struct coffer_error *err);

/* disk_check_size() - Whether an ext4 image can be so large */
int disk_check_size(const char *what, uint64_t size, struct coffer_error *err);

/* disk_make_private() - An empty ext4 image without a name, gone with its last user */
int disk_make_private(uint64_t size, enum coffer_journal journal, struct disk *out,
		      struct coffer_error *err);

#endif /* CONTAINER_DISK_H */
