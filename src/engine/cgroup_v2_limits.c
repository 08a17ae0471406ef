/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2_limits.c - linux.resources to the files of a v2 group
 *
 * The document speaks cgroup v1; the conversions are those that runc and crun
 * have made customary.  A limit whose file is missing fails with the name of
 * its controller, a field that v2 does not know with the name of the field:
 * no limit is dropped in silence.  "unified" comes last and wins.
 *
 * Callers: the v2 driver.
 */
#include "engine/cgroup_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define CGROUP_NUMBER_MAX 24

uint64_t cgroup_v2_weight(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

/*
 * In each group above the last one.  Only for a limit that needs it: switching
 * a controller on waits for RCU, 15 ms under emulation for the usual set.
 */
static void cgroup_v2_enable(const struct cgroup_tree *t, const char *controller)
{
	char word[64], file[PATH_MAX + 32];
	size_t len = t->root_len;

	snprintf(word, sizeof(word), "+%s", controller);
	/* Refused or missing: the limit's own file will tell. */
	while (t->dir[len]) {
		snprintf(file, sizeof(file), "%.*s/cgroup.subtree_control", (int)len, t->dir);
		io_write_file(AT_FDCWD, file, word, NULL);
		len += strspn(t->dir + len, "/");
		len += strcspn(t->dir + len, "/");
	}
}

__attribute__((format(printf, 4, 5)))
static int cgroup_v2_set(struct cgroup_tree *t, const char *file, struct coffer_error *err,
			 const char *fmt, ...)
{
	char text[512], controller[32];
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		return err_invalid(err, "value for %s is too long", file);
	snprintf(controller, sizeof(controller), "%.*s", (int)strcspn(file, "."), file);
	r = io_write_file(t->fd, file, text, err);
	if (r == -ENOENT) {
		cgroup_v2_enable(t, controller);
		r = io_write_file(t->fd, file, text, err);
	}
	if (r == -ENOENT)
		return err_unsupported(err, "limit %s=%s: controller \"%s\" is not available",
				       file, text, controller);
	return r;
}

/* Negative is "max". */
static const char *cgroup_v2_number(int64_t v, char text[CGROUP_NUMBER_MAX])
{
	if (v < 0)
		return "max";
	snprintf(text, CGROUP_NUMBER_MAX, "%" PRId64, v);
	return text;
}

static int cgroup_v2_limit_swap(struct cgroup_tree *t, const struct oci_memory *m,
				struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];
	int64_t swap = m->swap.v;

	if (!m->swap.set || swap == 0)
		return 0;
	if (swap > 0) {
		if (!m->limit.set || m->limit.v <= 0)
			return err_invalid(err, "memory.swap needs memory.limit");
		if (swap < m->limit.v)
			return err_invalid(err, "memory.swap is less than memory.limit");
		swap -= m->limit.v; /* v1 counts both together */
	}
	return cgroup_v2_set(t, "memory.swap.max", err, "%s", cgroup_v2_number(swap, text));
}

static int cgroup_v2_limit_memory(struct cgroup_tree *t, const struct oci_resources *res,
				  struct coffer_error *err)
{
	const struct oci_memory *m = res->memory;
	char text[CGROUP_NUMBER_MAX];
	int r = 0;

	if (!m)
		return 0;
	if (m->kernel.v > 0 || m->kernel_tcp.v > 0)
		return err_unsupported(err, "memory.kernel is not in cgroup v2");
	if (m->swappiness.set)
		return err_unsupported(err, "memory.swappiness is not in cgroup v2");
	if (m->disable_oom_killer.v)
		return err_unsupported(err, "memory.disableOOMKiller is not in cgroup v2");
	/* Swap first: lowering memory below the use so far may then swap out. */
	r = cgroup_v2_limit_swap(t, m, err);
	if (r == 0 && m->limit.set && m->limit.v != 0)
		r = cgroup_v2_set(t, "memory.max", err, "%s", cgroup_v2_number(m->limit.v, text));
	if (r == 0 && m->reservation.set && m->reservation.v != 0)
		r = cgroup_v2_set(t, "memory.low", err, "%s",
				  cgroup_v2_number(m->reservation.v, text));
	return r;
}

static int cgroup_v2_limit_quota(struct cgroup_tree *t, const struct oci_cpu *c,
				 struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];
	int64_t quota = c->quota.set && c->quota.v != 0 ? c->quota.v : -1;
	int r = 0;

	if (!c->quota.v && !c->period.v)
		return 0;
	if (c->period.v)
		r = cgroup_v2_set(t, "cpu.max", err, "%s %" PRIu64,
				  cgroup_v2_number(quota, text), c->period.v);
	else
		r = cgroup_v2_set(t, "cpu.max", err, "%s", cgroup_v2_number(quota, text));
	return r;
}

static int cgroup_v2_limit_cpu(struct cgroup_tree *t, const struct oci_resources *res,
			       struct coffer_error *err)
{
	const struct oci_cpu *c = res->cpu;
	int r = 0;

	if (!c)
		return 0;
	if (c->realtime_runtime.v || c->realtime_period.v)
		return err_unsupported(err, "cpu.realtimeRuntime is not in cgroup v2");
	if (c->shares.v)
		r = cgroup_v2_set(t, "cpu.weight", err, "%" PRIu64,
				  cgroup_v2_weight(c->shares.v));
	if (r == 0)
		r = cgroup_v2_limit_quota(t, c, err);
	if (r == 0 && c->burst.set)
		r = cgroup_v2_set(t, "cpu.max.burst", err, "%" PRIu64, c->burst.v);
	if (r == 0 && c->idle.set)
		r = cgroup_v2_set(t, "cpu.idle", err, "%" PRId64, c->idle.v);
	if (r == 0 && c->cpus)
		r = cgroup_v2_set(t, "cpuset.cpus", err, "%s", c->cpus);
	if (r == 0 && c->mems)
		r = cgroup_v2_set(t, "cpuset.mems", err, "%s", c->mems);
	return r;
}

