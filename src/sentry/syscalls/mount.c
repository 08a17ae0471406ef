/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/mount.c - mounts made by guests
 *
 * With CAP_SYS_ADMIN in the container, which says nothing about the host: what can be mounted is
 * ours (tmpfs, proc, sysfs, devpts, cgroup2) or already there (bind, move). The calls of the newer
 * interface (fsopen and its like) are not there: ENOSYS, and programs use mount(2).
 */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "sentry/control/container.h"
#include "sentry/syscalls/path_arg.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/mount.h"

#define MOUNT_TYPE_MAX 32
#define MOUNT_PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static unsigned mount_call_flags(unsigned long ms)
{
	static const struct {
		unsigned long ms;
		unsigned mnt;
	} bits[] = {
		{ MS_RDONLY, MNT_READ_ONLY },	   { MS_NOSUID, MNT_NOSUID },
		{ MS_NODEV, MNT_NODEV },	   { MS_NOEXEC, MNT_NOEXEC },
		{ MS_NOATIME, MNT_NOATIME },	   { MS_NODIRATIME, MNT_NODIRATIME },
		{ MS_RELATIME, MNT_RELATIME },
	};
	unsigned flags = ms & MS_NOATIME ? 0 : MNT_RELATIME;

	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (ms & bits[i].ms)
			flags |= bits[i].mnt;
	return flags;
}

/* mount_call_size() - "64m", "10%" of the memory, plain bytes; 0: the default */
static uint64_t mount_call_size(const char *text)
{
	char *end;
	uint64_t size = strtoull(text, &end, 10);
	unsigned shift = 0;

	switch (*end) {
	case 'g':
	case 'G':
		shift = 30;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'k':
	case 'K':
		shift = 10;
		break;
	case '%':
		return size <= 100 ? kernel.memory_max / 100 * size : 0;
	case 0:
		break;
	default:
		return 0;
	}
	return size < UINT64_C(1) << (63 - shift) ? size << shift : 0;
}

static int mount_call_tmpfs(struct task *task, char *options, struct super **out)
{
	uint64_t size = 0;
	uint32_t mode = 01777;
	char *save = NULL;

	for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		if (!strncmp(o, "size=", 5))
			size = mount_call_size(o + 5);
		else if (!strncmp(o, "mode=", 5))
			mode = (uint32_t)strtoul(o + 5, NULL, 8) & 07777;
	}
	return tmpfs_new(size, mode, out);
}

static int mount_call_proc(struct task *task, char *options, struct super **out)
{
	return procfs_new(task->process->container, out);
}

static int mount_call_sysfs(struct task *task, char *options, struct super **out)
{
	return sysfs_new(out);
}

static int mount_call_devpts(struct task *task, char *options, struct super **out)
{
	return devpts_new(0666, 5, out);
}

static int mount_call_cgroup(struct task *task, char *options, struct super **out)
{
	return cgroupfs_new(task->process->container, out);
}

static const struct {
	const char *type;
	int (*make)(struct task *task, char *options, struct super **out);
} mount_call_types[] = {
	{ "tmpfs", mount_call_tmpfs },	 { "ramfs", mount_call_tmpfs },
	{ "proc", mount_call_proc },	 { "sysfs", mount_call_sysfs },
	{ "devpts", mount_call_devpts }, { "cgroup2", mount_call_cgroup },
};

/* What mount(2) was given, as our own. */
struct mount_call {
	struct task *task;
	struct path_arg target;
	uint64_t source;
	char type[MOUNT_TYPE_MAX];
	unsigned long flags;
	uint64_t options;
};

/* mount_call_options() - A page of text, or none */
static int mount_call_options(const struct mount_call *c, char **out)
{
	long r = 0;

	*out = calloc(1, PAGE_SIZE);
	if (!*out)
		return -ENOMEM;
	if (c->options)
		r = user_string(c->task->mm, *out, c->options, PAGE_SIZE);
	return r < 0 ? (int)r : 0;
}

static int mount_call_new(struct mount_call *c)
{
	autofree char *options = NULL, *source = NULL;
	struct super *super = NULL;
	int r = c->type[0] ? mount_call_options(c, &options) : -EINVAL;

	if (r == 0 && c->source)
		r = user_path(c->task->mm, c->source, &source);
	if (r < 0)
		return r;
	r = -ENODEV;
	for (size_t i = 0; i < ARRAY_SIZE(mount_call_types); i++)
		if (!strcmp(mount_call_types[i].type, c->type))
			r = mount_call_types[i].make(c->task, options, &super);
	if (r < 0)
		return r;
	return mount_add(c->task->fs->mounts, &c->target.walk.path, super,
			 mount_call_flags(c->flags) | MNT_GUEST, source);
}

