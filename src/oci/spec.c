/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/spec.c - spec: write a config.json to start from
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/io.h"
#include "base/path.h"
#include "oci/oci.h"
#include "spec/spec.h"

struct spec_opts {
	bool help, rootless;
	const char *bundle, *file;
};

#define OCI_OPTS struct spec_opts

static int spec_write(const char *path, const struct oci_spec *spec, struct coffer_error *err)
{
	autofree char *text = oci_spec_to_file(spec, err);
	autoclose int fd = -1;
	int r;

	if (!text)
		return -err->err;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return errno == EEXIST ? err_set(err, COFFER_ERR_ALREADY_EXISTS, EEXIST,
						 "%s exists: remove it first", path)
				       : err_sys(err, "create %s", path);
	r = io_write_full(fd, text, strlen(text));
	return r < 0 ? err_sysn(err, r, "write %s", path) : 0;
}

static bool spec_cgroup_v2_only(void)
{
	struct statfs fs;

	return statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int spec_main(const struct oci *oci, const void *data, int nargs, char *args[],
		     struct coffer_error *err)
{
	auto_oci_spec struct oci_spec *spec = NULL;
	const struct spec_opts *opts = data;
	const struct oci_example example = { .rootless = opts->rootless,
					     .uid = geteuid(),
					     .gid = getegid(),
					     .cgroup_namespace = spec_cgroup_v2_only() };
	const char *name = opts->file ? opts->file : "config.json";
	autofree char *path =
	    opts->bundle && name[0] != '/' ? path_join(opts->bundle, name) : strdup(name);
	int r;

	if (!path)
		return err_nomem(err);
	r = oci_spec_example(&example, &spec, err);
	return r < 0 ? r : spec_write(path, spec, err);
}

static const struct opt_row spec_rows[] = {
	OCI_TEXT("bundle", 'b', bundle, "DIR", "Where to write it (default: .)"),
	OCI_TEXT("file", 'f', file, "FILE", "Its name (default: config.json)"),
	OCI_FLAG("rootless", 0, rootless, "For an ordinary user"),
	OCI_ROW_HELP,
};

const struct oci_command oci_spec_command = {
	.name = "spec",
	.usage = "[OPTION...]",
	.help = "Write a config.json to start from",
	.fn = spec_main,
	.rows = spec_rows,
	.nrows = ARRAY_SIZE(spec_rows),
};
