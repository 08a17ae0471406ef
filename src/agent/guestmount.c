/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestmount.c - the Mount and Umount requests
 *
 * Targets (and sources of binds) are resolved by guestpath.c and handed to the
 * kernel as descriptors, so what is checked is what is mounted on.  Needs
 * /proc.
 *
 * Callers: rpc_fs.c; the functions marked so run in a worker.
 */
#define LOG_CATEGORY "mount"
#include "agent/guestmount.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/guestpath.h"
#include "agent/modules.h"
#include "base/log.h"
#include "base/path.h"
#include "spec/mount_options.h"

#define GUESTMOUNT_READ_AHEAD 4096UL /* sectors of 512 bytes */
#define GUESTMOUNT_LATE_TRIES 20
#define GUESTMOUNT_LATE_STEP  (100 * USEC_PER_MSEC)
#define GUESTMOUNT_BUSY_TRIES 51
#define GUESTMOUNT_BUSY_STEP  (10 * USEC_PER_MSEC)
#define GUESTMOUNT_FD_PATH    32

static void guestmount_fd_path(char *buf, int fd)
{
	snprintf(buf, GUESTMOUNT_FD_PATH, "/proc/self/fd/%d", fd);
}

static int guestmount_open(const struct agent *agent, const char *path, struct coffer_error *err)
{
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	int r = guestpath_open(agent, path, &gp, err);

	return r < 0 ? r : path_open_in_root(gp.rootfd, gp.path, O_PATH, 0, err);
}

/* An empty file to bind a file on. Return: O_PATH descriptor or negative errno */
static int guestmount_make_file(const struct guestpath *gp, struct coffer_error *err)
{
	autoclose int parent = -1, fd = -1;
	const char *name;
	int r;

	r = path_open_in_root(gp->rootfd, gp->path, O_PATH, 0, err);
	if (r != -ENOENT)
		return r;
	parent = path_parent_in_root(gp->rootfd, gp->path, true, &name, err);
	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, "create %s", gp->path);
	close_fd(&fd);
	return path_open_in_root(gp->rootfd, gp->path, O_PATH, 0, err);
}

static int guestmount_make_target(const struct agent *agent, const char *path, int bind_source,
				  struct coffer_error *err)
{
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	struct stat st = { .st_mode = S_IFDIR };
	int r;

	if (bind_source >= 0 && fstat(bind_source, &st) < 0)
		return err_sys(err, "stat source of bind");
	r = guestpath_open(agent, path, &gp, err);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return guestmount_make_file(&gp, err);
	return path_mkdirs_in_root(gp.rootfd, gp.path, 0755, err);
}

/* mount(2) takes neither propagation nor a bind's own flags in the first call. */
static int guestmount_adjust(const struct guestmount_args *args, const struct mount_options *o,
			     struct coffer_error *err)
{
	struct mount_attr attr = mount_options_attr(o);
	bool bind_flags = o->flags & MS_BIND && (attr.attr_set || attr.attr_clr);
	bool all = o->all.attr_set || o->all.attr_clr;
	char target[GUESTMOUNT_FD_PATH];
	autoclose int fd = -1;

	if (!bind_flags && !all && !o->propagation)
		return 0;
	fd = guestmount_open(args->agent, args->destination, err);
	if (fd < 0)
		return fd;
	guestmount_fd_path(target, fd);
	if (bind_flags &&
	    syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, "set flags of mount %s", args->destination);
	if (all && syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &o->all,
			   sizeof(o->all)) < 0)
		return err_sys(err, "set flags of mounts below %s", args->destination);
	if (o->propagation && mount(NULL, target, NULL, o->propagation, NULL) < 0)
		return err_sys(err, "set propagation of %s", args->destination);
	return 0;
}

/*
 * A program that starts faults its pages in here and there; reading 2 MiB
 * around each fault, not the kernel's 128 KiB, saves most of the trips to the
 * disk, whose data is in the host's memory anyway.
 */
static void guestmount_tune_disk(const char *source)
{
	autoclose int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, BLKRASET, GUESTMOUNT_READ_AHEAD) < 0)
		log_debug("read-ahead of %s: %s", source, strerror(errno));
}

