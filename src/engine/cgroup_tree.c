/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/cgroup_tree.c - the container's group in one hierarchy: make, walk, remove
 *
 * The same for v1 and v2, but for the question whether a group that exists
 * already is in use.  The container may have made groups below its own, as many
 * and as deep as it likes.  Parents that were missing are ours:
 * they go with the group, unless somebody else uses them by then.
 *
 * A group with processes of others can be shared.  Whoever comes to it marks
 * the directory, so that its first owner knows, too.  The attribute is one
 * that no container can set, or it could keep its processes from being killed.
 *
 * Callers: the files of this room.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/io.h"
#include "engine/cgroup_internal.h"

#define CGROUP_DEPTH_MAX  256
#define CGROUP_RETRIES    8
#define CGROUP_NAP_MAX	  32000 /* microseconds */
#define CGROUP_PATIENCE	  2000
#define CGROUP_PRUNE_BUDGET (USEC_PER_SEC / 10)
#define CGROUP_MARK	  "trusted.coffer.shared"

/* "/a//b/" to "/a/b" in @out, which is as long. Return: false when a component is dots */
static bool cgroup_tidy_path(const char *path, char *out)
{
	size_t n;

	for (;;) {
		path += strspn(path, "/");
		n = strcspn(path, "/");
		if (n == 0)
			break;
		if (strncmp(path, "..", n) == 0 && n <= 2)
			return false;
		*out++ = '/';
		memcpy(out, path, n);
		out += n;
		path += n;
	}
	*out = '\0';
	return true;
}

int cgroup_tree_set_path(struct cgroup_tree *t, const char *path, struct coffer_error *err)
{
	size_t len = t->root_len + strlen(path) + 2;
	char *dir = malloc(len);

	if (!dir)
		return err_nomem(err);
	memcpy(dir, t->dir, t->root_len);
	if (!cgroup_tidy_path(path, dir + t->root_len)) {
		free(dir);
		return err_invalid(err, "%s has dots", path);
	}
	free(t->dir);
	t->dir = dir;
	if (!dir[t->root_len])
		return err_invalid(err, "%s is the root", path);
	return len < PATH_MAX ? 0 : err_sysn(err, ENAMETOOLONG, "cgroup %s", path);
}

/* How many components are missing; they will be ours, at least the last one. */
void cgroup_tree_count_missing(struct cgroup_tree *t)
{
	char dir[PATH_MAX];
	char *p;

	snprintf(dir, sizeof(dir), "%s", t->dir);
	for (t->made = 1;; t->made++) {
		p = strrchr(dir + t->root_len, '/');
		if (!p || p == dir + t->root_len)
			return;
		*p = '\0';
		if (access(dir, F_OK) == 0)
			return;
	}
}

void cgroup_tree_free(struct cgroup_tree *t)
{
	close_fd(&t->fd);
	free(t->names);
	free(t->dir);
	free(t->shows);
}

int cgroup_tree_fd(struct cgroup_tree *t)
{
	if (t->fd < 0)
		t->fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->fd < 0 ? -errno : t->fd;
}

