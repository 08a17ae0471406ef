/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_v2.c - driver for the unified hierarchy: make, kill, remove
 *
 * Also used where v2 stands beside v1 ("hybrid"): the group then serves for
 * keeping the processes together, and a limit whose controller lives in v1
 * fails by name (cgroup_v2_limits.c).
 *
 * Every directory is reached by descriptor from the hierarchy's root.  The
 * container may have made groups below its own; they are walked with a limit
 * on the depth.
 *
 * Callers: cgroup.c through cgroup_v2_ops.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "engine/cgroup.h"
#include "engine/cgroup_v2.h"

#define CGROUP_FILE_MAX      ((size_t)1 << 20)
#define CGROUP_DEPTH_MAX     32
#define CGROUP_RETRIES       8
#define CGROUP_END_BUDGET    (5 * USEC_PER_SEC)
#define CGROUP_FREEZE_BUDGET (USEC_PER_SEC / 2)

static int cgroup_v2_probe(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		autoclose int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
			return steal_fd(&fd);
	}
	return -1;
}

/* ---- create ---- */

static bool cgroup_v2_event(int fd, const char *key)
{
	autofree char *text = NULL;
	char *at;

	if (io_read_file(fd, "cgroup.events", CGROUP_FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	at = strstr(text, key);
	return at && at[strlen(key)] == ' ' && at[strlen(key) + 1] == '1';
}

/* Return: descriptor of the path's last directory, or negative errno */
static int cgroup_v2_make_path(struct cgroup *cg, struct coffer_error *err)
{
	autoclose int dir = fcntl(cg->rootfd, F_DUPFD_CLOEXEC, 3);
	const char *p = cg->path + strspn(cg->path, "/");
	char name[256];
	size_t n;
	int next;

	cg->depth = cg->made = 0;
	for (; *p; p += n + strspn(p + n, "/")) {
		n = strcspn(p, "/");
		if (n >= sizeof(name))
			return err_sysn(err, ENAMETOOLONG, "create");
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		if (mkdirat(dir, name, 0755) == 0)
			cg->made++;
		else if (errno != EEXIST)
			return err_sys(err, "create %s", name);
		cg->depth++;
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (next < 0)
			return err_sys(err, "open %s", name);
		close_fd(&dir);
		dir = next;
	}
	return steal_fd(&dir);
}

static int cgroup_v2_create(struct cgroup *cg, struct coffer_error *err)
{
	/* ENOENT: somebody removed an empty parent between our steps. */
	for (int i = 0; i < CGROUP_RETRIES; i++) {
		cg->fd = cgroup_v2_make_path(cg, err);
		if (cg->fd != -ENOENT)
			break;
	}
	if (cg->fd < 0) {
		int r = cg->fd;

		cg->fd = -1;
		return r;
	}
	if (cg->made == 0) {
		if (cgroup_v2_event(cg->fd, "populated")) {
			/* Not ours: nothing in it may be killed when we give up. */
			close_fd(&cg->fd);
			return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0, "it has processes");
		}
		cg->made = 1; /* an empty left-over becomes ours */
	}
	return 0;
}

/*
 * In each group above the last one.  Only for a limit that needs it: switching
 * a controller on waits for RCU, 15 ms under emulation for the usual set.
 */
void cgroup_v2_enable(const struct cgroup *cg, const char *controller)
{
	autoclose int dir = fcntl(cg->rootfd, F_DUPFD_CLOEXEC, 3);
	const char *p = cg->path + strspn(cg->path, "/");
	char word[64], name[256];
	size_t n;
	int next;

	snprintf(word, sizeof(word), "+%s", controller);
	/* Refused or missing: the limit's own file will tell. */
	for (; *p && dir >= 0; p += n + strspn(p + n, "/")) {
		n = strcspn(p, "/");
		io_write_file(dir, "cgroup.subtree_control", word, NULL);
		snprintf(name, sizeof(name), "%.*s", (int)n, p);
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		close_fd(&dir);
		dir = next;
	}
}

/* ---- the tree below a group ---- */

typedef int (*cgroup_v2_visit)(int parent, const char *name, int fd, int arg,
			       struct coffer_error *err);

/* Children before their parent, @visit for each directory below @fd. */
static int cgroup_v2_walk(int fd, unsigned depth, cgroup_v2_visit visit, int arg,
			  struct coffer_error *err)
{
	autoclosedir DIR *d = NULL;
	struct dirent *de;
	int dup, r = 0;

	if (depth > CGROUP_DEPTH_MAX)
		return err_sysn(err, ELOOP, "groups below it are nested too deeply");
	dup = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = dup < 0 ? NULL : fdopendir(dup);
	if (!d) {
		close_fd(&dup);
		return errno == ENOENT ? 0 : err_sys(err, "list groups");
	}
	while (r == 0 && (de = readdir(d))) {
		autoclose int sub = -1;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub < 0)
			continue; /* gone meanwhile */
		r = cgroup_v2_walk(sub, depth + 1, visit, arg, err);
		if (r == 0)
			r = visit(fd, de->d_name, sub, arg, err);
	}
	return r;
}

