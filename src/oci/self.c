/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/self.c - keep containers from writing to the program that makes them
 *
 * Before its execve a container's process is still this program, and its
 * /proc/self/exe leads to our file on the host.  An image can make it the
 * program to run (a link, or an interpreter), hold it open, and write to it
 * once nobody executes it any more: the next container is made by whatever was
 * written.  So whoever will become a container's process runs from something
 * that cannot be written to:
 *
 *	privileged  our file on a read-only mount that is in no mount namespace: it is
 *	            cloned, made read-only, becomes our program, and its descriptor is
 *	            closed. No path leads to it, and no call that changes or copies mounts
 *	            takes one that is in no namespace.  Becomes: self_image.c exchanges the
 *	            file under us; where the kernel refuses that, the file is executed.
 *	else        a sealed copy in memory; none when the file belongs to root: neither an
 *	            ordinary user nor the ids given to him can write to it.
 *
 * What we are is read off the kernel and not off a mark that a caller could
 * set: our own mount cannot be cloned a second time.
 *
 * Caller: the table of commands, for those that make processes in a container.
 */
#include "oci/self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SELF_EXE   "/proc/self/exe"
#define SELF_NAME  "coffer-oci"
#define SELF_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

static int self_execute(int fd, char *argv[], struct coffer_error *err)
{
	execveat(fd, "", argv, environ, AT_EMPTY_PATH);
	return err_sys(err, "execute a protected copy of ourselves");
}

static int self_use_mount(int tree, char *argv[], struct coffer_error *err)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	autoclose int exe = -1;
	char path[32];

	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys(err, "protect our program");
	/* For reading: the tree's own descriptor is only a place. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tree);
	exe = open(path, O_RDONLY | O_CLOEXEC);
	if (exe >= 0 && self_image_exchange(exe, argv) == 0)
		return 0;
	return self_execute(tree, argv, err);
}

static int self_execute_copy(int exe, char *argv[], struct coffer_error *err)
{
	autoclose int copy = memfd_create(SELF_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	ssize_t n;

	/* Before Linux 6.3 all of them are executable, and the word is unknown. */
	if (copy < 0 && errno == EINVAL)
		copy = memfd_create(SELF_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return err_sys(err, "make a copy of our program");
	do
		n = sendfile(copy, exe, NULL, 1 << 30);
	while (n > 0);
	if (n < 0 || fcntl(copy, F_ADD_SEALS, SELF_SEALS) < 0)
		return err_sys(err, "make a copy of our program");
	return self_execute(copy, argv, err);
}

/* Nobody in a container of ours can write to it, nor give himself the right to. */
static bool self_is_out_of_reach(const struct stat *st)
{
	return geteuid() != 0 && st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static bool self_is_protected(int exe)
{
	struct statvfs fs;

	return fcntl(exe, F_GET_SEALS) == SELF_SEALS ||
	       (fstatvfs(exe, &fs) == 0 && fs.f_flag & ST_RDONLY);
}

int self_protect(char *argv[], struct coffer_error *err)
{
	autoclose int tree = open_tree(AT_FDCWD, SELF_EXE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	autoclose int exe = -1;
	struct stat st;

	if (tree >= 0)
		return self_use_mount(tree, argv, err);
	/* Not in our namespace (EINVAL), or no right to know (EPERM). */
	exe = open(SELF_EXE, O_RDONLY | O_CLOEXEC);
	if (exe < 0 || fstat(exe, &st) < 0)
		return err_sys(err, "open our program");
	if (self_is_out_of_reach(&st))
		return 0;
	if (!self_is_protected(exe))
		return self_execute_copy(exe, argv, err);
	/* The kernel has named us after a descriptor. */
	prctl(PR_SET_NAME, SELF_NAME);
	return 0;
}
