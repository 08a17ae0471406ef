/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/sentry/guest.h - what programs share that are run twice, on the host and in the application
 * kernel: what they print must be the same
 *
 * Numbers that differ from run to run are compared with what they should be, never printed.
 */
#ifndef TESTS_SENTRY_GUEST_H
#define TESTS_SENTRY_GUEST_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOBODY	 5000000 /* no process or thread: beyond what pid_max may be on any host */

struct guest_case {
	const char *name;
	void (*fn)(void);
};

/* An answer: 0 or the errno by name */
static inline const char *guest_answer(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static inline void guest_show_status(const char *what, int status)
{
	if (WIFEXITED(status))
		printf("%s: exit %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status) && !sigabbrev_np(WTERMSIG(status)))
		printf("%s: killed by %d\n", what, WTERMSIG(status));
	else if (WIFSIGNALED(status))
		printf("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
	else if (WIFSTOPPED(status))
		printf("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
	else
		printf("%s: %s\n", what, WIFCONTINUED(status) ? "continued" : "?");
	fflush(stdout);
}

/* Return when thread @tid of process @pid is in state @want, or has ended. */
static inline void guest_await_state(pid_t pid, pid_t tid, char want)
{
	char name[64], text[512] = "", *state;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/stat", pid, tid);
	for (;;) {
		FILE *f = fopen(name, "re");

		state = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
		if (f)
			fclose(f);
		if (!state || state[2] == want || state[2] == 'Z' || state[2] == 'X')
			return;
		usleep(1000);
	}
}

/* Return when thread @tid of process @pid sleeps in a call. */
static inline void guest_await_sleep(pid_t pid, pid_t tid)
{
	guest_await_state(pid, tid, 'S');
}

/* Each in a process of its own, so that it may ruin it. */
static inline int guest_run(const struct guest_case *cases, size_t n, int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (size_t i = 0; i < n; i++) {
		int status = 0;
		pid_t pid;

		if (argc > 1 && strcmp(argv[1], cases[i].name) != 0)
			continue;
		printf("== %s\n", cases[i].name);
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			alarm(240); /* what hangs is to end, not what is slow on a busy machine */
			cases[i].fn();
			fflush(stdout);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			printf("wait: %s\n", strerror(errno));
		guest_show_status(cases[i].name, status);
	}
	return 0;
}

#endif /* TESTS_SENTRY_GUEST_H */
