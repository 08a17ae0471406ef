/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/platform.h - what documents need of platforms beyond image/document.h
 */
#ifndef IMAGE_PLATFORM_H
#define IMAGE_PLATFORM_H

#include "image/document.h"
#include "image/json_node.h"

/* platform_read() - The members of @node that say it; nothing of a missing one */
int platform_read(const struct json_node *node, bool required, struct platform *out,
		  struct coffer_error *err);
/* platform_rank() - How well what was made for @have runs on @want; 0: not at all */
int platform_rank(const struct platform *want, const struct platform *have);

#endif /* IMAGE_PLATFORM_H */
