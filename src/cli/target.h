/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/target.h - the containers a command is about, by id or its beginning
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/cli.h"
#include "coffer/coffer.h"

DEFINE_CLEANUP(struct coffer_container *, coffer_container_free);
#define autocontainer CLEANUP(coffer_container_freep)

/* target_run_dir() - $COFFER_RUN, or the configuration's; NULL: the library's default */
const char *target_run_dir(const struct cli *cli);

/* target_find() - The whole id */
int target_find(const struct cli *cli, const char *text, char id[static COFFER_ID_MAX + 1],
		struct coffer_error *err);

/* target_open() - One that lives; the error of one that does not says so */
int target_open(const struct cli *cli, const char *text, struct coffer_container **out,
		struct coffer_error *err);

/**
 * target_each() - Do the same to several, told by its name on stdout
 * @fn:		@id is the whole one
 *
 * One that fails is told and does not keep the others from it.
 *
 * Return: exit code
 */
int target_each(const struct cli *cli, int n, char *names[],
		int (*fn)(const struct cli *cli, const char *id, void *data,
			  struct coffer_error *err),
		void *data);

#endif /* CLI_TARGET_H */
