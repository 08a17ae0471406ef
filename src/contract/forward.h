/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/forward.h - a TCP port of a container, carried to a port of the host
 */
#ifndef CONTRACT_FORWARD_H
#define CONTRACT_FORWARD_H

#include "contract/contract.h"

/* extras_forward_tcp() - Answers once both connections stand */
RPC_METHOD(extras_forward_tcp);

/* forward_stop() - End those of @owner, as network() named it; NULL: all, and nobody is told */
void forward_stop(const void *owner);

#endif /* CONTRACT_FORWARD_H */
