/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/cred.c - user and group ids, capabilities
 *
 * Each call copies the caller's credentials, changes the copy as Linux would, and replaces them.
 * They are a thread's own: the C library makes all threads call.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/internal.h"

#define CRED_KEEP UINT32_MAX /* an argument that changes nothing */
#define CRED_CAPS_FS                                                                            \
	(UINT64_C(1) << CAP_CHOWN | UINT64_C(1) << CAP_DAC_OVERRIDE |                            \
	 UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_FOWNER |                        \
	 UINT64_C(1) << CAP_FSETID | UINT64_C(1) << CAP_LINUX_IMMUTABLE | UINT64_C(1) << CAP_MKNOD | \
	 UINT64_C(1) << CAP_MAC_OVERRIDE)

static struct cred *cred_change(const struct task *task)
{
	return cred_copy(task->cred, task->cred->ngroups);
}

/* Who has other ids than before is not looked into, nor killed for its parent's sake. */
static void cred_seclude(struct task *task)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	task->process->dumpable = false;
	task->process->parent_death_signal = 0;
	pthread_mutex_unlock(&kernel.tasks_lock);
}

/* capabilities(7), "Effect of user ID changes on capabilities" */
static long cred_commit(struct task *task, struct cred *cred)
{
	const struct cred *old = task->cred;
	bool had = !old->uid || !old->euid || !old->suid;
	bool has = !cred->uid || !cred->euid || !cred->suid;
	bool other = old->euid != cred->euid || old->egid != cred->egid ||
		     old->fsuid != cred->fsuid || old->fsgid != cred->fsgid;

	if (!(old->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (had && !has && !(old->securebits & SECBIT_KEEP_CAPS))
			cred->cap_permitted = cred->cap_effective = 0;
		if (had && !has)
			cred->cap_ambient = 0;
		if (!old->euid && cred->euid)
			cred->cap_effective = 0;
		if (old->euid && !cred->euid)
			cred->cap_effective = cred->cap_permitted;
	}
	task_cred_set(task, cred);
	if (other)
		cred_seclude(task);
	return 0;
}

/* --- telling --- */

static long cred_getuid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->cred->uid;
}

static long cred_geteuid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->cred->euid;
}

static long cred_getgid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->cred->gid;
}

static long cred_getegid(struct task *task, const uint64_t args[6])
{
	(void)args;
	return task->cred->egid;
}

static long cred_write_three(struct task *task, const uint64_t args[6], const uint32_t ids[3])
{
	for (int i = 0; i < 3; i++)
		if (user_write(task->mm, args[i], &ids[i], sizeof(ids[i])))
			return -EFAULT;
	return 0;
}

static long cred_getresuid(struct task *task, const uint64_t args[6])
{
	const struct cred *c = task->cred;

	return cred_write_three(task, args, (uint32_t[]){ c->uid, c->euid, c->suid });
}

static long cred_getresgid(struct task *task, const uint64_t args[6])
{
	const struct cred *c = task->cred;

	return cred_write_three(task, args, (uint32_t[]){ c->gid, c->egid, c->sgid });
}

static long cred_getgroups(struct task *task, const uint64_t args[6])
{
	const struct cred *c = task->cred;
	int size = (int)args[0];

	if (size < 0)
		return -EINVAL;
	if (size && (size_t)size < c->ngroups)
		return -EINVAL;
	if (size && user_write(task->mm, args[1], c->groups, c->ngroups * sizeof(c->groups[0])))
		return -EFAULT;
	return (long)c->ngroups;
}

/* --- changing --- */

static bool cred_is_uid(const struct cred *c, uint32_t uid)
{
	return uid == CRED_KEEP || uid == c->uid || uid == c->euid || uid == c->suid;
}

static bool cred_is_gid(const struct cred *c, uint32_t gid)
{
	return gid == CRED_KEEP || gid == c->gid || gid == c->egid || gid == c->sgid;
}

static long cred_setuid(struct task *task, const uint64_t args[6])
{
	uint32_t uid = (uint32_t)args[0];
	bool may = cred_capable(task->cred, CAP_SETUID);
	struct cred *c;

	if (uid == CRED_KEEP)
		return -EINVAL;
	if (!may && uid != task->cred->uid && uid != task->cred->suid)
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (may)
		c->uid = c->suid = uid;
	c->euid = c->fsuid = uid;
	return cred_commit(task, c);
}

static long cred_setgid(struct task *task, const uint64_t args[6])
{
	uint32_t gid = (uint32_t)args[0];
	bool may = cred_capable(task->cred, CAP_SETGID);
	struct cred *c;

	if (gid == CRED_KEEP)
		return -EINVAL;
	if (!may && gid != task->cred->gid && gid != task->cred->sgid)
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (may)
		c->gid = c->sgid = gid;
	c->egid = c->fsgid = gid;
	return cred_commit(task, c);
}

