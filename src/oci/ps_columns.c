/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci/ps_columns.c - ps with options of ps(1)
 *
 * ps(1) of the host makes the table; what is not a process of the container is
 * left out.  Callers: ps.c.
 */
#include "oci/ps_columns.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/spawn.h"

static const char ps_blanks[] = " \t\n";

/* Return: which word of the heading is PID, or -1 */
static int ps_columns_find(const char *heading)
{
	size_t len;

	for (int column = 0;; column++) {
		heading += strspn(heading, ps_blanks);
		len = strcspn(heading, ps_blanks);
		if (len == 0)
			return -1;
		if (len == 3 && strncmp(heading, "PID", 3) == 0)
			return column;
		heading += len;
	}
}

static bool ps_columns_ours(const char *line, int column, const pid_t *pids, size_t n)
{
	long pid;

	for (; column > 0; column--) {
		line += strspn(line, ps_blanks);
		line += strcspn(line, ps_blanks);
	}
	pid = strtol(line, NULL, 10);
	for (size_t i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

static int ps_columns_copy(FILE *from, const pid_t *pids, size_t n, struct coffer_error *err)
{
	autofree char *line = NULL;
	size_t room = 0;
	int column;

	if (getline(&line, &room, from) < 0)
		return err_invalid(err, "ps: it printed nothing");
	column = ps_columns_find(line);
	if (column < 0)
		return err_invalid(err, "ps: no column PID in what it printed");
	fputs(line, stdout);
	while (getline(&line, &room, from) >= 0)
		if (ps_columns_ours(line, column, pids, n))
			fputs(line, stdout);
	return 0;
}

static int ps_columns_start(char *options[], int noptions, struct child *child, FILE **out,
			    struct coffer_error *err)
{
	autofree char **argv = calloc((size_t)noptions + 2, sizeof(*argv));
	autoclose int from = -1, to = -1;
	static char program[] = "ps";
	int pipes[2], r;

	if (!argv)
		return err_nomem(err);
	argv[0] = program;
	memcpy(argv + 1, options, (size_t)noptions * sizeof(*argv));
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	from = pipes[0];
	to = pipes[1];
	r = spawn_fork(0, child, err);
	if (r < 0)
		return r;
	if (r == 0) {
		if (dup2(to, STDOUT_FILENO) >= 0)
			execvp(argv[0], argv);
		_exit(127);
	}
	*out = fdopen(from, "r");
	if (!*out)
		return err_sys(err, "read from ps");
	steal_fd(&from);
	return 0;
}

int ps_columns(char *options[], int noptions, const pid_t *pids, size_t n, struct coffer_error *err)
{
	autochild struct child child = CHILD_INIT;
	FILE *out = NULL;
	siginfo_t si;
	int r;

	r = ps_columns_start(options, noptions, &child, &out, err);
	if (r < 0)
		return r;
	r = ps_columns_copy(out, pids, n, err);
	fclose(out);
	if (child_wait(&child, USEC_INFINITY, &si) == 0 && spawn_exit_code(&si) != 0)
		return err_set(err, COFFER_ERR_INTERNAL, 0, "ps: exit status %d",
			       spawn_exit_code(&si));
	return r;
}
