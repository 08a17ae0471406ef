/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/proxy.h - unix sockets inside and ports of the host, joined
 */
#ifndef SENTRY_CONTROL_PROXY_H
#define SENTRY_CONTROL_PROXY_H

#include "contract/proxy.h"

/* As struct contract_ops has them. */
int proxy_start(void *data, struct contract_proxy *args, struct coffer_error *err);
void proxy_stop(struct contract_proxy *args);

#endif /* SENTRY_CONTROL_PROXY_H */