static long cred_setreuid(struct task *task, const uint64_t args[6])
{
	const struct cred *old = task->cred;
	uint32_t uid = (uint32_t)args[0], euid = (uint32_t)args[1];
	struct cred *c;

	if (!cred_capable(old, CAP_SETUID) &&
	    ((uid != CRED_KEEP && uid != old->uid && uid != old->euid) || !cred_is_uid(old, euid)))
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (uid != CRED_KEEP)
		c->uid = uid;
	if (euid != CRED_KEEP)
		c->euid = euid;
	if (uid != CRED_KEEP || (euid != CRED_KEEP && euid != old->uid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	return cred_commit(task, c);
}

static long cred_setregid(struct task *task, const uint64_t args[6])
{
	const struct cred *old = task->cred;
	uint32_t gid = (uint32_t)args[0], egid = (uint32_t)args[1];
	struct cred *c;

	if (!cred_capable(old, CAP_SETGID) &&
	    ((gid != CRED_KEEP && gid != old->gid && gid != old->egid) || !cred_is_gid(old, egid)))
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (gid != CRED_KEEP)
		c->gid = gid;
	if (egid != CRED_KEEP)
		c->egid = egid;
	if (gid != CRED_KEEP || (egid != CRED_KEEP && egid != old->gid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return cred_commit(task, c);
}

static long cred_setresuid(struct task *task, const uint64_t args[6])
{
	uint32_t uid = (uint32_t)args[0], euid = (uint32_t)args[1], suid = (uint32_t)args[2];
	const struct cred *old = task->cred;
	struct cred *c;

	if (!cred_capable(old, CAP_SETUID) &&
	    !(cred_is_uid(old, uid) && cred_is_uid(old, euid) && cred_is_uid(old, suid)))
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (uid != CRED_KEEP)
		c->uid = uid;
	if (euid != CRED_KEEP)
		c->euid = euid;
	if (suid != CRED_KEEP)
		c->suid = suid;
	c->fsuid = c->euid;
	return cred_commit(task, c);
}

static long cred_setresgid(struct task *task, const uint64_t args[6])
{
	uint32_t gid = (uint32_t)args[0], egid = (uint32_t)args[1], sgid = (uint32_t)args[2];
	const struct cred *old = task->cred;
	struct cred *c;

	if (!cred_capable(old, CAP_SETGID) &&
	    !(cred_is_gid(old, gid) && cred_is_gid(old, egid) && cred_is_gid(old, sgid)))
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	if (gid != CRED_KEEP)
		c->gid = gid;
	if (egid != CRED_KEEP)
		c->egid = egid;
	if (sgid != CRED_KEEP)
		c->sgid = sgid;
	c->fsgid = c->egid;
	return cred_commit(task, c);
}

/* The old id is the answer, whether it was changed or not. */
static long cred_setfsuid(struct task *task, const uint64_t args[6])
{
	uint32_t old = task->cred->fsuid, uid = (uint32_t)args[0];
	struct cred *c;

	if (uid == CRED_KEEP || uid == old ||
	    (!cred_is_uid(task->cred, uid) && !cred_capable(task->cred, CAP_SETUID)))
		return old;
	c = cred_change(task);
	if (!c)
		return old;
	c->fsuid = uid;
	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (!old)
			c->cap_effective &= ~CRED_CAPS_FS;
		else if (!uid)
			c->cap_effective |= c->cap_permitted & CRED_CAPS_FS;
	}
	task_cred_set(task, c);
	cred_seclude(task);
	return old;
}

static long cred_setfsgid(struct task *task, const uint64_t args[6])
{
	uint32_t old = task->cred->fsgid, gid = (uint32_t)args[0];
	struct cred *c;

	if (gid == CRED_KEEP || gid == old ||
	    (!cred_is_gid(task->cred, gid) && !cred_capable(task->cred, CAP_SETGID)))
		return old;
	c = cred_change(task);
	if (!c)
		return old;
	c->fsgid = gid;
	task_cred_set(task, c);
	cred_seclude(task);
	return old;
}

static long cred_setgroups(struct task *task, const uint64_t args[6])
{
	size_t n = (uint32_t)args[0];
	struct cred *c;

	if (!cred_capable(task->cred, CAP_SETGID))
		return -EPERM;
	if (n > CRED_GROUPS_MAX)
		return -EINVAL;
	c = cred_copy(task->cred, n);
	if (!c)
		return -ENOMEM;
	if (user_read(task->mm, c->groups, args[1], n * sizeof(c->groups[0]))) {
		cred_put(c);
		return -EFAULT;
	}
	task_cred_set(task, c);
	return 0;
}

/* --- capabilities --- */

struct cred_cap_header {
	uint32_t version;
	int32_t pid;
};

struct cred_cap_data {
	uint32_t effective, permitted, inheritable;
};

/* Return: how many struct cred_cap_data, or -EINVAL, when what we want was written */
static int cred_cap_version(struct task *task, uint64_t addr, struct cred_cap_header *header)
{
	const uint32_t best = _LINUX_CAPABILITY_VERSION_3;

	if (user_read(task->mm, header, addr, sizeof(*header)))
		return -EFAULT;
	if (header->version == _LINUX_CAPABILITY_VERSION_1)
		return _LINUX_CAPABILITY_U32S_1;
	if (header->version == _LINUX_CAPABILITY_VERSION_2 || header->version == best)
		return _LINUX_CAPABILITY_U32S_3;
	if (user_write(task->mm, addr, &best, sizeof(best)))
		return -EFAULT;
	return -EINVAL;
}

static long cred_capget(struct task *task, const uint64_t args[6])
{
	struct cred_cap_data data[2] = { 0 };
	struct cred_cap_header header;
	struct task *other;
	struct cred *c = NULL;
	int n = cred_cap_version(task, args[0], &header);

	if (n < 0)
		return n == -EINVAL && !args[1] ? 0 : n;
	if (header.pid < 0)
		return -EINVAL;
	if (!args[1])
		return 0;
	pthread_mutex_lock(&kernel.tasks_lock);
	other = header.pid ? task_find(task->process->container, header.pid) : task;
	if (other)
		c = task_cred_get(other);
	pthread_mutex_unlock(&kernel.tasks_lock);
	if (!c)
		return -ESRCH;
	for (int i = 0; i < n; i++) {
		data[i].effective = (uint32_t)(c->cap_effective >> 32 * i);
		data[i].permitted = (uint32_t)(c->cap_permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(c->cap_inheritable >> 32 * i);
	}
	cred_put(c);
	return user_write(task->mm, args[1], data, (size_t)n * sizeof(data[0]));
}

static long cred_capset(struct task *task, const uint64_t args[6])
{
	const uint64_t known = (UINT64_C(1) << (CAP_LAST_CAP + 1)) - 1;
	uint64_t effective, permitted, inheritable, may;
	struct cred_cap_data data[2] = { 0 };
	struct cred_cap_header header;
	const struct cred *old = task->cred;
	struct cred *c;
	int n = cred_cap_version(task, args[0], &header);

	if (n < 0)
		return n;
	if (header.pid && header.pid != task->tid)
		return -EPERM;
	if (user_read(task->mm, data, args[1], (size_t)n * sizeof(data[0])))
		return -EFAULT;
	effective = (data[0].effective | (uint64_t)data[1].effective << 32) & known;
	permitted = (data[0].permitted | (uint64_t)data[1].permitted << 32) & known;
	inheritable = (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & known;
	may = old->cap_inheritable |
	      (cred_capable(old, CAP_SETPCAP) ? old->cap_bounding : old->cap_permitted);
	if ((inheritable & ~may) || (inheritable & ~(old->cap_inheritable | old->cap_bounding)) ||
	    (permitted & ~old->cap_permitted) || (effective & ~permitted))
		return -EPERM;
	c = cred_change(task);
	if (!c)
		return -ENOMEM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	task_cred_set(task, c);
	return 0;
}

static const struct syscall_row cred_rows[] = {
	{ SYS_getuid, "getuid", cred_getuid },
	{ SYS_geteuid, "geteuid", cred_geteuid },
	{ SYS_getgid, "getgid", cred_getgid },
	{ SYS_getegid, "getegid", cred_getegid },
	{ SYS_getresuid, "getresuid", cred_getresuid, { ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_getresgid, "getresgid", cred_getresgid, { ARG_HEX, ARG_HEX, ARG_HEX } },
	{ SYS_getgroups, "getgroups", cred_getgroups, { ARG_INT, ARG_HEX } },
	{ SYS_setuid, "setuid", cred_setuid, { ARG_INT } },
	{ SYS_setgid, "setgid", cred_setgid, { ARG_INT } },
	{ SYS_setreuid, "setreuid", cred_setreuid, { ARG_INT, ARG_INT } },
	{ SYS_setregid, "setregid", cred_setregid, { ARG_INT, ARG_INT } },
	{ SYS_setresuid, "setresuid", cred_setresuid, { ARG_INT, ARG_INT, ARG_INT } },
	{ SYS_setresgid, "setresgid", cred_setresgid, { ARG_INT, ARG_INT, ARG_INT } },
	{ SYS_setfsuid, "setfsuid", cred_setfsuid, { ARG_INT } },
	{ SYS_setfsgid, "setfsgid", cred_setfsgid, { ARG_INT } },
	{ SYS_setgroups, "setgroups", cred_setgroups, { ARG_INT, ARG_HEX } },
	{ SYS_capget, "capget", cred_capget, { ARG_HEX, ARG_HEX } },
	{ SYS_capset, "capset", cred_capset, { ARG_HEX, ARG_HEX } },
};

const struct syscall_family syscalls_cred = SYSCALL_FAMILY("Ids and capabilities", cred_rows);
