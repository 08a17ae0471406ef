/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/volume.h - directories that have a name and outlive containers
 */
#ifndef CONTAINER_VOLUME_H
#define CONTAINER_VOLUME_H

#include "base/error.h"

/* volume_check_name() - 1 to 128 of a-z A-Z 0-9 _ . -, a letter or digit first */
int volume_check_name(const char *name, struct coffer_error *err);

/* volume_open() - The volume's directory, made when missing. Return: descriptor or negative errno
 */
int volume_open(const char *name, struct coffer_error *err);

#endif /* CONTAINER_VOLUME_H */
