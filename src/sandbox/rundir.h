/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/rundir.h - the directory a container has in $COFFER_RUN
 *
 *	$COFFER_RUN/<id>/lock          flock held by the owner as long as it lives
 *	$COFFER_RUN/<id>/vm/           the monitor's working directory and jail root
 *	$COFFER_RUN/<id>/control.sock  where the owner takes requests
 *	$COFFER_RUN/<id>/log           what its processes wrote; a file or a directory
 *	$COFFER_RUN/<id>/record.json   for whoever asks when the owner is gone
 *
 * Only lock and vm/ are made here.  A directory whose lock nobody holds is
 * stale.  Its processes end by themselves (they watch their parent), so only
 * files are left to remove; rundir_create(), rundir_open() and rundir_list() of
 * anybody with the same $COFFER_RUN do it first thing.  With a record.json the
 * directory is kept, as a stopped container's, and only vm/ and control.sock go.
 * What else there is in $COFFER_RUN is left alone.
 */
#ifndef SANDBOX_RUNDIR_H
#define SANDBOX_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

#define RUNDIR_ID_MAX  64
#define RUNDIR_VM      "vm"
#define RUNDIR_CONTROL "control.sock"
#define RUNDIR_LOG     "log"
#define RUNDIR_RECORD  "record.json"

struct rundir {
	char id[RUNDIR_ID_MAX + 1];
	char *path;  /* absolute, of <id>; owned */
	int root_fd; /* $COFFER_RUN */
	int fd;      /* <id> */
	int vm_fd;   /* <id>/vm; -1: there is none, and it is not ours */
	int lock_fd; /* -1: it is not ours */
};

/* rundir_id_is_valid() - 1 to 64 of [a-zA-Z0-9_.-], the first one a letter or digit */
bool rundir_id_is_valid(const char *id);

/**
 * rundir_create() - Make and lock <id>
 * @root:	$COFFER_RUN, or NULL for the default: environment, /run/coffer as root,
 *		$XDG_RUNTIME_DIR/coffer, /tmp/coffer-<uid>
 * @out:	Filled on success; give back with rundir_close() or rundir_remove()
 *
 * Return: 0; -EEXIST when a live owner has the id, or the directory is kept
 */
int rundir_create(const char *root, const char *id, struct rundir **out, struct coffer_error *err);

/**
 * rundir_open() - One that there is
 * @own:	Lock it and empty its vm/, for another boot or its removal; else only look
 *
 * Return: 0; -ENOENT (NOT_FOUND); with @own, -EBUSY (INVALID_STATE): it has a live owner
 */
int rundir_open(const char *root, const char *id, bool own, struct rundir **out,
		struct coffer_error *err);

/* rundir_is_live() - Does it have an owner, this process included? */
bool rundir_is_live(const struct rundir *dir);

/* rundir_close() - Free; what is our own is given up: it is swept, or kept. NULL is fine */
void rundir_close(struct rundir *dir);
DEFINE_CLEANUP(struct rundir *, rundir_close);
#define autorundir CLEANUP(rundir_closep)

/* rundir_remove() - The same, but what is our own is removed with all in it, kept or not.
 * What cannot be removed is logged and left to the next sweep */
void rundir_remove(struct rundir *dir);

/* rundir_note_machine() - Process @pid is the sandbox, and ends with its owner: whoever removes the
 * directory of an owner that was killed waits for it */
int rundir_note_machine(struct rundir *dir, pid_t pid, struct coffer_error *err);

/* rundir_clear_vm() - Empty vm/, for a second boot in the same directory */
int rundir_clear_vm(struct rundir *dir, struct coffer_error *err);

struct rundir_entry {
	char id[RUNDIR_ID_MAX + 1];
	bool live;
};

struct rundir_list {
	struct rundir_entry *v; /* in the order of their ids; owned */
	size_t n;
};

/* rundir_list() - All there are */
int rundir_list(const char *root, struct rundir_list *out, struct coffer_error *err);
void rundir_list_free(struct rundir_list *list);

#endif /* SANDBOX_RUNDIR_H */
