/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/bundle.h - an image as an OCI runtime bundle; inside the room
 */
#ifndef CONTAINER_BUNDLE_H
#define CONTAINER_BUNDLE_H

#include "base/error.h"
#include "container/subids.h"
#include "image/document.h"
#include "spec/spec.h"

/**
 * bundle_config_make() - The document that runs an image (image-spec 1.0, conversion.md)
 * @rootfs_fd:	Where its users are looked up
 * @ids:	Of the user namespace to ask for; NULL: none
 */
int bundle_config_make(int rootfs_fd, const struct image_config *image, const struct subids *ids,
		       struct oci_spec **out, struct coffer_error *err);
/* bundle_config_write() - As config.json, new in @dir */
int bundle_config_write(int dir, int rootfs_fd, const struct image_config *image,
			const struct subids *ids, struct coffer_error *err);

#endif /* CONTAINER_BUNDLE_H */
