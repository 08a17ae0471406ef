/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2.h - between the files of the cgroup v2 driver
 */
#ifndef ENGINE_CGROUP_V2_H
#define ENGINE_CGROUP_V2_H

#include "engine/cgroup.h"

/* cgroup_v2_enable() - Switch @controller on for the group, as far as the host lets us */
void cgroup_v2_enable(const struct cgroup *cg, const char *controller);

/* cgroup_v2_limit() - linux.resources to the group's files */
int cgroup_v2_limit(const struct cgroup *cg, const struct oci_resources *res,
		    struct coffer_error *err);
/* cgroup_v2_limit_devices() - linux.resources.devices to a program on the group */
int cgroup_v2_limit_devices(const struct cgroup *cg, const struct oci_resources *res,
			    struct coffer_error *err);

/* cgroup_v2_weight() - cpu.shares (2 to 262144) to cpu.weight (1 to 10000) */
uint64_t cgroup_v2_weight(uint64_t shares);

#endif /* ENGINE_CGROUP_V2_H */
