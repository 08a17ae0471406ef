/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/state.c - a container's directory: lock, state, config
 *
 *	<root>/<id>/lock          flock(2): held while a command changes the container
 *	            config.json   the document it was created with
 *	            state.json    replaced by rename, so that readers need no lock
 *	            creating      its first form, without init; there until the creation is
 *	                          complete; the same file as the lock, where links are possible
 *	            gate          the engine's: where a created init waits for start
 *
 * mkdir(2) decides who owns an id.  Who has waited for the lock looks whether
 * it still has a name: its holder may have been a deletion.  Who deletes makes
 * a lock that is missing (its maker was killed, or is about to make it): then
 * either that maker or the deletion comes first, and the other one notices.
 *
 * Callers: every command.
 */
#include "oci/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/path.h"

#define STATE_VERSION  1
#define STATE_MAX      (OCI_JSON_MAX * 2) /* annotations are most of it */
#define STATE_SECOND   UINT64_C(1000000000)
#define STATE_REMOVALS 8                  /* attempts, while other deletions make locks */

/* ---- directory and lock ---- */

void state_dir_close(struct state_dir *dir)
{
	int saved_errno = errno;

	state_dir_unlock(dir);
	close_fd(&dir->fd);
	errno = saved_errno;
}

void state_dir_unlock(struct state_dir *dir)
{
	/* Not only closed: a container's process may still hold a copy. */
	if (dir->lock >= 0)
		flock(dir->lock, LOCK_UN);
	close_fd(&dir->lock);
}

int state_check_id(const char *id, struct coffer_error *err)
{
	static const char others[] = "_+,-.";
	const char *p = id;

	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
	       (*p && strchr(others, *p)))
		p++;
	if (!*id)
		return err_invalid(err, "container id cannot be empty");
	if (*p || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
		return err_invalid(err, "invalid container id \"%s\"", id);
	return 0;
}

static int state_gone(const char *id, struct coffer_error *err)
{
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "container %s does not exist", id);
}

static int state_dir_lock(struct state_dir *dir, const char *id, int flags, int how,
			  struct coffer_error *err)
{
	struct stat st;
	int r;

	dir->lock = openat(dir->fd, STATE_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (dir->lock < 0)
		return errno == ENOENT ? state_gone(id, err) : err_sys(err, "open its lock");
	do {
		r = flock(dir->lock, how);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_sys(err, "lock container %s", id);
	if (fstat(dir->lock, &st) < 0)
		return err_sys(err, "stat its lock");
	return st.st_nlink > 0 ? 0 : state_gone(id, err);
}

static int state_open_root(const char *root, bool create, struct coffer_error *err)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (fd >= 0 || errno != ENOENT || !create)
		return fd >= 0 ? fd : err_sys(err, "open %s", root);
	r = path_mkdirs(root, 0700, err);
	if (r < 0)
		return r;
	fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(err, "open %s", root);
}

static int state_dir_enter(int rootfd, const char *id, struct state_dir *dir,
			   struct coffer_error *err)
{
	dir->fd = openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir->fd < 0)
		return errno == ENOENT ? state_gone(id, err) : err_sys(err, "open container %s", id);
	return 0;
}

int state_dir_create(const char *root, const char *id, struct state_dir *out,
		     struct coffer_error *err)
{
	autostatedir struct state_dir dir = STATE_DIR_INIT;
	autoclose int rootfd = state_open_root(root, true, err);
	int r;

	if (rootfd < 0)
		return rootfd;
	/* Others may pass: what is mounted from here is opened with the container's ids. */
	if (mkdirat(rootfd, id, 0711) < 0)
		return errno == EEXIST
			   ? err_set(err, COFFER_ERR_ALREADY_EXISTS, EEXIST,
				     "container with given ID already exists: %s", id)
			   : err_sys(err, "create %s/%s", root, id);
	r = state_dir_enter(rootfd, id, &dir, err);
	if (r == 0)
		r = state_dir_lock(&dir, id, O_CREAT, LOCK_EX, err);
	if (r < 0)
		return r;
	*out = (struct state_dir){ .fd = steal_fd(&dir.fd), .lock = steal_fd(&dir.lock) };
	return 0;
}

