/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/guestpath.c - paths of requests, confined to the container they lie in
 *
 * The host writes a container's path as <state>/<id>/rootfs + path.  The head
 * is ours and trusted; the tail belongs to an image that may hold any link.
 * A container's own mounts live in its mount namespace and are not seen here:
 * the tail is resolved in the root file system below them.
 *
 * Callers: rpc_fs.c, guestmount.c.
 */
#include "agent/guestpath.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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
