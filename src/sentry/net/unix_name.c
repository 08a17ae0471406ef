/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/net/unix_name.c - the names of unix sockets
 *
 *	a path      -> a node of type socket in the task's view; inode->bound is the socket
 *	abstract    -> a table of all containers; a name belongs to one of them, or to all that have no
 *	               network namespace of their own
 *	no name yet -> autobind: five hexadecimal digits, abstract
 *
 * A node of a directory of the host is made there as well, but who is behind it is known here only:
 * the host's own sockets are not reached by their paths.
 *
 * Called by bind(2), and by whoever looks for a receiver.
 */
#include "sentry/net/unix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/task/task.h"

#define NAME_BUCKETS 64u
#define NAME_OFFSET  offsetof(struct sockaddr_un, sun_path)

static pthread_mutex_t name_lock = PTHREAD_MUTEX_INITIALIZER;
static struct unix_socket *name_buckets[NAME_BUCKETS]; /* name_lock; by abstract_next */

/* --- addresses --- */

struct unix_address *unix_address_get(struct unix_address *a)
{
	if (a)
		atomic_fetch_add(&a->refs, 1);
	return a;
}

void unix_address_put(struct unix_address *a)
{
	if (a && atomic_fetch_sub(&a->refs, 1) == 1)
		free(a);
}

void unix_address_tell(const struct unix_address *a, struct socket_addr *out)
{
	memset(out, 0, sizeof(*out));
	out->addr.ss_family = AF_UNIX;
	out->len = sizeof(sa_family_t);
	if (!a)
		return;
	memcpy(&out->addr, &a->addr, sizeof(a->addr));
	out->len = a->len;
}

static struct unix_address *unix_address_new(const char *name, size_t len, bool terminated)
{
	struct unix_address *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	a->addr.sun_family = AF_UNIX;
	memcpy(a->addr.sun_path, name, len);
	a->len = (socklen_t)(NAME_OFFSET + len + (terminated ? 1 : 0));
	return a;
}

/* What a sockaddr_un says. */
struct unix_name {
	const char *bytes; /* the path; or the abstract name with its leading zero */
	size_t len;	   /* 0: none */
	bool abstract;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* terminated */
};

static int unix_name_parse(const struct socket_addr *addr, struct unix_name *out)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->addr;

	if (addr->len < sizeof(sa_family_t) || addr->len > sizeof(*un) ||
	    un->sun_family != AF_UNIX)
		return -EINVAL;
	out->bytes = out->path;
	out->len = addr->len - NAME_OFFSET;
	out->abstract = out->len && !un->sun_path[0];
	memcpy(out->path, un->sun_path, out->len);
	out->path[out->len] = '\0';
	if (!out->abstract)
		out->len = strlen(out->path);
	return 0;
}

/* --- abstract names --- */

static unsigned name_hash(uint64_t net_space, const char *name, size_t len)
{
	uint64_t hash = UINT64_C(14695981039346656037) ^ net_space;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * UINT64_C(1099511628211);
	return (unsigned)(hash >> 32) % NAME_BUCKETS;
}

/* name_lock is held. */
static struct unix_socket *name_lookup(uint64_t net_space, const char *name, size_t len)
{
	struct unix_socket *u = name_buckets[name_hash(net_space, name, len)];

	while (u && !(u->net_space == net_space && u->name->len == NAME_OFFSET + len &&
		      memcmp(u->name->addr.sun_path, name, len) == 0))
		u = u->abstract_next;
	return u;
}

/* @u has no name yet; takes @a's reference when it succeeds. */
static int name_insert(struct unix_socket *u, struct unix_address *a)
{
	const char *name = a->addr.sun_path;
	size_t len = a->len - NAME_OFFSET;
	struct unix_socket **bucket = &name_buckets[name_hash(u->net_space, name, len)];
	int r = 0;

	pthread_mutex_lock(&name_lock);
	if (name_lookup(u->net_space, name, len))
		r = -EADDRINUSE;
	pthread_mutex_lock(&u->lock);
	if (!r && u->name)
		r = -EINVAL;
	if (!r) {
		u->name = a;
		u->abstract = true;
	}
	pthread_mutex_unlock(&u->lock);
	if (!r) {
		u->abstract_next = *bucket;
		*bucket = u;
	}
	pthread_mutex_unlock(&name_lock);
	return r;
}

static int unix_bind_abstract(struct unix_socket *u, const char *name, size_t len)
{
	struct unix_address *a = unix_address_new(name, len, false);
	int r;

	if (!a)
		return -ENOMEM;
	r = name_insert(u, a);
	if (r)
		unix_address_put(a);
	return r;
}

static int unix_bind_free(struct unix_socket *u)
{
	static _Atomic unsigned next = 1;

	for (unsigned tries = 0; tries < 0x100000; tries++) {
		char name[8] = { 0 };
		int r;

		snprintf(name + 1, sizeof(name) - 1, "%05x", next++ & 0xfffff);
		r = unix_bind_abstract(u, name, 6);
		if (r != -EADDRINUSE)
			return r;
	}
	return -ENOSPC;
}

/* --- names in directories --- */

/* Make a node at @path and go there. */
static int unix_make_node(struct walk *dir, const char *path, struct vfs_create *args,
			  struct vfs_path *out)
{
	struct walk node;
	int r = vfs_create(dir, path, args);

	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	node = (struct walk){ .fs = dir->fs, .cred = dir->cred, .start = dir->path };
	path_get(&node.start);
	r = vfs_walk(&node, dir->last, WALK_NOFOLLOW);
	*out = node.path;
	node.path = (struct vfs_path){ 0 };
	walk_end(&node);
	return r;
}

