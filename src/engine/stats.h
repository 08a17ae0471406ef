/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/stats.h - what a container has used, by controller
 */
#ifndef ENGINE_STATS_H
#define ENGINE_STATS_H

#include <stdint.h>

struct engine_stats {
	uint64_t pids;
};

#endif /* ENGINE_STATS_H */
