/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container/record.c - the containers of a run directory
 *
 *	live            its owner is asked, over its control socket
 *	not live, kept  record.json, written by the owner at each change of state
 *
 * A record whose owner was killed still says that it runs; that nobody holds
 * the directory's lock is what counts.
 */
#define LOG_CATEGORY "record"
#include "container/record.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"
#include "container/calls.h"
#include "container/remote.h"
#include "sandbox/rundir.h"

#define RECORD_MAX	   (8u << 20)
#define RECORD_ASK_BUDGET  (2 * USEC_PER_SEC)  /* for an owner to tell of its container */
#define RECORD_STOP_BUDGET (15 * USEC_PER_SEC) /* for an owner to end it */
#define RECORD_KILL_BUDGET (5 * USEC_PER_SEC)  /* for a killed owner to be gone */
#define RECORD_LOOK_MS	   10		       /* between looks at a lock */

static struct json_object *record_make(struct coffer_container *c, enum coffer_state state)
{
	struct inspect_phases phases = { .n = 0 };
	struct json_object *doc;

	/* They are asked of the guest, once; before its program runs that would hold up the start. */
	if (state != COFFER_STATE_INITIALIZED && state != COFFER_STATE_CREATED)
		phases.n = coffer_container_phases(c, phases.v);
	if (state == COFFER_STATE_STARTED)
		calls_ask(c);
	pthread_mutex_lock(&c->lock);
	doc = inspect_make(c, state, &phases);
	pthread_mutex_unlock(&c->lock);
	return doc;
}

void record_note(struct coffer_container *c, enum coffer_state state)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autojson struct json_object *doc = NULL;
	autofree char *text = NULL;
	int r;

	/* One that never was created leaves nothing. */
	if (!c->config->keep || !c->dir || c->created_at.tv_sec == 0)
		return;
	doc = record_make(c, state);
	r = inspect_text(doc, &text, &err);
	if (r == 0)
		r = io_swap_file(c->dir->fd, RUNDIR_RECORD, text, strlen(text), 0600, &err);
	if (r < 0)
		log_warning("record of %s: %s", c->id, err.message);
}

int coffer_container_inspect(struct coffer_container *c, char **json, struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;

	*json = NULL;
	if (c->remote)
		return remote_inspect(c, json, err);
	doc = record_make(c, coffer_container_state(c));
	return inspect_text(doc, json, err);
}

static int record_parse(const char *text, size_t len, struct json_object **out,
			struct coffer_error *err)
{
	autotokener struct json_tokener *tok = json_tokener_new_ex(8);

	if (!tok)
		return err_nomem(err);
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
	*out = json_tokener_parse_ex(tok, text, (int)len + 1);
	if (*out && json_object_is_type(*out, json_type_object))
		return 0;
	json_object_put(*out);
	*out = NULL;
	return err_set(err, COFFER_ERR_INTERNAL, EPROTO, "not an object");
}

/* What the owner says of a live one. */
static int record_ask(const char *run_dir, const char *id, struct json_object **out,
		      struct coffer_error *err)
{
	struct coffer_container *c;
	autofree char *text = NULL;
	int r;

	r = remote_open(run_dir, id, RECORD_ASK_BUDGET, &c, err);
	if (r < 0)
		return r;
	r = remote_inspect(c, &text, err);
	remote_free(c);
	return r < 0 ? r : record_parse(text, strlen(text), out, err);
}

/* @live: it may still be so as its record says. */
static int record_read(const struct rundir *dir, bool live, struct json_object **out,
		       struct coffer_error *err)
{
	autofree char *text = NULL;
	size_t len;
	int r = io_read_file(dir->fd, RUNDIR_RECORD, RECORD_MAX, &text, &len, err);

	if (r == 0)
		r = record_parse(text, len, out, err);
	if (r == 0 && !live && !inspect_make_lost(*out))
		r = err_nomem(err);
	return r < 0 ? err_wrap(err, "container %s: " RUNDIR_RECORD, dir->id) : 0;
}

