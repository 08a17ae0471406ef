/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_systemd_props.c - limits and annotations to a unit's properties
 *
 * The limits themselves are written to the group's files by the same code as
 * without systemd.  But systemd writes these files too, with what it knows,
 * whenever it looks at the unit again (a reload, a changed property), so it is
 * told everything it has a word for.  What it has none for it leaves alone.
 *
 * Callers: cgroup_systemd.c.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cgroup_internal.h"
#include "engine/cgroup_systemd.h"

#define SYSTEMD_PERIOD	100000 /* microseconds, the kernel's default */
#define SYSTEMD_CPU_MAX 8192   /* in a list of processors */

/* ---- the list ---- */

void systemd_props_free(struct systemd_props *props)
{
	for (size_t i = 0; i < props->n; i++) {
		for (char **s = props->v[i].strv; s && *s; s++)
			free(*s);
		free(props->v[i].strv);
		free(props->v[i].bytes);
	}
	free(props->v);
	*props = (struct systemd_props){ 0 };
}

struct systemd_prop *systemd_props_add(struct systemd_props *props, const char *name,
				       const char *sig)
{
	struct systemd_prop *v = reallocarray(props->v, props->n + 1, sizeof(*v));

	if (!v)
		return NULL;
	props->v = v;
	v = &props->v[props->n++];
	*v = (struct systemd_prop){ .sig = sig };
	snprintf(v->name, sizeof(v->name), "%s", name);
	return v;
}

int systemd_props_add_number(struct systemd_props *props, const char *name, const char *sig,
			     uint64_t n, struct coffer_error *err)
{
	struct systemd_prop *p = systemd_props_add(props, name, sig);

	if (!p)
		return err_nomem(err);
	p->n = n;
	return 0;
}

int systemd_props_add_strings(struct systemd_props *props, const char *name, const char *sig,
			      const char *const *values, struct coffer_error *err)
{
	struct systemd_prop *p = systemd_props_add(props, name, sig);
	size_t n = 0;

	while (values[n])
		n++;
	if (p)
		p->strv = calloc(n + 1, sizeof(*p->strv));
	if (!p || !p->strv)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		p->strv[i] = strdup(values[i]);
		if (!p->strv[i])
			return err_nomem(err);
	}
	return 0;
}

/* ---- limits ---- */

/* Negative is unlimited, as UINT64_MAX is to systemd. */
static int systemd_add_bytes(struct systemd_props *props, const char *name, int64_t v,
			     struct coffer_error *err)
{
	return systemd_props_add_number(props, name, "t", v < 0 ? UINT64_MAX : (uint64_t)v, err);
}

static int systemd_props_memory(const struct oci_memory *m, bool v2, struct systemd_props *props,
				struct coffer_error *err)
{
	int r = 0;

	if (m->limit.set)
		r = systemd_add_bytes(props, v2 ? "MemoryMax" : "MemoryLimit", m->limit.v, err);
	if (r == 0 && v2 && m->reservation.set)
		r = systemd_add_bytes(props, "MemoryLow", m->reservation.v, err);
	if (r == 0 && v2 && m->swap.set && m->swap.v < 0)
		return systemd_add_bytes(props, "MemorySwapMax", -1, err);
	/* The document's figure holds memory too. */
	if (r == 0 && v2 && m->swap.set && m->limit.set && m->limit.v >= 0 &&
	    m->swap.v >= m->limit.v)
		return systemd_add_bytes(props, "MemorySwapMax", m->swap.v - m->limit.v, err);
	return r;
}

/* Microseconds a second, in whole percents: systemd keeps no finer ones, so round up. */
static uint64_t systemd_quota(int64_t quota, uint64_t period)
{
	uint64_t per_sec;

	if (quota <= 0)
		return UINT64_MAX;
	if (period == 0)
		period = SYSTEMD_PERIOD;
	if ((uint64_t)quota > UINT64_MAX / USEC_PER_SEC)
		return UINT64_MAX;
	per_sec = (uint64_t)quota * USEC_PER_SEC / period;
	return per_sec > UINT64_MAX - 9999 ? UINT64_MAX : (per_sec + 9999) / 10000 * 10000;
}

static int systemd_props_quota(int64_t quota, uint64_t period, struct systemd_props *props,
			       struct coffer_error *err)
{
	int r = 0;

	if (period)
		r = systemd_props_add_number(props, "CPUQuotaPeriodUSec", "t", period, err);
	if (r == 0 && (quota || period))
		r = systemd_props_add_number(props, "CPUQuotaPerSecUSec", "t",
					     systemd_quota(quota, period), err);
	return r;
}

/* "0-3,7" to bits, the first processor in the lowest. */
static int systemd_props_set(struct systemd_props *props, const char *name, const char *list,
			     struct coffer_error *err)
{
	struct systemd_prop *p;
	const char *at = list;
	char *end;