static int guestmount_with(const struct guestmount_args *args, const struct mount_options *o,
			   struct coffer_error *err)
{
	char from[GUESTMOUNT_FD_PATH], to[GUESTMOUNT_FD_PATH];
	/* Asked to be read-only, say, it must not stay without being so. */
	const struct guestmount_remove_args undo = { args->agent, args->destination, MNT_DETACH };
	const char *source = args->source;
	autoclose int source_fd = -1, target_fd = -1;
	int r;

	if (o->flags & MS_BIND) {
		source_fd = guestmount_open(args->agent, source, err);
		if (source_fd < 0)
			return source_fd;
		guestmount_fd_path(from, source_fd);
		source = from;
	}
	target_fd = guestmount_make_target(args->agent, args->destination, source_fd, err);
	if (target_fd < 0)
		return target_fd;
	guestmount_fd_path(to, target_fd);
	if (strncmp(source, "/dev/vd", 7) == 0)
		guestmount_tune_disk(source);
	if (mount(source, to, args->type, o->flags, o->data) < 0)
		return err_sys(err, "mount(2)");
	r = guestmount_adjust(args, o, err);
	if (r < 0)
		guestmount_remove(&undo, NULL);
	return r;
}

int guestmount_make(const struct guestmount_args *args, struct coffer_error *err)
{
	struct mount_options o;
	int r;

	if (args->agent->init)
		modules_load_for_mount(args->type, args->source);
	r = mount_options_parse(&args->options, &o, err);
	if (r == 0)
		r = guestmount_with(args, &o, err);
	mount_options_free(&o);
	return r < 0 ? err_wrap(err, "mount %s (%s) on %s", args->source, args->type,
				args->destination)
		     : 0;
}

bool guestmount_source_may_appear(const struct guestmount_args *args,
				  const struct coffer_error *err)
{
	return strncmp(args->source, "/dev/vd", 7) == 0 &&
	       (err->err == ENOENT || err->err == ENXIO);
}

int guestmount_make_late(const void *arg, struct coffer_error *err)
{
	struct coffer_error later;
	int r;

	/* The error that is told is the first one: later ones may stem from half-made state. */
	r = guestmount_make(arg, err);
	for (int i = 0; r < 0 && i < GUESTMOUNT_LATE_TRIES; i++) {
		usleep(GUESTMOUNT_LATE_STEP);
		if (guestmount_make(arg, &later) == 0) {
			err_clear(err);
			return 0;
		}
	}
	/* The contract's status for any failure of a mount. */
	if (r < 0)
		err->kind = COFFER_ERR_INTERNAL;
	return r;
}

/* By its parent and name: a descriptor of the mount itself would keep it busy. */
static int guestmount_unmount(const struct guestmount_remove_args *args, const char *path,
			      struct coffer_error *err)
{
	autoguestpath struct guestpath gp = GUESTPATH_INIT;
	char target[GUESTMOUNT_FD_PATH + NAME_MAX + 2];
	autoclose int parent = -1;
	const char *name;
	int r;

	r = guestpath_open(args->agent, path, &gp, err);
	if (r < 0)
		return r;
	parent = path_parent_in_root(gp.rootfd, gp.path, false, &name, err);
	if (parent < 0)
		return parent;
	if (snprintf(target, sizeof(target), "/proc/self/fd/%d/%s", parent, name) >=
	    (int)sizeof(target))
		return err_sysn(err, ENAMETOOLONG, "unmount %s", path);
	if (umount2(target, args->flags | UMOUNT_NOFOLLOW) < 0)
		return err_sys(err, "unmount %s", path);
	return 0;
}

int guestmount_remove(const void *arg, struct coffer_error *err)
{
	const struct guestmount_remove_args *args = arg;
	autofree char *path = strdup(args->path);
	int r = path ? -EBUSY : err_nomem(err);

	for (size_t n = path ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	for (int i = 0; r == -EBUSY && i < GUESTMOUNT_BUSY_TRIES; i++) {
		if (i > 0)
			usleep(GUESTMOUNT_BUSY_STEP);
		r = guestmount_unmount(args, path, err);
	}
	/* The contract's status for anything but a busy mount. */
	if (r < 0 && r != -EBUSY && err)
		err->kind = COFFER_ERR_INVALID_ARGUMENT;
	else if (r == 0)
		err_clear(err);
	return r;
}
