/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/memfd.h - files in memory without a name: memfd_create(2), and their seals
 */
#ifndef SENTRY_VFS_MEMFD_H
#define SENTRY_VFS_MEMFD_H

#include <stdint.h>
#include <sys/mman.h>

struct file;
struct task;
struct vfs_path;

#define MEMFD_NAME_MAX 249

/* memfd_create_path() - A file without open file: @name is what /proc shows, @flags MFD_*. The dentry
 * is the caller's, of the mount it holds no reference. Return: 0 or -ENOMEM */
int memfd_create_path(struct task *task, const char *name, unsigned flags, struct vfs_path *out);
int memfd_create_file(struct task *task, const char *name, unsigned flags, struct file **out);
/* fcntl(2)'s; -EINVAL: @file is no such file. Return: 0 or the seals */
int memfd_add_seals(struct file *file, unsigned seals);
int memfd_get_seals(struct file *file);

#endif /* SENTRY_VFS_MEMFD_H */
