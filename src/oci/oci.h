/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/oci.h - what the program hands to its commands
 */
#ifndef OCI_OCI_H
#define OCI_OCI_H

#include <stdbool.h>

#include "base/error.h"
#include "base/options.h"
#include "engine/engine.h"

#define OCI_EXIT_ERROR 1
#define OCI_EXIT_EXEC  255 /* exec could not run its program */

/* The options before the command. */
struct oci {
	const char *root; /* directory of the containers' directories; absolute */
	const char *criu; /* program; NULL: "criu" */
	enum engine_cgroup_manager manager;
	bool sentry;      /* new containers run on an application kernel */
	bool rootless;    /* no right to cgroups is a warning */
};

/* Options of a command without any but --help, and the start of all others' structs. */
struct oci_no_opts {
	bool help;
};

#define OCI_ROW_HELP { "help", 'h', OPT_FLAG, 0, NULL, "Show this help" }

/* An option without argument and one with: the row for @member of the struct in OCI_OPTS. */
#define OCI_FLAG(name_, letter_, member_, help_) \
	{ name_, letter_, OPT_FLAG, offsetof(OCI_OPTS, member_), NULL, help_ }
#define OCI_TEXT(name_, letter_, member_, arg_, help_) \
	{ name_, letter_, OPT_STRING, offsetof(OCI_OPTS, member_), arg_, help_ }
#define OCI_MANY(name_, letter_, member_, arg_, help_) \
	{ name_, letter_, OPT_LIST, offsetof(OCI_OPTS, member_), arg_, help_ }

#define OCI_OPTS_MAX 512 /* bytes of any command's options */

/* A row of the command table; it stands in the command's file. */
struct oci_command {
	const char *name;
	const char *usage; /* what follows the name */
	const char *help;  /* one line */
	/*
	 * @opts: the struct that @rows describe, its lists freed by the caller; begins with "bool
	 * help".  @args: the @nargs words after the options, ended by NULL.
	 *
	 * Return: exit code, or negative errno with @err filled
	 */
	int (*fn)(const struct oci *oci, const void *opts, int nargs, char *args[],
		  struct coffer_error *err);
	const struct opt_row *rows;
	size_t nrows;
	int min_args, max_args; /* max: -1 for any number */
	bool enters;            /* its children become a container's: they are not to be this file */
	bool options_first;     /* words after the first that is no option are the program's */
	int failure;            /* exit code for negative errnos; 0: OCI_EXIT_ERROR */
};

/* For --format of list and ps: table, json */
extern const char *const oci_formats[];

/* oci_main() - The whole program. @protect: self_protect(), NULL where main() is another's
 * Return: exit code */
int oci_main(int argc, char *argv[], int (*protect)(char *argv[], struct coffer_error *err));

/* Each in the file of its name; pause.c has resume too, list.c has state. */
extern const struct oci_command oci_create, oci_start, oci_run, oci_exec, oci_kill, oci_delete,
    oci_state, oci_list, oci_ps, oci_pause, oci_resume, oci_update, oci_events, oci_spec_command,
    oci_features, oci_checkpoint, oci_restore;

#endif /* OCI_OCI_H */
