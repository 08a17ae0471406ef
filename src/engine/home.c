/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/home.c - HOME for a process whose environment lacks it
 *
 * No word of the spec, but images rely on it and every runtime does so.  The
 * file is the image's: opened inside the root, a regular one only, bounded; what
 * is wrong with it means "/".  The memory is mapped, because the child does not
 * allocate, and goes with execve.
 *
 * Callers: process.c.
 */
#include "engine/home.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "spec/passwd.h"

struct home {
	struct passwd_user user;
	char variable[sizeof("HOME=") + PASSWD_HOME_MAX];
	char passwd[PASSWD_FILE_MAX];
	char *env[];
};

static bool home_is_set(const struct oci_process *p)
{
	for (size_t i = 0; i < p->env.n; i++)
		if (strncmp(p->env.v[i], "HOME=", 5) == 0)
			return true;
	return false;
}

/* Return: bytes of the file; 0 when there is none to be read */
static size_t home_read(char text[static PASSWD_FILE_MAX])
{
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd =
	    path_open_in_root(root, "etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	n = io_read_full(fd, text, PASSWD_FILE_MAX);
	return n < 0 ? 0 : (size_t)n;
}

int home_complete(const struct oci_process *p, char *const **env, struct coffer_error *err)
{
	size_t n = p->env.n;
	struct passwd_files files;
	struct home *home;
	char id[16];

	*env = p->env.v;
	if (home_is_set(p))
		return 0;
	home = mmap(NULL, sizeof(*home) + (n + 2) * sizeof(char *), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (home == MAP_FAILED)
		return err_sys(err, "memory for the environment");
	files = (struct passwd_files){ home->passwd, home_read(home->passwd), NULL, 0 };
	snprintf(id, sizeof(id), "%u", p->user.uid);
	if (passwd_lookup(&files, id, &home->user, NULL) < 0)
		strcpy(home->user.home, "/"); /* an id larger than any of a file */
	snprintf(home->variable, sizeof(home->variable), "HOME=%s", home->user.home);
	if (n > 0)
		memcpy(home->env, p->env.v, n * sizeof(char *));
	home->env[n] = home->variable;
	*env = home->env;
	return 0;
}
