/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v1_limits.c - linux.resources to the files of v1 groups
 *
 * The document's fields are v1's own, so values go as they are.  What takes
 * care is the order, because the kernel checks every single write: memory may
 * not pass memory plus swap, a quota not its parent's share.
 *
 * Callers: cgroup_limits.c; @t is NULL when no hierarchy has the controller.
 */
#include <inttypes.h>
#include <limits.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

/* ---- memory ---- */

static int cgroup_v1_set_limit(struct cgroup_tree *t, int64_t limit, struct coffer_error *err)
{
	uint64_t usage = 0, peak = 0;
	int r = cgroup_set(t, "memory.limit_in_bytes", err, "%" PRId64, limit);

	if (r != -EBUSY)
		return r;
	cgroup_get(t, "memory.usage_in_bytes", &usage);
	cgroup_get(t, "memory.max_usage_in_bytes", &peak);
	return err_sysn(err, EBUSY,
			"limit memory to %" PRId64 ": in use are %" PRIu64
			", at most were %" PRIu64, limit, usage, peak);
}

static int cgroup_v1_set_swap(struct cgroup_tree *t, int64_t swap, struct coffer_error *err)
{
	return cgroup_set(t, "memory.memsw.limit_in_bytes", err, "%" PRId64, swap);
}

/* Memory plus swap may at no moment be less than memory. */
static int cgroup_v1_limit_both(struct cgroup_tree *t, int64_t limit, int64_t swap,
				struct coffer_error *err)
{
	uint64_t now = 0;
	int r;

	if (swap > 0 && (limit < 0 || swap < limit))
		return err_invalid(err, "memory.swap is less than memory.limit");
	cgroup_get(t, "memory.limit_in_bytes", &now);
	if (swap < 0 || now < (uint64_t)swap) {
		r = cgroup_v1_set_swap(t, swap, err);
		return r < 0 ? r : cgroup_v1_set_limit(t, limit, err);
	}
	r = cgroup_v1_set_limit(t, limit, err);
	return r < 0 ? r : cgroup_v1_set_swap(t, swap, err);
}

static int cgroup_v1_limit_sizes(struct cgroup_tree *t, const struct oci_memory *m,
				 struct coffer_error *err)
{
	int64_t limit = m->limit.v, swap = m->swap.v;

	if (limit != 0 && swap != 0)
		return cgroup_v1_limit_both(t, limit, swap, err);
	if (swap != 0) {
		int r = cgroup_v1_set_swap(t, swap, err);

		return r == -EINVAL ? err_invalid(err, "memory.swap needs memory.limit, at most "
						  "as large") : r;
	}
	if (limit == 0)
		return 0;
	/* No limit on memory is none on swap either; without swap accounting that is so anyway. */
	if (limit < 0)
		cgroup_v1_set_swap(t, -1, NULL);
	return cgroup_v1_set_limit(t, limit, err);
}

int cgroup_v1_limit_memory(struct cgroup_tree *t, const struct oci_resources *res,
			   struct coffer_error *err)
{
	const struct oci_memory *m = res->memory;
	int r;

	if (!m)
		return 0;
	if (m->swappiness.set && m->swappiness.v > 100)
		return err_invalid(err, "memory.swappiness is above 100");
	r = cgroup_v1_limit_sizes(t, m, err);
	if (r == 0 && m->reservation.v)
		r = cgroup_set(t, "memory.soft_limit_in_bytes", err, "%" PRId64,
			       m->reservation.v);
	if (r == 0 && m->kernel.v)
		r = cgroup_set(t, "memory.kmem.limit_in_bytes", err, "%" PRId64, m->kernel.v);
	if (r == 0 && m->kernel_tcp.v)
		r = cgroup_set(t, "memory.kmem.tcp.limit_in_bytes", err, "%" PRId64,
			       m->kernel_tcp.v);
	if (r == 0 && m->disable_oom_killer.v)
		r = cgroup_set(t, "memory.oom_control", err, "1");
	if (r == 0 && m->swappiness.set)
		r = cgroup_set(t, "memory.swappiness", err, "%" PRIu64, m->swappiness.v);
	return r;
}