static int cgroup_v2_limit_pids(struct cgroup_tree *t, const struct oci_resources *res,
				struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];

	if (!res->pids || res->pids->limit == 0)
		return 0;
	return cgroup_v2_set(t, "pids.max", err, "%s", cgroup_v2_number(res->pids->limit, text));
}

static int cgroup_v2_limit_throttle(struct cgroup_tree *t, const struct oci_throttle_list *list,
				    const char *key, struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX] = "max";
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++) {
		if (list->v[i].rate) /* 0 lifts the limit */
			snprintf(text, sizeof(text), "%" PRIu64, list->v[i].rate);
		r = cgroup_v2_set(t, "io.max", err, "%" PRId64 ":%" PRId64 " %s=%s",
				  list->v[i].major, list->v[i].minor, key, text);
	}
	return r;
}

static unsigned cgroup_v2_io_weight(unsigned weight)
{
	if (weight < 10)
		weight = 10;
	if (weight > 1000)
		weight = 1000;
	return 1 + (weight - 10) * 9999 / 990;
}

static int cgroup_v2_limit_io(struct cgroup_tree *t, const struct oci_resources *res,
			      struct coffer_error *err)
{
	const struct oci_block_io *b = res->block_io;
	int r = 0;

	if (!b)
		return 0;
	if (b->leaf_weight.v)
		return err_unsupported(err, "blockIO.leafWeight is not in cgroup v2");
	if (b->weight.v)
		r = cgroup_v2_set(t, "io.weight", err, "default %u",
				  cgroup_v2_io_weight(b->weight.v));
	for (size_t i = 0; r == 0 && i < b->weight_device.n; i++)
		r = cgroup_v2_set(t, "io.weight", err, "%" PRId64 ":%" PRId64 " %u",
				  b->weight_device.v[i].major, b->weight_device.v[i].minor,
				  cgroup_v2_io_weight(b->weight_device.v[i].weight.v));
	if (r == 0)
		r = cgroup_v2_limit_throttle(t, &b->throttle_read_bps_device, "rbps", err);
	if (r == 0)
		r = cgroup_v2_limit_throttle(t, &b->throttle_write_bps_device, "wbps", err);
	if (r == 0)
		r = cgroup_v2_limit_throttle(t, &b->throttle_read_iops_device, "riops", err);
	if (r == 0)
		r = cgroup_v2_limit_throttle(t, &b->throttle_write_iops_device, "wiops", err);
	return r;
}

static int cgroup_v2_limit_hugetlb(struct cgroup_tree *t, const struct oci_resources *res,
				   struct coffer_error *err)
{
	static const char *const kinds[] = { "max", "rsvd.max" };
	char file[64];
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->hugepage_limits.n; i++) {
		const struct oci_hugepage_limit *h = &res->hugepage_limits.v[i];

		if (!h->page_size || strlen(h->page_size) > 16 || strchr(h->page_size, '/'))
			return err_invalid(err, "hugepageLimits[%zu].pageSize", i);
		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(kinds); k++) {
			snprintf(file, sizeof(file), "hugetlb.%s.%s", h->page_size, kinds[k]);
			r = cgroup_v2_set(t, file, err, "%" PRIu64, h->limit);
		}
	}
	return r;
}

static int cgroup_v2_limit_rdma(struct cgroup_tree *t, const struct oci_resources *res,
				struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->rdma.n; i++) {
		const struct oci_rdma *d = &res->rdma.v[i];

		if (d->hca_handles.set)
			r = cgroup_v2_set(t, "rdma.max", err, "%s hca_handle=%u", d->device,
					  d->hca_handles.v);
		if (r == 0 && d->hca_objects.set)
			r = cgroup_v2_set(t, "rdma.max", err, "%s hca_object=%u", d->device,
					  d->hca_objects.v);
	}
	return r;
}

static int cgroup_v2_limit_network(struct cgroup_tree *t, const struct oci_resources *res,
				   struct coffer_error *err)
{
	if (res->network && (res->network->class_id.v || res->network->priorities.n))
		return err_unsupported(err, "network is not in cgroup v2");
	return 0;
}

/* A file of the group, and of a controller: the group's own switches are ours. */
static bool cgroup_v2_is_setting(const char *file)
{
	return file[0] != '.' && !strchr(file, '/') && strchr(file, '.') &&
	       strncmp(file, "cgroup.", 7) != 0;
}

static int cgroup_v2_limit_unified(struct cgroup_tree *t, const struct oci_resources *res,
				   struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->unified.n; i++) {
		const struct oci_pair *u = &res->unified.v[i];

		if (!cgroup_v2_is_setting(u->key))
			return err_invalid(err, "unified: %s is not a controller's file", u->key);
		r = cgroup_v2_set(t, u->key, err, "%s", u->value);
	}
	return r;
}

int cgroup_v2_limit(struct cgroup_tree *t, const struct oci_resources *res,
		    struct coffer_error *err)
{
	static int (*const parts[])(struct cgroup_tree *t, const struct oci_resources *res,
				    struct coffer_error *err) = {
		cgroup_v2_limit_memory,  cgroup_v2_limit_cpu,     cgroup_v2_limit_pids,
		cgroup_v2_limit_io,      cgroup_v2_limit_hugetlb, cgroup_v2_limit_rdma,
		cgroup_v2_limit_network, cgroup_v2_limit_unified,
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		r = parts[i](t, res, err);
		if (r < 0)
			return err_wrap(err, "linux.resources");
	}
	return 0;
}
