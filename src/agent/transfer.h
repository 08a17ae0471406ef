/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/transfer.h - bytes between a file and a port of the host, in a job
 */
#ifndef AGENT_TRANSFER_H
#define AGENT_TRANSFER_H

#include "agent/job.h"

/* transfer_check_port() - A port that somebody can listen on. Return: 0 or -EINVAL */
int transfer_check_port(uint32_t port, struct coffer_error *err);

/* transfer_dial() - A blocking connection to the host's port */
int transfer_dial(const struct job *job, uint32_t port, struct coffer_error *err);

/* transfer_all() - From @from to @to until the end, or @limit bytes. Both block */
int transfer_all(int from, int to, uint64_t limit, struct coffer_error *err);

#endif /* AGENT_TRANSFER_H */
