/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/rundir.c - the directory a live container has in $COFFER_RUN
 *
 * Making, sweeping and removing happen under a flock on $COFFER_RUN itself, so
 * that none of them meets a directory that another has made or removed by half.
 * The sweep is one openat and one flock for each container there is, cheap
 * enough to be part of every start.
 *
 * $COFFER_RUN is the user's to choose, and may be a folder with other things in
 * it: swept is only what holds nothing but a lock that nobody has and vm/.  A
 * directory of ours lacks the lock only while it is empty, when killed in
 * between; an empty one is all that goes without a lock.
 *
 * vm/ may hold files of another uid (the monitor drops its own); the directory
 * itself is ours, which is what unlinking needs.
 */
#define LOG_CATEGORY "rundir"
#include "sandbox/rundir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/path.h"

#define RUNDIR_LOCK "lock"

static bool rundir_char_is_valid(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return !first && (c == '_' || c == '.' || c == '-');
}

bool rundir_id_is_valid(const char *id)
{
	size_t n = strlen(id);

	if (n < 1 || n > RUNDIR_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!rundir_char_is_valid(id[i], i == 0))
			return false;
	return true;
}

/* The default place. Only /tmp is shared with others; rundir_open_root() checks the owner. */
static char *rundir_default_root(void)
{
	const char *env = secure_getenv("COFFER_RUN");
	const char *xdg = secure_getenv("XDG_RUNTIME_DIR");
	char *s = NULL;

	if (env && *env)
		return strdup(env);
	if (geteuid() == 0)
		return strdup("/run/coffer");
	if (xdg && *xdg == '/')
		return path_join(xdg, "coffer");
	if (asprintf(&s, "/tmp/coffer-%u", (unsigned)geteuid()) < 0)
		return NULL;
	return s;
}

static int rundir_open_root(const char *path, struct coffer_error *err)
{
	autoclose int fd = -1;
	struct stat st;
	int r;

	if (*path != '/')
		return err_invalid(err, "run directory %s: not an absolute path", path);
	r = path_mkdirs(path, 0700, err);
	if (r < 0)
		return err_wrap(err, "run directory");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, "run directory %s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EPERM,
			       "run directory %s: belongs to, or is writable by, another user",
			       path);
	return steal_fd(&fd);
}

