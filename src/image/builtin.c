/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/builtin.c - COFFER_IMAGE_BUILTIN: busybox, which machines have built in
 *
 * Its root is an archive that the guest's kernel unpacks at boot, so there is
 * nothing of it in the store: its configuration is compiled in, with its digest
 * beside it, because whoever runs it should not wait for a hash to be loaded.
 * A unit test computes the digest.
 */
#include "image/builtin.h"

#include <string.h>
#include <sys/stat.h>

#include "base/paths.h"
#include "image/images.h"

#define BUILTIN_ARCHIVE "busybox.cpio"

#if defined(__aarch64__)
#define BUILTIN_ARCH   "arm64"
#define BUILTIN_DIGEST "sha256:fb92018d5d068366ca226b4e2676a485b6e01d13a149dcd8b8ca657d70d2270c"
#else
#define BUILTIN_ARCH   "amd64"
#define BUILTIN_DIGEST "sha256:35c5c955f1b469dae7325a134506f828f1c07dcf79a471cb42f0bb03157e7ec8"
#endif

#define BUILTIN_GREETING                                                                           \
	"cat <<END\\n"                                                                             \
	"Hello from coffer.\\n"                                                                    \
	"\\n"                                                                                      \
	"This was printed by a container in a virtual machine of its own. Its kernel is\\n"        \
	"Linux $(uname -r), and all of it is gone when it ends. No registry was\\n"                \
	"asked: the image, busybox, is built in.\\n"                                               \
	"\\n"                                                                                      \
	"    coffer run -it coffer/hello sh    look around in here\\n"                             \
	"    coffer run -it debian bash        run an image from a registry\\n"                    \
	"    coffer --help                     what else there is\\n"                              \
	"END"

const char builtin_id[] = BUILTIN_DIGEST;
const char builtin_config[] =
    "{\"architecture\":\"" BUILTIN_ARCH "\",\"os\":\"linux\",\"config\":{\"Env\":["
    "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
    "\"Cmd\":[\"/bin/sh\",\"-c\",\"" BUILTIN_GREETING "\"]},"
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},"
    "\"history\":[{\"created_by\":\"built into coffer\",\"empty_layer\":true}]}";

bool builtin_is_named(struct coffer_images *images, const char *canonical)
{
	char own[REFERENCE_TEXT_MAX];
	struct reference ref;

	if (images_reference(images, COFFER_IMAGE_BUILTIN, &ref, NULL) < 0)
		return false;
	reference_canonical(&ref, own);
	return strcmp(own, canonical) == 0;
}

static int builtin_fill(struct coffer_image *image, struct coffer_error *err)
{
	struct descriptor *d = &image->self;
	int r;

	r = image_config_parse(builtin_config, strlen(builtin_config), &image->config, err);
	if (r == 0)
		r = digest_parse(builtin_id, &d->digest, err);
	if (r < 0)
		return r;
	d->size = strlen(builtin_config);
	d->has_platform = true;
	d->platform = image->config.platform;
	image->manifest.config.digest = d->digest;
	image->manifest.config.size = d->size;
	image->what = strdup(COFFER_IMAGE_BUILTIN);
	return image->what && descriptor_copy(&image->top, d) == 0 ? 0 : err_nomem(err);
}

int builtin_open(struct coffer_images *images, const char *platform, struct coffer_image **out,
		 struct coffer_error *err)
{
	CLEANUP(coffer_image_freep) struct coffer_image *image = image_new(images, err);
	struct index one;
	struct platform want;
	int r;

	if (!image)
		return -ENOMEM;
	image->builtin = true;
	r = builtin_fill(image, err);
	if (r < 0)
		return r;
	platform_format(&image->config.platform, image->platform);
	one = (struct index){ .list = &image->self, .count = 1 };
	r = platform ? platform_parse(platform, &want, err) : 0;
	if (r == 0 && platform)
		r = index_choose(&one, &want, err);
	if (r < 0)
		return err_wrap(err, "image %s", image->what);
	*out = steal_ptr(image);
	return 0;
}

uint64_t builtin_size(void)
{
	autofree char *archive = NULL;
	struct stat st;

	if (paths_find_data(BUILTIN_ARCHIVE, &archive, NULL) < 0 || stat(archive, &st) < 0)
		return 0;
	return (uint64_t)st.st_size;
}
