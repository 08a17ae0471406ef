/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/procfs_links.c - where a process is, and what it has open
 *
 *	exe, cwd, root, fd/N	links to objects: followed without asking their names
 *	fdinfo/N		offset, flags, mount
 *	ns/X			names only; namespaces of ours cannot be entered
 *	mounts, mountinfo	as its root sees them
 *
 * All but mounts is for those who might trace the process (procfs_may_look()).
 *
 * Called through procfs_pid.c's table.
 */
#include "sentry/vfs/procfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/mount.h"

/* --- places --- */

/* With a reference. Return: 0, -ESRCH, -EACCES, -ENOENT: it has none any more */
static int procfs_fs(const struct textfs_node *node, bool guarded, struct fs_context **out)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	int r;

	if (!task)
		return -ESRCH;
	r = guarded ? procfs_may_look(process) : 0;
	*out = r ? NULL : task_fs_get(task);
	procfs_unlock();
	return r ? r : (*out ? 0 : -ENOENT);
}

static int procfs_place(const struct textfs_node *node, bool root, struct vfs_path *out)
{
	struct fs_context *fs;
	int r = procfs_fs(node, true, &fs);

	if (r)
		return r;
	pthread_mutex_lock(&fs->lock);
	*out = root ? fs->root : fs->cwd;
	path_get(out);
	pthread_mutex_unlock(&fs->lock);
	fs_context_put(fs);
	return 0;
}

/* As the reader would name it. */
static int procfs_print_path(const struct vfs_path *path, char *buf, size_t size)
{
	struct fs_context *fs = task_current ? task_current->fs : NULL;
	struct vfs_path root;
	int r;

	if (!fs)
		return -ENOENT;
	pthread_mutex_lock(&fs->lock);
	root = fs->root;
	path_get(&root);
	pthread_mutex_unlock(&fs->lock);
	r = vfs_path_name(path, &root, buf, size);
	path_put(&root);
	return r < 0 ? r : (int)strlen(buf);
}

static int procfs_print_place(struct textfs_node *node, bool root, char *buf, size_t size)
{
	struct vfs_path path;
	int r = procfs_place(node, root, &path);

	if (r)
		return r;
	r = procfs_print_path(&path, buf, size);
	path_put(&path);
	return r;
}

int procfs_link_cwd(struct textfs_node *node, char *buf, size_t size)
{
	return procfs_print_place(node, false, buf, size);
}

int procfs_link_root(struct textfs_node *node, char *buf, size_t size)
{
	return procfs_print_place(node, true, buf, size);
}

int procfs_follow_cwd(struct textfs_node *node, struct task *task, struct vfs_path *out)
{
	return procfs_place(node, false, out);
}

int procfs_follow_root(struct textfs_node *node, struct task *task, struct vfs_path *out)
{
	return procfs_place(node, true, out);
}

static int procfs_exe(const struct textfs_node *node, struct file **out)
{
	struct mm *mm;
	int r = procfs_mm(node, true, &mm);

	if (r)
		return r;
	*out = mm ? mm_exe(mm) : NULL;
	if (mm)
		mm_put(mm);
	return *out ? 0 : -ENOENT;
}

/* What a file is called: its path, or what kind of thing it is. */
static int procfs_print_file(const struct file *file, char *buf, size_t size)
{
	struct vfs_path path = { .mount = file->mount, .dentry = file->dentry };
	unsigned long ino = file->inode ? file->inode->attr.st_ino : 0;

	if (path.mount && path.dentry)
		return procfs_print_path(&path, buf, size);
	if (file->inode && S_ISSOCK(file->inode->attr.st_mode))
		return snprintf(buf, size, "socket:[%lu]", ino);
	if (file->inode && S_ISFIFO(file->inode->attr.st_mode))
		return snprintf(buf, size, "pipe:[%lu]", ino);
	return snprintf(buf, size, "%s", file->ops->name ? file->ops->name : "anon_inode:[file]");
}

