/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/control/archive_get.c - a tree of the container as an archive
 *
 * No link is followed and no device or fifo opened; sockets are left out, as are the insides of
 * procfs and its like. What changes meanwhile is written as it is when its turn comes; a file
 * that gets shorter is filled up with zeros.
 *
 * The upper directory of an overlay becomes a layer of an image: a character device 0:0 is the
 * whiteout of its name, a mark on a directory that of all names below.
 *
 * Run by archive.c, in a thread of its own.
 */
#include "sentry/control/archive.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "archive/pax_write.h"
#include "archive/xattrs.h"
#include "base/cleanup.h"
#include "base/inode_map.h"
#include "sentry/control/machine.h"

#define GET_CHUNK      (64u << 10)
#define GET_LINKS_MAX  65536
#define GET_XATTRS_MAX (1u << 20)
#define GET_WHITEOUT   ".wh."
#define GET_OPAQUE     ".wh..wh..opq"

struct get {
	struct archive_work *work;
	struct pax_writer *w; /* owned */
	uint8_t *chunk;	      /* owned */
	struct inode_map links; /* file -> number of its first name */
	char **names;	      /* owned; by that number - 1 */
	uint32_t nnames;
	char path[PATH_MAX]; /* of the node under way, in the archive */
	struct coffer_error *err;
};

struct get_node {
	struct vfs_path at;
	struct stat st;
	unsigned depth;
	bool mounted; /* the root of another file system */
};

static void get_free(struct get *g)
{
	for (uint32_t i = 0; i < g->nnames; i++)
		free(g->names[i]);
	free(g->names);
	inode_map_free(&g->links);
	free(g->chunk);
	pax_writer_free(g->w);
}

/* ---- attributes ---- */

static int get_add_xattr(struct inode *inode, const char *name, char *value, struct buf *extra)
{
	char key[XATTR_NAME_MAX + 16];
	long n = inode->ops->getxattr(inode, name, value, XATTR_SIZE_MAX);

	if (n < 0) /* gone by now */
		return 0;
	snprintf(key, sizeof(key), "SCHILY.xattr.%s", name);
	return pax_record(extra, key, value, (size_t)n);
}

static int get_xattrs(const struct get_node *node, struct buf *extra)
{
	struct inode *inode = node->at.dentry->inode;
	autofree char *names = NULL, *value = NULL;
	long n = inode->ops->listxattr && inode->ops->getxattr
			 ? inode->ops->listxattr(inode, NULL, 0) : 0;
	int r = 0;

	/* Nearly every file has none. */
	if (n <= 0)
		return 0;
	names = malloc(XATTR_LIST_MAX + 1);
	value = malloc(XATTR_SIZE_MAX);
	if (!names || !value)
		return -ENOMEM;
	n = inode->ops->listxattr(inode, names, XATTR_LIST_MAX);
	names[n > 0 ? n : 0] = '\0';
	for (const char *p = names; p < names + n && r == 0; p += strlen(p) + 1)
		if (strlen(p) <= XATTR_NAME_MAX && xattrs_travels(p))
			r = get_add_xattr(inode, p, value, extra);
	return r;
}

/* ---- nodes ---- */

/* Return: its earlier name in the archive, NULL: this is the first */
static const char *get_seen(struct get *g, const struct get_node *node)
{
	uint32_t i;
	char **grown;

	if (S_ISDIR(node->st.st_mode) || node->st.st_nlink < 2)
		return NULL;
	i = inode_map_get(&g->links, node->st.st_dev, node->st.st_ino);
	if (i)
		return g->names[i - 1];
	/* With more of them, or without memory, they become files of their own. */
	if (g->nnames == GET_LINKS_MAX)
		return NULL;
	grown = reallocarray(g->names, g->nnames + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	g->names = grown;
	grown[g->nnames] = strdup(g->path);
	if (grown[g->nnames] && inode_map_put(&g->links, node->st.st_dev, node->st.st_ino,
					      g->nnames + 1) == 0)
		g->nnames++;
	else
		free(grown[g->nnames]);
	return NULL;
}

static const struct {
	mode_t type;
	char flag;
} get_types[] = {
	{ S_IFREG, '0' }, { S_IFLNK, '2' }, { S_IFCHR, '3' },
	{ S_IFBLK, '4' }, { S_IFDIR, '5' }, { S_IFIFO, '6' },
};

static char get_type(mode_t mode)
{
	for (size_t i = 0; i < ARRAY_SIZE(get_types); i++)
		if (get_types[i].type == (mode & S_IFMT))
			return get_types[i].flag;
	return 0;
}

static int get_data(struct get *g, struct file *file, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		long n = file_read_kernel(file, g->chunk, GET_CHUNK, (int64_t)done);
		int r;

		if (g->work->stop)
			return err_set(g->err, COFFER_ERR_CANCELLED, ECANCELED, "given up");
		if (n < 0)
			return err_sysn(g->err, (int)n, "read %.200s", g->path);
		if (n == 0)
			break;
		r = pax_data(g->w, g->chunk, (size_t)n, g->err);
		if (r < 0)
			return r;
		done += (uint64_t)n;
	}
	return 0;
}

