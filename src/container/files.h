/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/files.h - /etc/hosts and /etc/resolv.conf of a container
 */
#ifndef CONTAINER_FILES_H
#define CONTAINER_FILES_H

#include "coffer/container.h"

#include "base/error.h"
#include "container/guest.h"

/* files_check() - hosts and dns of @config; the error names the field */
int files_check(const struct coffer_container_config *config, struct coffer_error *err);

/* files_write() - Into the root file system at @root, before it may become read-only */
void files_write(const struct coffer_container_config *config, const char *id, const char *root,
		 struct guest_steps *g);

#endif /* CONTAINER_FILES_H */
