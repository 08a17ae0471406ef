/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/proxy.h - unix sockets of the guest and vsock ports, carried to each other
 */
#ifndef AGENT_PROXY_H
#define AGENT_PROXY_H

#include "contract/proxy.h"

/* As struct contract_ops has them. */
int proxy_start(void *data, struct contract_proxy *args, struct coffer_error *err);
void proxy_stop(struct contract_proxy *args);

#endif /* AGENT_PROXY_H */
