/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/cred.c - who a task is
 *
 * A struct cred that others can see never changes; a call that changes ids copies, changes, and
 * replaces (task_cred_set()). So readers in the own thread need no lock.
 */
#include "sentry/task/cred.h"

#include <linux/capability.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cred *cred_get(struct cred *cred)
{
	atomic_fetch_add_explicit(&cred->refs, 1, memory_order_relaxed);
	return cred;
}

void cred_put(struct cred *cred)
{
	if (cred && atomic_fetch_sub_explicit(&cred->refs, 1, memory_order_acq_rel) == 1)
		free(cred);
}

struct cred *cred_copy(const struct cred *cred, size_t ngroups)
{
	size_t keep = cred->ngroups < ngroups ? cred->ngroups : ngroups;
	struct cred *copy;

	if (ngroups > CRED_GROUPS_MAX)
		return NULL;
	copy = malloc(sizeof(*copy) + ngroups * sizeof(copy->groups[0]));
	if (!copy)
		return NULL;
	/* All but the count, which others change */
	memcpy((char *)copy + offsetof(struct cred, uid),
	       (const char *)cred + offsetof(struct cred, uid),
	       sizeof(*copy) - offsetof(struct cred, uid));
	memcpy(copy->groups, cred->groups, keep * sizeof(copy->groups[0]));
	memset(copy->groups + keep, 0, (ngroups - keep) * sizeof(copy->groups[0]));
	copy->ngroups = ngroups;
	atomic_init(&copy->refs, 1);
	return copy;
}

bool cred_capable(const struct cred *cred, int cap)
{
	return cap >= 0 && cap < 64 && (cred->cap_effective & UINT64_C(1) << cap);
}

bool cred_may_look(const struct cred *from, const struct cred *to, bool dumpable)
{
	if (cred_capable(from, CAP_SYS_PTRACE))
		return true;
	return dumpable && from->uid == to->uid && from->uid == to->euid && from->uid == to->suid &&
	       from->gid == to->gid && from->gid == to->egid && from->gid == to->sgid &&
	       !(to->cap_permitted & ~from->cap_permitted);
}

bool cred_in_group(const struct cred *cred, uint32_t gid)
{
	if (cred->fsgid == gid)
		return true;
	for (size_t i = 0; i < cred->ngroups; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}
