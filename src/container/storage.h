/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/storage.h - the file systems of a container, from host to guest
 *
 *	storage_check()    what can be told from the configuration alone
 *	storage_open()     sources found, opened, locked
 *	storage_attach()   they become the sandbox's archive, disks and shares
 *	storage_fill()     what has to be written before the guest looks; while it boots
 *	storage_mount()    the agent is up: root, layer, volumes, /etc files, emulator
 *	storage_emit()     the container's own mounts, in its document
 *	storage_unmount()  its processes are gone: all that outlives it is on the disks
 *	storage_free()
 *
 * Callers: container.c, document.c.
 */
#ifndef CONTAINER_STORAGE_H
#define CONTAINER_STORAGE_H

#include "coffer/container.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "sandbox/sandbox.h"
#include "spec/spec.h"

struct storage;

/* storage_check() - The error names the field */
int storage_check(const struct coffer_container_config *config, struct coffer_error *err);

/**
 * storage_open() - Find, open and lock what @config names
 * @id:		The container's; borrowed, as @config is, until storage_free()
 *
 * Layers and volumes are made. Errors: not-found, invalid-argument,
 * invalid-state (in use by another container)
 */
int storage_open(const char *id, const struct coffer_container_config *config, struct storage **out,
		 struct coffer_error *err);

/* storage_attach() - Add to @sandbox, which borrows it all */
int storage_attach(struct storage *s, struct sandbox_config *sandbox, struct coffer_error *err);

/* storage_fill() - Before ready(); gives up with -ECANCELED when @cancel_fd becomes readable */
int storage_fill(struct storage *s, int cancel_fd, struct coffer_error *err);

int storage_mount(struct storage *s, struct agent *agent, struct coffer_error *err);

/* storage_emit() - Put the mounts into the document of the container's init, in order */
int storage_emit(const struct storage *s, struct oci_spec *spec, struct coffer_error *err);

/**
 * storage_unmount() - Have everything on the disks that outlives the machine
 *
 * Ends its processes first. Without talking to @agent if there is nothing of
 * the kind. Every step is tried; the first error is told.
 */
int storage_unmount(struct storage *s, struct agent *agent, struct coffer_error *err);

/* storage_outlives() - storage_unmount() has something to do */
bool storage_outlives(const struct storage *s);

/* storage_has_disks() - Whether the machine has block devices */
bool storage_has_disks(const struct storage *s);

/* storage_root() - Where the guest has the root file system; storage_written() - and what was written
 * to it, NULL: into the root itself */
const char *storage_root(const struct storage *s);
const char *storage_written(const struct storage *s);

/* storage_layer_fd() - The writable layer's ext4 image, borrowed; -1: it is not on a disk */
int storage_layer_fd(const struct storage *s);

void storage_free(struct storage *s);
DEFINE_CLEANUP(struct storage *, storage_free);

#endif /* CONTAINER_STORAGE_H */