/* Return: the locked descriptor, -EWOULDBLOCK when a live owner has it, other negative errno */
static int rundir_lock(int dirfd, int flags)
{
	autoclose int fd =
	    openat(dirfd, RUNDIR_LOCK, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* Blocks for as long as another makes, sweeps or removes. Return: 0 or negative errno */
static int rundir_lock_root(int root_fd)
{
	int r;

	do
		r = flock(root_fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* The lock goes last but one: whenever this is cut short, the next sweep knows what it sees. */
static int rundir_erase(int root_fd, int fd, const char *name, struct coffer_error *err)
{
	int r = path_remove_tree(fd, RUNDIR_VM, err);

	if (r < 0)
		return r;
	if (unlinkat(fd, RUNDIR_LOCK, 0) < 0 && errno != ENOENT)
		return err_sys(err, RUNDIR_LOCK);
	if (unlinkat(root_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, "directory %s", name);
	return 0;
}

/* Return: a stream of its own position over @fd's directory, or NULL */
static DIR *rundir_list(int fd)
{
	autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);

	if (d)
		steal_fd(&own);
	return d;
}

static bool rundir_is_ours(int fd)
{
	autoclosedir DIR *d = rundir_list(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, RUNDIR_LOCK) != 0 && strcmp(e->d_name, RUNDIR_VM) != 0)
			return false;
	return d;
}

/* Under the root's lock: remove <name> if it is stale. */
static void rundir_sweep_one(int root_fd, const char *name)
{
	autoclose int dir = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct coffer_error err = COFFER_ERROR_INIT;
	autoclose int lock = -1;

	if (dir < 0)
		return;
	lock = rundir_lock(dir, 0);
	if (lock == -ENOENT)
		unlinkat(root_fd, name, AT_REMOVEDIR);
	if (lock < 0 || !rundir_is_ours(dir))
		return;
	if (rundir_erase(root_fd, dir, name, &err) < 0)
		log_warning("remove stale %s: %s", name, err.message);
	else
		log_info("removed stale run directory %s", name);
}

static void rundir_sweep(int root_fd)
{
	autoclosedir DIR *d = rundir_list(root_fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (rundir_id_is_valid(e->d_name))
			rundir_sweep_one(root_fd, e->d_name);
}

static int rundir_make_vm(struct rundir *dir, struct coffer_error *err)
{
	if (mkdirat(dir->fd, RUNDIR_VM, 0700) < 0)
		return err_sys(err, "make %s/" RUNDIR_VM, dir->path);
	dir->vm_fd = openat(dir->fd, RUNDIR_VM, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->vm_fd < 0)
		return err_sys(err, "open %s/" RUNDIR_VM, dir->path);
	return 0;
}

static int rundir_make(struct rundir *dir, struct coffer_error *err)
{
	if (mkdirat(dir->root_fd, dir->id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(err, COFFER_ERR_ALREADY_EXISTS, EEXIST,
				       "a container of that name exists already");
		return err_sys(err, "make %s", dir->path);
	}
	dir->fd = openat(dir->root_fd, dir->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0)
		return err_sys(err, "open %s", dir->path);
	dir->lock_fd = rundir_lock(dir->fd, O_CREAT | O_EXCL);
	if (dir->lock_fd < 0) {
		int r = steal_fd(&dir->lock_fd);

		return err_sysn(err, r, "lock %s", dir->path);
	}
	return rundir_make_vm(dir, err);
}

static void rundir_free(struct rundir *dir)
{
	close_fd(&dir->lock_fd);
	close_fd(&dir->vm_fd);
	close_fd(&dir->fd);
	close_fd(&dir->root_fd);
	free(dir->path);
	free(dir);
}
DEFINE_CLEANUP(struct rundir *, rundir_free);

int rundir_create(const char *root, const char *id, struct rundir **out, struct coffer_error *err)
{
	CLEANUP(rundir_freep) struct rundir *dir = NULL;
	autofree char *root_path = root ? strdup(root) : rundir_default_root();
	int r;

	*out = NULL;
	if (!rundir_id_is_valid(id))
		return err_invalid(err, "%s: not a valid name", id);
	dir = calloc(1, sizeof(*dir));
	if (!dir || !root_path)
		return err_nomem(err);
	dir->fd = dir->vm_fd = dir->lock_fd = -1;
	memcpy(dir->id, id, strlen(id) + 1);
	dir->path = path_join(root_path, id);
	dir->root_fd = rundir_open_root(root_path, err);
	if (dir->root_fd < 0)
		return steal_fd(&dir->root_fd);
	if (!dir->path)
		return err_nomem(err);
	r = rundir_lock_root(dir->root_fd);
	if (r < 0)
		return err_sysn(err, r, "lock %s", root_path);
	rundir_sweep(dir->root_fd);
	r = rundir_make(dir, err);
	/* What a failed make left has no lock held; it is swept like any other. */
	if (r < 0 && r != -EEXIST) {
		close_fd(&dir->lock_fd);
		rundir_sweep_one(dir->root_fd, id);
	}
	flock(dir->root_fd, LOCK_UN);
	if (r < 0)
		return r;
	*out = steal_ptr(dir);
	return 0;
}

void rundir_remove(struct rundir *dir)
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (!dir)
		return;
	rundir_lock_root(dir->root_fd);
	if (rundir_erase(dir->root_fd, dir->fd, dir->id, &err) < 0)
		log_warning("remove %s: %s", dir->path, err.message);
	/* By name: a process forked meanwhile has the descriptor, too. */
	flock(dir->root_fd, LOCK_UN);
	rundir_free(dir);
}

int rundir_clear_vm(struct rundir *dir, struct coffer_error *err)
{
	int r;

	close_fd(&dir->vm_fd);
	r = path_remove_tree(dir->fd, RUNDIR_VM, err);
	if (r < 0)
		return r;
	return rundir_make_vm(dir, err);
}
