/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/rpc_archive.h - ArchiveStat, ArchiveGet, ArchivePut of the Extras
 */
#ifndef AGENT_RPC_ARCHIVE_H
#define AGENT_RPC_ARCHIVE_H

#include "agent/agent.h"

void rpc_archive_stat(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_archive_get(struct grpc_call *call, const ProtobufCMessage *msg, void *data);
void rpc_archive_put(struct grpc_call *call, const ProtobufCMessage *msg, void *data);

#endif /* AGENT_RPC_ARCHIVE_H */
