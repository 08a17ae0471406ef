/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/media.c - the media types of images' parts
 *
 * OCI's and Docker's say the same.  "Foreign" and "nondistributable" layers are
 * ones that their makers did not want in other registries; where one is offered
 * it is a layer like others, and the URLs beside it are not followed.  Callers:
 * the rest of image/.
 */
#include <strings.h>

#include "image/document.h"

#define OCI    "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct media_type media_types[] = {
	{ OCI "index.v1+json", MEDIA_INDEX, MEDIA_PLAIN, false },
	{ DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX, MEDIA_PLAIN, true },
	{ OCI "manifest.v1+json", MEDIA_MANIFEST, MEDIA_PLAIN, false },
	{ DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST, MEDIA_PLAIN, true },
	{ OCI "config.v1+json", MEDIA_CONFIG, MEDIA_PLAIN, false },
	{ DOCKER "container.image.v1+json", MEDIA_CONFIG, MEDIA_PLAIN, true },
	{ OCI "layer.v1.tar", MEDIA_LAYER, MEDIA_PLAIN, false },
	{ OCI "layer.v1.tar+gzip", MEDIA_LAYER, MEDIA_GZIP, false },
	{ OCI "layer.v1.tar+zstd", MEDIA_LAYER, MEDIA_ZSTD, false },
	{ OCI "layer.v1.tar+xz", MEDIA_LAYER, MEDIA_XZ, false },
	{ OCI "layer.nondistributable.v1.tar", MEDIA_LAYER, MEDIA_PLAIN, false },
	{ OCI "layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, MEDIA_GZIP, false },
	{ OCI "layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, MEDIA_ZSTD, false },
	{ DOCKER "image.rootfs.diff.tar", MEDIA_LAYER, MEDIA_PLAIN, true },
	{ DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER, MEDIA_GZIP, true },
	{ DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER, MEDIA_ZSTD, true },
	{ DOCKER "image.rootfs.foreign.diff.tar", MEDIA_LAYER, MEDIA_PLAIN, true },
	{ DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, MEDIA_GZIP, true },
};

const char media_type_accept[] =
    OCI "index.v1+json, " OCI "manifest.v1+json, " DOCKER
	"distribution.manifest.list.v2+json, " DOCKER "distribution.manifest.v2+json";

const struct media_type *media_type_find(const char *name)
{
	/* Servers may add parameters ("; charset=utf-8"), and letters' case means nothing. */
	size_t n = strcspn(name, "; \t");

	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++)
		if (strlen(media_types[i].name) == n &&
		    strncasecmp(media_types[i].name, name, n) == 0)
			return &media_types[i];
	return NULL;
}