static int get_write(struct get *g, const struct get_node *node, struct pax_entry *e)
{
	autofile struct file *file = NULL;
	int r = 0;

	/* Opened first: an entry that was announced has to come. */
	if (e->type == '0' && e->size) {
		r = vfs_open_path(&node->at, machine_cred(), NULL, O_RDONLY | O_NONBLOCK, &file);
		if (r < 0)
			return err_sysn(g->err, r, "open %.200s", g->path);
	}
	r = pax_begin(g->w, e, g->err);
	if (r == 0 && file)
		r = get_data(g, file, e->size);
	return r < 0 ? r : pax_end(g->w, g->err);
}

static int get_entry(struct get *g, const struct get_node *node)
{
	autobuf struct buf extra = BUF_INIT(GET_XATTRS_MAX);
	struct inode *inode = node->at.dentry->inode;
	autofree char *target = NULL;
	struct pax_entry e = {
		.path = g->path,
		.link = get_seen(g, node),
		.mode = node->st.st_mode,
		.uid = node->st.st_uid,
		.gid = node->st.st_gid,
		.rdev = node->st.st_rdev,
		.mtime = node->st.st_mtim,
	};
	int r;

	e.type = e.link ? '1' : get_type(node->st.st_mode);
	if (!e.type)
		return 0;
	if (e.type == '0')
		e.size = (uint64_t)node->st.st_size;
	if (e.type == '2') {
		target = malloc(PATH_MAX);
		r = target ? inode->ops->readlink(inode, target, PATH_MAX) : -ENOMEM;
		if (r < 0)
			return err_sysn(g->err, r, "read the link %.200s", g->path);
		e.link = target;
	}
	r = e.link ? 0 : get_xattrs(node, &extra);
	if (r < 0)
		return err_sysn(g->err, r, "attributes of %.200s", g->path);
	e.extra = extra.len ? &extra : NULL;
	return get_write(g, node, &e);
}

/* An empty file in the directory under way, whose path ends at @len. */
static int get_mark(struct get *g, size_t len, const char *head, const char *name,
		    const struct get_node *like)
{
	struct pax_entry e = { .path = g->path, .type = '0', .mode = 0600, .mtime = like->st.st_mtim };
	int n = snprintf(g->path + len, sizeof(g->path) - len, "%s%s", head, name);
	int r = n < (int)(sizeof(g->path) - len) ? pax_begin(g->w, &e, g->err)
						 : err_sysn(g->err, ENAMETOOLONG, "%.200s", name);

	if (r == 0)
		r = pax_end(g->w, g->err);
	g->path[len] = '\0';
	return r;
}

/* ---- directories ---- */

struct get_level {
	struct get *g;
	const struct get_node *dir;
	size_t len; /* of the path up to the names */
};

static int get_node(struct get *g, const struct get_node *node);

