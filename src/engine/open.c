/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/open.c - taking hold of a container that another process made
 *
 * All there is to it is a pid, when that process began, and the words that name
 * the cgroup.  The pid is trusted only with its start time, and from then on
 * everything goes by pidfd: a number that was used again is an ended init.
 *
 * Caller: OCI runtime.
 */
#include "engine/container.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/procinfo.h"

#define OPEN_GATE "gate"

int engine_gate_listen(int dirfd, struct coffer_error *err)
{
	int fd = io_unix_listen(dirfd, OPEN_GATE, SOCK_SEQPACKET, 0600, err);

	/* Init has nothing to do but wait there. */
	if (fd >= 0)
		io_set_nonblock(fd, false);
	return fd;
}

int engine_gate_connect(int dirfd, struct coffer_error *err)
{
	return io_unix_connect(dirfd, OPEN_GATE, SOCK_SEQPACKET, err);
}

int engine_gate_remove(int dirfd, struct coffer_error *err)
{
	return unlinkat(dirfd, OPEN_GATE, 0) < 0 ? err_sys(err, "remove the gate") : 0;
}

/* Return: 0, also when init has ended; then @c has none. */
static int open_init(struct engine_container *c, const struct engine_record *rec,
		     struct coffer_error *err)
{
	int pidfd = procinfo_open(rec->pid, rec->start_time, err);

	if (pidfd == -ESRCH) {
		err_clear(err);
		return 0;
	}
	if (pidfd < 0)
		return pidfd;
	c->launch.process.child = (struct child){ .pid = rec->pid, .pidfd = pidfd };
	return 0;
}

int engine_open(const struct engine_open_args *args, struct engine_container **out,
		struct coffer_error *err)
{
	autoclose int gate = args->gate;
	struct engine_container *c;
	int r = container_alloc(args->id, args->bundle, args->spec, &c, err);

	if (r < 0)
		return r;
	c->adopted = true;
	c->launch.forked = true;
	c->launch.sock = steal_fd(&gate);
	c->state = c->launch.sock >= 0 ? CONTAINER_CREATED : CONTAINER_STARTED;
	r = open_init(c, &args->record, err);
	if (r == 0)
		r = cgroup_open(args->record.cgroup, &c->cgroup, err);
	if (r < 0) {
		engine_release(c);
		return err_wrap(err, "open container %s", args->id);
	}
	*out = c;
	return 0;
}
