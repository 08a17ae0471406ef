/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer/coffer.h - everything libcoffer offers, and its version
 */
#ifndef COFFER_COFFER_H
#define COFFER_COFFER_H

#include "coffer/container.h"
#include "coffer/error.h"
#include "coffer/image.h"
#include "coffer/log.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * coffer_version() - The library's version, as "major.minor.patch"
 *
 * Within one soname (the major number) programs built against an older header
 * work with a newer library; configuration structs grow at their end and say
 * their size.
 *
 * Return: static string
 */
COFFER_PUBLIC const char *coffer_version(void);

#ifdef __cplusplus
}
#endif

#endif /* COFFER_COFFER_H */
