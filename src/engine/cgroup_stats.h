/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_stats.h - between the files that read figures
 */
#ifndef ENGINE_CGROUP_STATS_H
#define ENGINE_CGROUP_STATS_H

#include "engine/cgroup_internal.h"

/* stats_read_v1() - What v1 hierarchies count. Return: 0 or -ENOMEM */
int stats_read_v1(const struct cgroup *cg, struct engine_stats *out);
/* stats_read_v2() - What v1 does not. Return: 0 or -ENOMEM */
int stats_read_v2(const struct cgroup *cg, struct cgroup_tree *t, struct engine_stats *out);

/* stats_grow() - The @n-th element of the list at *@list, zeroed. Return: NULL without memory */
void *stats_grow(void *list, size_t n, size_t size);
/* stats_read() - A file of the group, malloc'd; NULL when it is not there */
char *stats_read(struct cgroup_tree *t, const char *file);
/* stats_number() - The number in a file, 0 without it */
uint64_t stats_number(struct cgroup_tree *t, const char *file);
/* stats_value() - Of the line "KEY value" in @text (or NULL), else 0 */
uint64_t stats_value(const char *text, const char *key);
/* stats_read_raw() - memory.stat; stats_raw_value() - one of its values, else 0 */
int stats_read_raw(struct cgroup_tree *t, struct stats_memory *out);
uint64_t stats_raw_value(const struct stats_memory *m, const char *key);
int stats_add_number(struct stats_list *list, uint64_t value);
int stats_add_io(struct stats_blkio_list *list, uint64_t major, uint64_t minor, const char *op,
		 uint64_t value);

#endif /* ENGINE_CGROUP_STATS_H */
