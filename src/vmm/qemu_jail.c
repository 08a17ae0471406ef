/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/qemu_jail.c - the walls around QEMU, put up between fork and exec
 *
 * QEMU is the process a guest breaks into first.  It sees a small read-only
 * root on a tmpfs: the system's program directories, three device nodes, and
 * kernel and initrd, which it can only open by name:
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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "vmm/ns.h"
#include "vmm/qemu_args.h"

#define QEMU_JAIL_READONLY (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)
#define QEMU_JAIL_TMPFS    "mode=0755,size=1g,nr_inodes=256"

/* Without the leading slash; what a host lacks is left out. */
static const char *const qemu_jail_paths[] = {
	"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32",
	"etc/alternatives", "etc/ld.so.cache",
	"nix/store", "gnu/store",
	"dev/null", "dev/urandom",
};

static int qemu_jail_make_place(const char *rel, bool dir, struct coffer_error *err)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(rel, '/');
	int fd, r = 0;

	if (slash) {
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - rel), rel);
		r = path_mkdirs(parent, 0755, err);
	}
	if (r < 0 || dir)
		return r < 0 ? r : path_mkdirs(rel, 0755, err);
	fd = open(rel, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return err_sys(err, "create %s", rel);
	close(fd);
	return 0;
}

/* Show the host's /@rel at @rel of the new root, which is the working directory. */
static int qemu_jail_show(const char *rel, struct coffer_error *err)
{
	char abs[PATH_MAX], link[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r;

	snprintf(abs, sizeof(abs), "/%s", rel);
	if (lstat(abs, &st) < 0)
		return errno == ENOENT || errno == EACCES ? 0 : err_sys(err, "stat %s", abs);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(abs, link, sizeof(link) - 1);
		if (n < 0)
			return err_sys(err, "read link %s", abs);
		link[n] = '\0';
		return symlink(link, rel) < 0 ? err_sys(err, "symlink %s", rel) : 0;
	}
	r = qemu_jail_make_place(rel, S_ISDIR(st.st_mode), err);
	return r < 0 ? r : ns_bind(abs, rel, QEMU_JAIL_READONLY, err);
}

static bool qemu_jail_shows(const char *rel)
{
	for (size_t i = 0; i < ARRAY_SIZE(qemu_jail_paths); i++) {
		size_t n = strlen(qemu_jail_paths[i]);

		if (strncmp(rel, qemu_jail_paths[i], n) == 0 && rel[n] == '/')
			return true;
	}
	return false;
}

/* A QEMU of the user's own: PREFIX/bin/qemu has its data in PREFIX/share. */
static int qemu_jail_show_prefix(const char *qemu, struct coffer_error *err)
{
	char rel[PATH_MAX], *slash;

	snprintf(rel, sizeof(rel), "%s", qemu + 1);
	if (qemu_jail_shows(rel))
		return 0;
	slash = strrchr(rel, '/');
	if (!slash)
		return qemu_jail_show(rel, err);
	*slash = '\0';
	slash = strrchr(rel, '/');
	if (slash)
		*slash = '\0';
	return qemu_jail_show(rel, err);
}

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
	r = qemu_jail_make_place(rel, false, err);
	if (r < 0)
		return r;
	if (!qemu_jail_path_of(j, fd, path, sizeof(path)))
		return qemu_jail_copy(fd, rel, err);
	r = ns_bind(path, rel, QEMU_JAIL_READONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
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
		return qemu_jail_show("dev/kvm", err);
	if (stat("/dev/kvm", &st) < 0)
		return err_sys(err, "stat /dev/kvm");
	if (mknod("dev/kvm", S_IFCHR | 0600, st.st_rdev) < 0 ||
	    chown("dev/kvm", j->privs.uid, j->privs.gid) < 0)
		return err_sys(err, "make /dev/kvm");
	return 0;
}

static int qemu_jail_fill(const struct qemu_jail *q, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(qemu_jail_paths); i++)
		r = qemu_jail_show(qemu_jail_paths[i], err);
	if (r == 0 && q->kvm)
		r = qemu_jail_show_kvm(q->jail, err);
	if (r == 0)
		r = qemu_jail_show_prefix(q->qemu, err);
	if (r == 0)
		r = qemu_jail_show_fd(q->jail, QEMU_FD_KERNEL, err);
	if (r == 0)
		r = qemu_jail_show_fd(q->jail, QEMU_FD_INITRD, err);
	return r;
}

/* In the new mount namespace vm_dir is only a place that is sure to exist. */
static int qemu_jail_view(const struct qemu_jail *q, struct coffer_error *err)
{
	const char *dir = q->cfg->vm_dir;
	int r;

	if (mount("coffer", dir, "tmpfs", MS_NOSUID, QEMU_JAIL_TMPFS) < 0)
		return err_sys(err, "mount tmpfs on %s", dir);
	if (chdir(dir) < 0)
		return err_sys(err, "chdir %s", dir);
	r = qemu_jail_fill(q, err);
	if (r == 0)
		r = ns_pivot(err);
	if (r == 0 && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) < 0)
		r = err_sys(err, "make the root read-only");
	return r;
}

/* For good: a QEMU taken over shall not outlive its monitor. That may have died before. */
static int qemu_jail_tie(const struct qemu_jail *q, struct coffer_error *err)
{
	struct pollfd pfd = { .fd = q->jail->self_pidfd, .events = POLLIN };
	int r;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(err, "set parent death signal");
	r = jail_filter_machine(err);
	if (r < 0)
		return r;
	if (poll(&pfd, 1, 0) != 0)
		return err_set(err, COFFER_ERR_INTERRUPTED, 0, "the monitor died");
	return 0;
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
		r = qemu_jail_tie(q, err);
	return r < 0 ? err_wrap(err, "jail") : 0;
}
