/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/ps_columns.h - ps with options of ps(1)
 */
#ifndef OCI_PS_COLUMNS_H
#define OCI_PS_COLUMNS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* ps_columns() - Print what ps(1) says with @options about the @n processes @pids */
int ps_columns(char *options[], int noptions, const pid_t *pids, size_t n,
	       struct coffer_error *err);

#endif /* OCI_PS_COLUMNS_H */
