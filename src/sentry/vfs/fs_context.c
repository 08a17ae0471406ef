/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/fs_context.c - a task's root, working directory and umask
 *
 * Shared by threads (CLONE_FS), copied by fork.
 */
#include <stdlib.h>

#include "sentry/vfs/vfs.h"

struct fs_context *fs_context_new(struct mount_table *mounts)
{
	struct fs_context *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	atomic_init(&fs->refs, 1);
	pthread_mutex_init(&fs->lock, NULL);
	fs->mounts = mount_table_get(mounts);
	fs->umask = 022;
	mount_table_root(mounts, &fs->root);
	fs->cwd = fs->root;
	path_get(&fs->cwd);
	return fs;
}

struct fs_context *fs_context_get(struct fs_context *fs)
{
	atomic_fetch_add_explicit(&fs->refs, 1, memory_order_relaxed);
	return fs;
}

void fs_context_put(struct fs_context *fs)
{
	if (!fs || atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
		return;
	path_put(&fs->cwd);
	path_put(&fs->root);
	mount_table_put(fs->mounts);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

struct fs_context *fs_context_copy(struct fs_context *fs)
{
	struct fs_context *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	atomic_init(&copy->refs, 1);
	pthread_mutex_init(&copy->lock, NULL);
	pthread_mutex_lock(&fs->lock);
	copy->mounts = mount_table_get(fs->mounts);
	copy->root = fs->root;
	copy->cwd = fs->cwd;
	copy->umask = fs->umask;
	path_get(&copy->root);
	path_get(&copy->cwd);
	pthread_mutex_unlock(&fs->lock);
	return copy;
}

/* fs_context_read() - One of its two places, with a reference */
static void fs_context_read(struct fs_context *fs, const struct vfs_path *place,
			    struct vfs_path *out)
{
	pthread_mutex_lock(&fs->lock);
	*out = *place;
	path_get(out);
	pthread_mutex_unlock(&fs->lock);
}

static void fs_context_write(struct fs_context *fs, struct vfs_path *place,
			     const struct vfs_path *path)
{
	struct vfs_path old;

	path_get(path);
	pthread_mutex_lock(&fs->lock);
	old = *place;
	*place = *path;
	pthread_mutex_unlock(&fs->lock);
	path_put(&old);
}

void fs_context_root(struct fs_context *fs, struct vfs_path *out)
{
	fs_context_read(fs, &fs->root, out);
}

void fs_context_cwd(struct fs_context *fs, struct vfs_path *out)
{
	fs_context_read(fs, &fs->cwd, out);
}

void fs_context_set_root(struct fs_context *fs, const struct vfs_path *path)
{
	fs_context_write(fs, &fs->root, path);
}

void fs_context_set_cwd(struct fs_context *fs, const struct vfs_path *path)
{
	fs_context_write(fs, &fs->cwd, path);
}