static int mount_call_bind(struct mount_call *c)
{
	autopath struct path_arg from = PATH_ARG_INIT;
	int r = path_arg_walk(&from, c->task, AT_FDCWD, c->source, 0);

	/* Flags of a bind are the mount's it is taken from; a remount changes them. */
	return r < 0 ? r : mount_bind(c->task->fs->mounts, &c->target.walk.path, &from.walk.path,
				      MNT_GUEST, c->flags & MS_REC);
}

static int mount_call_move(struct mount_call *c)
{
	autopath struct path_arg from = PATH_ARG_INIT;
	int r = path_arg_walk(&from, c->task, AT_FDCWD, c->source, 0);

	return r < 0 ? r : mount_move(c->task->fs->mounts, &from.walk.path,
				      &c->target.walk.path);
}

static int mount_call_remount(struct mount_call *c)
{
	return mount_remount(c->task->fs->mounts, &c->target.walk.path,
			     mount_call_flags(c->flags) | MNT_GUEST);
}

static int mount_call_do(struct mount_call *c)
{
	if (c->flags & MS_REMOUNT)
		return mount_call_remount(c);
	if (c->flags & MS_BIND)
		return mount_call_bind(c);
	if (c->flags & MOUNT_PROPAGATION) /* all mounts are private */
		return c->flags & MS_SHARED ? -EINVAL : 0;
	if (c->flags & MS_MOVE)
		return mount_call_move(c);
	return mount_call_new(c);
}

static long mount_mount(struct task *task, const uint64_t args[6])
{
	struct mount_call c = {
		.task = task, .source = args[0], .flags = args[3], .options = args[4],
	};
	long r = 0;

	if ((c.flags & MS_MGC_MSK) == MS_MGC_VAL)
		c.flags &= ~(unsigned long)MS_MGC_MSK;
	if (args[2])
		r = user_string(task->mm, c.type, args[2], sizeof(c.type));
	if (r < 0)
		return r == -ENAMETOOLONG ? -ENODEV : r;
	r = path_arg_walk(&c.target, task, AT_FDCWD, args[1], 0);
	if (r == 0)
		r = cred_capable(task->cred, CAP_SYS_ADMIN) ? mount_call_do(&c) : -EPERM;
	path_arg_end(&c.target);
	return r;
}

static long mount_umount(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg arg = PATH_ARG_INIT;
	unsigned flags = (unsigned)args[1];
	struct vfs_path at;
	int r;

	if (flags & ~(unsigned)(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if (!cred_capable(task->cred, CAP_SYS_ADMIN))
		return -EPERM;
	r = path_arg_walk(&arg, task, AT_FDCWD, args[0],
			  flags & UMOUNT_NOFOLLOW ? WALK_NOFOLLOW : 0);
	if (r < 0)
		return r;
	if (flags & MNT_EXPIRE)
		return -EAGAIN;
	at = arg.walk.path;
	return mount_remove(task->fs->mounts, &at, flags & MNT_DETACH);
}

static long mount_pivot_root(struct task *task, const uint64_t args[6])
{
	autopath struct path_arg root = PATH_ARG_INIT, old = PATH_ARG_INIT;
	int r;

	if (!cred_capable(task->cred, CAP_SYS_ADMIN))
		return -EPERM;
	r = path_arg_walk(&root, task, AT_FDCWD, args[0], WALK_DIRECTORY);
	if (r == 0)
		r = path_arg_walk(&old, task, AT_FDCWD, args[1], WALK_DIRECTORY);
	/* The old root stays where it is put; with "." on "." it is on top of the new one. */
	return r < 0 ? r : mount_pivot_to(task->fs, &root.walk.path, &old.walk.path);
}

static const struct syscall_row mount_rows[] = {
	{ SYS_mount, "mount", mount_mount, { ARG_PATH, ARG_PATH, ARG_STR, ARG_HEX, ARG_STR },
	  SYSCALL_PART, "tmpfs, proc, sysfs, devpts, cgroup2, bind, move, remount; no propagation" },
	{ SYS_umount2, "umount2", mount_umount, { ARG_PATH, ARG_HEX } },
	{ SYS_pivot_root, "pivot_root", mount_pivot_root, { ARG_PATH, ARG_PATH } },
};

const struct syscall_family syscalls_mount = SYSCALL_FAMILY("Mounts", mount_rows);