/* ---- kill ---- */

static int cgroup_v2_signal(int parent, const char *name, int fd, int sig,
			    struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = io_read_file(fd, "cgroup.procs", CGROUP_FILE_MAX, &text, NULL, err);
	long pid;

	if (r < 0)
		return r == -ENOENT || r == -ENODEV ? 0 : r;
	for (char *p = text, *end; *p; p = end + (*end == '\n')) {
		pid = strtol(p, &end, 10);
		if (end == p)
			break;
		/* 0: a process of another pid namespace, not ours to name */
		if (pid > 0 && kill((pid_t)pid, sig) < 0 && errno != ESRCH)
			return err_sys(err, "send signal %d to process %ld", sig, pid);
	}
	return 0;
}

/* Frozen, so that nobody forks away between the listing and the signal. */
static int cgroup_v2_signal_all(const struct cgroup *cg, int sig, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(CGROUP_FREEZE_BUDGET));
	bool frozen;
	int r;

	frozen = io_write_file(cg->fd, "cgroup.freeze", "1", NULL) == 0;
	while (frozen && !cgroup_v2_event(cg->fd, "frozen") && deadline_left(deadline) > 0)
		usleep(500);
	r = cgroup_v2_walk(cg->fd, 0, cgroup_v2_signal, sig, err);
	if (r == 0)
		r = cgroup_v2_signal(-1, NULL, cg->fd, sig, err);
	if (frozen)
		io_write_file(cg->fd, "cgroup.freeze", "0", NULL);
	return r;
}

static int cgroup_v2_kill(const struct cgroup *cg, int sig, struct coffer_error *err)
{
	/* In one stroke, since Linux 5.14. */
	if (sig == SIGKILL && io_write_file(cg->fd, "cgroup.kill", "1", NULL) == 0)
		return 0;
	return cgroup_v2_signal_all(cg, sig, err);
}

/* ---- remove ---- */

static int cgroup_v2_rmdir(int parent, const char *name, int fd, int arg, struct coffer_error *err)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", name);
	return 0;
}

/* Remove the first @n components of the path. Return: 0 or -errno */
static int cgroup_v2_rmdir_path(const struct cgroup *cg, size_t n)
{
	const char *path = cg->path + strspn(cg->path, "/");
	char copy[CGROUP_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = copy; *p;) {
		size_t len = strcspn(p, "/");

		if (--n == 0)
			p[len] = '\0';
		p += len;
		p += strspn(p, "/");
		if (n == 0)
			break;
	}
	return unlinkat(cg->rootfd, copy, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int cgroup_v2_remove(struct cgroup *cg, struct coffer_error *err)
{
	usec_t deadline = deadline_in(clock_budget(CGROUP_END_BUDGET));
	size_t n = cg->depth;
	useconds_t nap = 500;
	int r;

	while ((r = cgroup_v2_rmdir_path(cg, n)) == -EBUSY && deadline_left(deadline) > 0) {
		/* Busy by what it has below, or by a process on its way out. */
		r = cg->fd < 0 ? -EBUSY : cgroup_v2_walk(cg->fd, 0, cgroup_v2_rmdir, 0, NULL);
		if (r < 0 || cgroup_v2_event(cg->fd, "populated")) {
			usleep(nap);
			nap = nap < 32000 ? nap * 2 : nap;
		}
	}
	if (r < 0)
		return err_sysn(err, r, "remove");
	/* What we made on the way there; others may use it by now. */
	while (--cg->made > 0 && --n > 0 && cgroup_v2_rmdir_path(cg, n) == 0)
		;
	return 0;
}

const struct cgroup_ops cgroup_v2_ops = {
	.name = "cgroup v2",
	.probe = cgroup_v2_probe,
	.create = cgroup_v2_create,
	.limit = cgroup_v2_limit,
	.limit_devices = cgroup_v2_limit_devices,
	.kill = cgroup_v2_kill,
	.remove = cgroup_v2_remove,
};
