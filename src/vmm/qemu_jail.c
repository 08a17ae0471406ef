/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_jail.c - the walls around QEMU, put up between fork and exec
 *
 * QEMU is the process a guest breaks into first.  It sees a small read-only
 * root (vmm/smallroot.c): the system's program directories, three device nodes,
 * and kernel and initrd, which it can only open by name:
 *
 *	/usr, /lib ...         bound read-only
 *	/dev/null, urandom     bound; /dev/kvm when it is used
 *	/proc/self/fd/6, 7     kernel and initrd
 *
 * The last two are plain files at the names that lead to the same descriptors
 * where there is a real /proc, so the command line is the same with and without
 * a jail.  All other files and sockets are inherited descriptors.
 *
 * Runs in the forked child, after its descriptors were placed.
 */
#include "vmm/qemu_jail.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/ns.h"
#include "vmm/qemu_args.h"
#include "vmm/smallroot.h"

static bool qemu_jail_is_file(int fd, const char *path, struct stat *st)
{
	struct stat want;

	return fstat(fd, &want) == 0 && stat(path, st) == 0 && want.st_dev == st->st_dev &&
	       want.st_ino == st->st_ino;
}

/* The path the open file @fd has now, when it still is that file and @j's user may read it. */
static bool qemu_jail_path_of(const struct jail *j, int fd, char *path, size_t size)
{
	struct stat st;
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), QEMU_FD_DIR "/%d", fd);
	n = readlink(link, path, size - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return qemu_jail_is_file(fd, path, &st) && (!j->privs.set_ids || (st.st_mode & S_IROTH));
}

static int qemu_jail_copy(int fd, const char *rel, struct coffer_error *err)
{
	autoclose int out = open(rel, O_WRONLY | O_TRUNC | O_CLOEXEC);
	off_t from = 0;
	ssize_t n;

	if (out < 0)
		return err_sys(err, "open %s", rel);
	do {
		n = sendfile(out, fd, &from, 1 << 30);
	} while (n > 0);
	return n < 0 ? err_sys(err, "copy to %s", rel) : 0;
}

/* A descriptor cannot be bound across mount namespaces, so bind its path, or copy the file. */
static int qemu_jail_show_fd(const struct jail *j, int fd, struct coffer_error *err)
{
	char rel[32], path[PATH_MAX];
	struct stat st;
	int r;

	snprintf(rel, sizeof(rel), "%s/%d", &QEMU_FD_DIR[1], fd);
	r = smallroot_make_place(rel, false, err);
	if (r < 0)
		return r;
	if (!qemu_jail_path_of(j, fd, path, sizeof(path)))
		return qemu_jail_copy(fd, rel, err);
	r = ns_bind(path, rel, SMALLROOT_READONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
	/* The path may have come to mean another file in between. */
	if (r == 0 && !qemu_jail_is_file(fd, rel, &st))
		r = err_state(err, "%s was replaced", path);
	return r;
}

/* Bound, it could be opened by whom the host lets; root's stand-in gets a node of its own. */
static int qemu_jail_show_kvm(const struct jail *j, struct coffer_error *err)
{
	struct stat st;

	if (!j->privs.set_ids)
		return smallroot_show("dev/kvm", err);
	if (stat("/dev/kvm", &st) < 0)
		return err_sys(err, "stat /dev/kvm");
	if (mknod("dev/kvm", S_IFCHR | 0600, st.st_rdev) < 0 ||
	    chown("dev/kvm", j->privs.uid, j->privs.gid) < 0)
		return err_sys(err, "make /dev/kvm");
	return 0;
}

/* In the new mount namespace vm_dir is only a place that is sure to exist. */
static int qemu_jail_view(const struct qemu_jail *q, struct coffer_error *err)
{
	int r = smallroot_begin(q->cfg->vm_dir, err);

	if (r == 0)
		r = smallroot_show_program(q->qemu, err);
	if (r == 0 && q->kvm)
		r = qemu_jail_show_kvm(q->jail, err);
	if (r == 0)
		r = qemu_jail_show_fd(q->jail, QEMU_FD_KERNEL, err);
	if (r == 0)
		r = qemu_jail_show_fd(q->jail, QEMU_FD_INITRD, err);
	return r < 0 ? r : smallroot_enter(err);
}

int qemu_jail_hook(void *data, struct coffer_error *err)
{
	const struct qemu_jail *q = data;
	int r = 0;

	umask(0022);
	/* When the host is short of memory, the machine goes before its monitor. */
	io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "500", NULL);
	if (q->jail->namespaces) {
		r = ns_enter_view(err);
		if (r == 0)
			r = qemu_jail_view(q, err);
		else if (r == -EPERM)
			r = 0; /* the monitor meets the same refusal and reports it */
	}
	if (r == 0)
		r = privs_drop(&q->jail->privs, err);
	if (r == 0)
		r = jail_tie(q->jail, err);
	return r < 0 ? err_wrap(err, "jail") : 0;
}
