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
 * don't hold ourselves can't be granted, one that nobody knows neither; the
 * specification asks to go on without it.
 *
 * Callers: the child's stages (init.c); parsing in the parent.
 */
#define LOG_CATEGORY "engine"
#include "engine/caps.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* Names that nobody knows: the first, and how many there are. */
struct caps_unknown {
	const char *set, *name;
	size_t index, n;
};

static uint64_t caps_parse_set(const struct oci_strv *names, const char *name,
			       struct caps_unknown *unknown)
{
	uint64_t set = 0;

	for (size_t i = 0; i < names->n; i++) {
		int cap = oci_capability(names->v[i]);

		if (cap >= 0)
			set |= UINT64_C(1) << cap;
		else if (unknown->n++ == 0)
			*unknown = (struct caps_unknown){ name, names->v[i], i, 1 };
	}
	return set;
}

void caps_parse(const struct oci_capabilities *spec, struct caps *out)
{
	struct caps_unknown unknown = { 0 };
	char more[32] = "";

	*out = (struct caps){ 0 };
	if (!spec)
		return;
	out->bounding = caps_parse_set(&spec->bounding, "bounding", &unknown);
	out->effective = caps_parse_set(&spec->effective, "effective", &unknown);
	out->inheritable = caps_parse_set(&spec->inheritable, "inheritable", &unknown);
	out->permitted = caps_parse_set(&spec->permitted, "permitted", &unknown);
	out->ambient = caps_parse_set(&spec->ambient, "ambient", &unknown);
	if (unknown.n == 0)
		return;
	if (unknown.n > 1)
		snprintf(more, sizeof(more), ", and %zu more", unknown.n - 1);
	log_warning("process.capabilities.%s[%zu]: unknown capability %s is left out%s",
		    unknown.set, unknown.index, unknown.name, more);
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
	const char *const *known = oci_words(OCI_WORDS_CAPABILITY);

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(err, "clear ambient capabilities");
	for (unsigned cap = 0; known[cap]; cap++) {
		if (!(ambient & UINT64_C(1) << cap))
			continue;
		/* EPERM: not in both other sets; it can't be granted, so it is left out. */
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return err_sys(err, "raise ambient capability %s", known[cap]);
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
