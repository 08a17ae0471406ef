/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestpath.c - paths of requests, confined to the container they lie in
 *
 * The host writes a container's path as <state>/<id>/rootfs + path.  The head
 * is ours and trusted; the tail belongs to an image that may hold any link.
 *
 * A container's own mounts live in its mount namespace.  Who mounts
 * (guestpath_open()) works in ours, on the root file system below them.  Who
 * deals with files (guestplace) means what the container sees: while its init
 * runs, the tail is resolved in the root that procfs shows for it, which is of
 * that namespace.  That init may be hostile: whatever it takes for its root is
 * still within what it can reach itself.
 *
 * Callers: rpc_fs.c, guestmount.c, job.c.
 */
#include "agent/guestpath.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "agent/container.h"
#include "base/path.h"

#define GUESTPATH_ROOTFS "rootfs"

static const char *guestpath_skip_slashes(const char *p)
{
	while (*p == '/')
		p++;
	return p;
}

size_t guestpath_split(const char *state_dir, const char *path)
{
	const char *p = path, *id;
	size_t n;

	/* The state directory, component by component: slashes may be doubled. */
	for (const char *s = guestpath_skip_slashes(state_dir); *s;
	     s = guestpath_skip_slashes(s + n)) {
		p = guestpath_skip_slashes(p);
		n = strcspn(s, "/");
		if (strncmp(p, s, n) != 0 || p[n] != '/')
			return 0;
		p += n;
	}
	id = p = guestpath_skip_slashes(p);
	n = strcspn(p, "/");
	if (n == 0 || strncmp(id, "..", n) == 0)
		return 0;
	p = guestpath_skip_slashes(p + n);
	n = strlen(GUESTPATH_ROOTFS);
	if (strncmp(p, GUESTPATH_ROOTFS, n) != 0 || (p[n] != '/' && p[n] != '\0'))
		return 0;
	return (size_t)(p + n - path);
}

int guestpath_open(const struct agent *agent, const char *path, struct guestpath *gp,
		   struct coffer_error *err)
{
	size_t head = guestpath_split(agent->state_dir, path);
	autofree char *root = NULL;

	if (path[0] != '/')
		return err_invalid(err, "path \"%s\" is not absolute", path);
	/* The rootfs itself is the last step of a trusted path: mounts go onto it. */
	if (*guestpath_skip_slashes(path + head) == '\0')
		head = 0;
	root = head ? strndup(path, head) : strdup("/");
	if (!root)
		return err_nomem(err);
	gp->rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (gp->rootfd < 0)
		return err_sys(err, "open %s", root);
	gp->path = path + head;
	return 0;
}

/* ---- what a container sees ---- */

static void guestplace_find_init(const struct container *c, struct guestplace *place)
{
	for (const struct process *p = c->processes; p; p = p->next) {
		if (!p->is_init || !process_has_child(p))
			continue;
		place->init = p->proc->child.pid;
		place->pidfd = p->proc->child.pidfd;
	}
}

/* The container whose rootfs is named by the first @head bytes of @path, if we know it. */
static const struct container *guestplace_owner(const struct agent *agent, const char *path,
						size_t head)
{
	size_t n = head - strlen(GUESTPATH_ROOTFS), start;

	while (path[n - 1] == '/')
		n--;
	for (start = n; path[start - 1] != '/';)
		start--;
	for (const struct container *c = agent->containers; c; c = c->next)
		if (strlen(c->id) == n - start && memcmp(c->id, path + start, n - start) == 0)
			return c;
	return NULL;
}

int guestplace_of_path(const struct agent *agent, const char *path, struct guestplace *place,
		       struct coffer_error *err)
{
	size_t head = guestpath_split(agent->state_dir, path);
	const struct container *c = head ? guestplace_owner(agent, path, head) : NULL;

	if (path[0] != '/')
		return err_invalid(err, "path \"%.200s\" is not absolute", path);
	place->root = head ? strndup(path, head) : strdup("/");
	if (!place->root)
		return err_nomem(err);
	place->path = path[head] ? path + head : "/";
	place->foreign = head > 0;
	if (c)
		guestplace_find_init(c, place);
	return 0;
}

int guestplace_of_container(const struct agent *agent, const char *id, const char *path,
			    struct guestplace *place, struct coffer_error *err)
{
	const struct container *c = container_find(agent, id);

	if (!c)
		return err_set(err, COFFER_ERR_NOT_FOUND, 0, "container \"%.*s\" does not exist",
			       CONTAINER_ID_MAX, id);
	if (path[0] != '/')
		return err_invalid(err, "path \"%.200s\" is not absolute", path);
	place->root = c->rootfs ? strdup(c->rootfs) : path_join(c->bundle, GUESTPATH_ROOTFS);
	if (!place->root)
		return err_nomem(err);
	place->path = path;
	place->foreign = true;
	guestplace_find_init(c, place);
	return 0;
}

/* Return: descriptor of init's root, or negative errno when it has ended */
static int guestplace_init_root(const struct guestplace *place)
{
	autoclose int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/root", place->init);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* As long as the pidfd's process is there, the number was nobody else's. */
	if (syscall(SYS_pidfd_send_signal, place->pidfd, 0, NULL, 0) < 0)
		return -errno;
	return steal_fd(&fd);
}

int guestplace_open(const struct guestplace *place, struct guestpath *gp, struct coffer_error *err)
{
	gp->path = place->path;
	gp->rootfd = place->init ? guestplace_init_root(place) : -ESRCH;
	if (gp->rootfd < 0)
		gp->rootfd = open(place->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return gp->rootfd < 0 ? err_sys(err, "open %s", place->root) : 0;
}
