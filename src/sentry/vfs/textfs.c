/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/textfs.c - file systems whose files are texts made when they are read
 *
 *	lookup -> entry of a table -> node (inode) -> open -> file: the text as it was when offset 0
 *	was read last
 *
 * Inodes are made by each lookup and live as long as a dentry or file has them; revalidation asks
 * whether whom they are about is still there. Names cannot be changed by guests.
 *
 * Called through the operations by vfs/, and by the file systems made of it.
 */
#include "sentry/vfs/textfs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/vfs/bound.h"
#include "sentry/control/container.h"

#define TEXTFS_READ_MAX	 (16u << 20) /* bytes of one text */
#define TEXTFS_WRITE_MAX 4096u

struct textfs {
	struct super super; /* first */
	const struct textfs_type *type;
	struct sandbox_container *container; /* a reference; NULL: of none */
};

struct textfs_file {
	struct file file; /* first */
	pthread_mutex_t lock;
	bool filled;	 /* lock */
	struct buf text; /* lock */
};

static const struct inode_ops textfs_inode_ops, textfs_magic_ops;

/* Bytes of all texts that open files keep. */
static struct bound textfs_bytes = { .each = 16, .least = TEXTFS_READ_MAX, .most = 256u << 20 };

static struct textfs *textfs_of(const struct inode *inode)
{
	return (struct textfs *)inode->super;
}

struct sandbox_container *textfs_container(const struct textfs_node *node)
{
	return textfs_of(&node->inode)->container;
}

/* The same for the same place in the tree, so that programs recognize what they saw before. */
static uint64_t textfs_ino(uint64_t parent, const char *name)
{
	uint64_t hash = (UINT64_C(14695981039346656037) ^ parent) * UINT64_C(1099511628211);

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
	return (hash & INT64_MAX) | UINT64_C(0x1000);
}

static int textfs_node_new(struct textfs *fs, uint64_t parent, const char *name,
			   const struct textfs_found *found, struct inode **out)
{
	const struct textfs_entry *entry = found->entry;
	struct textfs_node *node = calloc(1, sizeof(*node));
	struct timespec now;

	if (!node)
		return -ENOMEM;
	inode_init(&node->inode, &fs->super, entry->follow ? &textfs_magic_ops : &textfs_inode_ops,
		   entry->mode, textfs_ino(parent, name));
	node->entry = entry;
	node->key = found->key;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	node->inode.attr.st_atim = node->inode.attr.st_mtim = node->inode.attr.st_ctim = now;
	node->inode.attr.st_nlink = 1;
	if (S_ISREG(entry->mode))
		node->inode.attr.st_size = fs->type->size;
	*out = &node->inode;
	return 0;
}

static int textfs_refresh(struct inode *inode)
{
	const struct textfs_type *type = textfs_of(inode)->type;
	uint32_t uid = 0, gid = 0;
	int r = type->owner ? type->owner((struct textfs_node *)inode, &uid, &gid) : 0;

	if (r)
		return r;
	pthread_mutex_lock(&inode->lock);
	inode->attr.st_uid = uid;
	inode->attr.st_gid = gid;
	pthread_mutex_unlock(&inode->lock);
	return 0;
}

/* --- directories --- */

static int textfs_find(struct textfs_node *dir, const char *name, struct textfs_found *found)
{
	const struct textfs_dir *table = dir->entry->dir;

	if (!table)
		return -ENOTDIR;
	for (size_t i = 0; i < table->nentries; i++) {
		if (strcmp(table->entries[i].name, name) == 0) {
			found->entry = &table->entries[i];
			found->key = dir->key;
			return 0;
		}
	}
	return table->find ? table->find(dir, name, found) : -ENOENT;
}

static int textfs_lookup(struct inode *inode, const char *name, struct inode **out)
{
	struct textfs_node *dir = (struct textfs_node *)inode;
	struct textfs *fs = textfs_of(inode);
	struct textfs_found found = { 0 };
	int r = textfs_find(dir, name, &found);

	if (!r)
		r = textfs_node_new(fs, inode->attr.st_ino, name, &found, out);
	if (r)
		return r;
	r = textfs_refresh(*out);
	if (r)
		inode_put(*out);
	return r;
}

