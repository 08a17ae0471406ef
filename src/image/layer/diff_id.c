/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image/layer/diff_id.c - the digest of what a blob unpacks to
 *
 * Callers: exchange/.
 */
#include "image/layer/reader.h"

int layer_diff_id(const struct layer_source *layer, const struct settings_limits *limits,
		  const struct layer_watch *watch, struct digest *out, struct coffer_error *err)
{
	static const struct layer_ops nothing;
	struct layer_used used = { 0 };

	return layer_read(layer, limits, &used, watch, &nothing, NULL, out, err);
}
