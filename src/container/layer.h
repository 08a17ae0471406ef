/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/layer.h - where what a container writes into its root goes
 */
#ifndef CONTAINER_LAYER_H
#define CONTAINER_LAYER_H

#include "coffer/container.h"

#include "base/error.h"
#include "container/disk.h"
#include "container/guest.h"
#include "sandbox/sandbox.h"

#define LAYER_WRITTEN "upper/diff" /* below the base: what differs from the root below */

struct layer {
	enum coffer_layer_kind kind; /* NONE: into the root itself; never AUTO */
	const struct coffer_layer *config;
	struct disk disk;
	char device[DISK_DEVICE_MAX]; /* in the guest */
	char size[32];		      /* option of a tmpfs */
};

#define LAYER_INIT                                                                                 \
	{                                                                                          \
		.kind = COFFER_LAYER_NONE, .disk = DISK_INIT                                       \
	}

int layer_check(const struct coffer_layer *config, struct coffer_error *err);

/* layer_open() - @kind: what AUTO came to. A disk is found, or made */
int layer_open(const struct coffer_layer *config, enum coffer_layer_kind kind, struct layer *out,
	       struct coffer_error *err);
void layer_close(struct layer *layer);

int layer_attach(struct layer *layer, struct sandbox_config *sandbox, struct coffer_error *err);

/* layer_mount() - Lay it over @lower, both below @base, at @root */
void layer_mount(const struct layer *layer, const char *base, const char *lower, const char *root,
		 struct guest_steps *g);

#endif /* CONTAINER_LAYER_H */
