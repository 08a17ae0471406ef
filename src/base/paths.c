/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/paths.c - where our own files are: programs, guest images, and what we keep
 *
 * libcoffer.so stands in <prefix>/lib or <prefix>/lib/<triplet>, the programs in
 * <prefix>/bin and the data in a folder beside the library; a build tree is laid
 * out the same.  A program that has this code linked in stands in <prefix>/bin.
 */
#include "base/paths.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/path.h"

/* Relative to the folder this code's object is in; NULL-terminated. */
struct paths_kind {
	const char *what;
	const char *env;
	const char *const *beside;
	const char *configured;
	int access;
};

static const char *const paths_bin_beside[] = { "../bin", "../../bin", ".", NULL };
static const char *const paths_data_beside[] = { "coffer", "../lib/coffer", NULL };

static const struct paths_kind paths_program = {
	.what = "program",
	.env = "COFFER_BINDIR",
	.beside = paths_bin_beside,
	.configured = COFFER_CONF_BINDIR,
	.access = X_OK,
};

static const struct paths_kind paths_data = {
	.what = "file",
	.env = "COFFER_LIBDIR",
	.beside = paths_data_beside,
	.configured = COFFER_CONF_DATADIR,
	.access = R_OK,
};

/* The folder of the shared object (or program) that holds this function; "" if unknown. */
static void paths_own_folder(char folder[static PATH_MAX])
{
	Dl_info info;
	char *slash;

	folder[0] = '\0';
	if (!dladdr((const void *)(uintptr_t)&paths_find_data, &info) || !info.dli_fname)
		return;
	if (!realpath(info.dli_fname, folder)) {
		folder[0] = '\0';
		return;
	}
	slash = strrchr(folder, '/');
	if (slash)
		*slash = '\0';
}

/* Return: 0 with *@path set, -ENOENT when it is not there, other negative errno */
static int paths_try(const struct paths_kind *kind, const char *folder, const char *sub,
		     const char *name, char **path, struct coffer_error *err)
{
	autofree char *p = NULL;

	if (asprintf(&p, "%s%s%s/%s", folder, *sub ? "/" : "", sub, name) < 0) {
		p = NULL;
		return err_nomem(err);
	}
	if (access(p, kind->access) < 0)
		return err_sys(err, "%s", p);
	*path = realpath(p, NULL);
	return *path ? 0 : err_sys(err, "%s", p);
}

static int paths_find(const struct paths_kind *kind, const char *name, char **path,
		      struct coffer_error *err)
{
	const char *env = secure_getenv(kind->env);
	char own[PATH_MAX];
	int r;

	if (env && *env)
		return paths_try(kind, env, "", name, path, err);
	paths_own_folder(own);
	for (const char *const *sub = kind->beside; *own && *sub; sub++)
		if (paths_try(kind, own, *sub, name, path, NULL) == 0)
			return 0;
	r = paths_try(kind, kind->configured, "", name, path, err);
	return r < 0 ? err_wrap(err, "%s %s", kind->what, name) : 0;
}

int paths_find_program(const char *name, char **path, struct coffer_error *err)
{
	return paths_find(&paths_program, name, path, err);
}

int paths_find_data(const char *name, char **path, struct coffer_error *err)
{
	return paths_find(&paths_data, name, path, err);
}

/* Return: what the user wants, or NULL */
static const char *paths_wanted_home(void)
{
	const char *env = secure_getenv("COFFER_DATA");

	return env && *env ? env : NULL;
}

bool paths_home_is_wanted(void)
{
	return paths_wanted_home() != NULL;
}

/* Return: malloc'd path, NULL without memory */
static char *paths_home(void)
{
	const char *xdg = secure_getenv("XDG_DATA_HOME"), *home = secure_getenv("HOME");

	if (paths_home_is_wanted())
		return strdup(paths_wanted_home());
	if (geteuid() == 0)
		return strdup("/var/lib/coffer");
	if (xdg && *xdg == '/')
		return path_join(xdg, "coffer");
	if (home && *home == '/')
		return path_join(home, ".local/share/coffer");
	return strdup(PATHS_HOME_FALLBACK);
}

int paths_find_home(char **folder, struct coffer_error *err)
{
	*folder = paths_home();
	if (!*folder)
		return err_nomem(err);
	if (**folder != '/')
		return err_invalid(err, "COFFER_DATA %s: not an absolute path", *folder);
	return 0;
}