static int procfs_follow_file(const struct file *file, struct vfs_path *out)
{
	if (!file->mount || !file->dentry)
		return file->inode ? anon_path(file->inode, out) : -ENXIO;
	*out = (struct vfs_path){ .mount = file->mount, .dentry = file->dentry };
	path_get(out);
	return 0;
}

int procfs_link_exe(struct textfs_node *node, char *buf, size_t size)
{
	autofile struct file *file = NULL;
	int r = procfs_exe(node, &file);

	return r ? r : procfs_print_file(file, buf, size);
}

int procfs_follow_exe(struct textfs_node *node, struct task *task, struct vfs_path *out)
{
	autofile struct file *file = NULL;
	int r = procfs_exe(node, &file);

	return r ? r : procfs_follow_file(file, out);
}

/* --- descriptors --- */

static int procfs_files(const struct textfs_node *node, struct fdtable **out)
{
	struct process *process;
	struct task *task = procfs_task_lock(node, &process);
	int r;

	if (!task)
		return -ENOENT;
	r = procfs_may_look(process);
	*out = r ? NULL : task_files_get(task);
	procfs_unlock();
	return r ? r : (*out ? 0 : -ENOENT);
}

/* An open descriptor. */
struct procfs_fd {
	struct file *file; /* reference */
	int number;
	bool cloexec;
};

static void procfs_fd_end(struct procfs_fd *fd)
{
	file_put(fd->file);
}
#define autofd CLEANUP(procfs_fd_end)

/* The first descriptor from @fd on; @exact: this one. */
static int procfs_file(const struct textfs_node *node, int fd, bool exact, struct procfs_fd *out)
{
	struct fdtable *files;
	int r = procfs_files(node, &files);

	if (r)
		return r;
	out->number = fdtable_next(files, fd, &out->file);
	out->cloexec = fdtable_get_cloexec(files, out->number) > 0;
	fdtable_put(files);
	return out->number < 0 || (exact && out->number != fd) ? -ENOENT : 0;
}

static int procfs_link_fd(struct textfs_node *node, char *buf, size_t size)
{
	autofd struct procfs_fd fd = { .file = NULL };
	int r = procfs_file(node, node->key.fd, true, &fd);

	return r ? r : procfs_print_file(fd.file, buf, size);
}

static int procfs_follow_fd(struct textfs_node *node, struct task *task, struct vfs_path *out)
{
	autofd struct procfs_fd fd = { .file = NULL };
	int r = procfs_file(node, node->key.fd, true, &fd);

	return r ? r : procfs_follow_file(fd.file, out);
}

static int procfs_show_fdinfo(struct textfs_node *node, struct buf *out)
{
	autofd struct procfs_fd fd = { .file = NULL };
	int r = procfs_file(node, node->key.fd, true, &fd);
	const struct file *file = fd.file;

	if (r)
		return r;
	return buf_printf(out, "pos:\t%ld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%lu\n",
			  (long)file->offset,
			  (unsigned)atomic_load(&file->flags) | (fd.cloexec ? O_CLOEXEC : 0u),
			  file->mount ? file->mount->id : 0,
			  file->inode ? file->inode->attr.st_ino : 0);
}

/* A link's mode says how its file is open: an entry for each, so that a number that is used again
 * for another kind is another link. */
#define PROCFS_FD(mode_)                                                                  \
	{ .name = "fd", .mode = S_IFLNK | (mode_), .link = procfs_link_fd,                \
	  .follow = procfs_follow_fd }

static const struct textfs_entry procfs_fd_entries[] = {
	PROCFS_FD(0), PROCFS_FD(0500), PROCFS_FD(0300), PROCFS_FD(0700),
};

static const struct textfs_entry procfs_fdinfo_entry = {
	.name = "fdinfo", .mode = S_IFREG | 0444, .show = procfs_show_fdinfo,
};

static void procfs_found_fd(const struct textfs_node *dir, const struct procfs_fd *fd, bool info,
			    struct textfs_found *out)
{
	size_t how = (file_readable(fd->file) ? 1u : 0u) | (file_writable(fd->file) ? 2u : 0u);

	out->entry = info ? &procfs_fdinfo_entry : &procfs_fd_entries[how];
	out->key = dir->key;
	out->key.fd = fd->number;
	snprintf(out->name, sizeof(out->name), "%d", fd->number);
}

