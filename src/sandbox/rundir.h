/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox/rundir.h - the directory a live container has in $COFFER_RUN
 *
 *	$COFFER_RUN/<id>/lock      flock held by the owner as long as it lives
 *	$COFFER_RUN/<id>/vm/       the monitor's working directory and jail root
 *
 * A directory whose lock nobody holds is stale.  Its processes end by
 * themselves (they watch their parent), so only files are left to remove; the
 * next rundir_create() of anybody with the same $COFFER_RUN does it.  What else
 * there is in $COFFER_RUN is left alone.
 */
#ifndef SANDBOX_RUNDIR_H
#define SANDBOX_RUNDIR_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

#define RUNDIR_ID_MAX 64
#define RUNDIR_VM     "vm"

struct rundir {
	char id[RUNDIR_ID_MAX + 1];
	char *path;  /* absolute, of <id>; owned */
	int root_fd; /* $COFFER_RUN */
	int fd;      /* <id> */
	int vm_fd;   /* <id>/vm */
	int lock_fd;
};

/* rundir_id_is_valid() - 1 to 64 of [a-zA-Z0-9_.-], the first one a letter or digit */
bool rundir_id_is_valid(const char *id);

/**
 * rundir_create() - Remove stale directories, then make and lock <id>
 * @root:	$COFFER_RUN, or NULL for the default: environment, /run/coffer as root,
 *		$XDG_RUNTIME_DIR/coffer, /tmp/coffer-<uid>
 * @out:	Filled on success; give back with rundir_remove()
 *
 * Return: 0; -EEXIST when a live owner has the id
 */
int rundir_create(const char *root, const char *id, struct rundir **out, struct coffer_error *err);

/* rundir_remove() - Remove the directory with all in it and free; NULL is fine.
 * What cannot be removed is logged and left to the next sweep */
void rundir_remove(struct rundir *dir);
DEFINE_CLEANUP(struct rundir *, rundir_remove);
#define autorundir CLEANUP(rundir_removep)

/* rundir_clear_vm() - Empty vm/, for a second boot in the same directory */
int rundir_clear_vm(struct rundir *dir, struct coffer_error *err);

#endif /* SANDBOX_RUNDIR_H */
