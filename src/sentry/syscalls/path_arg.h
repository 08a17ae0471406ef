/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscalls/path_arg.h - a path as an argument: copied, and a walk from its directory
 *
 *	autopath struct path_arg arg = PATH_ARG_INIT;
 *	r = path_arg_walk(&arg, task, dirfd, address, flags);
 *	... arg.walk.path ...
 */
#ifndef SENTRY_SYSCALLS_PATH_ARG_H
#define SENTRY_SYSCALLS_PATH_ARG_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "sentry/mm/user.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

struct path_arg {
	char *text; /* owned */
	struct walk walk;
};

#define PATH_ARG_INIT { .text = NULL }

/* path_arg_get() - Copy and find the start; no step is made */
static inline int path_arg_get(struct path_arg *arg, struct task *task, int dirfd, uint64_t addr)
{
	int r = user_path(task->mm, addr, &arg->text);

	return r < 0 ? r : walk_task(&arg->walk, task, dirfd, arg->text);
}

static inline int path_arg_walk(struct path_arg *arg, struct task *task, int dirfd, uint64_t addr,
				unsigned flags)
{
	int r = path_arg_get(arg, task, dirfd, addr);

	return r < 0 ? r : vfs_walk(&arg->walk, arg->text, flags);
}

static inline void path_arg_end(struct path_arg *arg)
{
	walk_end(&arg->walk);
	free(arg->text);
}
#define autopath CLEANUP(path_arg_end)

/* path_arg_flags() - Of AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW (where following is asked for), AT_EMPTY_PATH */
static inline unsigned path_arg_flags(int at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0u) |
	       (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0u);
}

#endif /* SENTRY_SYSCALLS_PATH_ARG_H */
