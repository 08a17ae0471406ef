/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/blobset.h - the blobs that manifests refer to, each once
 */
#ifndef IMAGE_BLOBSET_H
#define IMAGE_BLOBSET_H

#include <sys/types.h>

#include "image/document.h"

struct blobset {
	const struct descriptor **list; /* owned; what it points to is borrowed */
	size_t count;
	size_t *sorted; /* owned; numbers in @list by digest; once it is sealed */
};

void blobset_free(struct blobset *set);
/* blobset_add() - Configuration, then layers from the bottom up */
int blobset_add(struct blobset *set, const struct manifest *m, struct coffer_error *err);
/* blobset_seal() - Nothing more comes: what was added before is dropped, the order stays */
int blobset_seal(struct blobset *set, struct coffer_error *err);
/* blobset_find() - Return: its number, -1 when it is not in */
ssize_t blobset_find(const struct blobset *set, const struct digest *d);

#endif /* IMAGE_BLOBSET_H */
