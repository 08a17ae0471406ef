/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/cred.h - who a task is; never changed once it can be seen, only replaced
 *
 * Ids are the container's own. Capabilities are the guest's idea only: we have none.
 */
#ifndef SENTRY_TASK_CRED_H
#define SENTRY_TASK_CRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRED_GROUPS_MAX 65536

struct cred {
	_Atomic unsigned refs;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	bool no_new_privs;
	size_t ngroups;
	uint32_t groups[];
};

struct cred *cred_get(struct cred *cred);
void cred_put(struct cred *cred);
/* cred_copy() - One reference, to be changed. NULL: no memory. @ngroups: room for that many */
struct cred *cred_copy(const struct cred *cred, size_t ngroups);
bool cred_capable(const struct cred *cred, int cap); /* CAP_* of linux/capability.h */
/* cred_may_look() - Whether who has @from may look into the memory and descriptors of a process with
 * @to, as ptrace(2) has it for real ids; @dumpable: what the process says of itself */
bool cred_may_look(const struct cred *from, const struct cred *to, bool dumpable);
bool cred_in_group(const struct cred *cred, uint32_t gid); /* fsgid and supplementary */

#endif /* SENTRY_TASK_CRED_H */
