/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in memory, a table of mounts and a task to walk in it, for tests of sentry/vfs.
 */
#ifndef TEST_SENTRY_WORLD_H
#define TEST_SENTRY_WORLD_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/memfile.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/permission.h"

#ifdef __clang__
/* The groups of the last one stand behind it. */
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

struct world {
	struct super *super; /* the root's; held by the table */
	struct mount_table *mounts;
	struct fs_context *fs;
	struct cred root, user; /* user: 1000, in groups 1000 and 50 */
	uint32_t user_groups[1];
	struct process process;
	struct task task;
};

static inline struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w) + sizeof(uint32_t));

	if (!kernel.memory)
		assert_int_equal(memfile_new(0, &kernel.memory, NULL), 0);
	assert_int_equal(tmpfs_new(0, 0755, &w->super), 0);
	w->mounts = mount_table_new(w->super, 0);
	w->fs = fs_context_new(w->mounts);
	w->fs->umask = 0;
	atomic_init(&w->root.refs, 1);
	atomic_init(&w->user.refs, 1);
	w->root.cap_effective = w->root.cap_permitted = UINT64_MAX;
	w->user.uid = w->user.euid = w->user.fsuid = 1000;
	w->user.gid = w->user.egid = w->user.fsgid = 1000;
	for (int i = 0; i < RLIM_NLIMITS; i++)
		w->process.limits[i].rlim_cur = RLIM_INFINITY;
	w->process.limits[RLIMIT_NOFILE].rlim_cur = 1024;
	w->process.pid = 7;
	w->task.process = &w->process;
	w->task.cred = &w->root;
	w->task.fs = w->fs;
	w->task.files = fdtable_new();
	return w;
}

static inline void world_free(struct world *w)
{
	fdtable_put(w->task.files);
	fs_context_put(w->fs);
	mount_table_put(w->mounts);
	free(w);
}

static inline struct walk world_walk(struct world *w, const struct cred *cred)
{
	return (struct walk){ .fs = w->fs, .cred = cred, .task = &w->task };
}

static inline int world_make(struct world *w, const struct cred *cred, const char *path,
			     uint32_t mode, const char *target)
{
	struct vfs_create args = { .mode = mode, .target = target };
	struct walk walk = world_walk(w, cred);
	int r = vfs_create(&walk, path, &args);

	walk_end(&walk);
	return r;
}

static inline int world_find(struct world *w, const struct cred *cred, const char *path,
			     unsigned flags, struct vfs_path *out)
{
	struct walk walk = world_walk(w, cred);
	int r = vfs_walk(&walk, path, flags);

	if (r == 0) {
		*out = walk.path;
		path_get(out);
	}
	walk_end(&walk);
	return r;
}

static inline int world_open(struct world *w, const struct cred *cred, const char *path,
			     uint32_t flags, uint32_t mode, struct file **out)
{
	struct walk walk = world_walk(w, cred);
	int r = vfs_open(&walk, path, flags, mode, 0, out);

	walk_end(&walk);
	return r;
}

/* world_where() - The name of what @path leads to, or its errno */
static inline const char *world_where(struct world *w, const char *path, unsigned flags,
				      char buf[PATH_MAX])
{
	struct vfs_path found, root;
	int r = world_find(w, &w->root, path, flags, &found);

	if (r < 0) {
		snprintf(buf, PATH_MAX, "%s", strerrorname_np(-r));
		return buf;
	}
	fs_context_root(w->fs, &root);
	assert_true(vfs_path_name(&found, &root, buf, PATH_MAX) > 0);
	path_put(&root);
	path_put(&found);
	return buf;
}

#endif /* TEST_SENTRY_WORLD_H */
