/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/caps.c - the five capability sets of a process
 *
 * Raw prctl(2) and capset(2), no library: the order is the difficult part and
 * should be seen.
 *
 *	caps_limit_bounding()  needs CAP_SETPCAP, so before everything else
 *	caps_keep()            or setresuid() to a non-root user empties the permitted set
 *	(user and groups change)
 *	caps_apply()           permitted, effective, inheritable; then ambient, which the
 *	                       kernel grants only out of permitted and inheritable
 *
 * A set that the specification leaves out is empty.  A capability that we
 * don't hold ourselves can't be granted; the specification asks to go on
 * without it.
 *
 * Callers: the child's stages (init.c); parsing in the parent.
 */
#define LOG_CATEGORY "engine"
#include "engine/caps.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* The index is the kernel's number. */
static const char *const caps_names[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
	"IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
	"SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME",
	"SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
};
_Static_assert(ARRAY_SIZE(caps_names) == 41, "CAP_CHECKPOINT_RESTORE is number 40");

const char *caps_name(size_t cap)
{
	return cap < ARRAY_SIZE(caps_names) ? caps_names[cap] : NULL;
}

static uint64_t caps_parse_set(const struct oci_strv *names)
{
	uint64_t set = 0;
	size_t i, cap;

	for (i = 0; i < names->n; i++) {
		const char *name = names->v[i];

		if (strncasecmp(name, "CAP_", 4) == 0)
			name += 4;
		for (cap = 0; cap < ARRAY_SIZE(caps_names); cap++)
			if (strcasecmp(caps_names[cap], name) == 0)
				break;
		if (cap < ARRAY_SIZE(caps_names))
			set |= UINT64_C(1) << cap;
		else
			log_warning("unknown capability \"%s\" left out", names->v[i]);
	}
	return set;
}

void caps_parse(const struct oci_capabilities *spec, struct caps *out)
{
	*out = (struct caps){ 0 };
	if (!spec)
		return;
	out->bounding = caps_parse_set(&spec->bounding);
	out->effective = caps_parse_set(&spec->effective);
	out->inheritable = caps_parse_set(&spec->inheritable);
	out->permitted = caps_parse_set(&spec->permitted);
	out->ambient = caps_parse_set(&spec->ambient);
}

int caps_limit_bounding(const struct caps *caps, struct coffer_error *err)
{
	/* Up to the kernel's last one, which may be newer than our table. */
	for (unsigned cap = 0; cap < 64; cap++) {
		if (caps->bounding & UINT64_C(1) << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL)
			break;
		return err_sys(err, "drop capability %u from the bounding set", cap);
	}
	return 0;
}

int caps_keep(struct coffer_error *err)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys(err, "keep capabilities");
	return 0;
}

static int caps_apply_ambient(uint64_t ambient, struct coffer_error *err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, "clear ambient capabilities");
	for (unsigned cap = 0; cap < ARRAY_SIZE(caps_names); cap++) {
		if (!(ambient & UINT64_C(1) << cap))
			continue;
		/* EPERM: not in both other sets; it can't be granted, so it is left out. */
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return err_sys(err, "raise ambient capability %s", caps_names[cap]);
	}
	return 0;
}

int caps_apply(const struct caps *caps, struct coffer_error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct own[2], data[2];
	uint64_t held, permitted, inheritable;

	if (syscall(SYS_capget, &head, own) < 0)
		return err_sys(err, "read own capabilities");
	held = own[0].permitted | (uint64_t)own[1].permitted << 32;
	permitted = caps->permitted & held;
	inheritable = caps->inheritable & held & caps->bounding;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted = (uint32_t)(permitted >> 32 * i);
		data[i].effective = (uint32_t)((caps->effective & permitted) >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(err, "set capabilities");
	return caps_apply_ambient(caps->ambient, err);
}
