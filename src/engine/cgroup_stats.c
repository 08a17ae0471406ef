/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_stats.c - what the container has used, from its groups' files
 *
 * Callers: container.c.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

void engine_stats_free(struct engine_stats *s)
{
	struct stats_list *const lists[] = { &s->cpu.percpu, &s->cpu.percpu_kernel,
					     &s->cpu.percpu_user, &s->cpuset.cpus,
					     &s->cpuset.mems };
	struct stats_blkio *b = &s->blkio;
	struct stats_blkio_list *const io[] = { &b->service_bytes, &b->serviced, &b->queued,
						&b->service_time,  &b->wait_time, &b->merged,
						&b->time,	   &b->sectors };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		free(lists[i]->v);
	for (size_t i = 0; i < ARRAY_SIZE(io); i++)
		free(io[i]->v);
	free(s->memory.raw);
	free(s->hugetlb);
	free(s->rdma);
	free(s->interfaces);
	*s = (struct engine_stats){ 0 };
}

int cgroup_stats(const struct cgroup *cg, struct engine_stats *out, struct coffer_error *err)
{
	pid_t *pids = NULL;
	size_t n = 0;
	int r = cgroup_pids(cg, &pids, &n, err);

	*out = (struct engine_stats){ 0 };
	out->pids.set = r == 0;
	out->pids.current = n;
	free(pids);
	return r;
}