/* ---- cpu ---- */

static int cgroup_v1_set_shares(struct cgroup_tree *t, uint64_t shares, struct coffer_error *err)
{
	uint64_t now = shares;
	int r = cgroup_set(t, "cpu.shares", err, "%" PRIu64, shares);

	/* The kernel clamps in silence. */
	if (r == 0 && shares > 1 && cgroup_get(t, "cpu.shares", &now) == 0 && now != shares)
		return err_invalid(err, "cpu.shares: the %s allowed is %" PRIu64,
				   now < shares ? "most" : "least", now);
	return r;
}

/* Period, quota and burst bound each other: what the kernel refuses before is tried after. */
static int cgroup_v1_limit_quota(struct cgroup_tree *t, const struct oci_cpu *c,
				 struct coffer_error *err)
{
	bool period = c->period.v, burst = c->burst.set;
	int r = 0;

	if (period) {
		r = cgroup_set(t, "cpu.cfs_period_us", err, "%" PRIu64, c->period.v);
		period = r == -EINVAL && c->quota.v;
	}
	if (burst && (r == 0 || period)) {
		r = cgroup_set(t, "cpu.cfs_burst_us", err, "%" PRIu64, c->burst.v);
		burst = r == -EINVAL && c->quota.v;
	}
	if (c->quota.v && (r == 0 || period || burst))
		r = cgroup_set(t, "cpu.cfs_quota_us", err, "%" PRId64,
			       c->quota.v < 0 ? -1 : c->quota.v);
	if (r == 0 && period)
		r = cgroup_set(t, "cpu.cfs_period_us", err, "%" PRIu64, c->period.v);
	if (r == 0 && burst)
		r = cgroup_set(t, "cpu.cfs_burst_us", err, "%" PRIu64, c->burst.v);
	return r;
}

static int cgroup_v1_limit_realtime(struct cgroup_tree *t, const struct oci_cpu *c,
				    struct coffer_error *err)
{
	int r = 0;

	if (c->realtime_period.v) {
		r = cgroup_set(t, "cpu.rt_period_us", err, "%" PRIu64, c->realtime_period.v);
		/* A period below the present runtime: the runtime first. */
		if (r == -EINVAL && c->realtime_runtime.v)
			r = 0;
	}
	if (r == 0 && c->realtime_runtime.v)
		r = cgroup_set(t, "cpu.rt_runtime_us", err, "%" PRId64, c->realtime_runtime.v);
	if (r == 0 && c->realtime_period.v)
		r = cgroup_set(t, "cpu.rt_period_us", err, "%" PRIu64, c->realtime_period.v);
	return r;
}

int cgroup_v1_limit_cpu(struct cgroup_tree *t, const struct oci_resources *res,
			struct coffer_error *err)
{
	const struct oci_cpu *c = res->cpu;
	int r = 0;

	if (!c)
		return 0;
	r = cgroup_v1_limit_realtime(t, c, err);
	/* A group that idles takes no shares. */
	if (r == 0 && c->idle.set && !c->idle.v)
		r = cgroup_set(t, "cpu.idle", err, "0");
	if (r == 0 && c->shares.v)
		r = cgroup_v1_set_shares(t, c->shares.v, err);
	if (r == 0)
		r = cgroup_v1_limit_quota(t, c, err);
	if (r == 0 && c->idle.v)
		r = cgroup_set(t, "cpu.idle", err, "%" PRId64, c->idle.v);
	return r;
}

/* ---- cpuset ---- */

/* The group of the first @len bytes of dir: what is empty comes from its parent. */
static int cgroup_v1_inherit(const struct cgroup_tree *t, size_t len, const char *file,
			     char **value, struct coffer_error *err)
{
	char path[PATH_MAX + 32];
	int r;

	snprintf(path, sizeof(path), "%.*s/%s", (int)len, t->dir, file);
	r = io_read_file(AT_FDCWD, path, CGROUP_FILE_MAX, value, NULL, err);
	if (r < 0 || (*value)[strspn(*value, " \n")] || len <= t->root_len)
		return r;
	free(steal_ptr(*value));
	while (len > t->root_len && t->dir[len - 1] != '/')
		len--;
	r = cgroup_v1_inherit(t, len - 1, file, value, err);
	return r < 0 ? r : io_write_file(AT_FDCWD, path, *value, err);
}

