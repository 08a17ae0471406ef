/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/mounts.h - what a container sees beside its root
 */
#ifndef CONTAINER_MOUNTS_H
#define CONTAINER_MOUNTS_H

#include "coffer/container.h"

#include "base/error.h"
#include "container/disk.h"
#include "container/guest.h"
#include "sandbox/nbd.h"
#include "sandbox/sandbox.h"
#include "spec/spec.h"

#define MOUNTS_OPTIONS_MAX 32

struct mounts_entry {
	const struct coffer_mount *config; /* borrowed */
	char *target;	/* owned; without double slashes, "." and a slash at the end */
	unsigned depth; /* names in it */
	bool read_only;
	struct mounts_entry *same; /* an earlier entry whose disk it is; NULL: its own */

	struct disk disk; /* disk, nbd: what the guest gets */
	struct nbd_address nbd;
	bool device_read_only; /* all who use the device only read */
	char device[DISK_DEVICE_MAX];

	int dir_fd; /* share, volume: what is shared; owned, -1: none */
	char *name; /* the file in it that is meant; owned, NULL: itself */
	char tag[SANDBOX_TAG_MAX + 1];
};

struct mounts {
	struct mounts_entry *v; /* owned; in the order they are mounted in */
	size_t n;
};

/* mounts_check() - What can be told without touching files; the error names mount and field */
int mounts_check(const struct coffer_mount *mounts, size_t n, struct coffer_error *err);

/* mounts_target() - The target as it is compared. Return: malloc'd, or NULL with @err filled */
char *mounts_target(const char *target, struct coffer_error *err);

/* mounts_plan() - What is mounted, shallow targets first. mounts_close() it also after a failure */
int mounts_plan(const struct coffer_mount *mounts, size_t n, struct mounts *out,
		struct coffer_error *err);

/* mounts_open() - Find and lock the sources; volumes are made */
int mounts_open(struct mounts *mounts, struct coffer_error *err);
int mounts_attach(struct mounts *mounts, struct sandbox_config *sandbox, struct coffer_error *err);
void mounts_close(struct mounts *mounts);

/* mounts_prepare() - What the guest mounts before there is a container */
void mounts_prepare(const struct mounts *mounts, struct guest_steps *g);
/* mounts_check_targets() - In the root at @root, is a directory where one is to be, and a file where
 * a file is? What is missing will be made */
int mounts_check_targets(const struct mounts *mounts, const char *root, struct agent *agent,
			 struct coffer_error *err);
/* mounts_prepare_late() - What has to be tried: of a network disk nobody knows its file system */
int mounts_prepare_late(const struct mounts *mounts, struct agent *agent, struct coffer_error *err);

/* mounts_unmount() - Of disks that can be written to */
void mounts_unmount(const struct mounts *mounts, struct guest_steps *g);

/* mounts_emit() - The container's own, after those that every container has */
int mounts_emit(const struct mounts *mounts, struct oci_spec *spec, struct coffer_error *err);

/* mounts_volume() - Where the guest has the file system of a disk. Return: NULL for other mounts */
const char *mounts_volume(const struct mounts_entry *e, struct guest_steps *g);

#endif /* CONTAINER_MOUNTS_H */