/* Their insides are the kernel's, not files. */
static bool get_is_system(const struct get_node *node)
{
	static const char *const types[] = { "proc", "sysfs", "cgroup2", "devpts" };
	const char *type = mount_super(node->at.mount)->ops->type;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

/* What the engine has put into the root, and is about this container alone. */
static bool get_is_own(const struct get *g)
{
	static const char *const names[] = { "etc/hosts", "etc/hostname", "etc/resolv.conf",
					     ".coffer-init" };

	for (size_t i = 0; g->work->layer && i < ARRAY_SIZE(names); i++)
		if (strcmp(g->path, names[i]) == 0)
			return true;
	return false;
}

static bool get_is_whiteout(const struct get *g, const struct get_node *node)
{
	return g->work->layer && S_ISCHR(node->st.st_mode) && node->st.st_rdev == 0;
}

static int get_child_at(const struct get_level *l, const char *name, struct get_node *node)
{
	struct get *g = l->g;
	int n;

	node->depth = l->dir->depth + 1;
	node->mounted = node->at.mount != l->dir->at.mount;
	if (get_is_whiteout(g, node))
		return get_mark(g, l->len, GET_WHITEOUT, name, node);
	if (g->work->layer && strncmp(name, GET_WHITEOUT, strlen(GET_WHITEOUT)) == 0)
		return err_unsupported(g->err, "%.200s%.200s: in a layer such a name means another",
				       g->path, name);
	n = snprintf(g->path + l->len, sizeof(g->path) - l->len, "%s", name);
	if (n >= (int)(sizeof(g->path) - l->len) - 2)
		return err_sysn(g->err, ENAMETOOLONG, "%.200s", g->path);
	n = get_is_own(g) ? 0 : get_node(g, node);
	g->path[l->len] = '\0';
	return n;
}

static int get_child(const char *name, void *data)
{
	const struct get_level *l = data;
	struct get_node node = { 0 };
	struct walk walk;
	int r;

	if (l->g->work->stop)
		return err_set(l->g->err, COFFER_ERR_CANCELLED, ECANCELED, "given up");
	archive_begin(&l->dir->at, &walk);
	r = vfs_walk(&walk, name, WALK_NOFOLLOW);
	if (r == 0) {
		node.at = walk.path;
		r = vfs_stat(&node.at, &node.st);
	}
	/* It may be gone by now. */
	if (r == 0)
		r = get_child_at(l, name, &node);
	else
		r = r == -ENOENT ? 0 : err_sysn(l->g->err, r, "%.200s%.200s", l->g->path, name);
	walk_end(&walk);
	return r;
}

static int get_inside(struct get *g, const struct get_node *node)
{
	static const char *const opaque[] = { "trusted.overlay.opaque", "user.overlay.opaque" };
	struct get_level level = { g, node, strlen(g->path) };
	struct inode *inode = node->at.dentry->inode;
	char value;
	int r = 0;

	if (node->depth == ARCHIVE_DEPTH_MAX)
		return err_sysn(g->err, ENAMETOOLONG, "%.200s: nested too deep", g->path);
	for (size_t i = 0; r == 0 && g->work->layer && i < ARRAY_SIZE(opaque); i++)
		if (inode->ops->getxattr &&
		    inode->ops->getxattr(inode, opaque[i], &value, 1) == 1 && value == 'y')
			r = get_mark(g, level.len, GET_OPAQUE, "", node);
	if (r == 0)
		r = archive_each(&node->at, get_child, &level);
	if (r < 0 && g->err->kind == COFFER_ERR_NONE)
		err_sysn(g->err, r, "read %.200s", g->path);
	return r;
}

static int get_node(struct get *g, const struct get_node *node)
{
	size_t len = strlen(g->path);
	int r;

	if (!S_ISDIR(node->st.st_mode))
		return node->mounted && g->work->alone ? 0 : get_entry(g, node);
	if (len && g->path[len - 1] != '/')
		memcpy(g->path + len, "/", 2);
	r = len ? get_entry(g, node) : 0;
	if (r < 0 || (node->mounted && (g->work->alone || get_is_system(node))))
		return r;
	return get_inside(g, node);
}

int archive_get_run(struct archive_work *work, struct coffer_error *err)
{
	autofree struct get *g = calloc(1, sizeof(*g));
	struct get_node node = { .at = work->at };
	int r;

	if (!g)
		return err_nomem(err);
	g->work = work;
	g->err = err;
	snprintf(g->path, sizeof(g->path), "%s", work->name ? work->name : "");
	g->chunk = malloc(GET_CHUNK);
	r = g->chunk ? vfs_stat(&node.at, &node.st) : -ENOMEM;
	if (r < 0)
		err_sysn(err, r, "stat");
	if (r == 0)
		r = pax_writer_new(work->sock, work->gzip, &g->w, err);
	if (r == 0)
		r = get_node(g, &node);
	if (r == 0)
		r = pax_finish(g->w, &work->count, err);
	get_free(g);
	return r;
}
