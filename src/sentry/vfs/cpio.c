/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/cpio.c - an archive of files as a file system's content
 *
 *	header, name, data; header, name, data; ... "TRAILER!!!"
 *
 * Each entry is read, checked and made at once; what is made grows with what the archive really
 * holds, never with what a header claims. Names are walked by component in the file system itself:
 * a component that is no directory ends it, so a link in the archive leads nowhere.
 *
 * Hard links are entries with the same number, the last of which has the data, or the first: both
 * are found in the wild. Other formats of cpio, and compressed archives, are not known.
 */
#include "sentry/vfs/cpio.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "sentry/vfs/dentry.h"

#define CPIO_HEADER    110
#define CPIO_BLOCK     65536
#define CPIO_LINKS_MAX 65536

/* The fields of a header, in order, after the magic. */
enum { CPIO_INO, CPIO_MODE, CPIO_UID, CPIO_GID, CPIO_NLINK, CPIO_MTIME, CPIO_SIZE, CPIO_MAJOR,
       CPIO_MINOR, CPIO_RMAJOR, CPIO_RMINOR, CPIO_NAME, CPIO_CHECK, CPIO_FIELDS };

struct cpio_link {
	uint32_t ino, major, minor;
	struct inode *inode; /* reference */
};

struct cpio {
	int fd;
	uint64_t pos;
	char *block;		 /* owned */
	uint32_t field[CPIO_FIELDS];
	char name[PATH_MAX];
	char target[PATH_MAX];	 /* of a symbolic link */
	struct cpio_link *links; /* owned */
	size_t nlinks;
	const struct vfs_path *at;
	struct coffer_error *err;
};

static int cpio_read(struct cpio *c, void *buf, size_t n)
{
	ssize_t r = io_read_at(c->fd, buf, n, c->pos);

	if (r < 0)
		return err_sysn(c->err, (int)r, "read the archive");
	if ((size_t)r < n)
		return err_set(c->err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG,
			       "the archive ends early");
	c->pos += n;
	return 0;
}

static int cpio_bad(struct cpio *c, const char *what)
{
	return err_set(c->err, COFFER_ERR_INVALID_ARGUMENT, EBADMSG, "archive, at byte %llu: %s",
		       (unsigned long long)c->pos, what);
}

static bool cpio_hex(const char *text, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 8; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			c = (char)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			c = (char)((c | 0x20) - 'a' + 10);
		else
			return false;
		*out = *out << 4 | (uint32_t)c;
	}
	return true;
}

/* Header and name. Return: 0, or negative errno */
static int cpio_header(struct cpio *c)
{
	char head[CPIO_HEADER];
	int r = cpio_read(c, head, sizeof(head));
	size_t len;

	if (r < 0)
		return r;
	if (memcmp(head, "070701", 6) != 0 && memcmp(head, "070702", 6) != 0)
		return cpio_bad(c, "not a header of the format newc");
	for (int i = 0; i < CPIO_FIELDS; i++)
		if (!cpio_hex(head + 6 + 8 * i, &c->field[i]))
			return cpio_bad(c, "a field is no number");
	len = c->field[CPIO_NAME];
	if (len < 2 || len > sizeof(c->name))
		return cpio_bad(c, "the length of a name");
	r = cpio_read(c, c->name, len);
	if (r < 0)
		return r;
	if (c->name[len - 1] || strlen(c->name) != len - 1)
		return cpio_bad(c, "a name is not terminated");
	c->pos = (c->pos + 3) & ~UINT64_C(3);
	return 0;
}

/* What directory the last component of c->name is in. Tree lock held for writing. */
static int cpio_walk(struct cpio *c, struct dentry **dir, const char **last)
{
	struct dentry *at = c->at->dentry;
	char *component = c->name, *end;

	*last = NULL;
	for (;; component = end + 1) {
		int r;

		component += strspn(component, "/");
		end = strchrnul(component, '/');
		if (end == component)
			break;
		if (end - component > NAME_MAX)
			return cpio_bad(c, "a name is too long");
		if (end - component == 1 && *component == '.') {
			if (!*end)
				break;
			continue;
		}
		if (strncmp(component, "..", 2) == 0 && end - component == 2)
			return cpio_bad(c, "a name leads upwards");
		if (!end[strspn(end, "/")]) {
			*end = '\0';
			*last = component;
			break;
		}
		*end = '\0';
		r = dentry_lookup_locked(at, component, &at);
		if (r < 0)
			return err_sysn(c->err, r, "%s", component);
		if (!dentry_is_dir(at))
			return cpio_bad(c, "a name leads through what is no directory");
	}
	*dir = at;
	return 0;
}