bool cgroup_event(int fd, const char *key)
{
	autofree char *text = NULL;
	char *at;

	if (io_read_file(fd, "cgroup.events", CGROUP_FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	at = strstr(text, key);
	return at && at[strlen(key)] == ' ' && at[strlen(key) + 1] == '1';
}

/* ---- groups below ---- */

/* Takes over @fd, the group that @parent has as @name. One descriptor for each level is open. */
static int cgroup_tree_walk_down(int fd, unsigned depth, cgroup_visit visit, void *data,
				 struct coffer_error *err)
{
	autoclosedir DIR *d = fdopendir(fd);
	struct dirent *de;
	int r = 0;

	if (!d) {
		close_fd(&fd);
		return err_sys(err, "list groups");
	}
	if (depth > CGROUP_DEPTH_MAX)
		return err_sysn(err, ELOOP, "groups below it are nested too deeply");
	/* What one visit could not do does not keep the others from it. */
	while ((de = readdir(d))) {
		int sub, step;

		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		sub = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (sub < 0)
			continue; /* gone meanwhile */
		step = visit(sub, data, r < 0 ? NULL : err);
		r = r < 0 ? r : step;
		step = cgroup_tree_walk_down(sub, depth + 1, visit, data, r < 0 ? NULL : err);
		r = r < 0 ? r : step;
	}
	return r;
}

int cgroup_tree_walk(int fd, cgroup_visit visit, void *data, struct coffer_error *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (own < 0)
		return errno == ENOENT ? 0 : err_sys(err, "list groups");
	return cgroup_tree_walk_down(own, 0, visit, data, err);
}

/* Return: whether there is a group below */
static bool cgroup_tree_first_child(int fd, char name[NAME_MAX + 1])
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclosedir DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *de;

	while (d && (de = readdir(d))) {
		if (de->d_type != DT_DIR || de->d_name[0] == '.')
			continue;
		snprintf(name, NAME_MAX + 1, "%s", de->d_name);
		return true;
	}
	return false;
}

/* Remove the groups below, however deep a container has nested them; up to a busy one. */
static void cgroup_tree_prune(int fd, usec_t deadline)
{
	autoclose int at = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];
	bool descended = true; /* into what is there now; so it may still be tried */
	size_t depth = 0;
	int next;

	while (at >= 0 && deadline_left(deadline) > 0) {
		bool child = cgroup_tree_first_child(at, name);

		if (!child && depth == 0)
			return;
		if (child && unlinkat(at, name, AT_REMOVEDIR) == 0) {
			descended = true;
			continue;
		}
		/* Back from below and still busy: it has a process. */
		if (child && !descended)
			return;
		descended = child;
		next = openat(at, child ? name : "..",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		depth = child ? depth + 1 : depth - 1;
		close_fd(&at);
		at = next;
	}
}

/* ---- make ---- */

static int cgroup_tree_has_procs(int fd, void *data, struct coffer_error *err)
{
	autofree char *text = NULL;
	int r = io_read_file(fd, "cgroup.procs", CGROUP_FILE_MAX, &text, NULL, NULL);

	return r == 0 && text[0] ? -EEXIST : 0;
}

static bool cgroup_tree_is_populated(const struct cgroup_tree *t, int fd)
{
	if (cgroup_tree_is_v2(t))
		return cgroup_event(fd, "populated");
	return cgroup_tree_has_procs(fd, NULL, NULL) < 0 ||
	       cgroup_tree_walk(fd, cgroup_tree_has_procs, NULL, NULL) == -EEXIST;
}

/* A frozen group would stop the container's process before its first step. */
static bool cgroup_tree_is_frozen(const struct cgroup_tree *t, int fd)
{
	autofree char *text = NULL;
	const char *file = cgroup_tree_is_v2(t) ? "cgroup.freeze" : "freezer.state";

	if (io_read_file(fd, file, CGROUP_FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	return text[0] == '1' || text[0] == 'F';
}

int cgroup_tree_check(struct cgroup_tree *t, bool share, struct coffer_error *err)
{
	autoclose int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool populated;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s", t->dir);
	populated = cgroup_tree_is_populated(t, fd);
	if (populated && !share)
		return err_set(err, COFFER_ERR_ALREADY_EXISTS, 0,
			       "container's cgroup is not empty: %s: it has processes", t->dir);
	if (cgroup_tree_is_frozen(t, fd))
		return err_state(err, "container's cgroup unexpectedly frozen: %s", t->dir);
	return populated;
}

/* mkdir of dir's first @len bytes and what is missing above. Return: directories made, -errno */
static int cgroup_tree_mkdirs(struct cgroup_tree *t, size_t len)
{
	char dir[PATH_MAX];
	int r;

	snprintf(dir, sizeof(dir), "%.*s", (int)len, t->dir);
	if (mkdir(dir, 0755) == 0)
		return 1;
	if (errno == EEXIST)
		return 0;
	while (len > t->root_len && dir[len - 1] != '/')
		len--;
	while (len > t->root_len && dir[len - 1] == '/')
		len--;
	if (errno != ENOENT || len <= t->root_len)
		return -errno;
	r = cgroup_tree_mkdirs(t, len);
	if (r < 0)
		return r;
	if (mkdir(dir, 0755) == 0)
		return r + 1;
	return errno == EEXIST ? 0 : -errno;
}

static int cgroup_tree_mark(struct cgroup_tree *t, struct coffer_error *err)
{
	if (fsetxattr(t->fd, CGROUP_MARK, "", 0, 0) == 0)
		return 0;
	err_set(err, COFFER_ERR_ALREADY_EXISTS, 0,
		"container's cgroup is not empty, and cannot be marked as shared: %s", t->dir);
	return -EEXIST;
}

bool cgroup_tree_is_marked(struct cgroup_tree *t)
{
	int fd = cgroup_tree_fd(t);

	return fd >= 0 && fgetxattr(fd, CGROUP_MARK, NULL, 0) >= 0;
}

int cgroup_tree_make(struct cgroup_tree *t, bool check, struct coffer_error *err)
{
	bool found = false;
	int r = -ENOENT;

	/* ENOENT: somebody removed an empty parent between our steps. */
	for (int i = 0; i < CGROUP_RETRIES && r == -ENOENT; i++) {
		r = cgroup_tree_mkdirs(t, strlen(t->dir));
		if (r < 0)
			continue;
		found = r == 0;
		if (found && check && (r = cgroup_tree_check(t, t->shared, err)) < 0)
			return r;
		/* An empty left-over becomes ours. */
		if (t->made < (unsigned)r || t->made == 0)
			t->made = r > 0 ? (unsigned)r : 1;
		r = cgroup_tree_fd(t);
	}
	if (r < 0)
		return err_sysn(err, r, "create %s", t->dir);
	if (t->shared && (r = cgroup_tree_mark(t, err)) < 0)
		return r;
	if (found && !t->shared)
		fremovexattr(t->fd, CGROUP_MARK);
	return t->controllers & 1U << CGROUP_CPUSET ? cgroup_v1_inherit_cpuset(t, err) : 0;
}

int cgroup_tree_add(struct cgroup_tree *t, pid_t pid, struct coffer_error *err)
{
	char text[16];
	int fd = cgroup_tree_fd(t), r;

	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	snprintf(text, sizeof(text), "%d", (int)pid);
	r = io_write_file(fd, "cgroup.procs", text, err);
	return r < 0 ? err_wrap(err, "%s", t->dir) : 0;
}

/*
 * By itself a process with one thread need not wait: writing somebody else's
 * number makes the kernel wait for all processors first, some 10 ms.
 */
int cgroup_tree_enter(struct cgroup_tree *t, struct coffer_error *err)
{
	int fd = cgroup_tree_fd(t), r;

	if (fd < 0)
		return err_sysn(err, fd, "open %s", t->dir);
	r = io_write_file(fd, "tasks", "0", err);
	return r < 0 ? err_wrap(err, "%s", t->dir) : 0;
}

/* ---- remove ---- */

static int cgroup_tree_rmdir_self(const struct cgroup_tree *t)
{
	return rmdir(t->dir) < 0 && errno != ENOENT ? -errno : 0;
}

/* What we made on the way there; others may use it by now. */
static void cgroup_tree_remove_parents(const struct cgroup_tree *t)
{
	char dir[PATH_MAX];
	char *p;

	snprintf(dir, sizeof(dir), "%s", t->dir);
	for (unsigned n = t->made; n > 1; n--) {
		p = strrchr(dir + t->root_len, '/');
		if (!p || p == dir + t->root_len)
			return;
		*p = '\0';
		if (rmdir(dir) < 0 && errno != ENOENT)
			return;
	}
}

/* Busy by what it has below, or by a process that has not gone yet. */
static void cgroup_tree_empty(struct cgroup_tree *t, usec_t deadline, useconds_t *nap)
{
	int fd = cgroup_tree_fd(t);
	usec_t step = deadline_in(*nap);

	if (fd < 0)
		return;
	cgroup_tree_prune(fd, deadline);
	if (!cgroup_tree_is_populated(t, fd))
		return;
	/* Whoever has not gone by now was not met by the signal. */
	if (*nap > CGROUP_PATIENCE)
		cgroup_tree_kill(t);
	if (!cgroup_tree_is_v2(t) ||
	    cgroup_wait_event(fd, "populated", false, step < deadline ? step : deadline) < 0)
		usleep(*nap);
	*nap = *nap < CGROUP_NAP_MAX ? *nap * 2 : *nap;
}

int cgroup_tree_leave(struct cgroup_tree *t, struct coffer_error *err)
{
	int fd = cgroup_tree_fd(t), r = cgroup_tree_rmdir_self(t);

	if (r == -EBUSY && fd >= 0 && !cgroup_tree_is_populated(t, fd)) {
		cgroup_tree_prune(fd, deadline_in(clock_budget(CGROUP_PRUNE_BUDGET)));
		r = cgroup_tree_rmdir_self(t);
	}
	if (r == 0)
		cgroup_tree_remove_parents(t);
	close_fd(&t->fd);
	return r < 0 && r != -EBUSY ? err_sysn(err, r, "remove %s", t->dir) : 0;
}

int cgroup_tree_remove(struct cgroup_tree *t, usec_t deadline, struct coffer_error *err)
{
	useconds_t nap = 250;
	int r;

	while ((r = cgroup_tree_rmdir_self(t)) == -EBUSY && deadline_left(deadline) > 0)
		cgroup_tree_empty(t, deadline, &nap);
	if (r < 0)
		return err_sysn(err, r, "remove %s", t->dir);
	cgroup_tree_remove_parents(t);
	close_fd(&t->fd);
	return 0;
}