/* One that cannot be asked now, being made or busy. */
static struct json_object *record_stub(const char *id)
{
	struct json_object *doc = json_object_new_object(), *state = json_object_new_object();

	if (doc && state && json_add(state, "Status", json_object_new_string("created")) &&
	    json_add(doc, "Id", json_object_new_string(id)) &&
	    json_add(doc, "Name", json_object_new_string(id)) && json_add(doc, "State", state))
		return doc;
	json_object_put(state);
	json_object_put(doc);
	return NULL;
}

static int record_get(const char *run_dir, const char *id, struct json_object **out,
		      struct coffer_error *err)
{
	autorundir struct rundir *dir = NULL;
	int r = rundir_open(run_dir, id, false, &dir, err);

	*out = NULL;
	if (r < 0)
		return r;
	if (rundir_is_live(dir)) {
		if (record_ask(run_dir, id, out, NULL) == 0)
			return 0;
		/* It may have ended meanwhile. */
		if (rundir_is_live(dir)) {
			if (record_read(dir, true, out, NULL) < 0)
				*out = record_stub(id);
			return *out ? 0 : err_nomem(err);
		}
	}
	return record_read(dir, false, out, err);
}

int coffer_record_inspect(const char *run_dir, const char *id, char **json,
			  struct coffer_error *err)
{
	autojson struct json_object *doc = NULL;
	int r = record_get(run_dir, id, &doc, err);

	*json = NULL;
	return r < 0 ? r : inspect_text(doc, json, err);
}

int coffer_record_list(const char *run_dir, char **json, struct coffer_error *err)
{
	autojson struct json_object *list = json_object_new_array();
	CLEANUP(rundir_list_free) struct rundir_list dirs = { 0 };
	int r = list ? rundir_list(run_dir, &dirs, err) : err_nomem(err);

	*json = NULL;
	if (r < 0)
		return r;
	for (size_t i = 0; i < dirs.n; i++) {
		struct coffer_error own = COFFER_ERROR_INIT;
		struct json_object *doc;

		/* One that has just been removed is none. */
		if (record_get(run_dir, dirs.v[i].id, &doc, &own) < 0)
			log_debug("%s", own.message);
		else
			json_object_array_add(list, doc);
	}
	return inspect_text(list, json, err);
}

int coffer_record_find(const char *run_dir, const char *text, char *id, struct coffer_error *err)
{
	CLEANUP(rundir_list_free) struct rundir_list dirs = { 0 };
	const char *found = NULL;
	size_t n = strlen(text);
	int r = rundir_list(run_dir, &dirs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < dirs.n && n > 0; i++) {
		if (strncmp(dirs.v[i].id, text, n) != 0)
			continue;
		if (found && dirs.v[i].id[n])
			return err_invalid(err, "multiple containers begin with %s", text);
		found = dirs.v[i].id;
		if (!found[n])
			break;
	}
	if (!found)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT, "no such container: %s", text);
	snprintf(id, COFFER_ID_MAX + 1, "%s", found);
	return 0;
}

int coffer_record_dir(const char *run_dir, const char *id, char **path, struct coffer_error *err)
{
	autorundir struct rundir *dir = NULL;
	int r = rundir_open(run_dir, id, false, &dir, err);

	*path = NULL;
	if (r < 0)
		return r;
	*path = strdup(dir->path);
	return *path ? 0 : err_nomem(err);
}

/* Ask the owner to end it. Return: how long to wait for that */
static usec_t record_stop(const char *run_dir, const char *id)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	struct coffer_container *c;
	int r = remote_open(run_dir, id, RECORD_ASK_BUDGET, &c, &err);

	if (r == 0) {
		r = remote_stop_within(c, RECORD_STOP_BUDGET, &err);
		remote_free(c);
	}
	if (r < 0)
		log_info("stop %s: %s", id, err.message);
	/* One that is not heard now will not be heard later. */
	return r == -ETIMEDOUT ? 0 : RECORD_STOP_BUDGET;
}

