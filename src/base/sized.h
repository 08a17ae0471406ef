/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/sized.h - structs of a caller that begin with their size
 *
 * A caller built against an older header has a shorter struct: what it does not
 * have is zero.  One built against a newer header has a longer struct, which is
 * fine as long as the part we do not know is zero.
 */
#ifndef BASE_SIZED_H
#define BASE_SIZED_H

#include <stddef.h>

#include "base/error.h"

/* sized_import() - Copy the caller's @src into ours. @what: for errors */
int sized_import(void *dst, size_t dst_size, const void *src, const char *what,
		 struct coffer_error *err);
/* sized_export() - Copy ours into the caller's @dst, which says how large it is */
int sized_export(void *dst, const void *src, size_t src_size, const char *what,
		 struct coffer_error *err);

#endif /* BASE_SIZED_H */
