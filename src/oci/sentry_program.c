/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/sentry_program.c - is there the program that a container in a sentry is to run?
 *
 * Clients tell their users of a missing program when create says so.  The sentry finds out at the
 * start only, so that the root is looked at here, from outside.  What a mount of the document may
 * hide or bring is left to the start.
 *
 * Callers: sentry.c.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/path.h"
#include "oci/sentry.h"

static const char sentry_default_path[] =
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Links inside may lead anywhere, but a mount on the way there is rare enough. */
static bool sentry_program_is_mounted(const struct oci_spec *spec, const char *file)
{
	for (size_t i = 0; i < spec->mounts.n; i++) {
		const char *at = spec->mounts.v[i].destination;
		size_t n = strlen(at);

		while (n > 0 && at[n - 1] == '/')
			n--;
		if (strncmp(file, at, n) == 0 && (file[n] == '/' || file[n] == '\0'))
			return true;
	}
	return false;
}

/* Return: 0 it may be run, negative errno */
static int sentry_program_look(const struct oci_spec *spec, int root, const char *file)
{
	autoclose int fd = -1;
	struct stat st;

	if (sentry_program_is_mounted(spec, file))
		return 0;
	fd = path_open_in_root(root, file, O_PATH | O_CLOEXEC, 0, NULL);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_mode & 0111 ? 0 : -EACCES;
}

/* With words that clients look for. */
static int sentry_program_failed(const char *file, int r, struct coffer_error *err)
{
	if (r == -EACCES)
		return err_set(err, err_kind_from_errno(EACCES), EACCES,
			       "exec %s: permission denied", file);
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
		       strchr(file, '/') ? "exec %s: no such file or directory"
					 : "exec \"%s\": executable file not found in $PATH",
		       file);
}

static int sentry_program_search(const struct oci_spec *spec, int root, const char *name,
				 struct coffer_error *err)
{
	const char *dir = oci_env_get(spec->process, "PATH");
	char file[PATH_MAX], refused[PATH_MAX] = "";
	int r = -ENOENT;

	dir = dir ? dir : sentry_default_path;
	for (size_t len; r < 0 && *dir; dir += len + (dir[len] == ':')) {
		len = strcspn(dir, ":");
		/* Relative to where the program begins: who writes so is not helped here. */
		if (dir[0] != '/')
			return 0;
		if (snprintf(file, sizeof(file), "%.*s/%s", (int)len, dir, name) >= PATH_MAX)
			continue;
		r = sentry_program_look(spec, root, file);
		if (r == -EACCES && !refused[0])
			memcpy(refused, file, sizeof(file));
	}
	if (r == 0)
		return 0;
	return refused[0] ? sentry_program_failed(refused, -EACCES, err)
			  : sentry_program_failed(name, -ENOENT, err);
}

int sentry_program_find(const struct oci_spec *spec, struct coffer_error *err)
{
	autoclose int root = open(spec->root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *name = spec->process->args.v[0];
	autofree char *file = NULL;
	int r;

	if (root < 0)
		return err_sys(err, "root.path %s", spec->root->path);
	if (!strchr(name, '/'))
		return sentry_program_search(spec, root, name, err);
	file = name[0] == '/' ? strdup(name) : path_join(spec->process->cwd, name);
	if (!file)
		return err_nomem(err);
	r = sentry_program_look(spec, root, file);
	return r < 0 ? sentry_program_failed(name, r, err) : 0;
}
