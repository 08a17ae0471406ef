/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/sized.c - structs of a caller that begin with their size
 */
#include "base/sized.h"

#include <string.h>

static int sized_get(const void *p, size_t *size, const char *what, struct coffer_error *err)
{
	memcpy(size, p, sizeof(*size));
	return *size < sizeof(*size) ? err_invalid(err, "%s: its size is not set", what) : 0;
}

int sized_import(void *dst, size_t dst_size, const void *src, const char *what,
		 struct coffer_error *err)
{
	const unsigned char *p = src;
	size_t size;
	int r = sized_get(src, &size, what, err);

	if (r < 0)
		return r;
	for (size_t i = dst_size; i < size; i++)
		if (p[i])
			return err_unsupported(err, "%s: made for a newer libcoffer", what);
	memset(dst, 0, dst_size);
	memcpy(dst, src, size < dst_size ? size : dst_size);
	return 0;
}

int sized_export(void *dst, const void *src, size_t src_size, const char *what,
		 struct coffer_error *err)
{
	size_t size, filled;
	int r = sized_get(dst, &size, what, err);

	if (r < 0)
		return r;
	filled = size < src_size ? size : src_size;
	memset(dst, 0, size);
	memcpy(dst, src, filled);
	memcpy(dst, &filled, sizeof(filled));
	return 0;
}
