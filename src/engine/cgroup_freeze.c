/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_freeze.c - stop and continue all processes of the container
 *
 * By v2 where there is one, also beside v1: what it has frozen can still be
 * killed.  Else by the v1 freezer.  Frozen is who is so by its own switch, not
 * by that of a group above; on a host with both, either switch counts, because
 * other programs know the old one only.
 *
 * Callers: container.c, control.c, cgroup_kill.c.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_PAUSE_BUDGET (10 * USEC_PER_SEC)
#define CGROUP_NAP_MAX	    8000 /* microseconds */

static bool cgroup_file_begins(int dir, const char *file, const char *with)
{
	autofree char *text = NULL;

	return io_read_file(dir, file, CGROUP_FILE_MAX, &text, NULL, NULL) == 0 &&
	       strncmp(text, with, strlen(with)) == 0;
}

int cgroup_wait_event(int fd, const char *key, bool on, usec_t deadline)
{
	autoclose int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256], want[64];
	ssize_t n;

	if (events < 0)
		return -errno;
	snprintf(want, sizeof(want), "%s %d\n", key, on);
	for (;;) {
		n = pread(events, text, sizeof(text) - 1, 0);
		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (strstr(text, want))
			return 0;
		if (deadline_left(deadline) == 0)
			return -ETIMEDOUT;
		/* The kernel tells of changes; it may sum up several. */
		poll(&(struct pollfd){ .fd = events, .events = POLLPRI }, 1,
		     deadline_poll_ms(deadline));
	}
}

static int cgroup_v2_freeze(int fd, bool on, usec_t deadline, struct coffer_error *err)
{
	int r = io_write_file(fd, "cgroup.freeze", on ? "1" : "0", err);

	if (r == 0 && on) {
		r = cgroup_wait_event(fd, "frozen", on, deadline);
		if (r < 0)
			err_sysn(err, r, "wait until it is frozen");
	}
	return r;
}

/* Tasks that were born during the attempt are found by repeating it. */
static int cgroup_v1_freeze(int fd, bool on, usec_t deadline, struct coffer_error *err)
{
	const char *state = on ? "FROZEN" : "THAWED";
	useconds_t nap = 100;
	int r;

	for (;;) {
		r = io_write_file(fd, "freezer.state", state, err);
		/* A group above may keep it frozen: it is its business. */
		if (r < 0 || !on || cgroup_file_begins(fd, "freezer.state", state))
			return r;
		if (deadline_left(deadline) == 0)
			return err_sysn(err, ETIMEDOUT, "wait until it is frozen");
		usleep(nap);
		nap = nap < CGROUP_NAP_MAX ? nap * 2 : nap;
	}
}

static int cgroup_tree_freeze(struct cgroup_tree *t, bool on, usec_t budget,
			      struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(budget));
	int fd = cgroup_tree_fd(t), r;

	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	r = cgroup_tree_is_v2(t) ? cgroup_v2_freeze(fd, on, deadline, err) :
				   cgroup_v1_freeze(fd, on, deadline, err);
	/* Half frozen is worse than running. */
	if (r == -ETIMEDOUT)
		io_write_file(fd, cgroup_tree_is_v2(t) ? "cgroup.freeze" : "freezer.state",
			      cgroup_tree_is_v2(t) ? "0" : "THAWED", NULL);
	return r < 0 ? err_wrap(err, "%s", t->dir) : 0;
}

int cgroup_freeze_for(const struct cgroup *cg, bool on, usec_t budget, struct coffer_error *err)
{
	struct cgroup_tree *t = cgroup_unified(cg);

	if (!t)
		t = cgroup_find(cg, CGROUP_FREEZER);
	if (!t)
		return err_unsupported(err, "the container has no cgroup that can be frozen");
	return cgroup_tree_freeze(t, on, budget, err);
}

void cgroup_thaw(const struct cgroup *cg)
{
	struct cgroup_tree *v2 = cgroup_unified(cg), *v1 = cgroup_find(cg, CGROUP_FREEZER);

	if (v2 && cgroup_tree_fd(v2) >= 0)
		io_write_file(v2->fd, "cgroup.freeze", "0", NULL);
	if (v1 && cgroup_tree_fd(v1) >= 0)
		io_write_file(v1->fd, "freezer.state", "THAWED", NULL);
}

int cgroup_freeze(const struct cgroup *cg, bool on, struct coffer_error *err)
{
	int r = cgroup_freeze_for(cg, on, CGROUP_PAUSE_BUDGET, err);

	/* Who has paused it may have used the other switch. */
	if (r == 0 && !on)
		cgroup_thaw(cg);
	return r;
}

int cgroup_frozen(const struct cgroup *cg, struct coffer_error *err)
{
	struct cgroup_tree *v2 = cgroup_unified(cg), *v1 = cgroup_find(cg, CGROUP_FREEZER);

	if (v2 && cgroup_tree_fd(v2) >= 0 && cgroup_file_begins(v2->fd, "cgroup.freeze", "1"))
		return 1;
	return v1 && cgroup_tree_fd(v1) >= 0 &&
	       cgroup_file_begins(v1->fd, "freezer.self_freezing", "1");
}
