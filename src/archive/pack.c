/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive/pack.c - a file or a tree as a pax archive
 *
 * Everything is reached by descriptor: a node is opened with O_PATH, looked
 * at, and only a regular file or a directory is opened again, through procfs,
 * to be read.  So whoever changes the tree meanwhile can't make us follow a
 * link, block on a fifo or touch a device.
 *
 * The upper directory of an overlay becomes a layer of an image (image-spec 1.0,
 * layer.md): a character device 0:0 is the whiteout of its name, the attribute
 * trusted.overlay.opaque that of all names below.  Nothing else of the kernel's
 * is looked at: redirects and metadata copies are off where we mount.
 *
 * Bounded: depth, names of hard links, extents of a file with holes; what is
 * above the last two is written as if there were none.
 *
 * Runs where it may block: in a worker of the agent, in a thread of the host.
 */
#include "archive/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "archive/pax_write.h"
#include "archive/xattrs.h"
#include "base/path.h"

#define PACK_CHUNK	 (1u << 20)
#define PACK_DEPTH_MAX	 400 /* each holds a descriptor */
#define PACK_EXTENTS_MAX 4096
#define PACK_BUCKETS	 1024
#define PACK_LINKS_MAX	 (8u << 20) /* bytes of names */
#define PACK_XATTRS_MAX	 (1u << 20)
#define PACK_PATH_MAX	 (1u << 20)
#define PACK_WHITEOUT	 ".wh."
#define PACK_OPAQUE	 ".wh..wh..opq"

/* A file with several names, so that its next name becomes a link to the first. */
struct pack_link {
	struct pack_link *next;
	dev_t dev;
	ino_t ino;
	char path[];
};

struct pack {
	const struct pack_options *o;
	struct pax_writer *w; /* owned */
	uint8_t *chunk;	      /* owned; PACK_CHUNK */
	struct buf path;      /* of the node under way, in the archive */
	struct buf extra;
	struct pax_extent *map; /* owned; PACK_EXTENTS_MAX, made when needed */
	struct pack_link *links[PACK_BUCKETS]; /* owned */
	size_t link_bytes;
};

/* One node: what it is and how to get at it. */
struct pack_node {
	int fd;		 /* O_PATH, borrowed */
	char proc[32];	 /* the same as a path */
	struct stat st;
	dev_t parent_dev;
	unsigned depth;
	bool mounted; /* with pack_options.alone: it is the root of another file system */
};

static void pack_free(struct pack *p)
{
	for (size_t i = 0; i < PACK_BUCKETS; i++) {
		while (p->links[i]) {
			struct pack_link *l = p->links[i];

			p->links[i] = l->next;
			free(l);
		}
	}
	free(p->map);
	free(p->chunk);
	buf_free(&p->path);
	buf_free(&p->extra);
	pax_writer_free(p->w);
}

/* NUL-terminated, without the NUL in its length. */
static const char *pack_path(const struct pack *p)
{
	return (const char *)buf_data(&p->path);
}

static int pack_path_add(struct pack *p, const char *text)
{
	int r = buf_append(&p->path, text, strlen(text) + 1);

	if (r == 0)
		p->path.len--;
	return r;
}

static void pack_path_cut(struct pack *p, size_t len)
{
	p->path.len = len;
	p->path.mem[p->path.off + len] = '\0';
}

static struct pack_link **pack_bucket(struct pack *p, const struct stat *st)
{
	return &p->links[(st->st_ino ^ st->st_dev * 31) % PACK_BUCKETS];
}

