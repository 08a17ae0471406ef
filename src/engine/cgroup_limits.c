/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_limits.c - linux.resources to the groups: who limits what
 *
 * A controller is in one hierarchy only.  Where v1 has it, the v1 function
 * writes, else the v2 one; with neither, the v1 function is called without a
 * group and fails as soon as it is to write something.  So a limit that the
 * host does not have is an error with its name, and nothing is dropped in
 * silence.  Rootless, what is not ours to limit is told in one warning.
 *
 * Callers: cgroup.c.
 */
#define LOG_CATEGORY "engine"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "engine/cgroup_internal.h"

#define CGROUP_VALUE_MAX 4096

/* In crun's words, which programs look for. */
static int cgroup_not_available(const char *file, const char *value, struct coffer_error *err)
{
	return err_unsupported(err,
			       "limit %s=%s: the requested cgroup controller `%.*s` is not "
			       "available: no such file or directory",
			       file, value, (int)strcspn(file, "."), file);
}

int cgroup_set(struct cgroup_tree *t, const char *file, struct coffer_error *err, const char *fmt,
	       ...)
{
	int fd, n, r = -ENOENT;
	char text[CGROUP_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		return err_invalid(err, "value for %s is too long", file);
	if (!t)
		return cgroup_not_available(file, text, err);
	fd = cgroup_tree_fd(t);
	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	r = io_write_file(fd, file, text, err);
	if (r == -ENOENT && cgroup_tree_is_v2(t)) {
		cgroup_v2_enable(t, file);
		r = io_write_file(fd, file, text, err);
	}
	if (r != -ENOENT)
		return r;
	if (cgroup_tree_is_v2(t))
		return cgroup_not_available(file, text, err);
	return err_unsupported(err, "limit %s=%s: this kernel does not have it", file, text);
}

int cgroup_get(struct cgroup_tree *t, const char *file, uint64_t *value)
{
	autofree char *text = NULL;
	int fd = t ? cgroup_tree_fd(t) : -ENOENT;
	int r = fd < 0 ? fd : io_read_file(fd, file, CGROUP_FILE_MAX, &text, NULL, NULL);
	char *end;

	if (r < 0)
		return r;
	if (strncmp(text, "max", 3) == 0) {
		*value = UINT64_MAX;
		return 0;
	}
	errno = 0;
	*value = strtoull(text, &end, 10);
	return end == text || errno ? -EBADMSG : 0;
}

static int cgroup_check_page_size(const char *page_size, struct coffer_error *err)
{
	if (!page_size || strlen(page_size) > 15 || strpbrk(page_size, "/.%"))
		return err_invalid(err, "hugepageLimits: page size %s",
				   page_size ? page_size : "is missing");
	return 0;
}

/* A file of the group, and of a controller: the group's own switches are ours. */
static bool cgroup_is_setting(const char *file)
{
	return file[0] != '.' && !strchr(file, '/') && strchr(file, '.') &&
	       strncmp(file, "cgroup.", 7) != 0;
}

static int cgroup_limit_unified(struct cgroup_tree *t, const struct oci_resources *res,
				struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->unified.n; i++) {
		const struct oci_pair *u = &res->unified.v[i];

		if (!cgroup_is_setting(u->key))
			return err_invalid(err,
					   "unified: %s: the specified key has not the form "
					   "CONTROLLER.VALUE `%s`",
					   u->key, u->key);
		r = cgroup_set(t, u->key, err, "%s", u->value);
		/* As with v1, where another hierarchy may have it. */
		if (r == -EOPNOTSUPP)
			err_wrap(err, "unified: invalid configuration");
	}
	return r;
}

/* ---- the same on v1 and v2 ---- */

static int cgroup_limit_cpuset(struct cgroup_tree *t, const struct oci_resources *res,
			       struct coffer_error *err)
{
	const struct oci_cpu *c = res->cpu;
	int r = 0;

	if (c && c->cpus && c->cpus[0])
		r = cgroup_set(t, "cpuset.cpus", err, "%s", c->cpus);
	if (r == 0 && c && c->mems && c->mems[0])
		r = cgroup_set(t, "cpuset.mems", err, "%s", c->mems);
	return r;
}

static int cgroup_limit_pids(struct cgroup_tree *t, const struct oci_resources *res,
			     struct coffer_error *err)
{
	if (!res->pids || res->pids->limit == 0)
		return 0;
	if (res->pids->limit < 0)
		return cgroup_set(t, "pids.max", err, "max");
	return cgroup_set(t, "pids.max", err, "%" PRId64, res->pids->limit);
}

