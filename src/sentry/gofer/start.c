/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/gofer/start.c - the trees and the process that holds them
 *
 *	gofer_start()   user namespace if it takes one
 *	  for each tree: a child with our descriptors, whose working directory is the tree, makes
 *	                 a mount namespace and takes a copy of the mount: detached, private, no
 *	                 devices, no set-user-id programs
 *	  fork -> gofer   an empty root, /proc/self/fd as the working directory, four capabilities,
 *	                  its own filter; a thread for each channel
 *
 * The detour by the working directory: a descriptor from outside cannot be cloned in a new mount
 * namespace, but the working directory goes along into it. Who may clone it where it is skips that.
 *
 * A tree of which one file can be seen is a small file system in memory with that file bound in it.
 */
#include "sentry/gofer/gofer.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/ns.h"
#include "sentry/gofer/wire.h"

#define START_ATTRS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define START_STACK (64 * 1024)

/* Where a file system in memory can be mounted over in a mount namespace of our own: it is there on
 * every host, and nothing else of it is needed. */
#define START_PLACE "/proc"

struct start_take {
	const struct gofer_tree *tree;
	int fd; /* out: the detached mount, in the table that is shared */
	struct coffer_error err;
};

/* Return: a detached copy of the mount at the descriptor's place */
static int start_clone_tree(int fd, bool read_only, struct coffer_error *err)
{
	struct mount_attr attr = {
		.attr_set = START_ATTRS | (read_only ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE,
	};
	autoclose int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
						       AT_RECURSIVE);

	if (tree < 0)
		return err_sys(err, "take a tree's mount");
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, "restrict a tree's mount");
	return steal_fd(&tree);
}

/* In a mount namespace of its own, the working directory is the tree. Return: a detached mount */
static int start_clone_file(const struct gofer_tree *tree, struct coffer_error *err)
{
	char place[sizeof(START_PLACE) + 1 + NAME_MAX + 1], self[32];
	autoclose int fd = open(tree->file, O_PATH | O_NOFOLLOW | O_CLOEXEC), new = -1, root = -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "%s", tree->file);
	if (!S_ISREG(st.st_mode))
		return err_invalid(err, "%s: not a regular file", tree->file);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	new = ns_take(self, START_ATTRS | (tree->read_only ? MOUNT_ATTR_RDONLY : 0), err);
	if (new < 0)
		return new;
	if (mount("coffer", START_PLACE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,nr_inodes=2") < 0)
		return err_sys(err, "mount a file system for %s", tree->file);
	snprintf(place, sizeof(place), "%s/%s", START_PLACE, tree->file);
	if (mknod(place, S_IFREG | 0444, 0) < 0)
		return err_sys(err, "make a place for %s", tree->file);
	if (ns_put(new, place, err) < 0)
		return err_wrap(err, "show %s", tree->file);
	root = open(START_PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, "open %s", START_PLACE);
	/* Only the file system itself: what is bound in it has its own flags */
	if (mount(NULL, START_PLACE, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
		  NULL) < 0)
		return err_sys(err, "make the file system for %s read-only", tree->file);
	return start_clone_tree(root, tree->read_only, err);
}

static int start_take_here(const struct gofer_tree *tree, struct coffer_error *err)
{
	autoclose int here = -1;

	if (fchdir(tree->fd) < 0)
		return err_sys(err, "enter a tree");
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(err, "new mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, "make all mounts private");
	if (tree->file && *tree->file)
		return start_clone_file(tree, err);
	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return here < 0 ? err_sys(err, "open a tree") :
			  start_clone_tree(here, tree->read_only, err);
}

static int start_take_child(void *data)
{
	struct start_take *take = data;

	take->fd = start_take_here(take->tree, &take->err);
	return 0;
}

/* With our memory and our descriptors, but a working directory and mounts of its own; we wait. */
static int start_take_apart(const struct gofer_tree *tree, struct coffer_error *err)
{
	struct start_take take = { .tree = tree, .fd = -1, .err = COFFER_ERROR_INIT };
	autofree char *stack = malloc(START_STACK);
	pid_t pid;

	if (!stack)
		return err_nomem(err);
	pid = clone(start_take_child, stack + START_STACK,
		    CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &take);
	if (pid < 0)
		return err_sys(err, "a process to take a tree");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (take.fd < 0 && err)
		*err = take.err;
	return take.fd;
}

static int start_take_tree(const struct gofer_tree *tree, struct coffer_error *err)
{
	int fd = -1;

	if (!tree->file || !*tree->file)
		fd = start_clone_tree(tree->fd, tree->read_only, NULL);
	return fd >= 0 ? fd : start_take_apart(tree, err);
}

/* Return: whether mount namespaces can be made from here */
static bool start_may_mount(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return syscall(SYS_capget, &head, caps) == 0 &&
	       (caps[0].effective & (1u << CAP_SYS_ADMIN)) != 0;
}

int gofer_start(const struct gofer_config *config, struct child *child, int *socket_out,
		struct coffer_error *err)
{
	int trees[GOFER_TREES_MAX], pair[2], r = 0;
	size_t n = 0;

	*socket_out = -1;
	if (config->ntrees > GOFER_TREES_MAX)
		return err_invalid(err, "more than %d trees", GOFER_TREES_MAX);
	umask(0);
	if (!start_may_mount())
		r = ns_enter_user(err);
	for (; r >= 0 && n < config->ntrees; n++) {
		trees[n] = start_take_tree(&config->trees[n], err);
		if (trees[n] < 0) {
			r = err_wrap(err, "tree %zu", n);
			break;
		}
	}
	if (r >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = err_sys(err, "a socket for the gofer");
	if (r >= 0) {
		r = spawn_fork(0, child, err);
		if (r == 0)
			gofer_main(config, trees, pair[1]);
		close(pair[1]);
		if (r > 0)
			*socket_out = pair[0];
		else
			close(pair[0]);
	}
	while (n > 0)
		close(trees[--n]);
	return r < 0 ? r : 0;
}
