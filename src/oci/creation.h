/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/creation.h - from a bundle to a container, for create, run and restore
 */
#ifndef OCI_CREATION_H
#define OCI_CREATION_H

#include "oci/oci.h"
#include "oci/state.h"

struct creation_opts {
	bool help, no_pivot, no_new_keyring, detach, keep, no_subreaper;
	const char *bundle, *config, *console_socket, *pid_file;
	unsigned preserve_fds;
};

#define CREATION_PRESERVE_MAX 4096

/* Rows that create and run have in common; OCI_OPTS is struct creation_opts. */
#define CREATION_ROWS                                                                            \
	OCI_TEXT("bundle", 'b', bundle, "DIR", "Directory of the bundle (default: .)"),          \
	OCI_TEXT("config", 'f', config, "FILE", "Its document (default: config.json)"),          \
	OCI_TEXT("console-socket", 0, console_socket, "PATH",                                    \
		 "Unix socket that gets the terminal's master"),                                 \
	OCI_TEXT("pid-file", 0, pid_file, "FILE", "Write init's pid there"),                     \
	{ "preserve-fds", 0, OPT_COUNT, offsetof(struct creation_opts, preserve_fds), "N",       \
	  "Pass descriptors 3 to 3+N-1 on, after those of $LISTEN_FDS", 0,                       \
	  CREATION_PRESERVE_MAX },                                                               \
	OCI_FLAG("no-pivot", 0, no_pivot, "Change the root by moving it: for a root on a ramdisk"), \
	OCI_FLAG("no-new-keyring", 0, no_new_keyring, "Keep the caller's session keyring"),      \
	OCI_FLAG("no-subreaper", 0, no_subreaper, "Leave orphans to others"),                    \
	OCI_ROW_HELP

/* A container being made. */
struct creation {
	const struct oci *oci;            /* borrowed */
	const struct creation_opts *opts; /* borrowed */
	const char *id;                   /* borrowed */
	bool detach;                      /* nobody of ours stays with it */
	bool gate;                        /* init waits at a gate for another process */
	/* How a running init comes to be, and @engine; NULL: engine_create(), and it waits */
	int (*make)(struct creation *c, const struct engine_create_args *args,
		    struct coffer_error *err);
	struct state_dir dir;
	struct state state;
	struct oci_spec *spec;            /* owned */
	struct engine_container *engine;  /* owned */
	int console;                      /* connected to the console socket, or -1 */
	bool made;                        /* the directory is ours to remove */
};

#define CREATION_INIT { .dir = STATE_DIR_INIT, .console = -1 }

/**
 * creation_make() - Everything until init waits for engine_start()
 * @c:	With what is above @dir filled in
 *
 * On failure creation_free() removes what was made.  Our lock is held afterwards.
 */
int creation_make(struct creation *c, struct coffer_error *err);
/* creation_complete() - Others may see it as created; without a gate: as running */
int creation_complete(struct creation *c, struct coffer_error *err);
/* creation_keep() - It is a container now: creation_free() leaves it alone */
void creation_keep(struct creation *c);
/* creation_delete() - Kill, delete, remove. Return: 0 or the first error */
int creation_delete(struct creation *c, struct coffer_error *err);
/* creation_free() - Also deletes, unless kept */
void creation_free(struct creation *c);
#define autocreation CLEANUP(creation_free)

#endif /* OCI_CREATION_H */
