/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_bomb WHAT - takes all there is, and tells how it went
 *
 *	memory   a child that never has enough; the parent goes on after it
 *	forks    as many children as there may be, then all of them are ended
 *	threads  the same with threads
 *	spread   forks for ever, all of them
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 20000

static void bomb_memory(void)
{
	const size_t piece = 1 << 20;
	pid_t pid = fork();
	int status = 0;
	char *p;

	if (!pid)
		for (;;) {
			p = malloc(piece);
			if (!p)
				_exit(1);
			memset(p, 1, piece);
		}
	waitpid(pid, &status, 0);
	printf("child %s\n", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "had none any more");
	p = malloc(piece);
	memset(p, 2, piece);
	printf("parent %s\n", p[piece - 1] == 2 ? "goes on" : "is confused");
}

static void bomb_forks(void)
{
	static pid_t pids[MANY];
	int n = 0, ended = 0, status;

	while (n < MANY) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (!pid) {
			pause();
			_exit(0);
		}
		pids[n++] = pid;
	}
	printf("%s\n", n && errno == EAGAIN ? "limited" : strerror(errno));
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	while (wait(&status) > 0)
		ended += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	printf("%s of them ended\n", ended == n ? "all" : "some");
	if (!fork())
		_exit(7);
	wait(&status);
	printf("then %d\n", WEXITSTATUS(status));
}

static void *bomb_thread(void *data)
{
	pause();
	return data;
}

static void bomb_threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int n = 0, r = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 32768);
	while (n < MANY && !(r = pthread_create(&thread, &attr, bomb_thread, NULL)))
		n++;
	printf("%s\n", n && r == EAGAIN ? "limited" : strerror(r));
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "memory"))
		bomb_memory();
	else if (!strcmp(what, "forks"))
		bomb_forks();
	else if (!strcmp(what, "threads"))
		bomb_threads();
	else if (!strcmp(what, "spread"))
		for (puts("go");; fork())
			;
	else
		return 2;
	return 0;
}
