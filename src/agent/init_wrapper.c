/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent/init_wrapper.c - the agent's program as the first process of a container
 *
 *	/.coffer-init -- PROGRAM ARGS...
 *
 * Whoever writes the container's document asks for it, the agent knows nothing
 * of it: a read-only bind mount of the guest's /init on /.coffer-init, and the
 * arguments above in place of the program's own.  It starts the program, passes
 * signals on to it, reaps what is orphaned, and ends as the program ends; with
 * it the kernel ends the rest of the container.
 *
 * Signals are never handled but taken out of the queue one by one, so none can
 * come at a bad moment.  Those that tell of a fault in this program keep their
 * default action and are not passed on.  With a terminal the program gets a
 * process group of its own in the foreground: what the terminal sends goes to
 * that group, and once.
 *
 * Nothing of the agent is initialised here.  Callers: main.c.
 */
#include "agent/init_wrapper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* As shells have them. */
enum {
	INIT_NOT_STARTED = 125,
	INIT_NOT_EXECUTABLE = 126,
	INIT_NOT_FOUND = 127,
	INIT_SIGNAL = 128,
};

static const int init_wrapper_faults[] = {
	SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS
};

bool init_wrapper_is_meant(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	return argv0 && strcmp(slash ? slash + 1 : argv0, INIT_WRAPPER_NAME) == 0;
}

static void init_wrapper_say(const char *what)
{
	fprintf(stderr, "coffer-init: %s: %s\n", what, strerror(errno));
}

/* The terminal may belong to a session that is not ours: then there is no foreground to take. */
static void init_wrapper_take_foreground(void)
{
	if (tcgetpgrp(STDIN_FILENO) < 0)
		return;
	/* SIGTTOU is blocked. */
	if (setpgid(0, 0) == 0)
		tcsetpgrp(STDIN_FILENO, getpgrp());
}

static _Noreturn void init_wrapper_execute(char **argv, const sigset_t *mask)
{
	init_wrapper_take_foreground();
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	init_wrapper_say(argv[0]);
	_exit(errno == ENOENT || errno == ENOTDIR ? INIT_NOT_FOUND : INIT_NOT_EXECUTABLE);
}

/* Everything that has ended. Return: exit status of @child, or -1 while it lives */
static int init_wrapper_reap(pid_t child)
{
	int status, code = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != child)
			continue;
		code = WIFSIGNALED(status) ? INIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	}
	return code;
}

static int init_wrapper_serve(pid_t child, const sigset_t *set)
{
	siginfo_t si;
	int code = -1;

	while (code < 0) {
		if (sigwaitinfo(set, &si) < 0)
			continue;
		if (si.si_signo == SIGCHLD)
			code = init_wrapper_reap(child);
		else
			kill(child, si.si_signo);
	}
	return code;
}

int init_wrapper_main(int argc, char **argv)
{
	sigset_t set, before;
	pid_t child;

	if (argc < 3 || strcmp(argv[1], "--") != 0) {
		fputs("usage: " INIT_WRAPPER_NAME " -- PROGRAM [ARG...]\n", stderr);
		return INIT_NOT_STARTED;
	}
	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(init_wrapper_faults); i++)
		sigdelset(&set, init_wrapper_faults[i]);
	sigprocmask(SIG_SETMASK, &set, &before);
	/* As the first process of a pid namespace it gets the orphans anyway. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	child = fork();
	if (child < 0) {
		init_wrapper_say("fork");
		return INIT_NOT_STARTED;
	}
	if (child == 0)
		init_wrapper_execute(argv + 2, &before);
	return init_wrapper_serve(child, &set);
}