/* Return: the name under which the file is in the archive already, or NULL */
static const char *pack_seen(struct pack *p, const struct stat *st)
{
	struct pack_link **bucket = pack_bucket(p, st), *l;
	size_t n = p->path.len + 1;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return NULL;
	for (l = *bucket; l; l = l->next)
		if (l->ino == st->st_ino && l->dev == st->st_dev)
			return l->path;
	l = p->link_bytes + n + sizeof(*l) <= PACK_LINKS_MAX ? malloc(sizeof(*l) + n) : NULL;
	if (!l)
		return NULL;
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	memcpy(l->path, pack_path(p), n);
	l->next = *bucket;
	*bucket = l;
	p->link_bytes += n + sizeof(*l);
	return NULL;
}

static void pack_describe(const struct pack *p, const struct pack_node *n, char type,
			  struct pax_entry *e)
{
	*e = (struct pax_entry){
		.path = pack_path(p),
		.type = type,
		.mode = n->st.st_mode,
		.uid = n->st.st_uid,
		.gid = n->st.st_gid,
		.rdev = n->st.st_rdev,
		.mtime = n->st.st_mtim,
		.extra = p->extra.len ? &p->extra : NULL,
	};
}

static int pack_plain(struct pack *p, const struct pax_entry *e, struct coffer_error *err)
{
	int r = pax_begin(p->w, e, err);

	return r < 0 ? r : pax_end(p->w, err);
}

static int pack_symlink(struct pack *p, const struct pack_node *n, struct coffer_error *err)
{
	char target[PATH_MAX];
	struct pax_entry e;
	ssize_t len = readlinkat(n->fd, "", target, sizeof(target) - 1);

	if (len < 0)
		return err_sys(err, "read the link");
	target[len] = '\0';
	pack_describe(p, n, '2', &e);
	e.link = target;
	return pack_plain(p, &e, err);
}

/* ---- files ---- */

/*
 * Where a file has data.  Return: how many stretches, 0 when there are no
 * holes to speak of, negative errno
 */
static int pack_find_holes(struct pack *p, int fd, const struct stat *st, size_t *count)
{
	off_t size = st->st_size, at = 0;
	size_t n = 0;

	*count = 0;
	if ((uint64_t)st->st_blocks * 512 >= (uint64_t)size)
		return 0;
	if (!p->map)
		p->map = malloc(PACK_EXTENTS_MAX * sizeof(*p->map));
	if (!p->map)
		return -ENOMEM;
	while (at < size) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;

		if (data < 0 && errno != ENXIO)
			return 0; /* no such thing here: all is data */
		if (data < 0 || data >= size)
			break;
		/* The last stretch takes what is left, holes and all. */
		hole = n + 1 < PACK_EXTENTS_MAX - 1 ? lseek(fd, data, SEEK_HOLE) : size;
		if (hole < 0 || hole > size)
			hole = size;
		if (data == 0 && hole == size)
			return 0;
		p->map[n++] = (struct pax_extent){ (uint64_t)data, (uint64_t)(hole - data) };
		at = hole;
	}
	/* A hole at the end is told by an empty stretch. */
	if (n == 0 || p->map[n - 1].off + p->map[n - 1].len < (uint64_t)size)
		p->map[n++] = (struct pax_extent){ (uint64_t)size, 0 };
	*count = n;
	return 0;
}

