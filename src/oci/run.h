/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/run.h - a container from nothing to its end, for run and restore
 */
#ifndef OCI_RUN_H
#define OCI_RUN_H

#include "oci/creation.h"

/**
 * run_container() - Make it, start it, and unless it is detached wait for its end and delete it
 * @c:	As creation_make() takes it; the caller frees it
 *
 * Return: exit code, or negative errno
 */
int run_container(struct creation *c, struct coffer_error *err);

#endif /* OCI_RUN_H */