static struct inode **cpio_link_slot(struct cpio *c)
{
	for (size_t i = 0; i < c->nlinks; i++)
		if (c->links[i].ino == c->field[CPIO_INO] &&
		    c->links[i].major == c->field[CPIO_MAJOR] &&
		    c->links[i].minor == c->field[CPIO_MINOR])
			return &c->links[i].inode;
	return NULL;
}

/* What may have further names is remembered. Return: 0 or negative errno */
static int cpio_remember(struct cpio *c, struct inode *inode)
{
	if (c->nlinks == CPIO_LINKS_MAX)
		return cpio_bad(c, "too many files with several names");
	if ((c->nlinks & (c->nlinks - 1)) == 0) {
		struct cpio_link *more = realloc(c->links, (c->nlinks ? 2 * c->nlinks : 1) *
								   sizeof(*more));

		if (!more)
			return err_nomem(c->err);
		c->links = more;
	}
	c->links[c->nlinks++] = (struct cpio_link){ c->field[CPIO_INO], c->field[CPIO_MAJOR],
						    c->field[CPIO_MINOR], inode_get(inode) };
	return 0;
}

/* What stands in the way goes, but for a directory. */
static int cpio_clear(struct cpio *c, struct dentry *dir, struct dentry **dentry, bool keep_dir)
{
	struct dentry *gone = *dentry;
	int r;

	if (!gone->inode || (keep_dir && dentry_is_dir(gone)))
		return 0;
	if (dentry_is_dir(gone))
		return cpio_bad(c, "a file has the name of a directory");
	r = dir->inode->ops->unlink ? dir->inode->ops->unlink(dir->inode, gone->name, gone->inode) :
				      -EPERM;
	if (r < 0)
		return r;
	*dentry = NULL;
	dentry_put(dentry_remove(gone));
	return 0;
}

/* Under the tree lock; *@out gets a reference */
static int cpio_make_in(struct cpio *c, struct dentry *dir, const char *name, struct inode **out)
{
	struct vfs_create args = {
		.mode = c->field[CPIO_MODE] & (S_IFMT | 07777),
		.uid = c->field[CPIO_UID],
		.gid = c->field[CPIO_GID],
		.rdev = makedev(c->field[CPIO_RMAJOR], c->field[CPIO_RMINOR]),
		.target = c->target,
		.exclusive = true,
	};
	const struct inode_ops *ops = dir->inode->ops;
	bool several = S_ISREG(args.mode) && c->field[CPIO_NLINK] > 1;
	struct inode **known = several ? cpio_link_slot(c) : NULL, *inode = NULL;
	struct dentry *dentry;
	int r = dentry_lookup_locked(dir, name, &dentry);

	if (r == 0)
		r = cpio_clear(c, dir, &dentry, S_ISDIR(args.mode));
	if (r == 0 && !dentry)
		r = dentry_lookup_locked(dir, name, &dentry);
	if (r < 0)
		return r;
	if (dentry->inode) { /* a directory that is there */
		*out = inode_get(dentry->inode);
		return 0;
	}
	if (known) {
		r = ops->link ? ops->link(dir->inode, name, *known) : -EPERM;
		inode = r == 0 ? inode_get(*known) : NULL;
	} else {
		r = ops->create ? ops->create(dir->inode, name, &args, &inode) : -EPERM;
		if (r == 0 && several)
			r = cpio_remember(c, inode);
	}
	if (inode) {
		dentry_set(dentry, inode);
		*out = inode_get(inode);
	}
	return r;
}