	p = systemd_props_add(props, name, "ay");
	if (p)
		p->bytes = calloc(1, SYSTEMD_CPU_MAX / CHAR_BIT);
	if (!p || !p->bytes)
		return err_nomem(err);
	while (*at) {
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (*end == '-' && end != at)
			last = strtoul((at = end + 1), &end, 10);
		if (end == at || first > last || last >= SYSTEMD_CPU_MAX ||
		    (*end && *end != ',' && *end != '\n' && *end != ' '))
			return err_invalid(err, "linux.resources.cpu: %s is no list of numbers",
					   list);
		for (; first <= last; first++)
			p->bytes[first / CHAR_BIT] |= (uint8_t)(1U << first % CHAR_BIT);
		if (p->nbytes < last / CHAR_BIT + 1)
			p->nbytes = last / CHAR_BIT + 1;
		at = end + strspn(end, ", \n");
	}
	return 0;
}

static int systemd_props_cpu(const struct oci_cpu *c, bool v2, struct systemd_props *props,
			     struct coffer_error *err)
{
	int r = 0;

	if (c->shares.set && c->shares.v && v2)
		r = systemd_props_add_number(props, "CPUWeight", "t", cgroup_v2_weight(c->shares.v),
					     err);
	else if (c->shares.set && c->shares.v)
		r = systemd_props_add_number(props, "CPUShares", "t", c->shares.v, err);
	if (r == 0)
		r = systemd_props_quota(c->quota.set ? c->quota.v : 0,
					c->period.set ? c->period.v : 0, props, err);
	if (r == 0 && v2 && c->cpus && c->cpus[0])
		r = systemd_props_set(props, "AllowedCPUs", c->cpus, err);
	if (r == 0 && v2 && c->mems && c->mems[0])
		r = systemd_props_set(props, "AllowedMemoryNodes", c->mems, err);
	return r;
}

/* "max" or a number, as in a file of v2. */
static int systemd_props_unified_number(const struct oci_pair *pair, const char *name,
					struct systemd_props *props, struct coffer_error *err)
{
	bool max = strncmp(pair->value, "max", 3) == 0;
	char *end;
	uint64_t n = max ? UINT64_MAX : strtoull(pair->value, &end, 10);

	if (!max && (end == pair->value || pair->value[0] == '-'))
		return err_invalid(err, "linux.resources.unified: %s: %s is no number", pair->key,
				   pair->value);
	return systemd_props_add_number(props, name, "t", n, err);
}

static int systemd_props_unified_quota(const struct oci_pair *pair, const char *name,
				       struct systemd_props *props, struct coffer_error *err)
{
	bool max = strncmp(pair->value, "max", 3) == 0;
	char *end = pair->value + 3;
	int64_t quota = max ? -1 : strtoll(pair->value, &end, 10);

	return systemd_props_quota(quota, strtoull(end, NULL, 10), props, err);
}

static int systemd_props_unified_set(const struct oci_pair *pair, const char *name,
				     struct systemd_props *props, struct coffer_error *err)
{
	return systemd_props_set(props, name, pair->value, err);
}

static const struct {
	const char *file, *name;
	int (*add)(const struct oci_pair *pair, const char *name, struct systemd_props *props,
		   struct coffer_error *err);
} systemd_unified[] = {
	{ "cpu.max", NULL, systemd_props_unified_quota },
	{ "cpu.weight", "CPUWeight", systemd_props_unified_number },
	{ "cpuset.cpus", "AllowedCPUs", systemd_props_unified_set },
	{ "cpuset.mems", "AllowedMemoryNodes", systemd_props_unified_set },
	{ "memory.high", "MemoryHigh", systemd_props_unified_number },
	{ "memory.low", "MemoryLow", systemd_props_unified_number },
	{ "memory.max", "MemoryMax", systemd_props_unified_number },
	{ "memory.min", "MemoryMin", systemd_props_unified_number },
	{ "memory.swap.max", "MemorySwapMax", systemd_props_unified_number },
	{ "pids.max", "TasksMax", systemd_props_unified_number },
};

static int systemd_props_unified(const struct oci_pairs *unified, struct systemd_props *props,
				 struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < unified->n; i++) {
		const struct oci_pair *pair = &unified->v[i];

		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(systemd_unified); k++)
			if (strcmp(pair->key, systemd_unified[k].file) == 0)
				r = systemd_unified[k].add(pair, systemd_unified[k].name, props,
							   err);
	}
	return r;
}

int systemd_props_limits(const struct oci_resources *res, bool v2, struct systemd_props *props,
			 struct coffer_error *err)
{
	int r = 0;

	if (!res)
		return 0;
	if (res->memory)
		r = systemd_props_memory(res->memory, v2, props, err);
	if (r == 0 && res->cpu)
		r = systemd_props_cpu(res->cpu, v2, props, err);
	if (r == 0 && res->pids && res->pids->limit != 0)
		r = systemd_add_bytes(props, "TasksMax", res->pids->limit, err);
	if (r == 0 && !v2 && res->block_io && res->block_io->weight.set)
		r = systemd_props_add_number(props, "BlockIOWeight", "t", res->block_io->weight.v,
					     err);
	return r == 0 && v2 ? systemd_props_unified(&res->unified, props, err) : r;
}
