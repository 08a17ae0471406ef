/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/stats_net.h - what a container's network interfaces have carried
 */
#ifndef ENGINE_STATS_NET_H
#define ENGINE_STATS_NET_H

#include <sys/types.h>

#include "base/error.h"
#include "engine/stats.h"

/* stats_net_read() - Fill @out's interfaces from @init's network namespace */
int stats_net_read(pid_t init, struct engine_stats *out, struct coffer_error *err);

#endif /* ENGINE_STATS_NET_H */
