/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/create.c - create: a container whose init waits for start
 */
#include "oci/creation.h"

#define OCI_OPTS struct creation_opts

static int create_main(const struct oci *oci, const void *opts, int nargs, char *args[],
		       struct coffer_error *err)
{
	autocreation struct creation c = CREATION_INIT;
	int r;

	c.oci = oci;
	c.opts = opts;
	c.id = args[0];
	c.detach = true;
	c.gate = true;
	r = creation_make(&c, err);
	if (r == 0)
		r = creation_complete(&c, err);
	if (r < 0)
		return r;
	creation_keep(&c);
	return 0;
}

static const struct opt_row create_rows[] = { CREATION_ROWS };

const struct oci_command oci_create = {
	.name = "create",
	.usage = "[OPTION...] ID",
	.help = "Create a container",
	.fn = create_main,
	.rows = create_rows,
	.nrows = ARRAY_SIZE(create_rows),
	.min_args = 1,
	.max_args = 1,
	.enters = true,
};
