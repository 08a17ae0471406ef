/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/share_jail.c - the walls around the server of a shared directory
 *
 * A guest that has taken over its kernel speaks to this process next.  It sees
 * a small read-only root (vmm/smallroot.c) with, beside the system's programs,
 *
 *	/share                  the directory, no devices, no programs; read-only if so configured.
 *	                        Of a single file, an empty one with that file and no place for more
 *	/proc/self              its own files in procfs, and nothing of anybody else's
 *	/proc/sys/fs/file-max   which it reads
 *
 * and changes its root to /share itself before it serves.  It has no network,
 * no other process, and no capability outside of its user namespace:
 *
 *	started by root          every id is itself in there
 *	by an ordinary user      the user is 0 in there, and there is no other id: files that
 *	                         the guest's users make are the user's (jail_filter_ids())
 *
 * The directory is a descriptor, which cannot be bound by name without a race,
 * nor across mount namespaces.  So it becomes the working directory, which goes
 * along into a new namespace.
 *
 * Runs in the forked child, share_jail_map_ids() in the parent meanwhile.
 */
#include "vmm/share_jail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/ns.h"
#include "vmm/smallroot.h"

#define SHARE_JAIL_PROC	   "proc/self"
#define SHARE_JAIL_NOTHING (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define SHARE_JAIL_MAP_MAX 4096 /* what the kernel takes */
#define SHARE_JAIL_FILES_MAX (1u << 18)

static int share_jail_write_map(pid_t child, const char *file, const char *text,
				struct coffer_error *err)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, file);
	return io_write_file(AT_FDCWD, path, text, err);
}

/* All ids there are here, as themselves. */
static int share_jail_map_same(pid_t child, const char *file, struct coffer_error *err)
{
	char path[32], text[SHARE_JAIL_MAP_MAX] = "";
	autofree char *own = NULL;
	size_t n = 0;
	int r;

	snprintf(path, sizeof(path), "/proc/self/%s", file);
	r = io_read_file(AT_FDCWD, path, SHARE_JAIL_MAP_MAX, &own, NULL, err);
	if (r < 0)
		return r;
	for (char *save = NULL, *line = strtok_r(own, "\n", &save); line && n < sizeof(text);
	     line = strtok_r(NULL, "\n", &save)) {
		uint32_t inside, outside, count;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, &outside, &count) ==
		    3)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", inside,
					      inside, count);
	}
	return share_jail_write_map(child, file, text, err);
}

static int share_jail_map_user(pid_t child, struct coffer_error *err)
{
	char text[32];
	int r = share_jail_write_map(child, "setgroups", "deny", err);

	snprintf(text, sizeof(text), "0 %u 1", (unsigned)geteuid());
	if (r == 0)
		r = share_jail_write_map(child, "uid_map", text, err);
	snprintf(text, sizeof(text), "0 %u 1", (unsigned)getegid());
	return r < 0 ? r : share_jail_write_map(child, "gid_map", text, err);
}

static int share_jail_map_ids(void *data, pid_t child, struct coffer_error *err)
{
	int r;

	if (geteuid() != 0)
		return share_jail_map_user(child, err);
	r = share_jail_map_same(child, "uid_map", err);
	return r < 0 ? r : share_jail_map_same(child, "gid_map", err);
}

/* Return: a mount of what is shared, which the working directory is or has in it */
static int share_jail_take(const struct share_jail *j, struct coffer_error *err)
{
	uint64_t attrs = SHARE_JAIL_NOTHING | (j->readonly ? MOUNT_ATTR_RDONLY : 0);
	autoclose int fd = -1;
	char path[32];
	struct stat st;

	if (!*j->file)
		return ns_take(".", attrs, err);
	/* Since it was configured it may have become a link to somewhere else. */
	fd = open(j->file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s", j->file);
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "%s: not a regular file", j->file);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return ns_take(path, attrs, err);
}

/* The working directory is the shared one; afterwards it is the new root. */
static int share_jail_view(const struct share_jail *j, struct coffer_error *err)
{
	char place[sizeof(SHARE_JAIL_DIR) + NAME_MAX + 1];
	autoclose int tree = share_jail_take(j, err);
	int r = tree < 0 ? tree : smallroot_begin(j->vm_dir, err);

	snprintf(place, sizeof(place), "%s%s%s", SHARE_JAIL_DIR, *j->file ? "/" : "", j->file);
	if (r == 0)
		r = smallroot_make_place(place, !*j->file, err);
	if (r == 0)
		r = ns_put(tree, place, err);
	if (r == 0)
		r = smallroot_make_place(SHARE_JAIL_PROC, true, err);
	if (r == 0)
		r = ns_bind("/" SHARE_JAIL_PROC, SHARE_JAIL_PROC, SHARE_JAIL_NOTHING, err);
	if (r == 0)
		r = smallroot_show("proc/sys/fs/file-max", err);
	if (r == 0)
		r = smallroot_show_program(j->program, err);
	return r < 0 ? r : smallroot_enter(err);
}

/*
 * A descriptor for every file that the guest knows, which is that many of the host's inodes held
 * in memory: enough for a big tree, and an end to it.
 */
static int share_jail_limits(struct coffer_error *err)
{
	const struct rlimit no_core = { 0, 0 };
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(err, "read the limit of open files");
	if (files.rlim_max > SHARE_JAIL_FILES_MAX)
		files.rlim_max = SHARE_JAIL_FILES_MAX;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0)
		return err_sys(err, "set limits");
	return 0;
}

static int share_jail_hook(void *data, struct coffer_error *err)
{
	const struct share_jail *j = data;
	int r;

	io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "500", NULL);
	/* It leads to the same files, without the restrictions. */
	if (fchdir(SHARE_JAIL_FD_DIR) < 0 || io_set_cloexec(SHARE_JAIL_FD_DIR, true) < 0)
		return err_sys(err, "enter the shared directory");
	r = ns_enter_view(err);
	if (r == 0)
		r = share_jail_view(j, err);
	if (r == 0)
		r = share_jail_limits(err);
	if (r == 0 && j->own_id_only)
		r = jail_filter_ids(err);
	return r < 0 ? r : jail_tie(j->jail, err);
}

/* Why a namespace is not to be had: rights, or one of the limits on their number. */
static bool share_jail_is_forbidden(int r)
{
	return r == -EPERM || r == -ENOSPC || r == -EUSERS;
}

int share_jail_spawn(const struct share_jail *jail, struct spawn_args *args, struct child *out,
		     struct coffer_error *err)
{
	struct share_jail own = *jail;
	int r;

	args->hook = share_jail_hook;
	args->hook_data = &own;
	own.own_id_only = geteuid() != 0;
	args->clone_flags = CLONE_NEWUSER | CLONE_NEWPID;
	args->parent_hook = share_jail_map_ids;
	r = spawn_exec(args, out, err);
	if (r < 0 && geteuid() == 0 && share_jail_is_forbidden(r)) {
		args->clone_flags = CLONE_NEWPID;
		args->parent_hook = NULL;
		r = spawn_exec(args, out, err);
	}
	if (r < 0 && share_jail_is_forbidden(r)) {
		if (err)
			err->kind = COFFER_ERR_UNSUPPORTED;
		return err_wrap(err, "a shared directory needs namespaces of its own");
	}
	return r;
}