static int procfs_find_in(struct textfs_node *dir, const char *name, bool info,
			  struct textfs_found *out)
{
	autofd struct procfs_fd fd = { .file = NULL };
	char *end;
	unsigned long number = strtoul(name, &end, 10);
	int r;

	if (*name < '0' || *name > '9' || *end || (*name == '0' && name[1]) || number >= FD_MAX)
		return -ENOENT;
	r = procfs_file(dir, (int)number, true, &fd);
	if (!r)
		procfs_found_fd(dir, &fd, info, out);
	return r;
}

static int procfs_next_in(struct textfs_node *dir, uint64_t *cursor, bool info,
			  struct textfs_found *out)
{
	autofd struct procfs_fd fd = { .file = NULL };

	if (*cursor >= FD_MAX || procfs_file(dir, (int)*cursor, false, &fd))
		return -ENOENT;
	*cursor = (uint64_t)fd.number + 1;
	procfs_found_fd(dir, &fd, info, out);
	return 0;
}

static int procfs_find_fd(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	return procfs_find_in(dir, name, false, out);
}

static int procfs_next_fd(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	return procfs_next_in(dir, cursor, false, out);
}

static int procfs_find_fdinfo(struct textfs_node *dir, const char *name, struct textfs_found *out)
{
	return procfs_find_in(dir, name, true, out);
}

static int procfs_next_fdinfo(struct textfs_node *dir, uint64_t *cursor, struct textfs_found *out)
{
	return procfs_next_in(dir, cursor, true, out);
}

const struct textfs_dir procfs_fd_dir = { .find = procfs_find_fd, .next = procfs_next_fd };
const struct textfs_dir procfs_fdinfo_dir = {
	.find = procfs_find_fdinfo, .next = procfs_next_fdinfo,
};

/* --- namespaces --- */

static const struct textfs_entry procfs_ns_entries[];

/* Distinct for each kind and each container; a network may be common. */
static int procfs_link_ns(struct textfs_node *node, char *buf, size_t size)
{
	const struct sandbox_container *container = textfs_container(node);
	unsigned long number = UINT32_C(4026532000);
	const char *name = node->entry->name;
	size_t len = strcspn(name, "_");
	const struct textfs_entry *first = procfs_ns_entries;

	while (strncmp(first->name, name, len) != 0)
		first++;
	number += (unsigned long)(first - procfs_ns_entries) +
		  16 * (strcmp(name, "net") == 0 ? container->net_space : container->serial);
	return snprintf(buf, size, "%.*s:[%lu]", (int)len, name, number);
}

#define PROCFS_NS(name_) { .name = (name_), .mode = S_IFLNK | 0777, .link = procfs_link_ns }

static const struct textfs_entry procfs_ns_entries[] = {
	PROCFS_NS("cgroup"), PROCFS_NS("ipc"), PROCFS_NS("mnt"),
	PROCFS_NS("net"),    PROCFS_NS("pid"), PROCFS_NS("pid_for_children"),
	PROCFS_NS("user"),   PROCFS_NS("uts"),
};

const struct textfs_dir procfs_ns_dir = TEXTFS_DIR(procfs_ns_entries);

/* --- mounts --- */

static int procfs_print_mounts(const struct textfs_node *node, bool info, struct buf *out)
{
	struct fs_context *fs;
	struct vfs_path root;
	int r = procfs_fs(node, false, &fs);

	if (r)
		return r == -ENOENT ? -EINVAL : r;
	pthread_mutex_lock(&fs->lock);
	root = fs->root;
	path_get(&root);
	pthread_mutex_unlock(&fs->lock);
	r = mount_print(fs->mounts, &root, info, out);
	path_put(&root);
	fs_context_put(fs);
	return r;
}

int procfs_show_mounts(struct textfs_node *node, struct buf *out)
{
	return procfs_print_mounts(node, false, out);
}

int procfs_show_mountinfo(struct textfs_node *node, struct buf *out)
{
	return procfs_print_mounts(node, true, out);
}
