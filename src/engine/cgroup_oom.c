/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_oom.c - hear of processes killed for want of memory
 *
 *	v1   an eventfd, tied to memory.oom_control through cgroup.event_control
 *	v2   inotify on memory.events, and on cgroup.events, which tells of the end
 *
 * Both only wake; how many were killed is read from the file, so that nothing
 * is told twice or missed.
 *
 * Callers: control.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/cgroup_stats.h"

struct cgroup_oom {
	int fd;      /* eventfd or inotify; owned */
	int dir;     /* of the group; owned */
	int control; /* v1: memory.oom_control; owned */
	uint64_t killed;
};

void cgroup_oom_free(struct cgroup_oom *o)
{
	if (!o)
		return;
	close_fd(&o->fd);
	close_fd(&o->dir);
	close_fd(&o->control);
	free(o);
}

/* Return: 0; -ENODEV when the group is gone */
static int cgroup_oom_count(const struct cgroup_oom *o, uint64_t *killed)
{
	const char *file = o->control >= 0 ? "memory.oom_control" : "memory.events";
	autofree char *text = NULL;
	int r = io_read_file(o->dir, file, CGROUP_FILE_MAX, &text, NULL, NULL);

	if (r < 0)
		return r == -ENOENT ? -ENODEV : r;
	*killed = stats_value(text, "oom_kill");
	return 0;
}

static int cgroup_oom_open_v1(struct cgroup_oom *o, struct coffer_error *err)
{
	char text[32];

	o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	o->control = openat(o->dir, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (o->fd < 0 || o->control < 0)
		return err_sys(err, "open memory.oom_control");
	snprintf(text, sizeof(text), "%d %d", o->fd, o->control);
	return io_write_file(o->dir, "cgroup.event_control", text, err);
}

static int cgroup_oom_open_v2(struct cgroup_oom *o, struct coffer_error *err)
{
	static const char *const files[] = { "memory.events", "cgroup.events" };
	char path[64];

	o->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (o->fd < 0)
		return err_sys(err, "inotify");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", o->dir, files[i]);
		if (inotify_add_watch(o->fd, path, IN_MODIFY) < 0)
			return err_sys(err, "watch %s", files[i]);
	}
	return 0;
}

int cgroup_oom_open(const struct cgroup *cg, struct cgroup_oom **out, struct coffer_error *err)
{
	struct cgroup_tree *v1 = cgroup_find(cg, CGROUP_MEMORY), *t = v1 ? v1 : cgroup_unified(cg);
	int fd = t ? cgroup_tree_fd(t) : -ENOENT, r;
	struct cgroup_oom *o;

	*out = NULL;
	if (!t)
		return err_unsupported(err, "controller \"memory\" is not available");
	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	o = malloc(sizeof(*o));
	if (!o)
		return err_nomem(err);
	*o = (struct cgroup_oom){ .fd = -1, .control = -1,
				  .dir = fcntl(fd, F_DUPFD_CLOEXEC, 3) };
	r = v1 ? cgroup_oom_open_v1(o, err) : cgroup_oom_open_v2(o, err);
	if (r == 0)
		r = cgroup_oom_count(o, &o->killed);
	if (r < 0) {
		cgroup_oom_free(o);
		/* v2 without the controller: nobody in it has a limit to pass. */
		if (!v1 && r == -ENOENT)
			return err_unsupported(err, "controller \"memory\" is not available");
		return err && err->kind != COFFER_ERR_NONE ? err_wrap(err, "%s", t->dir) :
							     err_sysn(err, r, "%s", t->dir);
	}
	*out = o;
	return 0;
}

int cgroup_oom_fd(const struct cgroup_oom *o)
{
	return o->fd;
}

int cgroup_oom_read(struct cgroup_oom *o, uint64_t *killed)
{
	uint64_t now, before = o->killed;
	char events[4096];
	int r;

	*killed = 0;
	while (read(o->fd, events, sizeof(events)) > 0)
		;
	r = cgroup_oom_count(o, &now);
	if (r < 0)
		return r;
	o->killed = now;
	*killed = now - before;
	return 0;
}
