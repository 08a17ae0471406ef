/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contract/proxy.h - ProxyVsock, StopVsockProxy
 */
#ifndef CONTRACT_PROXY_H
#define CONTRACT_PROXY_H

#include <sys/types.h>

#include "contract/contract.h"

#define PROXY_ID_MAX 256

/* One that listens. */
struct contract_proxy {
	struct contract_proxy *next;
	char *id;	/* owned */
	char *path;	/* owned; of the unix socket, absolute; in its root if a container's */
	uint32_t port;	/* not 0 */
	bool out_of;	/* the guest's port leads to the socket; else the socket to the host's port */
	mode_t mode;	/* of the socket that is made */
	void *own;	/* the side's */
};

RPC_METHOD(rpc_proxy_vsock);
RPC_METHOD(rpc_stop_vsock_proxy);

/* proxy_stop_below() - All whose path begins with @prefix; "": all */
void proxy_stop_below(const char *prefix);

#endif /* CONTRACT_PROXY_H */
