/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/freezer.h - Freeze and Thaw
 */
#ifndef SENTRY_CONTROL_FREEZER_H
#define SENTRY_CONTROL_FREEZER_H

#include "sentry/control/rpc.h"

/* An empty id means all containers. */
RPC_METHOD(extras_freeze);
RPC_METHOD(extras_thaw);

#endif /* SENTRY_CONTROL_FREEZER_H */