int state_dir_open(const char *root, const char *id, enum state_lock lock, bool remake,
		   struct state_dir *out, struct coffer_error *err)
{
	static const int how[] = { [STATE_SHARED] = LOCK_SH, [STATE_EXCLUSIVE] = LOCK_EX };
	autostatedir struct state_dir dir = STATE_DIR_INIT;
	autoclose int rootfd = -1;
	int r = state_check_id(id, err);

	if (r < 0)
		return r;
	rootfd = state_open_root(root, false, err);
	if (rootfd < 0)
		return rootfd == -ENOENT ? state_gone(id, err) : rootfd;
	r = state_dir_enter(rootfd, id, &dir, err);
	if (r == 0 && lock != STATE_UNLOCKED)
		r = state_dir_lock(&dir, id, remake ? O_CREAT : 0, how[lock], err);
	if (r < 0)
		return r;
	*out = (struct state_dir){ .fd = steal_fd(&dir.fd), .lock = steal_fd(&dir.lock) };
	return 0;
}

int state_dir_relock(struct state_dir *dir, const char *id, struct coffer_error *err)
{
	return state_dir_lock(dir, id, 0, LOCK_EX, err);
}

bool state_dir_busy(const struct state_dir *dir)
{
	autoclose int lock = -1;

	if (dir->lock >= 0)
		return false;
	lock = openat(dir->fd, STATE_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return lock >= 0 && flock(lock, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* The lock goes last: whoever finds it missing before may take the rest for his. */
static int state_dir_empty(const struct state_dir *dir, struct coffer_error *err)
{
	int own = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	autoclosedir DIR *d = own < 0 ? NULL : fdopendir(own);
	struct dirent *de;

	if (!d) {
		close_fd(&own);
		return err_sys(err, "read directory");
	}
	while (r == 0 && (de = readdir(d))) {
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0 &&
		    strcmp(de->d_name, STATE_LOCK) != 0)
			r = path_remove_tree(dir->fd, de->d_name, err);
	}
	if (r == 0 && unlinkat(dir->fd, STATE_LOCK, 0) < 0 && errno != ENOENT)
		return err_sys(err, "remove %s", STATE_LOCK);
	return r;
}

/* Has somebody else removed it, and perhaps a creation taken the name? */
static bool state_dir_is_gone(const struct state_dir *dir, int rootfd, const char *id)
{
	struct stat st, named;

	return fstat(dir->fd, &st) == 0 &&
	       (fstatat(rootfd, id, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
		named.st_ino != st.st_ino || named.st_dev != st.st_dev);
}

int state_dir_remove(const struct state_dir *dir, const char *root, const char *id,
		     struct coffer_error *err)
{
	autoclose int rootfd = state_open_root(root, false, err);
	int r = -ENOTEMPTY;

	if (rootfd < 0)
		return rootfd;
	for (int i = 0; r == -ENOTEMPTY && i < STATE_REMOVALS; i++) {
		if (state_dir_is_gone(dir, rootfd, id))
			return 0;
		r = state_dir_empty(dir, err);
		if (r == 0 && unlinkat(rootfd, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = err_sys(err, "remove directory");
	}
	return r < 0 ? err_wrap(err, "remove %s/%s", root, id) : 0;
}

/* ---- state.json ---- */

void state_free(struct state *state)
{
	free(state->id);
	free(state->oci_version);
	free(state->bundle);
	free(state->rootfs);
	oci_strv_set(&state->cgroup, NULL, NULL);
	json_object_put(state->annotations);
	*state = (struct state){ 0 };
}

/* Nanoseconds since 1970: a date in words would cost a look at the time zone's file. */
static uint64_t state_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * STATE_SECOND + (uint64_t)ts.tv_nsec;
}

void state_created(const struct state *state, char text[static STATE_CREATED_MAX])
{
	time_t seconds = (time_t)(state->created / STATE_SECOND);
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	snprintf(text, STATE_CREATED_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%09lluZ",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned long long)(state->created % STATE_SECOND));
}

static struct json_object *state_annotations(const struct oci_pairs *pairs)
{
	struct json_object *obj = pairs->n > 0 ? json_object_new_object() : NULL;

	for (size_t i = 0; obj && i < pairs->n; i++)
		json_object_object_add(obj, pairs->v[i].key,
				       json_object_new_string(pairs->v[i].value));
	return obj;
}

int state_fill(const char *id, const char *bundle, const struct oci_spec *spec, struct state *out,
	       struct coffer_error *err)
{
	const char *root = spec->root->path;

	*out = (struct state){
		.id = strdup(id),
		.oci_version = strdup(spec->oci_version),
		.bundle = strdup(bundle),
		.rootfs = root[0] == '/' ? strdup(root) : path_join(bundle, root),
		.created = state_now(),
		.annotations = state_annotations(&spec->annotations),
	};
	if (out->id && out->oci_version && out->bundle && out->rootfs)
		return 0;
	state_free(out);
	return err_nomem(err);
}

/* The texts and numbers, once for both directions. */
static const struct {
	const char *name;
	size_t offset;
} state_texts[] = {
	{ "ociVersion", offsetof(struct state, oci_version) },
	{ "id", offsetof(struct state, id) },
	{ "bundle", offsetof(struct state, bundle) },
	{ "rootfs", offsetof(struct state, rootfs) },
}, state_flags[] = {
	{ "systemd", offsetof(struct state, systemd) },
	{ "rootless", offsetof(struct state, rootless) },
};

static void *state_at(const struct state *state, size_t offset)
{
	return (char *)state + offset;
}

static struct json_object *state_to_json(const struct state *state)
{
	struct json_object *obj = json_object_new_object(), *words = json_object_new_array();

	if (!obj || !words)
		return NULL;
	json_object_object_add(obj, "version", json_object_new_int(STATE_VERSION));
	for (size_t i = 0; i < ARRAY_SIZE(state_texts); i++)
		json_object_object_add(obj, state_texts[i].name,
				       json_object_new_string(
					   *(char **)state_at(state, state_texts[i].offset)));
	for (size_t i = 0; i < ARRAY_SIZE(state_flags); i++)
		json_object_object_add(obj, state_flags[i].name,
				       json_object_new_boolean(
					   *(bool *)state_at(state, state_flags[i].offset)));
	json_object_object_add(obj, "created", json_object_new_uint64(state->created));
	json_object_object_add(obj, "pid", json_object_new_int(state->pid));
	json_object_object_add(obj, "startTime", json_object_new_uint64(state->start_time));
	for (size_t i = 0; i < state->cgroup.n; i++)
		json_object_array_add(words, json_object_new_string(state->cgroup.v[i]));
	json_object_object_add(obj, "cgroup", words);
	if (state->annotations)
		json_object_object_add(obj, "annotations", json_object_get(state->annotations));
	return obj;
}

/* As text that lives as long as *@obj. */
static int state_text(const struct state *state, struct json_object **obj, const char **text,
		      size_t *len, struct coffer_error *err)
{
	*obj = state_to_json(state);
	*text = *obj ? json_object_to_json_string_length(*obj, JSON_C_TO_STRING_NOSLASHESCAPE, len)
		     : NULL;
	return *text ? 0 : err_nomem(err);
}

int state_write_first(const struct state_dir *dir, const struct state *state,
		      struct coffer_error *err)
{
	autojson struct json_object *obj = NULL;
	autoclose int fd = -1;
	const char *text;
	size_t len;
	int r = state_text(state, &obj, &text, &len, err);

	if (r < 0)
		return r;
	/* A file is dear: it is the lock's second name, once the text is in there. */
	if (io_write_full(dir->lock, text, len) == 0 &&
	    linkat(dir->fd, STATE_LOCK, dir->fd, STATE_CREATING, 0) == 0)
		return 0;
	fd = openat(dir->fd, STATE_CREATING, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : io_write_full(fd, text, len);
	return r < 0 ? err_sysn(err, r, "write %s", STATE_CREATING) : 0;
}

int state_write(const struct state_dir *dir, const struct state *state, bool sync,
		struct coffer_error *err)
{
	autojson struct json_object *obj = NULL;
	const char *text;
	size_t len;
	int r = state_text(state, &obj, &text, &len, err);

	if (r < 0)
		return r;
	return (sync ? io_replace_file : io_swap_file)(dir->fd, STATE_FILE, text, len, 0600, err);
}

static int state_bad(const char *member, struct coffer_error *err)
{
	return err_internal(err, "%s: %s: missing or of the wrong type", STATE_FILE, member);
}

static struct json_object *state_member(struct json_object *obj, const char *name, json_type type)
{
	struct json_object *value = json_object_object_get(obj, name);

	return json_object_is_type(value, type) ? value : NULL;
}

static int state_from_json(struct json_object *obj, struct state *out, struct coffer_error *err)
{
	struct json_object *created = state_member(obj, "created", json_type_int);
	struct json_object *pid = state_member(obj, "pid", json_type_int);
	struct json_object *start = state_member(obj, "startTime", json_type_int);
	struct json_object *words = state_member(obj, "cgroup", json_type_array);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(state_texts); i++) {
		struct json_object *text =
		    state_member(obj, state_texts[i].name, json_type_string);

		if (!text)
			return state_bad(state_texts[i].name, err);
		r = oci_str_set(state_at(out, state_texts[i].offset),
				json_object_get_string(text), err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(state_flags); i++)
		*(bool *)state_at(out, state_flags[i].offset) =
		    json_object_get_boolean(json_object_object_get(obj, state_flags[i].name));
	if (!created || !pid || !start || !words)
		return state_bad("created, pid, startTime or cgroup", err);
	out->created = json_object_get_uint64(created);
	out->pid = json_object_get_int(pid);
	out->start_time = json_object_get_uint64(start);
	for (size_t i = 0; r == 0 && i < json_object_array_length(words); i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(words, i));

		r = word ? oci_strv_add(&out->cgroup, word, err) : state_bad("cgroup", err);
	}
	out->annotations =
	    json_object_get(state_member(obj, "annotations", json_type_object));
	return r;
}

static int state_read_latest(const struct state_dir *dir, char **text, struct coffer_error *err)
{
	/* Once more at the end: the second takes the first's place behind our back. */
	static const char *const names[] = { STATE_FILE, STATE_CREATING, STATE_FILE };
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < ARRAY_SIZE(names); i++) {
		r = io_read_file(dir->fd, names[i], STATE_MAX, text, NULL, err);
		/* Its maker got no further, and has made nothing yet. */
		if (r == 0 && i == 1 && !(*text)[0])
			return err_sysn(err, ENOENT, "read %s", names[i]);
	}
	return r;
}

int state_read(const struct state_dir *dir, struct state *out, struct coffer_error *err)
{
	autojson struct json_object *obj = NULL;
	autostate struct state state = { 0 };
	autofree char *text = NULL;
	int r = state_read_latest(dir, &text, err);

	if (r < 0)
		return r;
	obj = json_tokener_parse(text);
	if (json_object_get_int(json_object_object_get(obj, "version")) != STATE_VERSION)
		return err_internal(err, "%s: not of version %d", STATE_FILE, STATE_VERSION);
	r = state_from_json(obj, &state, err);
	if (r < 0)
		return r;
	*out = state;
	state = (struct state){ 0 };
	return 0;
}