/* Is the owner about to let go of the lock, with nothing left to own? One that makes its container,
 * or clears it away, answers nobody, but not for long. */
static bool record_is_ending(const char *run_dir, const char *id)
{
	struct coffer_error err = COFFER_ERROR_INIT;
	autojson struct json_object *doc = NULL;
	const char *status;

	if (record_ask(run_dir, id, &doc, &err) < 0)
		return err.kind == COFFER_ERR_INTERRUPTED || err.kind == COFFER_ERR_NOT_FOUND ||
		       err.err == EAGAIN;
	status = json_object_get_string(
		json_object_object_get(json_object_object_get(doc, "State"), "Status"));
	return status && (strcmp(status, "exited") == 0 || strcmp(status, "dead") == 0);
}

/* Wait until nobody has the lock; @ending: only for one that is. Return: 0 it is ours, -EBUSY, other
 * negative errno */
static int record_own(const char *run_dir, const char *id, usec_t limit, bool ending,
		      struct rundir **out, struct coffer_error *err)
{
	usec_t deadline = deadline_in(limit);

	for (;;) {
		int r = rundir_open(run_dir, id, true, out, err);

		if (r != -EBUSY || deadline_left(deadline) == 0 ||
		    (ending && !record_is_ending(run_dir, id)))
			return r;
		/* A lock's end has no descriptor to wait for. */
		poll(NULL, 0, RECORD_LOOK_MS);
	}
}

/* Who holds the lock. Return: a pidfd, or negative errno */
static int record_owner(const struct rundir *dir)
{
	autofree char *text = NULL;
	struct stat st;
	char node[64];

	if (fstatat(dir->fd, "lock", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	snprintf(node, sizeof(node), "%02x:%02x:%llu", major(st.st_dev), minor(st.st_dev),
		 (unsigned long long)st.st_ino);
	if (io_read_file(AT_FDCWD, "/proc/locks", RECORD_MAX, &text, NULL, NULL) < 0)
		return -ESRCH;
	/* "1: FLOCK  ADVISORY  WRITE 123 00:1a:456 0 EOF" */
	for (char *line = text, *next; line && *line; line = next) {
		char kind[16], place[64];
		int pid;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sscanf(line, "%*s %15s %*s %*s %d %63s", kind, &pid, place) == 3 && pid > 0 &&
		    strcmp(kind, "FLOCK") == 0 && strcmp(place, node) == 0)
			return (int)syscall(SYS_pidfd_open, pid, 0);
	}
	return -ESRCH;
}

static void record_kill_owner(const char *run_dir, const char *id)
{
	autorundir struct rundir *dir = NULL;
	autoclose int pidfd = -1;

	if (rundir_open(run_dir, id, false, &dir, NULL) < 0)
		return;
	pidfd = record_owner(dir);
	/* Looked at again: its number was read before it was held. */
	if (pidfd < 0 || !rundir_is_live(dir))
		return;
	log_warning("the owner of container %s does not end it, killing it", id);
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	io_wait(pidfd, POLLIN, deadline_in(RECORD_KILL_BUDGET));
}

int coffer_record_remove(const char *run_dir, const char *id, bool force, struct coffer_error *err)
{
	struct rundir *dir;
	int r = record_own(run_dir, id, force ? 0 : RECORD_STOP_BUDGET, !force, &dir, err);

	if (r == -EBUSY && !force)
		return err_state(err, "container %s is running: stop it before removing it, or "
				      "force its removal", id);
	if (r == -EBUSY) {
		r = record_own(run_dir, id, record_stop(run_dir, id), false, &dir, err);
		/* Without a record it went with its stop. */
		if (r == -ENOENT)
			return 0;
	}
	if (r == -EBUSY) {
		record_kill_owner(run_dir, id);
		r = record_own(run_dir, id, RECORD_KILL_BUDGET, false, &dir, err);
		if (r == -ENOENT)
			return 0;
	}
	if (r < 0)
		return r;
	rundir_remove(dir);
	return 0;
}
