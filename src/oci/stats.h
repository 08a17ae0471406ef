/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/stats.h - statistics as the JSON of events
 */
#ifndef OCI_STATS_H
#define OCI_STATS_H

#include <json-c/json.h>

#include "engine/stats.h"

/* stats_json() - What is zero is left out where runc does so; the caller puts it. NULL: no memory */
struct json_object *stats_json(const struct engine_stats *s);

#endif /* OCI_STATS_H */