static bool textfs_revalidate(struct inode *inode, const char *name, struct inode *child)
{
	struct textfs_node *dir = (struct textfs_node *)inode, *node = (struct textfs_node *)child;
	struct textfs_found found = { 0 };

	if (dir->entry->dir && !dir->entry->dir->find && !dir->key.pid)
		return true;
	if (textfs_find(dir, name, &found))
		return !node;
	return node && found.entry == node->entry && found.key.pid == node->key.pid &&
	       found.key.tid == node->key.tid && found.key.fd == node->key.fd &&
	       found.key.started == node->key.started;
}

/* Whether the entry did not fit. */
static bool textfs_emit(struct file *file, struct dir_sink *sink, const char *name,
			uint32_t mode, uint64_t ino, uint64_t next)
{
	if (sink->emit(sink, name, strlen(name), ino, (unsigned char)(mode >> 12), (int64_t)next))
		return true;
	file->offset = (int64_t)next;
	return false;
}

/* Offsets: from 2 on the table, then what next() knows. */
static int textfs_readdir(struct file *file, struct dir_sink *sink)
{
	struct textfs_node *dir = (struct textfs_node *)file->inode;
	const struct textfs_dir *table = dir->entry->dir;
	uint64_t ino = dir->inode.attr.st_ino;
	uint64_t at;

	if (!dir_emit_dots(file, sink))
		return 0;
	at = (uint64_t)file->offset;
	for (; at - 2 < table->nentries; at++) {
		const struct textfs_entry *entry = &table->entries[at - 2];

		if (textfs_emit(file, sink, entry->name, entry->mode,
				textfs_ino(ino, entry->name), at + 1))
			return 0;
	}
	for (uint64_t cursor = at - 2 - table->nentries; table->next;) {
		struct textfs_found found = { 0 };

		if (table->next(dir, &cursor, &found))
			return 0;
		if (textfs_emit(file, sink, found.name, found.entry->mode,
				textfs_ino(ino, found.name), cursor + 2 + table->nentries))
			return 0;
	}
	return 0;
}

/* --- files --- */

static void textfs_forget(struct textfs_file *tf)
{
	if (tf->filled)
		bound_give(&textfs_bytes, tf->text.len);
	buf_free(&tf->text);
	tf->filled = false;
}

static int textfs_fill(struct textfs_file *tf)
{
	struct textfs_node *node = (struct textfs_node *)tf->file.inode;
	const struct textfs_entry *entry = node->entry;
	int r;

	textfs_forget(tf);
	tf->text = (struct buf)BUF_INIT(TEXTFS_READ_MAX);
	if (entry->text)
		r = buf_append(&tf->text, entry->text, strlen(entry->text));
	else
		r = entry->show ? entry->show(node, &tf->text) : 0;
	tf->filled = r == 0 && bound_take(&textfs_bytes, tf->text.len);
	if (!tf->filled)
		buf_free(&tf->text);
	if (r == 0 && !tf->filled)
		return -ENOMEM;
	return r == -ENOBUFS ? -ENOMEM : r;
}

static long textfs_read(struct file *file, struct user_io *io, int64_t offset)
{
	struct textfs_file *tf = (struct textfs_file *)file;
	long r = 0;

	pthread_mutex_lock(&tf->lock);
	if (offset == 0 || !tf->filled)
		r = textfs_fill(tf);
	if (!r && (uint64_t)offset < tf->text.len)
		r = (long)user_io_put(io, buf_data(&tf->text) + offset,
				      tf->text.len - (size_t)offset);
	pthread_mutex_unlock(&tf->lock);
	return r;
}

static long textfs_write(struct file *file, struct user_io *io, int64_t offset)
{
	struct textfs_node *node = (struct textfs_node *)file->inode;
	size_t len = io->left;
	autofree char *text = NULL;
	int r;

	if (!node->entry->store || len > TEXTFS_WRITE_MAX)
		return -EINVAL;
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	if (user_io_get(io, text, len) != len)
		return -EFAULT;
	text[len] = '\0';
	r = node->entry->store(node, text, len);
	return r ? r : (long)len;
}

static int64_t textfs_seek(struct file *file, int64_t offset, int whence)
{
	if (whence == SEEK_CUR && __builtin_add_overflow(offset, file->offset, &offset))
		return -EOVERFLOW;
	if ((whence != SEEK_CUR && whence != SEEK_SET) || offset < 0)
		return -EINVAL;
	file->offset = offset;
	return offset;
}