int cgroup_v1_inherit_cpuset(const struct cgroup_tree *t, struct coffer_error *err)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(files); i++) {
		autofree char *value = NULL;

		r = cgroup_v1_inherit(t, strlen(t->dir), files[i], &value, err);
	}
	return r < 0 ? err_wrap(err, "%s", t->dir) : 0;
}

/* ---- the small ones ---- */

int cgroup_v1_limit_net_cls(struct cgroup_tree *t, const struct oci_resources *res,
			    struct coffer_error *err)
{
	if (!res->network || !res->network->class_id.v)
		return 0;
	return cgroup_set(t, "net_cls.classid", err, "%u", res->network->class_id.v);
}

int cgroup_v1_limit_net_prio(struct cgroup_tree *t, const struct oci_resources *res,
			     struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && res->network && i < res->network->priorities.n; i++)
		r = cgroup_set(t, "net_prio.ifpriomap", err, "%s %u",
			       res->network->priorities.v[i].name,
			       res->network->priorities.v[i].priority);
	return r;
}

/* ---- blkio ---- */

/* The scheduler that gives weights has named its files anew: BFQ after CFQ. */
static int cgroup_v1_set_weight(struct cgroup_tree *t, const char *old, const char *bfq,
				const char *value, struct coffer_error *err)
{
	int r = t ? cgroup_set(t, bfq, NULL, "%s", value) : -EOPNOTSUPP;

	if (r == -EOPNOTSUPP)
		return cgroup_set(t, old, err, "%s", value);
	return r < 0 ? cgroup_set(t, bfq, err, "%s", value) : 0;
}

static int cgroup_v1_limit_weights(struct cgroup_tree *t, const struct oci_block_io *b,
				   struct coffer_error *err)
{
	char value[64];
	int r = 0;

	snprintf(value, sizeof(value), "%u", b->weight.v);
	if (b->weight.v)
		r = cgroup_v1_set_weight(t, "blkio.weight", "blkio.bfq.weight", value, err);
	if (r == 0 && b->leaf_weight.v)
		r = cgroup_set(t, "blkio.leaf_weight", err, "%u", b->leaf_weight.v);
	for (size_t i = 0; r == 0 && i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		snprintf(value, sizeof(value), "%" PRId64 ":%" PRId64 " %u", d->major, d->minor,
			 d->weight.v);
		if (d->weight.v)
			r = cgroup_v1_set_weight(t, "blkio.weight_device",
						 "blkio.bfq.weight_device", value, err);
		if (r == 0 && d->leaf_weight.v)
			r = cgroup_set(t, "blkio.leaf_weight_device", err,
				       "%" PRId64 ":%" PRId64 " %u", d->major, d->minor,
				       d->leaf_weight.v);
	}
	return r;
}

int cgroup_v1_limit_blkio(struct cgroup_tree *t, const struct oci_resources *res,
			  struct coffer_error *err)
{
	const struct oci_block_io *b = res->block_io;
	int r;

	if (!b)
		return 0;
	const struct {
		const struct oci_throttle_list *list;
		const char *file;
	} throttles[] = {
		{ &b->throttle_read_bps_device, "blkio.throttle.read_bps_device" },
		{ &b->throttle_write_bps_device, "blkio.throttle.write_bps_device" },
		{ &b->throttle_read_iops_device, "blkio.throttle.read_iops_device" },
		{ &b->throttle_write_iops_device, "blkio.throttle.write_iops_device" },
	};

	r = cgroup_v1_limit_weights(t, b, err);
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(throttles); k++) {
		const struct oci_throttle_list *list = throttles[k].list;

		for (size_t i = 0; r == 0 && i < list->n; i++)
			r = cgroup_set(t, throttles[k].file, err,
				       "%" PRId64 ":%" PRId64 " %" PRIu64, list->v[i].major,
				       list->v[i].minor, list->v[i].rate);
	}
	return r;
}
