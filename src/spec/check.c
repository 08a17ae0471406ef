/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec/check.c - rules between members of one object, and ranges
 *
 * Called by the walker of validate.c for every object of the type that names
 * the function in its table; children have their own.  Single texts are
 * checked by rules.c.
 */
#include "spec/schema.h"

#include <inttypes.h>

#define CHECK_ID_END	(UINT64_C(1) << 32)
#define CHECK_ERRNO_MAX 0xffff /* SECCOMP_RET_DATA */
#define CHECK_MAJOR_MAX 0xfff
#define CHECK_MINOR_MAX 0xfffff
#define CHECK_WINSIZE	UINT16_MAX
#define CHECK_NSEC_MAX	999999999

/* check_range() - @v within [@min, @max] */
static int check_range(const struct spec_where *at, const char *member, int64_t v, int64_t min,
		       int64_t max, struct coffer_error *err)
{
	if (v >= min && v <= max)
		return 0;
	return spec_fail(at, member, err, "%" PRId64 " is not within %" PRId64 " to %" PRId64, v,
			 min, max);
}

/* ---- process ---- */

int spec_check_console(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_console_size *c = obj;
	int r = check_range(at, "height", c->height, 0, CHECK_WINSIZE, err);

	return r < 0 ? r : check_range(at, "width", c->width, 0, CHECK_WINSIZE, err);
}

/* check_id() - The last number is none: for the kernel it means "as it was" */
static int check_id(const struct spec_where *at, const char *member, uint32_t id,
		    struct coffer_error *err)
{
	if (id != UINT32_MAX)
		return 0;
	return spec_fail(at, member, err, "%" PRIu32 " is no id", id);
}

int spec_check_user(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	struct spec_where list = { .up = at, .name = "additionalGids" }, here = { .up = &list };
	const struct oci_user *u = obj;

	if (u->umask.set && u->umask.v > 0777)
		return spec_fail(at, "umask", err, "%" PRIo32 " is more than 777 (octal)",
				 u->umask.v);
	if (check_id(at, "uid", u->uid, err) < 0 || check_id(at, "gid", u->gid, err) < 0)
		return -EINVAL;
	for (; here.index < u->additional_gids.n; here.index++)
		if (check_id(&here, NULL, u->additional_gids.v[here.index], err) < 0)
			return -EINVAL;
	return 0;
}

int spec_check_rlimit(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_rlimit *l = obj;

	if (l->soft > l->hard)
		return spec_fail(at, "soft", err,
				 "%" PRIu64 " is more than the hard limit %" PRIu64, l->soft,
				 l->hard);
	return 0;
}

int spec_check_scheduler(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_scheduler *s = obj;

	return check_range(at, "nice", s->nice, -20, 19, err);
}

int spec_check_ioprio(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_io_priority *p = obj;

	return check_range(at, "priority", p->priority, 0, 7, err);
}

/* check_rlimits_once() - No limit is given twice */
static int check_rlimits_once(const struct spec_where *at, const struct oci_process *p,
			      struct coffer_error *err)
{
	struct spec_where list = { .up = at, .name = "rlimits" }, here = { .up = &list };
	size_t i;

	/* There are 16 kinds, so the first repetition comes early. */
	for (; here.index < p->rlimits.n; here.index++)
		for (i = 0; i < here.index; i++)
			if (strcmp(p->rlimits.v[i].type, p->rlimits.v[here.index].type) == 0)
				return spec_fail(&here, "type", err, "%s is repeated",
						 p->rlimits.v[i].type);
	return 0;
}

int spec_check_process(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_process *p = obj;

	if (p->cwd == NULL)
		return spec_fail(at, "cwd", err, "missing");
	if (p->args.n == 0)
		return spec_fail(at, "args", err, "must not be empty");
	if (p->oom_score_adj.set &&
	    check_range(at, "oomScoreAdj", p->oom_score_adj.v, -1000, 1000, err) < 0)
		return -EINVAL;
	return check_rlimits_once(at, p, err);
}

/* ---- mounts, hooks ---- */

int spec_check_mapping(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_id_mapping *m = obj;

	if (m->size == 0)
		return spec_fail(at, "size", err, "must not be 0");
	if ((uint64_t)m->container_id + m->size > CHECK_ID_END ||
	    (uint64_t)m->host_id + m->size > CHECK_ID_END)
		return spec_fail(at, "size", err, "%" PRIu32 " ids do not fit above the first one",
				 m->size);
	return 0;
}

/* check_mappings_both() - uid and gid mappings come together */
static int check_mappings_both(const struct spec_where *at, size_t uids, size_t gids,
			       struct coffer_error *err)
{
	if ((uids > 0) == (gids > 0))
		return 0;
	return spec_fail(at, uids > 0 ? "gidMappings" : "uidMappings", err, "missing beside %s",
			 uids > 0 ? "uidMappings" : "gidMappings");
}

