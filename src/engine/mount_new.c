/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/mount_new.c - a new file system: its data, and how to have it before it is mounted
 *
 * mount(2) is one call and does for most.  Where something has to be done to
 * the mount afterwards (files copied into it, propagation, read-only later) it
 * is made detached, so that we hold the mount itself: to look it up again by
 * its path would trust a path that others may change.
 *
 * Caller: mount.c.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/mount_internal.h"

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

/* Flags of mount(2) that belong to the file system and not to the mount. */
static const struct {
	unsigned long flag;
	const char *word;
} mount_new_flags[] = {
	{ MS_SYNCHRONOUS, "sync" },
	{ MS_DIRSYNC, "dirsync" },
	{ MS_MANDLOCK, "mand" },
	{ MS_LAZYTIME, "lazytime" },
	{ MS_RDONLY, "ro" },
};

static bool mount_new_has_mode(const char *data)
{
	return strncmp(data, "mode=", 5) == 0 || strstr(data, ",mode=");
}

/* Their contents are the kernel's, and labelled by it. */
static bool mount_new_takes_label(const char *type)
{
	static const char *const without[] = { "proc", "sysfs", "mqueue", "cgroup", "cgroup2" };

	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		if (strcmp(type, without[i]) == 0)
			return false;
	return true;
}

int mount_new_data(const struct mount_plan *m, int target, const char *label,
		   char data[MOUNT_DATA_MAX], struct coffer_error *err)
{
	const char *given = m->options.data ? m->options.data : "", *comma;
	size_t n = (size_t)snprintf(data, MOUNT_DATA_MAX, "%s", given);
	struct stat st;

	if (strcmp(m->type, "tmpfs") == 0 && !mount_new_has_mode(given)) {
		if (fstat(target, &st) < 0)
			return err_sys(err, "stat");
		comma = n ? "," : "";
		if (n < MOUNT_DATA_MAX)
			n += (size_t)snprintf(data + n, MOUNT_DATA_MAX - n, "%smode=%04o", comma,
					      (unsigned)st.st_mode & 07777);
	}
	if (label && mount_new_takes_label(m->type) && n < MOUNT_DATA_MAX) {
		comma = n ? "," : "";
		n += (size_t)snprintf(data + n, MOUNT_DATA_MAX - n, "%scontext=\"%s\"", comma,
				      label);
	}
	return n < MOUNT_DATA_MAX ? 0 : err_invalid(err, "options are longer than a page");
}

static int mount_new_set(int fs, const char *key, const char *value, struct coffer_error *err)
{
	unsigned cmd = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

	if (fsconfig(fs, cmd, key, value, 0) < 0)
		return err_sys(err, "set %s%s%s", key, value ? "=" : "", value ? value : "");
	return 0;
}

/* "size=64k,nr_inodes=7" one by one */
static int mount_new_set_data(int fs, const char *data, struct coffer_error *err)
{
	char copy[MOUNT_DATA_MAX], *rest = copy, *word, *value;
	int r = 0;

	snprintf(copy, sizeof(copy), "%s", data);
	while (r == 0 && (word = strsep(&rest, ","))) {
		value = strchr(word, '=');
		if (value)
			*value++ = '\0';
		if (word[0])
			r = mount_new_set(fs, word, value, err);
	}
	return r;
}

static int mount_new_configure(int fs, const struct mount_plan *m, const char *data,
			       const char *label, struct coffer_error *err)
{
	unsigned long flags = m->options.flags;
	int r = mount_new_set(fs, "source", m->source ? m->source : m->type, err);

	/* Read-only comes when the files are in it. */
	if (mount_is_late(m))
		flags &= ~(unsigned long)MS_RDONLY;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(mount_new_flags); i++)
		if (flags & mount_new_flags[i].flag)
			r = mount_new_set(fs, mount_new_flags[i].word, NULL, err);
	if (r == 0)
		r = mount_new_set_data(fs, data, err);
	if (r == 0 && label && mount_new_takes_label(m->type))
		r = mount_new_set(fs, "context", label, err);
	if (r == 0 && fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_sys(err, "%s \"%s\"", m->type, data);
	return r;
}

int mount_new_detached(const struct mount_plan *m, const char *data, const char *label,
		       struct coffer_error *err)
{
	struct mount_attr attr = mount_options_attr(&m->options);
	autoclose int fs = -1;
	int fd, r;

	fs = fsopen(m->type, FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_sys(err, "%s", m->type);
	r = mount_new_configure(fs, m, data, label, err);
	if (r < 0)
		return r;
	if (mount_is_late(m))
		attr.attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr.attr_set);
	return fd < 0 ? err_sys(err, "%s \"%s\"", m->type, data) : fd;
}
