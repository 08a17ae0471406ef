/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/rundir.c - the directory a container has in $COFFER_RUN
 *
 * Making, taking, sweeping and removing happen under a flock on $COFFER_RUN
 * itself, so that none of them meets a directory that another has made or
 * removed by half, and a lock that is only tried on keeps nobody out.
 * The sweep is one openat and one flock for each container there is, cheap
 * enough to be part of every start.
 *
 * $COFFER_RUN is the user's to choose, and may be a folder with other things in
 * it: swept is only what holds a lock that nobody has and nothing but the names
 * below.  A directory of ours lacks the lock only while it is empty, when killed
 * in between; an empty one is all that goes without a lock.  In a removal the
 * record goes last but the lock: cut short, it can be begun again.
 *
 * vm/ may hold files of another uid (the monitor drops its own); the directory
 * itself is ours, which is what unlinking needs.
 */
#define LOG_CATEGORY "rundir"
#include "sandbox/rundir.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/procinfo.h"

#define RUNDIR_LOCK	      "lock"
#define RUNDIR_MACHINE	      "machine"
#define RUNDIR_MACHINE_BUDGET (2 * USEC_PER_SEC)
#define RUNDIR_MACHINE_MAX    64

/* What there may be in a directory. */
static const struct {
	const char *name;
	bool prefix; /* of a name: replaced files are written aside first */
	bool passes; /* goes with the owner */
	bool last;   /* of a removal, which takes care of it */
} rundir_names[] = {
	{ RUNDIR_LOCK, .last = true },
	{ RUNDIR_RECORD, .last = true },
	{ RUNDIR_RECORD ".", .prefix = true, .passes = true },
	{ RUNDIR_VM, .passes = true },
	{ RUNDIR_MACHINE, .prefix = true, .passes = true },
	{ RUNDIR_CONTROL, .passes = true },
	{ RUNDIR_LOG },
};

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

/* Return: a stream of its own position over @fd's directory, or NULL */
static DIR *rundir_read(int fd)
{
	autoclose int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);

	if (d)
		steal_fd(&own);
	return d;
}

/* Return: index in rundir_names, or -1 */
static int rundir_find_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rundir_names); i++) {
		const char *known = rundir_names[i].name;

		if (rundir_names[i].prefix ? strncmp(name, known, strlen(known)) == 0
					   : strcmp(name, known) == 0)
			return (int)i;
	}
	return -1;
}

static bool rundir_is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool rundir_is_ours(int fd)
{
	autoclosedir DIR *d = rundir_read(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!rundir_is_dot(e->d_name) && rundir_find_name(e->d_name) < 0)
			return false;
	return d;
}

