/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine/rlimit.c - process.rlimits and process.oomScoreAdj
 *
 * Set by the parent, from outside: raising a hard limit or lowering the OOM
 * score takes a privilege of the first user namespace, which a child in a new
 * one no longer has; and the child's own set-up does not run into a limit on
 * descriptors or file size that was meant for the program.
 *
 * Callers: container.c, exec.c, between launch_start() and launch_go().
 */
#include "engine/rlimit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/io.h"

static int rlimit_apply_one(const struct oci_rlimit *limit, pid_t pid, struct coffer_error *err)
{
	struct rlimit64 value = { .rlim_cur = limit->soft, .rlim_max = limit->hard };
	int resource = oci_rlimit(limit->type);

	if (resource < 0)
		return err_invalid(err, "process.rlimits: unknown type %s", limit->type);
	if (prlimit64(pid, (enum __rlimit_resource)resource, &value, NULL) < 0)
		return err_sys(err, "process.rlimits: set %s", limit->type);
	return 0;
}

static bool rlimit_has_oom(const char *path, int score)
{
	autofree char *text = NULL;

	return io_read_file(AT_FDCWD, path, 64, &text, NULL, NULL) == 0 &&
	       strtol(text, NULL, 10) == score;
}

static int rlimit_apply_oom(int score, pid_t pid, struct coffer_error *err)
{
	char path[48], text[16];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	snprintf(text, sizeof(text), "%d", score);
	r = io_write_file(AT_FDCWD, path, text, err);
	if (r == -EACCES && rlimit_has_oom(path, score)) {
		err_clear(err);
		r = 0;
	}
	return r < 0 ? err_wrap(err, "process.oomScoreAdj") : 0;
}

void rlimit_apply_early(const struct oci_process *process)
{
	char text[16];

	if (!process || !process->oom_score_adj.set)
		return;
	snprintf(text, sizeof(text), "%d", process->oom_score_adj.v);
	io_write_file(AT_FDCWD, "/proc/self/oom_score_adj", text, NULL);
}

int rlimit_apply(const struct oci_process *process, pid_t pid, struct coffer_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < process->rlimits.n; i++)
		r = rlimit_apply_one(&process->rlimits.v[i], pid, err);
	if (r == 0 && process->oom_score_adj.set)
		r = rlimit_apply_oom(process->oom_score_adj.v, pid, err);
	return r;
}
