/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/visited.h - documents that have been followed
 *
 * A small index can name another a thousand times, and so on: each is followed
 * once only, and there is an end to how many.
 */
#ifndef IMAGE_VISITED_H
#define IMAGE_VISITED_H

#include "base/error.h"
#include "image/digest.h"

#define VISITED_MAX 4096

struct visited {
	void *tree; /* owned */
	size_t count;
};

/* visited_add() - Return: 0: it is new; 1: it has been there before; negative errno */
int visited_add(struct visited *v, const struct digest *d, struct coffer_error *err);
void visited_free(struct visited *v);

#endif /* IMAGE_VISITED_H */