static int cgroup_limit_rdma(struct cgroup_tree *t, const struct oci_resources *res,
			     struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->rdma.n; i++) {
		const struct oci_rdma *d = &res->rdma.v[i];

		if (d->hca_handles.set)
			r = cgroup_set(t, "rdma.max", err, "%s hca_handle=%u", d->device,
				       d->hca_handles.v);
		if (r == 0 && d->hca_objects.set)
			r = cgroup_set(t, "rdma.max", err, "%s hca_object=%u", d->device,
				       d->hca_objects.v);
	}
	return r;
}

static int cgroup_limit_hugetlb(struct cgroup_tree *t, const struct oci_resources *res,
				struct coffer_error *err)
{
	const char *word = t && cgroup_tree_is_v2(t) ? "max" : "limit_in_bytes";
	char file[64];
	int r = 0;

	for (size_t i = 0; r == 0 && i < res->hugepage_limits.n; i++) {
		const struct oci_hugepage_limit *h = &res->hugepage_limits.v[i];

		r = cgroup_check_page_size(h->page_size, err);
		if (r < 0)
			return r;
		snprintf(file, sizeof(file), "hugetlb.%s.%s", h->page_size, word);
		r = cgroup_set(t, file, err, "%" PRIu64, h->limit);
		if (r < 0)
			return r;
		/* Reservations have been counted apart since Linux 5.7 only. */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", h->page_size, word);
		r = cgroup_set(t, file, err, "%" PRIu64, h->limit);
		if (r == -EOPNOTSUPP)
			r = 0;
	}
	return r;
}

/* ---- all of them ---- */

static const struct cgroup_part {
	enum cgroup_controller controller;
	cgroup_limiter *v1, *v2;
} cgroup_parts[] = {
	{ CGROUP_MEMORY, cgroup_v1_limit_memory, cgroup_v2_limit_memory },
	{ CGROUP_CPU, cgroup_v1_limit_cpu, cgroup_v2_limit_cpu },
	{ CGROUP_CPUSET, cgroup_limit_cpuset, cgroup_limit_cpuset },
	{ CGROUP_PIDS, cgroup_limit_pids, cgroup_limit_pids },
	{ CGROUP_BLKIO, cgroup_v1_limit_blkio, cgroup_v2_limit_io },
	{ CGROUP_HUGETLB, cgroup_limit_hugetlb, cgroup_limit_hugetlb },
	{ CGROUP_RDMA, cgroup_limit_rdma, cgroup_limit_rdma },
	{ CGROUP_NET_CLS, cgroup_v1_limit_net_cls, NULL },
	{ CGROUP_NET_PRIO, cgroup_v1_limit_net_prio, NULL },
};

/* Rootless. Return: 0 when @r only says that it is not ours to limit */
static int cgroup_excuse(struct cgroup *cg, int r, struct coffer_error *err)
{
	if (!cg->rootless || (r != -EOPNOTSUPP && r != -EACCES && r != -EPERM && r != -EROFS))
		return r;
	if (!cg->warned)
		log_warning("resource limits are left out, control groups are not ours to use: %s",
			    err ? err->message : "");
	cg->warned = true;
	err_clear(err);
	return 0;
}

int cgroup_limit(struct cgroup *cg, const struct oci_resources *res, struct coffer_error *err)
{
	struct cgroup_tree *v2 = cgroup_unified(cg), *t;
	struct coffer_error mine = COFFER_ERROR_INIT;
	int r = 0;

	if (!res)
		return 0;
	/* The warning wants the text, whatever the caller does with it. */
	err = err ? err : &mine;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(cgroup_parts); i++) {
		const struct cgroup_part *part = &cgroup_parts[i];

		t = cgroup_find(cg, part->controller);
		r = !t && v2 && part->v2 ? part->v2(v2, res, err) : part->v1(t, res, err);
		r = cgroup_excuse(cg, r, err);
	}
	if (r == 0)
		r = cgroup_excuse(cg, cgroup_limit_unified(v2, res, err), err);
	if (r < 0)
		return err_wrap(err, "linux.resources");
	err_clear(err); /* of attempts that had a second one */
	return 0;
}

int cgroup_limit_devices(const struct cgroup *cg, const struct oci_resources *res,
			 struct coffer_error *err)
{
	struct cgroup_tree *v1 = cgroup_find(cg, CGROUP_DEVICES), *v2 = cgroup_unified(cg);
	int r;

	/* Rootless nobody can limit them, nor needs to: no device node is within reach. */
	if (!res || res->devices.n == 0 || cg->rootless)
		return 0;
	r = v1	 ? cgroup_v1_limit_devices(v1, res, err)
	    : v2 ? cgroup_v2_limit_devices(v2, res, err)
		 : err_unsupported(err, "controller \"devices\" is not available");
	return r < 0 ? err_wrap(err, "linux.resources.devices") : 0;
}
