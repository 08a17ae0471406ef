/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/program.c - find process.args[0] and execve it
 *
 * The search goes over the PATH of the container's own environment and simply
 * tries: execve(2) as the final user in the final root is the only test that
 * answers for the kernel.  A script without "#!" is an error, as in every
 * runtime, not a job for a shell.
 *
 * Callers: the child's stages.
 */
#include "engine/program.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char program_default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* The last one wins, as it does in a shell; oci_env_get() is the same for allocated specs. */
static const char *program_path(const struct oci_process *p)
{
	const char *path = program_default_path;

	for (size_t i = 0; i < p->env.n; i++)
		if (strncmp(p->env.v[i], "PATH=", 5) == 0)
			path = p->env.v[i] + 5;
	return path;
}

/* Words for what execve said; ENOENT has two meanings. */
static int program_failed(const char *file, int errnum, struct coffer_error *err)
{
	struct stat st;

	if (errnum == ENOENT && stat(file, &st) == 0)
		return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
			       "exec %s: its interpreter or loader was not found", file);
	if (errnum == EACCES && stat(file, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(err, COFFER_ERR_INVALID_ARGUMENT, EACCES,
			       "exec %s: permission denied: is a directory", file);
	if (errnum == ENOENT || errnum == EACCES) /* clients look for these very words */
		return err_set(err, err_kind_from_errno(errnum), errnum, "exec %s: %s", file,
			       errnum == ENOENT ? "no such file or directory"
						: "permission denied");
	return err_sysn(err, errnum, "exec %s", file);
}

/* "@dir/name" for the first directory of the list @dir. Return: the rest of the list, or NULL */
static const char *program_candidate(const char *dir, const char *name, char file[PATH_MAX])
{
	size_t len = strcspn(dir, ":");

	if (snprintf(file, PATH_MAX, "%.*s%s%s", (int)len, dir, len ? "/" : "./", name) >= PATH_MAX)
		file[0] = '\0'; /* no such file, then */
	return dir[len] ? dir + len + 1 : NULL;
}

/* Nothing could be executed: the best reason there is. @refused: first that said EACCES, or "" */
static int program_not_found(const struct oci_process *p, const char *refused,
			     struct coffer_error *err)
{
	const char *name = p->args.v[0];
	char file[PATH_MAX];

	if (refused[0])
		return program_failed(refused, EACCES, err);
	for (const char *dir = program_path(p); dir;) {
		dir = program_candidate(dir, name, file);
		if (access(file, F_OK) == 0)
			return program_failed(file, ENOENT, err);
	}
	return err_set(err, COFFER_ERR_NOT_FOUND, ENOENT,
		       "exec \"%s\": executable file not found in $PATH", name);
}

static bool program_is_executable(const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0)
		return false;
	errno = EACCES;
	return S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

int program_find(const struct oci_process *process, struct coffer_error *err)
{
	const char *name = process->args.v[0];
	char file[PATH_MAX], refused[PATH_MAX] = "";

	if (strchr(name, '/'))
		return program_is_executable(name) ? 0 : program_failed(name, errno, err);
	for (const char *dir = program_path(process); dir;) {
		dir = program_candidate(dir, name, file);
		if (program_is_executable(file))
			return 0;
		if (errno == EACCES && !refused[0])
			memcpy(refused, file, sizeof(file));
	}
	return program_not_found(process, refused, err);
}

static int program_search(const struct oci_process *p, char *const *env, struct coffer_error *err)
{
	char file[PATH_MAX], refused[PATH_MAX] = "";

	for (const char *dir = program_path(p); dir;) {
		dir = program_candidate(dir, p->args.v[0], file);
		execve(file, p->args.v, env);
		if (errno == EACCES && !refused[0])
			memcpy(refused, file, sizeof(file));
		else if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			return program_failed(file, errno, err);
	}
	return program_not_found(p, refused, err);
}

int program_execute(const struct oci_process *process, char *const *env, struct coffer_error *err)
{
	if (strchr(process->args.v[0], '/')) {
		execve(process->args.v[0], process->args.v, env);
		return program_failed(process->args.v[0], errno, err);
	}
	return program_search(process, env, err);
}
