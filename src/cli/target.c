/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/target.c - the containers a command is about, by id or its beginning
 */
#include "cli/target.h"

#include <stdio.h>
#include <stdlib.h>

const char *target_run_dir(const struct cli *cli)
{
	const char *env = getenv("COFFER_RUN");

	return env && *env ? env : cli->config.run_dir;
}

int target_find(const struct cli *cli, const char *text, char id[static COFFER_ID_MAX + 1],
		struct coffer_error *err)
{
	return coffer_record_find(target_run_dir(cli), text, id, err);
}

int target_open(const struct cli *cli, const char *text, struct coffer_container **out,
		struct coffer_error *err)
{
	char id[COFFER_ID_MAX + 1];
	int r = target_find(cli, text, id, err);

	*out = NULL;
	if (r < 0)
		return r;
	r = coffer_container_open(target_run_dir(cli), id, out, err);
	if (r < 0 && err->kind == COFFER_ERR_INTERRUPTED)
		return err_state(err, "container %s is not running", id);
	return r;
}

int target_each(const struct cli *cli, int n, char *names[],
		int (*fn)(const struct cli *cli, const char *id, void *data,
			  struct coffer_error *err),
		void *data)
{
	int code = CLI_EXIT_OK;

	for (int i = 0; i < n; i++) {
		struct coffer_error err = COFFER_ERROR_INIT;
		char id[COFFER_ID_MAX + 1];

		if (target_find(cli, names[i], id, &err) == 0 && fn(cli, id, data, &err) == 0) {
			printf("%s\n", names[i]);
			continue;
		}
		cli_fail(&err);
		code = CLI_EXIT_FAILED;
	}
	return code;
}
