/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syscalls - what calls of the kernel cost, one line each: name, microseconds a round
 *
 *	syscalls [NAME...]
 *
 * Static, so that it runs anywhere. Each row is the median of several batches.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 9

static int pipe_out[2], pipe_in[2];

static void row_getppid(void)
{
	syscall(SYS_getppid);
}

static void row_open(void)
{
	close(open("/etc/hostname", O_RDONLY));
}

static void row_stat(void)
{
	struct stat st;

	stat("/etc/hostname", &st);
}

static void row_pipe(void)
{
	char c = 'x';

	if (write(pipe_out[1], &c, 1) != 1 || read(pipe_out[0], &c, 1) != 1)
		abort();
}

static void row_pingpong(void)
{
	char c = 'x';

	if (write(pipe_out[1], &c, 1) != 1 || read(pipe_in[0], &c, 1) != 1)
		abort();
}

static void row_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (waitpid(pid, NULL, 0) != pid)
		abort();
}

static void row_exec(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execl("/proc/self/exe", "syscalls", "none", (char *)NULL);
		_exit(1);
	}
	if (waitpid(pid, NULL, 0) != pid)
		abort();
}

static void row_mmap(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 65536; i += 4096)
		p[i] = 1;
	munmap(p, 65536);
}

static void *thread_main(void *arg)
{
	return arg;
}

static void row_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_main, NULL) != 0)
		abort();
	pthread_join(thread, NULL);
}

static pid_t echo_pid;

static void begin_pipe(void)
{
	if (pipe(pipe_out) < 0)
		abort();
}

static void begin_pingpong(void)
{
	char c;

	if (pipe(pipe_out) < 0 || pipe(pipe_in) < 0)
		abort();
	echo_pid = fork();
	if (echo_pid != 0) {
		close(pipe_out[0]);
		close(pipe_in[1]);
		return;
	}
	close(pipe_out[1]);
	close(pipe_in[0]);
	while (read(pipe_out[0], &c, 1) == 1)
		if (write(pipe_in[1], &c, 1) != 1)
			break;
	_exit(0);
}

static void end_pingpong(void)
{
	close(pipe_out[1]);
	close(pipe_in[0]);
	waitpid(echo_pid, NULL, 0);
}

static const struct row {
	const char *name;
	void (*run)(void);
	unsigned rounds;
	void (*begin)(void), (*end)(void);
} rows[] = {
	{ "getppid", row_getppid, 5000, NULL, NULL },
	{ "open+close", row_open, 2000, NULL, NULL },
	{ "stat", row_stat, 2000, NULL, NULL },
	{ "pipe, one process", row_pipe, 2000, begin_pipe, NULL },
	{ "pipe, two processes", row_pingpong, 1000, begin_pingpong, end_pingpong },
	{ "fork+exit+wait", row_fork, 50, NULL, NULL },
	{ "vfork+exec+wait", row_exec, 50, NULL, NULL },
	{ "mmap 64K+touch+munmap", row_mmap, 200, NULL, NULL },
	{ "thread create+join", row_thread, 100, NULL, NULL },
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void measure(const struct row *row)
{
	double took[BATCHES];

	if (row->begin)
		row->begin();
	for (unsigned i = 0; i < row->rounds / 10 + 1; i++)
		row->run();
	for (int i = 0; i < BATCHES; i++) {
		double from = now();

		for (unsigned k = 0; k < row->rounds; k++)
			row->run();
		took[i] = (now() - from) / row->rounds;
	}
	if (row->end)
		row->end();
	qsort(took, BATCHES, sizeof(took[0]), compare);
	printf("%s: %.2f\n", row->name, took[BATCHES / 2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int wanted = argc == 1;

		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], rows[i].name) == 0;
		if (wanted)
			measure(&rows[i]);
	}
	return 0;
}
