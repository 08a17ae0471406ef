/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2_limits.c - linux.resources to the files of a v2 group
 *
 * The document speaks cgroup v1; the conversions are those that runc and crun
 * have made customary.  A field that v2 does not know is an error with its
 * name.  Controllers are switched on by cgroup_set() for the limits that need
 * them; all of them only for a program that has named the group, to read what
 * the container uses.
 *
 * Callers: cgroup_limits.c.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

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
 * In each group above the last one.  Only for what needs it: switching a
 * controller on waits for RCU, 15 ms under emulation for the usual set.
 */
static void cgroup_v2_enable_word(const struct cgroup_tree *t, const char *word)
{
	char path[PATH_MAX + 32];
	size_t len = t->root_len;

	/* Refused or missing: the limit's own file will tell. */
	while (t->dir[len]) {
		snprintf(path, sizeof(path), "%.*s/cgroup.subtree_control", (int)len, t->dir);
		io_write_file(AT_FDCWD, path, word, NULL);
		len += strspn(t->dir + len, "/");
		len += strcspn(t->dir + len, "/");
	}
}

void cgroup_v2_enable(const struct cgroup_tree *t, const char *file)
{
	char word[64];

	snprintf(word, sizeof(word), "+%.*s", (int)strcspn(file, "."), file);
	cgroup_v2_enable_word(t, word);
}

/* One by one, for the kernel refuses all when it refuses one. */
void cgroup_v2_enable_all(struct cgroup_tree *t)
{
	autofree char *all = NULL, *ours = NULL;
	char path[PATH_MAX + 32], word[64], *save = NULL;

	snprintf(path, sizeof(path), "%.*s/cgroup.controllers", (int)t->root_len, t->dir);
	if (io_read_file(AT_FDCWD, path, CGROUP_FILE_MAX, &all, NULL, NULL) < 0 ||
	    io_read_file(cgroup_tree_fd(t), "cgroup.controllers", CGROUP_FILE_MAX, &ours, NULL,
			 NULL) < 0 || strcmp(all, ours) == 0)
		return;
	for (char *c = strtok_r(all, " \n", &save); c; c = strtok_r(NULL, " \n", &save)) {
		snprintf(word, sizeof(word), "+%s", c);
		cgroup_v2_enable_word(t, word);
	}
}

/* Negative is "max". */
static const char *cgroup_v2_number(int64_t v, char text[CGROUP_NUMBER_MAX])
{
	if (v < 0)
		return "max";
	snprintf(text, CGROUP_NUMBER_MAX, "%" PRId64, v);
	return text;
}

/* ---- memory ---- */

/* v1 counts memory and swap together. Return: 0, 1 when there is nothing to set, -errno */
static int cgroup_v2_convert_swap(struct cgroup_tree *t, const struct oci_memory *m, int64_t *swap,
				  struct coffer_error *err)
{
	int64_t limit = m->limit.v;
	uint64_t now;

	*swap = m->swap.v;
	if (*swap == 0 && limit < 0)
		*swap = -1; /* no limit on memory is none on swap either */
	if (*swap == 0)
		return 1;
	if (*swap < 0)
		return 0;
	/* An update of swap alone refers to the limit that is there. */
	if (limit == 0 && cgroup_get(t, "memory.max", &now) == 0 && now <= INT64_MAX)
		limit = (int64_t)now;
	if (limit <= 0)
		return err_invalid(err, "memory.swap needs memory.limit");
	if (*swap < limit)
		return err_invalid(err, "memory.swap is less than memory.limit");
	*swap -= limit;
	return 0;
}

static int cgroup_v2_limit_swap(struct cgroup_tree *t, const struct oci_memory *m,
				struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];
	uint64_t now;
	int64_t swap;
	int r = cgroup_v2_convert_swap(t, m, &swap, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = cgroup_set(t, "memory.swap.max", err, "%s", cgroup_v2_number(swap, text));
	/* A kernel that does not count swap: no limit is what there is, no swap at all is too. */
	return r == -EOPNOTSUPP && swap <= 0 && cgroup_get(t, "memory.max", &now) == 0 ? 0 : r;
}

/* Below what is in use the kernel would kill; the document may ask us to refuse instead. */
static int cgroup_v2_check_usage(struct cgroup_tree *t, const struct oci_memory *m,
				 struct coffer_error *err)
{
	uint64_t usage;

	if (!m->check_before_update.v || m->limit.v <= 0 ||
	    cgroup_get(t, "memory.current", &usage) < 0 || usage <= (uint64_t)m->limit.v)
		return 0;
	return err_sysn(err, EBUSY, "limit memory to %" PRId64 ": in use are %" PRIu64, m->limit.v,
			usage);
}

int cgroup_v2_limit_memory(struct cgroup_tree *t, const struct oci_resources *res,
			   struct coffer_error *err)
{
	const struct oci_memory *m = res->memory;
	char text[CGROUP_NUMBER_MAX];
	int r;

	if (!m)
		return 0;
	if (m->kernel.v > 0 || m->kernel_tcp.v > 0)
		return err_unsupported(err, "memory.kernel is not in cgroup v2");
	if (m->swappiness.set)
		return err_unsupported(err, "memory.swappiness is not in cgroup v2");
	if (m->disable_oom_killer.v)
		return err_unsupported(err, "memory.disableOOMKiller is not in cgroup v2");
	r = cgroup_v2_check_usage(t, m, err);
	/* Swap first: lowering memory below the use so far may then swap out. */
	if (r == 0)
		r = cgroup_v2_limit_swap(t, m, err);
	if (r == 0 && m->limit.v)
		r = cgroup_set(t, "memory.max", err, "%s", cgroup_v2_number(m->limit.v, text));
	if (r == 0 && m->reservation.v)
		r = cgroup_set(t, "memory.low", err, "%s",
			       cgroup_v2_number(m->reservation.v, text));
	return r;
}

