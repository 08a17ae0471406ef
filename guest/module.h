/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest/module.h - reading and slimming of kernel modules (.ko files)
 */
#ifndef GUEST_MODULE_H
#define GUEST_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/**
 * module_depends() - The names of the modules that one needs first
 * @ko:		The module's file
 * @len:	Its size
 * @names:	Set to a malloc'd comma-separated list, owned by the caller; "" for none
 *
 * Return: 0 or negative errno with @err filled
 */
int module_depends(const uint8_t *ko, size_t len, char **names, struct coffer_error *err);

/**
 * module_slim() - Leave out what costs time at load: signature and type information
 * @ko:		The module's file
 * @len:	Its size
 * @out:	Set to malloc'd memory with the slim module, owned by the caller
 * @out_len:	Set to its size
 *
 * Return: 0 or negative errno with @err filled
 */
int module_slim(const uint8_t *ko, size_t len, uint8_t **out, size_t *out_len,
		struct coffer_error *err);

#endif /* GUEST_MODULE_H */