/* A file that has become shorter is filled up with zeros by pax_end(). */
static int pack_bytes(struct pack *p, int fd, uint64_t off, uint64_t len, struct coffer_error *err)
{
	while (len > 0) {
		size_t want = len < PACK_CHUNK ? (size_t)len : PACK_CHUNK;
		ssize_t n = pread(fd, p->chunk, want, (off_t)off);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read");
		memset(p->chunk + n, 0, n ? 0 : want);
		n = n ? n : (ssize_t)want;
		r = pax_data(p->w, p->chunk, (size_t)n, err);
		if (r < 0)
			return r;
		off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

static int pack_file(struct pack *p, const struct pack_node *n, struct pax_entry *e,
		     struct coffer_error *err)
{
	const struct pax_extent whole = { 0, (uint64_t)n->st.st_size };
	autoclose int fd = open(n->proc, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t nmap;
	int r;

	if (fd < 0)
		return err_sys(err, "open");
	r = pack_find_holes(p, fd, &n->st, &nmap);
	if (r < 0)
		return err_sysn(err, r, "find the holes");
	e->size = (uint64_t)n->st.st_size;
	e->map = nmap ? p->map : NULL;
	e->nmap = nmap;
	r = pax_begin(p->w, e, err);
	if (r == 0 && !nmap)
		r = pack_bytes(p, fd, whole.off, whole.len, err);
	for (size_t i = 0; i < nmap && r == 0; i++)
		r = pack_bytes(p, fd, p->map[i].off, p->map[i].len, err);
	return r < 0 ? r : pax_end(p->w, err);
}

/* ---- directories ---- */

/* What the kernel makes up is no content, and some of it has no end. */
static bool pack_made_up(int fd)
{
	static const long kinds[] = {
		PROC_SUPER_MAGIC,   SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC,  TRACEFS_MAGIC,	SECURITYFS_MAGIC,
		BPF_FS_MAGIC,	    BINFMTFS_MAGIC, PSTOREFS_MAGIC,	0x19800202 /* mqueue */,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((long)fs.f_type == kinds[i])
			return true;
	return false;
}

/* An empty file called @prefix and the last component of the path under way. */
static int pack_mark(struct pack *p, const char *prefix, struct coffer_error *err)
{
	const char *path = pack_path(p), *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	struct pax_entry e = { .type = '0' };
	autofree char *marked = NULL;
	int r;

	if (asprintf(&marked, "%.*s%s%s", (int)(name - path), path, prefix, name) < 0)
		return err_nomem(err);
	e.path = marked;
	r = pax_begin(p->w, &e, err);
	return r < 0 ? r : pax_end(p->w, err);
}

static bool pack_is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* The path under way ends in a slash, or is empty for the root. */
static int pack_opaque(struct pack *p, const struct pack_node *n, struct coffer_error *err)
{
	char value;

	if (!p->o->layer || getxattr(n->proc, "trusted.overlay.opaque", &value, 1) != 1 ||
	    value != 'y')
		return 0;
	return pack_mark(p, PACK_OPAQUE, err);
}

static bool pack_leaves_out(const struct pack *p)
{
	for (const char *const *s = p->o->without; s && *s; s++)
		if (strcmp(*s, pack_path(p)) == 0)
			return true;
	return false;
}

static int pack_node(struct pack *p, int fd, dev_t parent_dev, unsigned depth,
		     struct coffer_error *err);

static int pack_child(struct pack *p, int dir, const char *name, const struct pack_node *parent,
		      struct coffer_error *err)
{
	autoclose int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	size_t len = p->path.len;
	int r;

	/* Somebody has removed it since. */
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %.200s%s", pack_path(p), name);
	r = pack_path_add(p, name);
	if (r < 0)
		return err_sysn(err, r, "%.200s", pack_path(p));
	if (p->o->layer && strncmp(name, PACK_WHITEOUT, strlen(PACK_WHITEOUT)) == 0)
		r = err_unsupported(err, "%.200s: in a layer such a name removes another one",
				    pack_path(p));
	else if (!pack_leaves_out(p))
		r = pack_node(p, fd, parent->st.st_dev, parent->depth + 1, err);
	pack_path_cut(p, len);
	return r;
}

static int pack_children(struct pack *p, const struct pack_node *n, struct coffer_error *err)
{
	autoclosedir DIR *d = NULL;
	int fd, r = 0;

	if (n->depth > PACK_DEPTH_MAX)
		return err_sysn(err, ELOOP, "%.200s: nested too deep", pack_path(p));
	fd = open(n->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %.200s", pack_path(p));
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_nomem(err);
	}
	for (struct dirent *de; r == 0 && (errno = 0, de = readdir(d));)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = pack_child(p, fd, de->d_name, n, err);
	return r < 0 || errno == 0 ? r : err_sys(err, "read %.200s", pack_path(p));
}

/* The root's own entry is left out when it has no name. */
static int pack_directory(struct pack *p, const struct pack_node *n, struct pax_entry *e,
			  struct coffer_error *err)
{
	size_t len = p->path.len;
	int r = 0;

	if (len > 0) {
		if (pack_path(p)[len - 1] != '/' && pack_path_add(p, "/") < 0)
			return err_nomem(err);
		e->path = pack_path(p);
		r = pack_plain(p, e, err);
	}
	if (r == 0)
		r = pack_opaque(p, n, err);
	if (r == 0 && !n->mounted &&
	    (n->depth == 0 || n->st.st_dev == n->parent_dev || !pack_made_up(n->fd)))
		r = pack_children(p, n, err);
	pack_path_cut(p, len);
	return r;
}

static int pack_as(struct pack *p, const struct pack_node *n, struct coffer_error *err)
{
	const char *seen = pack_seen(p, &n->st);
	struct pax_entry e;

	if (p->o->layer && pack_is_whiteout(&n->st))
		return pack_mark(p, PACK_WHITEOUT, err);
	if (seen) {
		pack_describe(p, n, '1', &e);
		e.link = seen;
		e.extra = NULL;
		return pack_plain(p, &e, err);
	}
	switch (n->st.st_mode & S_IFMT) {
	case S_IFREG:
		pack_describe(p, n, '0', &e);
		return pack_file(p, n, &e, err);
	case S_IFDIR:
		pack_describe(p, n, '5', &e);
		return pack_directory(p, n, &e, err);
	case S_IFLNK:
		return pack_symlink(p, n, err);
	default:
		pack_describe(p, n, S_ISCHR(n->st.st_mode) ? '3' : S_ISBLK(n->st.st_mode) ? '4' : '6',
			      &e);
		return pack_plain(p, &e, err);
	}
}

static bool pack_is_mounted(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int pack_node(struct pack *p, int fd, dev_t parent_dev, unsigned depth,
		     struct coffer_error *err)
{
	struct pack_node n = { .fd = fd, .parent_dev = parent_dev, .depth = depth };
	int r;

	snprintf(n.proc, sizeof(n.proc), "/proc/self/fd/%d", fd);
	if (fstat(fd, &n.st) < 0)
		return err_sys(err, "%.200s: stat", pack_path(p));
	n.mounted = p->o->alone && depth > 0 && pack_is_mounted(fd);
	if (S_ISSOCK(n.st.st_mode) || (n.mounted && !S_ISDIR(n.st.st_mode)))
		return 0;
	buf_consume(&p->extra, p->extra.len);
	/* A link's path in procfs leads to what it leads to; links have none that travel. */
	r = S_ISLNK(n.st.st_mode) ? 0 : xattrs_collect(n.proc, &p->extra, err);
	if (r == 0)
		r = pack_as(p, &n, err);
	/* A directory's own errors have its name, and those from below theirs. */
	if (r < 0 && !S_ISDIR(n.st.st_mode))
		return err_wrap(err, "%.200s", pack_path(p));
	return r;
}

int pack_tree(int fd, int node, const struct pack_options *o, uint64_t *bytes,
	      struct coffer_error *err)
{
	CLEANUP(pack_free) struct pack p = {
		.o = o,
		.path = BUF_INIT(PACK_PATH_MAX),
		.extra = BUF_INIT(PACK_XATTRS_MAX),
		.chunk = malloc(PACK_CHUNK),
	};
	int r;

	if (!p.chunk || pack_path_add(&p, o->root ? o->root : "") < 0)
		return err_nomem(err);
	r = pax_writer_new(fd, o->gzip, &p.w, err);
	if (r == 0)
		r = pack_node(&p, node, 0, 0, err);
	return r < 0 ? r : pax_finish(p.w, bytes, err);
}
