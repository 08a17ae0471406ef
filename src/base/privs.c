/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/privs.c - giving up ids, capabilities and the way back
 *
 * Used by jailed programs for themselves, also between fork and exec, so only
 * system calls here.  The capability calls are made directly: libcap would be
 * a library for one call.
 */
#include "base/privs.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Needs CAP_SETPCAP; who lacks it and is not root has nothing in reach of the bounding set. */
static int privs_drop_bounding(struct coffer_error *err)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EPERM && geteuid() != 0)
			return 0;
		return err_sys(err, "drop capability %lu from the bounding set", cap);
	}
	return 0;
}

static int privs_set_ids(const struct privs *p, struct coffer_error *err)
{
	if (setgroups(0, NULL) < 0)
		return err_sys(err, "drop supplementary groups");
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return err_sys(err, "change to gid %u", p->gid);
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return err_sys(err, "change to uid %u", p->uid);
	return 0;
}

int privs_drop(const struct privs *p, struct coffer_error *err)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct rlimit no_core = { 0, 0 };
	int r = privs_drop_bounding(err);

	if (r == 0 && p->set_ids)
		r = privs_set_ids(p, err);
	if (r < 0)
		return r;
	if (syscall(SYS_capset, &hdr, none) < 0)
		return err_sys(err, "drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "set no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "set not dumpable");
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return err_sys(err, "limit core dumps");
	return 0;
}
