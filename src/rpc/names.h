/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc/names.h - the text of resolv.conf and hosts
 */
#ifndef RPC_NAMES_H
#define RPC_NAMES_H

#include "base/error.h"
#include "sandbox_context.pb-c.h"

/* names_dns_text(), names_hosts_text() - malloc'd; -EINVAL: a word that would not stay one */
int names_dns_text(const Sc__ConfigureDnsRequest *req, char **out, struct coffer_error *err);
int names_hosts_text(const Sc__ConfigureHostsRequest *req, char **out, struct coffer_error *err);

#endif /* RPC_NAMES_H */
