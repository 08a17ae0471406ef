/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/state.h - a container's directory: lock, state, config
 */
#ifndef OCI_STATE_H
#define OCI_STATE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "spec/spec.h"

/* Names in the directory; the engine's gate is the fifth. */
#define STATE_LOCK     "lock"
#define STATE_FILE     "state.json"
#define STATE_CONFIG   "config.json"
#define STATE_PAUSED   "paused" /* with a sentry: it has stopped all processes */
#define STATE_CREATING "creating" /* the same before there is an init; until the creation is complete */

enum state_lock {
	STATE_UNLOCKED,  /* a reader */
	STATE_SHARED,    /* several at once: they do not change what others rely on */
	STATE_EXCLUSIVE,
};

/* A container's directory, perhaps locked. */
struct state_dir {
	int fd;   /* -1: none */
	int lock; /* descriptor of the lock that we hold; -1: none */
};

#define STATE_DIR_INIT { .fd = -1, .lock = -1 }

/* state_dir_close() - Unlocks, too */
void state_dir_close(struct state_dir *dir);
#define autostatedir CLEANUP(state_dir_close)

/* state_check_id() - Letters, digits, "_+,-." and neither "." nor "..". Return: 0 or -EINVAL */
int state_check_id(const char *id, struct coffer_error *err);

/* state_dir_create() - Make it, and lock it. Return: 0, -EEXIST ... */
int state_dir_create(const char *root, const char *id, struct state_dir *out,
		     struct coffer_error *err);
/**
 * state_dir_open() - Return: 0, -ENOENT ...
 * @remake:	A lock that is missing is made: only for who deletes
 */
int state_dir_open(const char *root, const char *id, enum state_lock lock, bool remake,
		   struct state_dir *out, struct coffer_error *err);
/* state_dir_unlock() - The directory stays open */
void state_dir_unlock(struct state_dir *dir);
/* state_dir_relock() - Exclusively, after state_dir_unlock(). Return: -ENOENT when it was deleted */
int state_dir_relock(struct state_dir *dir, const char *id, struct coffer_error *err);
/* state_dir_busy() - Does another process hold the lock exclusively? */
bool state_dir_busy(const struct state_dir *dir);
/* state_dir_remove() - With everything in it; we hold the lock exclusively. Another directory that
 * bears the name by now is left alone */
int state_dir_remove(const struct state_dir *dir, const char *root, const char *id,
		     struct coffer_error *err);

/* What STATE_FILE holds; zero-initialised is empty. */
struct state {
	char *id, *oci_version, *bundle, *rootfs; /* owned */
	uint64_t created;                /* nanoseconds since 1970 */
	pid_t pid;                       /* 0: not made */
	uint64_t start_time;             /* see engine.h */
	struct oci_strv cgroup;          /* owned */
	struct json_object *annotations; /* the document's; owned, may be NULL */
	bool systemd, rootless;          /* how it was created */
};

void state_free(struct state *state);
#define autostate CLEANUP(state_free)

/* state_fill() - What is known before anything is made. @bundle: absolute */
int state_fill(const char *id, const char *bundle, const struct oci_spec *spec, struct state *out,
	       struct coffer_error *err);
#define STATE_CREATED_MAX 80
/* state_created() - The time of creation in words: RFC 3339, UTC */
void state_created(const struct state *state, char text[static STATE_CREATED_MAX]);
/* state_write_first() - STATE_CREATING: what is to be found again although there is no init yet */
int state_write_first(const struct state_dir *dir, const struct state *state,
		      struct coffer_error *err);
/* state_write() - Replace STATE_FILE: a reader sees the old or the new one. @sync: also after a power
 * cut */
int state_write(const struct state_dir *dir, const struct state *state, bool sync,
		struct coffer_error *err);
/* state_read() - The latest of the two. Return: 0, -ENOENT when nothing was made yet ... */
int state_read(const struct state_dir *dir, struct state *out, struct coffer_error *err);

#endif /* OCI_STATE_H */