static void textfs_release(struct file *file)
{
	struct textfs_file *tf = (struct textfs_file *)file;

	textfs_forget(tf);
	pthread_mutex_destroy(&tf->lock);
	file_free_common(file);
	free(tf);
}

static const struct file_ops textfs_file_ops = {
	.name = "text",
	.read = textfs_read,
	.write = textfs_write,
	.seek = textfs_seek,
	.release = textfs_release,
};

static const struct file_ops textfs_dir_ops = {
	.name = "directory",
	.seek = textfs_seek,
	.readdir = textfs_readdir,
	.release = textfs_release,
};

static int textfs_open(struct inode *inode, const struct vfs_path *path, uint32_t flags,
		       struct task *task, struct file **out)
{
	struct textfs_node *node = (struct textfs_node *)inode;
	bool dir = S_ISDIR(node->entry->mode);
	struct textfs_file *tf;

	tf = calloc(1, sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	pthread_mutex_init(&tf->lock, NULL);
	file_init(&tf->file, dir ? &textfs_dir_ops : &textfs_file_ops, flags, path, inode);
	*out = &tf->file;
	return 0;
}

/* Where things come and go a name that is not there cannot be, elsewhere nobody may make it. */
static int textfs_refuse(struct inode *dir)
{
	return dir->super->no_negative ? -ENOENT : -EPERM;
}

static int textfs_create(struct inode *dir, const char *name, const struct vfs_create *args,
			 struct inode **out)
{
	return textfs_refuse(dir);
}

static int textfs_rename(struct inode *old_dir, const char *old_name, struct inode *new_dir,
			 const char *new_name, unsigned flags)
{
	return textfs_refuse(new_dir);
}

static int textfs_readlink(struct inode *inode, char *buf, size_t size)
{
	struct textfs_node *node = (struct textfs_node *)inode;

	return node->entry->link ? node->entry->link(node, buf, size) : -EINVAL;
}

static int textfs_follow(struct inode *inode, struct task *task, struct vfs_path *out)
{
	struct textfs_node *node = (struct textfs_node *)inode;

	return node->entry->follow(node, task, out);
}

/* As Linux's: modes and owners cannot be changed, truncation (O_TRUNC of a shell's >) is nothing. */
static int textfs_setattr(struct inode *inode, const struct inode_attr *attr)
{
	return attr->mask & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0;
}

static void textfs_inode_free(struct inode *inode)
{
	free(inode);
}

static const struct inode_ops textfs_inode_ops = {
	.lookup = textfs_lookup,
	.create = textfs_create,
	.rename = textfs_rename,
	.readlink = textfs_readlink,
	.refresh = textfs_refresh,
	.setattr = textfs_setattr,
	.open = textfs_open,
	.revalidate = textfs_revalidate,
	.free = textfs_inode_free,
};

static const struct inode_ops textfs_magic_ops = {
	.readlink = textfs_readlink,
	.follow = textfs_follow,
	.refresh = textfs_refresh,
	.setattr = textfs_setattr,
	.free = textfs_inode_free,
};

/* --- the whole --- */

int textfs_statfs(struct super *super, struct statfs *out)
{
	memset(out, 0, sizeof(*out));
	out->f_type = ((struct textfs *)super)->type->magic;
	out->f_bsize = out->f_frsize = (long)PAGE_SIZE;
	out->f_namelen = NAME_MAX;
	return 0;
}

void textfs_free(struct super *super)
{
	container_put(((struct textfs *)super)->container);
	free(super);
}

int textfs_new(const struct textfs_type *type, struct sandbox_container *container,
	       struct super **out)
{
	autofree struct textfs *fs = calloc(1, sizeof(*fs));
	struct textfs_found root = { .entry = &type->root };
	struct inode *inode;
	int r;

	if (!fs)
		return -ENOMEM;
	fs->type = type;
	r = textfs_node_new(fs, 0, "/", &root, &inode);
	if (!r)
		r = super_init(&fs->super, &type->ops, inode);
	if (r)
		return r;
	fs->container = container ? container_get(container) : NULL;
	fs->super.no_negative = type->owner != NULL;
	fs->super.no_exec = fs->super.no_dev = true;
	*out = &steal_ptr(fs)->super;
	return 0;
}