static int cpio_make(struct cpio *c, struct inode **out)
{
	struct super *super = c->at->dentry->super;
	struct dentry *dir = NULL;
	const char *name = NULL;
	int r;

	*out = NULL;
	tree_write(super);
	r = cpio_walk(c, &dir, &name);
	if (r == 0 && name)
		r = cpio_make_in(c, dir, name, out);
	else if (r == 0)
		*out = inode_get(dir->inode); /* "." */
	tree_unlock(super);
	dentry_settle(super);
	return r < 0 && c->err && !c->err->message[0] ? err_sysn(c->err, r, "make %s", name) : r;
}

static int cpio_fill(struct cpio *c, struct inode *inode)
{
	autofile struct file *file = NULL;
	uint64_t left = c->field[CPIO_SIZE], at = 0;
	int r;

	if (!left)
		return 0;
	r = inode->ops->open ? inode->ops->open(inode, NULL, O_WRONLY, NULL, &file) : -ENXIO;
	if (r < 0)
		return err_sysn(c->err, r, "open %s", c->name);
	while (left) {
		size_t n = left < CPIO_BLOCK ? left : CPIO_BLOCK;
		long done;

		r = cpio_read(c, c->block, n);
		if (r < 0)
			return r;
		done = file_write_kernel(file, c->block, n, (int64_t)at);
		if (done != (long)n)
			return err_sysn(c->err, done < 0 ? (int)done : -ENOSPC, "write %s", c->name);
		at += n;
		left -= n;
	}
	return 0;
}

/* Writing took bits of the mode away, and made it new. */
static int cpio_finish(struct cpio *c, struct inode *inode)
{
	struct inode_attr attr = {
		.mask = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME,
		.mode = c->field[CPIO_MODE] & 07777,
		.uid = c->field[CPIO_UID],
		.gid = c->field[CPIO_GID],
		.atime.tv_sec = c->field[CPIO_MTIME],
		.mtime.tv_sec = c->field[CPIO_MTIME],
	};
	int r;

	if (S_ISLNK(c->field[CPIO_MODE]))
		attr.mask &= ~(unsigned)ATTR_MODE;
	r = inode->ops->setattr ? inode->ops->setattr(inode, &attr) : -EPERM;
	return r < 0 ? err_sysn(c->err, r, "set attributes of %s", c->name) : 0;
}

static int cpio_target(struct cpio *c)
{
	uint32_t size = c->field[CPIO_SIZE];
	int r;

	if (!size || size >= sizeof(c->target))
		return cpio_bad(c, "the length of a link");
	r = cpio_read(c, c->target, size);
	c->target[size] = '\0';
	return r < 0 ? r : strlen(c->target) == size ? 0 : cpio_bad(c, "a link with a zero in it");
}

/* Return: 0, 1 at the trailer, or negative errno */
static int cpio_entry(struct cpio *c)
{
	struct inode *inode = NULL;
	uint32_t type;
	int r = cpio_header(c);

	if (r < 0 || strcmp(c->name, "TRAILER!!!") == 0)
		return r < 0 ? r : 1;
	type = c->field[CPIO_MODE] & S_IFMT;
	if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO &&
	    type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
		return cpio_bad(c, "a file of an unknown type");
	if (type == S_IFLNK)
		r = cpio_target(c);
	else if (type != S_IFREG && c->field[CPIO_SIZE])
		r = cpio_bad(c, "data of what has none");
	if (r == 0)
		r = cpio_make(c, &inode);
	if (r == 0 && !inode)
		r = -EIO;
	if (r == 0 && type == S_IFREG && S_ISREG(inode->attr.st_mode))
		r = cpio_fill(c, inode);
	if (r == 0)
		r = cpio_finish(c, inode);
	inode_put(inode);
	c->pos = (c->pos + 3) & ~UINT64_C(3);
	return r;
}

int cpio_unpack(int fd, const struct vfs_path *at, struct coffer_error *err)
{
	struct coffer_error own = COFFER_ERROR_INIT;
	autofree struct cpio *c = calloc(1, sizeof(*c));
	autofree char *block = malloc(CPIO_BLOCK);
	int r;

	if (!c || !block)
		return err_nomem(err);
	c->fd = fd;
	c->block = block;
	c->at = at;
	c->err = err ? err : &own;
	do
		r = cpio_entry(c);
	while (r == 0);
	for (size_t i = 0; i < c->nlinks; i++)
		inode_put(c->links[i].inode);
	free(c->links);
	return r < 0 ? r : 0;
}
