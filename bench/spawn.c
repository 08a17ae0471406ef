/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/spawn.c - runs commands and tells how long and how large they were
 *
 *   spawn JOBS ROUNDS COMMAND WORD... [ ';' COMMAND WORD... ]...
 *
 * A round runs its commands one after another; "{}" in a word becomes the
 * round's number.  JOBS rounds run side by side.  What the commands of a round
 * leave behind becomes ours and is waited for before its last command.
 * Prints the microseconds of everything and the largest resident set, in KiB,
 * of any process that the commands waited for.
 *
 * Small and static on purpose: a child begins with the resident set of the
 * process that spawned it, and the peak of a child of Python would be Python's.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static long spawn_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void spawn_die(const char *what, int status)
{
	fprintf(stderr, "spawn: %s: status %#x\n", what, (unsigned int)status);
	exit(1);
}

/* Run one command, with the round's number put in. Return: its largest resident set. */
static long spawn_command(char **argv, int round)
{
	char words[64][4096], *with[65];
	struct rusage usage;
	int i, status, e;
	pid_t pid;

	for (i = 0; argv[i] && i < 64; i++) {
		char *hole = strstr(argv[i], "{}");

		if (hole)
			snprintf(words[i], sizeof(words[i]), "%.*s%d%s", (int)(hole - argv[i]),
				 argv[i], round, hole + 2);
		with[i] = hole ? words[i] : argv[i];
	}
	with[i] = NULL;
	e = posix_spawnp(&pid, with[0], NULL, NULL, with, environ);
	if (e)
		spawn_die(with[0], e);
	if (wait4(pid, &status, 0, &usage) != pid || status)
		spawn_die(with[0], status);
	return usage.ru_maxrss;
}

/* Run the commands of one round. Return: the largest resident set. */
static long spawn_round(char **argv, int count, int round)
{
	long peak = 0;

	for (int i = 0; i < count; i++) {
		long rss;

		if (count > 1 && i == count - 1)
			while (wait(NULL) > 0)
				;
		rss = spawn_command(argv, round);
		peak = rss > peak ? rss : peak;
		while (*argv++)
			;
	}
	return peak;
}

/* Side by side, each round in a process of its own. */
static void spawn_rounds(char **argv, int count, int jobs, int rounds)
{
	int status, running = 0;

	for (int round = 0; round < rounds || running;) {
		if (round < rounds && running < jobs) {
			pid_t pid = fork();

			if (pid == 0) {
				prctl(PR_SET_CHILD_SUBREAPER, 1);
				spawn_round(argv, count, round);
				_exit(0);
			}
			running++;
			round++;
		} else {
			if (wait(&status) < 0 || status)
				spawn_die("a round", status);
			running--;
		}
	}
}

int main(int argc, char **argv)
{
	int commands = 1, jobs, rounds;
	long start, peak = 0;

	if (argc < 4)
		spawn_die("usage: JOBS ROUNDS COMMAND...", 0);
	jobs = atoi(argv[1]);
	rounds = atoi(argv[2]);
	for (int i = 3; i < argc; i++) {
		if (strcmp(argv[i], ";") == 0) {
			argv[i] = NULL;
			commands++;
		}
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	start = spawn_now();
	if (rounds == 1)
		peak = spawn_round(argv + 3, commands, 0);
	else
		spawn_rounds(argv + 3, commands, jobs, rounds);
	printf("%ld %ld\n", spawn_now() - start, peak);
	return 0;
}