static bool rundir_is_kept(int fd)
{
	return faccessat(fd, RUNDIR_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int rundir_note_machine(struct rundir *dir, pid_t pid, struct coffer_error *err)
{
	uint64_t began;
	char text[RUNDIR_MACHINE_MAX];
	int r;

	/* Not one of ours, and not for us to remove. */
	if (dir->lock_fd < 0)
		return 0;
	r = procinfo_start_time(pid, &began, err);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%d %" PRIu64 "\n", (int)pid, began);
	return io_swap_file(dir->fd, RUNDIR_MACHINE, text, strlen(text), 0600, err);
}

/* The machine of an owner that was killed ends by itself, but a moment later. */
static void rundir_await_machine(int fd)
{
	autofree char *text = NULL;
	autoclose int pidfd = -1;
	uint64_t began;
	int pid;

	if (io_read_file(fd, RUNDIR_MACHINE, RUNDIR_MACHINE_MAX, &text, NULL, NULL) < 0 ||
	    sscanf(text, "%d %" SCNu64, &pid, &began) != 2)
		return;
	pidfd = procinfo_open(pid, began, NULL);
	if (pidfd >= 0 && io_wait(pidfd, POLLIN,
				  deadline_in(clock_budget(RUNDIR_MACHINE_BUDGET))) <= 0)
		log_warning("a machine without an owner does not end");
}

/* Remove what goes with the owner; with @all, everything but what has to go last. */
static int rundir_clean(int fd, bool all, struct coffer_error *err)
{
	autoclosedir DIR *d = rundir_read(fd);
	struct dirent *e;
	int r = 0;

	if (!d)
		return err_sys(err, "read the run directory");
	rundir_await_machine(fd);
	while (r == 0 && (e = readdir(d))) {
		int i = rundir_is_dot(e->d_name) ? -1 : rundir_find_name(e->d_name);

		if (i >= 0 && (rundir_names[i].passes || (all && !rundir_names[i].last)))
			r = path_remove_tree(fd, e->d_name, err);
	}
	return r;
}

static int rundir_erase(int root_fd, int fd, const char *name, struct coffer_error *err)
{
	static const char *const last[] = { RUNDIR_RECORD, RUNDIR_LOCK };
	int r = rundir_clean(fd, true, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		if (unlinkat(fd, last[i], 0) < 0 && errno != ENOENT)
			return err_sys(err, "%s", last[i]);
	if (unlinkat(root_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, "directory %s", name);
	return 0;
}

static int rundir_retire(int root_fd, int fd, const char *name, struct coffer_error *err)
{
	return rundir_is_kept(fd) ? rundir_clean(fd, false, err)
				  : rundir_erase(root_fd, fd, name, err);
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
	if (rundir_retire(root_fd, dir, name, &err) < 0)
		log_warning("remove stale %s: %s", name, err.message);
	else if (!rundir_is_kept(dir))
		log_info("removed stale run directory %s", name);
}

static void rundir_sweep(int root_fd)
{
	autoclosedir DIR *d = rundir_read(root_fd);
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

/* Everything up to the root's lock, and the sweep. */
static int rundir_begin(const char *root, const char *id, struct rundir **out,
			struct coffer_error *err)
{
	autofree char *root_path = root ? strdup(root) : rundir_default_root();
	CLEANUP(rundir_freep) struct rundir *dir = calloc(1, sizeof(*dir));
	int r;

	*out = NULL;
	if (!rundir_id_is_valid(id))
		return err_invalid(err, "%s: not a valid name", id);
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
	*out = steal_ptr(dir);
	return 0;
}

/* Not by closing alone: a process forked meanwhile has the descriptor, too. */
static void rundir_unlock_root(int root_fd)
{
	flock(root_fd, LOCK_UN);
}

int rundir_create(const char *root, const char *id, struct rundir **out, struct coffer_error *err)
{
	CLEANUP(rundir_freep) struct rundir *dir = NULL;
	int r = rundir_begin(root, id, &dir, err);

	*out = NULL;
	if (r < 0)
		return r;
	r = rundir_make(dir, err);
	/* What a failed make left has no lock held; it is swept like any other. */
	if (r < 0 && r != -EEXIST) {
		close_fd(&dir->lock_fd);
		rundir_sweep_one(dir->root_fd, id);
	}
	rundir_unlock_root(dir->root_fd);
	if (r < 0)
		return r;
	*out = steal_ptr(dir);
	return 0;
}

/* Return: 0 it is locked and its vm/ empty, or negative errno */
static int rundir_own(struct rundir *dir, struct coffer_error *err)
{
	dir->lock_fd = rundir_lock(dir->fd, 0);
	if (dir->lock_fd == -EWOULDBLOCK) {
		dir->lock_fd = -1;
		return err_state(err, "container %s is in use", dir->id);
	}
	if (dir->lock_fd < 0) {
		int r = steal_fd(&dir->lock_fd);

		return err_sysn(err, r, "lock %s", dir->path);
	}
	return rundir_clear_vm(dir, err);
}

static int rundir_take(struct rundir *dir, bool own, struct coffer_error *err)
{
	dir->fd = openat(dir->root_fd, dir->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* What is not ours has no lock, or other things beside it. */
	if (dir->fd < 0 || faccessat(dir->fd, RUNDIR_LOCK, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !rundir_is_ours(dir->fd))
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "no container %s", dir->id);
	if (own)
		return rundir_own(dir, err);
	dir->vm_fd = openat(dir->fd, RUNDIR_VM, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return 0;
}

int rundir_open(const char *root, const char *id, bool own, struct rundir **out,
		struct coffer_error *err)
{
	CLEANUP(rundir_freep) struct rundir *dir = NULL;
	int r = rundir_begin(root, id, &dir, err);

	*out = NULL;
	if (r < 0)
		return r;
	r = rundir_take(dir, own, err);
	rundir_unlock_root(dir->root_fd);
	if (r < 0)
		return r;
	*out = steal_ptr(dir);
	return 0;
}

/* Under the root's lock. */
static bool rundir_is_locked(int fd)
{
	autoclose int lock = rundir_lock(fd, 0);

	return lock == -EWOULDBLOCK;
}

bool rundir_is_live(const struct rundir *dir)
{
	bool live;

	if (dir->lock_fd >= 0)
		return true;
	rundir_lock_root(dir->root_fd);
	live = rundir_is_locked(dir->fd);
	rundir_unlock_root(dir->root_fd);
	return live;
}

static void rundir_end(struct rundir *dir,
		       int (*end)(int root_fd, int fd, const char *name, struct coffer_error *err))
{
	struct coffer_error err = COFFER_ERROR_INIT;

	if (!dir)
		return;
	if (dir->lock_fd >= 0) {
		rundir_lock_root(dir->root_fd);
		if (end(dir->root_fd, dir->fd, dir->id, &err) < 0)
			log_warning("remove %s: %s", dir->path, err.message);
		/* Before others look; a process forked meanwhile has it, too. */
		flock(dir->lock_fd, LOCK_UN);
		rundir_unlock_root(dir->root_fd);
	}
	rundir_free(dir);
}

void rundir_close(struct rundir *dir)
{
	rundir_end(dir, rundir_retire);
}

void rundir_remove(struct rundir *dir)
{
	rundir_end(dir, rundir_erase);
}

int rundir_clear_vm(struct rundir *dir, struct coffer_error *err)
{
	int r;

	close_fd(&dir->vm_fd);
	rundir_await_machine(dir->fd);
	r = path_remove_tree(dir->fd, RUNDIR_VM, err);
	if (r < 0)
		return r;
	return rundir_make_vm(dir, err);
}

static int rundir_list_add(struct rundir_list *list, int root_fd, const char *name)
{
	autoclose int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct rundir_entry *v;

	/* A live one may be empty or without a record as yet. */
	if (fd < 0 || faccessat(fd, RUNDIR_LOCK, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !rundir_is_ours(fd))
		return 0;
	v = reallocarray(list->v, list->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	list->v = v;
	v[list->n] = (struct rundir_entry){ .live = rundir_is_locked(fd) };
	snprintf(v[list->n].id, sizeof(v->id), "%.*s", RUNDIR_ID_MAX, name);
	list->n++;
	return 0;
}

static int rundir_compare(const void *a, const void *b)
{
	return strcmp(((const struct rundir_entry *)a)->id, ((const struct rundir_entry *)b)->id);
}

static int rundir_list_all(int root_fd, struct rundir_list *out, struct coffer_error *err)
{
	autoclosedir DIR *d = rundir_read(root_fd);
	struct dirent *e;
	int r = 0;

	if (!d)
		return err_sys(err, "read the run directory");
	while (r == 0 && (e = readdir(d)))
		if (rundir_id_is_valid(e->d_name))
			r = rundir_list_add(out, root_fd, e->d_name);
	if (out->n > 0)
		qsort(out->v, out->n, sizeof(*out->v), rundir_compare);
	return r < 0 ? err_nomem(err) : 0;
}

int rundir_list(const char *root, struct rundir_list *out, struct coffer_error *err)
{
	autofree char *path = root ? strdup(root) : rundir_default_root();
	autoclose int root_fd = -1;
	int r;

	*out = (struct rundir_list){ 0 };
	if (!path)
		return err_nomem(err);
	root_fd = rundir_open_root(path, err);
	if (root_fd < 0)
		return root_fd;
	r = rundir_lock_root(root_fd);
	if (r < 0)
		return err_sysn(err, r, "lock %s", path);
	rundir_sweep(root_fd);
	r = rundir_list_all(root_fd, out, err);
	rundir_unlock_root(root_fd);
	if (r < 0)
		rundir_list_free(out);
	return r;
}

void rundir_list_free(struct rundir_list *list)
{
	free(list->v);
	*list = (struct rundir_list){ 0 };
}
