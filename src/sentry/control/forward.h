/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/forward.h - ForwardTcp
 */
#ifndef SENTRY_CONTROL_FORWARD_H
#define SENTRY_CONTROL_FORWARD_H

#include "sentry/control/rpc.h"

RPC_METHOD(forward_tcp);

/* forward_stop() - End the connections of @container, before it goes */
void forward_stop(const struct control_container *container);

#endif /* SENTRY_CONTROL_FORWARD_H */
