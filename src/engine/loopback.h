/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/loopback.h - the one interface that every network namespace has
 */
#ifndef ENGINE_LOOPBACK_H
#define ENGINE_LOOPBACK_H

#include "base/error.h"

/* loopback_raise() - "lo" of our network namespace up, with its addresses. Return: 0 or -errno */
int loopback_raise(struct coffer_error *err);

#endif /* ENGINE_LOOPBACK_H */