/* The node leads to @u from now on. @path's references are taken when it succeeds. */
static int unix_take_node(struct unix_socket *u, const struct vfs_path *path,
			  struct unix_address *a)
{
	struct inode *inode = path->dentry->inode;
	bool taken = false;

	if (!inode)
		return -EADDRINUSE;
	pthread_mutex_lock(&inode->lock);
	if (S_ISSOCK(inode->attr.st_mode) && !inode->bound) {
		inode->bound = u;
		taken = true;
	}
	pthread_mutex_unlock(&inode->lock);
	if (!taken)
		return -EADDRINUSE;
	pthread_mutex_lock(&name_lock);
	u->path = *path;
	pthread_mutex_unlock(&name_lock);
	pthread_mutex_lock(&u->lock);
	u->name = a;
	pthread_mutex_unlock(&u->lock);
	return 0;
}

int unix_bind_node(struct unix_socket *u, struct walk *dir, const char *path,
		   struct vfs_create *args, struct unix_address *a)
{
	struct vfs_path node = { 0 };
	int r = unix_make_node(dir, path, args, &node);

	if (!r)
		r = unix_take_node(u, &node, a);
	if (r)
		path_put(&node);
	return r;
}

static int unix_bind_path(struct unix_socket *u, struct task *task, const struct unix_name *name)
{
	struct unix_address *a = unix_address_new(name->bytes, name->len, true);
	struct vfs_create args = {
		.mode = S_IFSOCK | 0777, .uid = task->cred->fsuid, .gid = task->cred->fsgid,
		.exclusive = true,
	};
	struct walk dir;
	int r = a ? walk_task(&dir, task, AT_FDCWD, name->bytes) : -ENOMEM;

	if (!r) {
		r = unix_bind_node(u, &dir, name->bytes, &args, a);
		walk_end(&dir);
	}
	if (r)
		unix_address_put(a);
	return r;
}

/* One at a time, whoever asks for a name, and one in a life. */
static int unix_bind_begin(struct unix_socket *u)
{
	int r = 0;

	pthread_mutex_lock(&u->lock);
	if (u->name || u->binding)
		r = -EINVAL;
	else
		u->binding = true;
	pthread_mutex_unlock(&u->lock);
	return r;
}

static void unix_bind_end(struct unix_socket *u)
{
	pthread_mutex_lock(&u->lock);
	u->binding = false;
	pthread_mutex_unlock(&u->lock);
}

int unix_autobind(struct unix_socket *u)
{
	int r;

	if (unix_bind_begin(u))
		return 0; /* somebody else was faster */
	r = unix_bind_free(u);
	unix_bind_end(u);
	return r;
}

int unix_bind(struct socket *s, struct task *task, const struct socket_addr *addr)
{
	struct unix_socket *u = unix_of(s);
	struct unix_name name;
	int r = unix_name_parse(addr, &name);

	if (!r)
		r = unix_bind_begin(u);
	if (r)
		return r;
	if (!name.len && addr->len == sizeof(sa_family_t))
		r = unix_bind_free(u);
	else if (name.abstract)
		r = unix_bind_abstract(u, name.bytes, name.len);
	else
		r = unix_bind_path(u, task, &name);
	unix_bind_end(u);
	return r;
}

void unix_unbind(struct unix_socket *u)
{
	struct vfs_path path;

	pthread_mutex_lock(&name_lock);
	if (u->abstract) {
		struct unix_socket **at = &name_buckets[name_hash(
			u->net_space, u->name->addr.sun_path, u->name->len - NAME_OFFSET)];

		while (*at != u)
			at = &(*at)->abstract_next;
		*at = u->abstract_next;
		u->abstract = false;
	}
	path = u->path;
	u->path = (struct vfs_path){ 0 };
	pthread_mutex_unlock(&name_lock);
	if (!path.dentry)
		return;
	pthread_mutex_lock(&path.dentry->inode->lock);
	path.dentry->inode->bound = NULL;
	pthread_mutex_unlock(&path.dentry->inode->lock);
	path_put(&path);
}

/* --- who is it? --- */

int unix_find_node(struct inode *inode, struct unix_socket **out)
{
	pthread_mutex_lock(&inode->lock);
	*out = S_ISSOCK(inode->attr.st_mode) ? unix_hold(inode->bound) : NULL;
	pthread_mutex_unlock(&inode->lock);
	return *out ? 0 : -ECONNREFUSED;
}

static int unix_find_path(struct task *task, const char *path, struct unix_socket **out)
{
	struct inode *inode;
	struct walk walk;
	int r = walk_task(&walk, task, AT_FDCWD, path);

	if (r)
		return r;
	r = vfs_walk(&walk, path, 0);
	inode = r ? NULL : walk.path.dentry->inode;
	if (!r)
		r = vfs_permission(inode, task->cred, 2);
	if (!r)
		r = unix_find_node(inode, out);
	walk_end(&walk);
	return r;
}

int unix_find(struct task *task, const struct socket_addr *addr, int type,
	      struct unix_socket **out)
{
	struct unix_name name;
	int r = unix_name_parse(addr, &name);

	*out = NULL;
	if (r || addr->len == sizeof(sa_family_t))
		return -EINVAL;
	if (name.abstract) {
		pthread_mutex_lock(&name_lock);
		*out = unix_hold(name_lookup(task->process->container->net_space, name.bytes,
					     name.len));
		pthread_mutex_unlock(&name_lock);
		r = *out ? 0 : -ECONNREFUSED;
	} else {
		r = unix_find_path(task, name.bytes, out);
	}
	if (!r && (*out)->socket.type != type) {
		unix_drop(steal_ptr(*out));
		r = -EPROTOTYPE;
	}
	return r;
}