/* ---- cpu ---- */

static int cgroup_v2_set_max(struct cgroup_tree *t, const struct oci_cpu *c,
			     struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];
	uint64_t now = UINT64_MAX;

	if (!c->period.v)
		return cgroup_set(t, "cpu.max", err, "%s", cgroup_v2_number(c->quota.v, text));
	/* A period alone leaves the quota as it is. */
	if (c->quota.v || cgroup_get(t, "cpu.max", &now) < 0 || now > INT64_MAX)
		now = (uint64_t)(c->quota.v ? c->quota.v : -1);
	return cgroup_set(t, "cpu.max", err, "%s %" PRIu64, cgroup_v2_number((int64_t)now, text),
			  c->period.v);
}

static int cgroup_v2_limit_quota(struct cgroup_tree *t, const struct oci_cpu *c,
				 struct coffer_error *err)
{
	bool burst = c->burst.set, quota = c->quota.v || c->period.v;
	int r = 0;

	/* A burst may not pass the quota, neither the old one nor the new. */
	if (burst) {
		r = cgroup_set(t, "cpu.max.burst", err, "%" PRIu64, c->burst.v);
		burst = r == -EINVAL && quota;
	}
	if (quota && (r == 0 || burst))
		r = cgroup_v2_set_max(t, c, err);
	if (r == 0 && burst)
		r = cgroup_set(t, "cpu.max.burst", err, "%" PRIu64, c->burst.v);
	return r;
}

int cgroup_v2_limit_cpu(struct cgroup_tree *t, const struct oci_resources *res,
			struct coffer_error *err)
{
	const struct oci_cpu *c = res->cpu;
	int r = 0;

	if (!c)
		return 0;
	if (c->realtime_runtime.v || c->realtime_period.v)
		return err_unsupported(err, "cpu.realtimeRuntime is not in cgroup v2");
	/* A group that idles takes no weight. */
	if (c->idle.set && !c->idle.v)
		r = cgroup_set(t, "cpu.idle", err, "0");
	if (r == 0 && c->shares.v)
		r = cgroup_set(t, "cpu.weight", err, "%" PRIu64, cgroup_v2_weight(c->shares.v));
	if (r == 0)
		r = cgroup_v2_limit_quota(t, c, err);
	if (r == 0 && c->idle.v)
		r = cgroup_set(t, "cpu.idle", err, "%" PRId64, c->idle.v);
	return r;
}

/* ---- io ---- */

static unsigned cgroup_v2_io_weight(unsigned weight)
{
	if (weight < 10)
		weight = 10;
	if (weight > 1000)
		weight = 1000;
	return 1 + (weight - 10) * 9999 / 990;
}

/* BFQ counts as v1 did; without it io.weight counts from 1 to 10000. @device: "8:0 " or "" */
static int cgroup_v2_set_weight(struct cgroup_tree *t, const char *device, unsigned weight,
				struct coffer_error *err)
{
	int r = cgroup_set(t, "io.bfq.weight", err, "%s%u", device, weight);

	if (r != -EOPNOTSUPP)
		return r;
	return cgroup_set(t, "io.weight", err, "%s%u", device[0] ? device : "default ",
			  cgroup_v2_io_weight(weight));
}

static int cgroup_v2_limit_weights(struct cgroup_tree *t, const struct oci_block_io *b,
				   struct coffer_error *err)
{
	char device[64];
	int r = 0;

	if (b->weight.v)
		r = cgroup_v2_set_weight(t, "", b->weight.v, err);
	for (size_t i = 0; r == 0 && i < b->weight_device.n; i++) {
		const struct oci_weight_device *d = &b->weight_device.v[i];

		if (d->leaf_weight.v)
			return err_unsupported(err, "blockIO.leafWeight is not in cgroup v2");
		snprintf(device, sizeof(device), "%" PRId64 ":%" PRId64 " ", d->major, d->minor);
		if (d->weight.v)
			r = cgroup_v2_set_weight(t, device, d->weight.v, err);
	}
	return r;
}

static int cgroup_v2_limit_throttle(struct cgroup_tree *t, const struct oci_throttle_list *list,
				    const char *key, struct coffer_error *err)
{
	char text[CGROUP_NUMBER_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->n; i++) {
		const struct oci_throttle_device *d = &list->v[i];

		/* 0 lifts the limit. */
		snprintf(text, sizeof(text), "%" PRIu64, d->rate);
		r = cgroup_set(t, "io.max", err, "%" PRId64 ":%" PRId64 " %s=%s", d->major,
			       d->minor, key, d->rate ? text : "max");
	}
	return r;
}

int cgroup_v2_limit_io(struct cgroup_tree *t, const struct oci_resources *res,
		       struct coffer_error *err)
{
	const struct oci_block_io *b = res->block_io;
	int r;

	if (!b)
		return 0;
	if (b->leaf_weight.v)
		return err_unsupported(err, "blockIO.leafWeight is not in cgroup v2");
	r = cgroup_v2_limit_weights(t, b, err);
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
