/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/label.c - what a security module shall make of the program
 *
 * AppArmor's profile and SELinux's label are asked for by a write to a file of
 * /proc.  For an exec that is the container's own /proc, and a write that ends
 * in another file would leave the program without its confinement, or do harm
 * elsewhere; so the file is opened as one of a real procfs with nothing
 * mounted on the way (path_open_proc).
 *
 * A module that is not there is an error before anything is made: a document
 * that asks for confinement must not get a container without.
 *
 * Callers: support.c checks, the child's stages apply.
 */
#include "engine/label.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"

#define LABEL_MAX 4096

static bool label_has_apparmor(void)
{
	autofree char *text = NULL;

	return io_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &text, NULL,
			    NULL) == 0 &&
	       text[0] == 'Y';
}

static bool label_has_selinux(void)
{
	struct statfs fs;

	return statfs("/sys/fs/selinux", &fs) == 0 && fs.f_type == SELINUX_MAGIC;
}

/* Without AppArmor nothing confines anything: that is what was asked for. */
static bool label_is_unconfined(const char *profile)
{
	return strcmp(profile, "unconfined") == 0;
}

int label_check(const struct oci_process *process, struct coffer_error *err)
{
	const char *profile = process->apparmor_profile;

	if (profile && !label_is_unconfined(profile) && !label_has_apparmor())
		return err_unsupported(err, "process.apparmorProfile: AppArmor is not enabled");
	if (process->selinux_label && !label_has_selinux())
		return err_unsupported(err, "process.selinuxLabel: SELinux is not enabled");
	return 0;
}

int label_check_mount(const char *label, struct coffer_error *err)
{
	if (label && !label_has_selinux())
		return err_unsupported(err, "linux.mountLabel: SELinux is not enabled");
	return 0;
}

static int label_write(const char *file, const char *text, struct coffer_error *err)
{
	autoclose int fd = path_open_proc(file, O_WRONLY, err);
	int r;

	if (fd < 0)
		return fd;
	r = io_write_full(fd, text, strlen(text));
	return r < 0 ? err_sysn(err, r, "write /proc/%s", file) : 0;
}

static int label_apply_profile(const char *profile, struct coffer_error *err)
{
	char text[LABEL_MAX];
	int r;

	if (snprintf(text, sizeof(text), "exec %s", profile) >= LABEL_MAX)
		return err_invalid(err, "the name is too long");
	/* The old name is shared with other modules; a kernel that has both takes either. */
	r = label_write("self/attr/apparmor/exec", text, err);
	return r == -ENOENT ? label_write("self/attr/exec", text, err) : r;
}

int label_apply(const struct oci_process *process, struct coffer_error *err)
{
	const char *profile = process->apparmor_profile, *label = process->selinux_label;
	int r;

	if (profile && (!label_is_unconfined(profile) || label_has_apparmor())) {
		r = label_apply_profile(profile, err);
		if (r < 0)
			return err_wrap(err, "process.apparmorProfile");
	}
	if (!label)
		return 0;
	r = label_write("self/attr/keycreate", label, err);
	if (r == 0)
		r = label_write("self/attr/exec", label, err);
	return r < 0 ? err_wrap(err, "process.selinuxLabel") : 0;
}