int spec_check_mount(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_mount *m = obj;

	return check_mappings_both(at, m->uid_mappings.n, m->gid_mappings.n, err);
}

int spec_check_hook(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_hook *h = obj;

	if (h->timeout.set && h->timeout.v <= 0)
		return spec_fail(at, "timeout", err, "%" PRId32 " is not positive", h->timeout.v);
	return 0;
}

/* ---- linux ---- */

int spec_check_memory(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_memory *m = obj;

	if (m->swappiness.set && m->swappiness.v > 100)
		return spec_fail(at, "swappiness", err, "%" PRIu64 " is not within 0 to 100",
				 m->swappiness.v);
	return 0;
}

int spec_check_device(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_device *d = obj;
	int r;

	if (strcmp(d->type, "p") == 0)
		return 0;
	r = check_range(at, "major", d->major, 0, CHECK_MAJOR_MAX, err);
	return r < 0 ? r : check_range(at, "minor", d->minor, 0, CHECK_MINOR_MAX, err);
}

int spec_check_time(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_time_offset *t = obj;

	return check_range(at, "nanosecs", t->nanosecs, 0, CHECK_NSEC_MAX, err);
}

/* check_errno() - A return value fits the filter's 16 bits */
static int check_errno(const struct spec_where *at, const char *member,
		       const struct oci_opt_u32 *ret, struct coffer_error *err)
{
	return ret->set ? check_range(at, member, ret->v, 0, CHECK_ERRNO_MAX, err) : 0;
}

int spec_check_seccomp(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_seccomp *s = obj;

	if (s->listener_metadata != NULL && s->listener_path == NULL)
		return spec_fail(at, "listenerMetadata", err, "set without listenerPath");
	return check_errno(at, "defaultErrnoRet", &s->default_errno_ret, err);
}

int spec_check_syscall(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_seccomp_rule *s = obj;

	return check_errno(at, "errnoRet", &s->errno_ret, err);
}

int spec_check_arg(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_seccomp_arg *a = obj;

	return check_range(at, "index", a->index, 0, 5, err);
}

/* check_namespaces_once() - No type is given twice */
static int check_namespaces_once(const struct spec_where *at, const struct oci_linux *l,
				 struct coffer_error *err)
{
	struct spec_where list = { .up = at, .name = "namespaces" }, here = { .up = &list };
	size_t i;

	for (; here.index < l->namespaces.n; here.index++)
		for (i = 0; i < here.index; i++)
			if (strcmp(l->namespaces.v[i].type, l->namespaces.v[here.index].type) == 0)
				return spec_fail(&here, "type", err, "%s is repeated",
						 l->namespaces.v[i].type);
	return 0;
}

static const struct oci_namespace *check_namespace(const struct oci_linux *l, const char *type)
{
	size_t i;

	for (i = 0; l != NULL && i < l->namespaces.n; i++)
		if (strcmp(l->namespaces.v[i].type, type) == 0)
			return &l->namespaces.v[i];
	return NULL;
}

int spec_check_linux(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_linux *l = obj;
	const struct oci_namespace *user = check_namespace(l, "user");
	int r = check_namespaces_once(at, l, err);

	if (r == 0)
		r = check_mappings_both(at, l->uid_mappings.n, l->gid_mappings.n, err);
	if (r < 0)
		return r;
	if (l->uid_mappings.n > 0 && user == NULL)
		return spec_fail(at, "uidMappings", err, "set without a user namespace");
	if (l->uid_mappings.n == 0 && user != NULL && user->path == NULL)
		return spec_fail(at, "uidMappings", err, "missing for a new user namespace");
	if (l->time_offsets.n > 0 && check_namespace(l, "time") == NULL)
		return spec_fail(at, "timeOffsets", err, "set without a time namespace");
	return 0;
}

/* ---- the document ---- */

int spec_check_spec(const struct spec_where *at, const void *obj, struct coffer_error *err)
{
	const struct oci_spec *s = obj;
	bool uts = check_namespace(s->linux_, "uts") != NULL;

	if (s->oci_version == NULL)
		return spec_fail(at, "ociVersion", err, "missing");
	if (s->process == NULL)
		return spec_fail(at, "process", err, "missing");
	if (s->root == NULL || s->root->path == NULL)
		return spec_fail(at, "root.path", err, "missing");
	if (s->hostname != NULL && !uts)
		return spec_fail(at, "hostname", err, "set without a uts namespace");
	if (s->domainname != NULL && !uts)
		return spec_fail(at, "domainname", err, "set without a uts namespace");
	return 0;
}
