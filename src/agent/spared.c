/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/spared.c - signals that the kernel spares the first process of a pid namespace
 *
 * To such an init the kernel delivers only what it has a handler for.  A
 * program that was not written to be one then cannot be ended by the signals
 * that would end it anywhere else: "sleep" as a container's program would not
 * notice SIGTERM.  So the agent looks at what the program does about a signal
 * and, if that is nothing, does itself what the default action is.
 *
 * While a program waits in sigtimedwait(2), as inits do that only pass signals
 * on, the kernel shows what it waits for as not blocked; it is delivered all
 * the same.
 *
 * Callers: process.c, before it signals a container's init.
 */
#include "agent/spared.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SPARED_STATUS_MAX  16384
#define SPARED_SYSCALL_MAX 256

/* Those that do nothing by default, or stop; and the one that is never spared. */
static const int spared_harmless[] = { SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
				       SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL };

/* Is @sig in the mask that /proc/PID/status calls @name? Missing: yes, so nothing is done */
static bool spared_in_mask(const char *status, const char *name, int sig)
{
	const char *line = strstr(status, name);

	if (!line)
		return true;
	return strtoull(line + strlen(name), NULL, 16) >> (sig - 1) & 1;
}

static bool spared_by_state(pid_t pid, int sig)
{
	autofree char *status = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (io_read_file(AT_FDCWD, path, SPARED_STATUS_MAX, &status, NULL, NULL) < 0)
		return false;
	return !spared_in_mask(status, "\nSigBlk:", sig) &&
	       !spared_in_mask(status, "\nSigIgn:", sig) &&
	       !spared_in_mask(status, "\nSigCgt:", sig);
}

static bool spared_waits_for_signals(pid_t pid)
{
	autofree char *text = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	if (io_read_file(AT_FDCWD, path, SPARED_SYSCALL_MAX, &text, NULL, NULL) < 0)
		return false;
	return strtol(text, NULL, 10) == SYS_rt_sigtimedwait;
}

bool spared_signal(pid_t pid, int sig)
{
	if (sig < 1 || sig > 64)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(spared_harmless); i++)
		if (sig == spared_harmless[i])
			return false;
	/* Looked at again: the wait may have ended between the first two looks. */
	return spared_by_state(pid, sig) && !spared_waits_for_signals(pid) &&
	       spared_by_state(pid, sig);
}
