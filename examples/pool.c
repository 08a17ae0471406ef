/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - ten sandboxes of 96 MiB that execute jobs
 *
 *	cc pool.c $(pkg-config --cflags --libs libcoffer) -pthread -o pool
 *	./pool [SANDBOXES [JOBS]]
 *
 * Each sandbox has a thread of ours, which boots it and then takes one job
 * after the other until there are none left.  A job is a program in a sandbox that
 * others have used before; where jobs must not meet, each takes a new container.
 */
#include <coffer/coffer.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SANDBOXES 10
#define MEMORY	  (UINT64_C(96) << 20)
#define PATIENCE  (UINT64_C(300) * 1000000) /* microseconds for a job */

struct pool {
	atomic_int next; /* job */
	int jobs;
	atomic_int done;
	pthread_mutex_t print;
};

struct worker {
	pthread_t thread;
	struct pool *pool;
	int number;
	struct coffer_error err;
};

/* The output of one program, at most @room - 1 bytes. Return: its exit code, or -1 */
static int job_run(struct coffer_container *sandbox, const char *script, char *text, size_t room,
		   struct coffer_error *err)
{
	const char *const args[] = { "sh", "-c", script, NULL };
	struct coffer_process_config config = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_exit status = { .code = -1 };
	struct coffer_process *process;
	size_t len = 0;
	ssize_t n;
	int out, r;

	config.args = args;
	config.stdio[COFFER_STDOUT].mode = COFFER_STDIO_PIPE;
	if (coffer_container_exec(sandbox, NULL, &config, &process, err) < 0)
		return -1;
	out = coffer_process_take_stream(process, COFFER_STDOUT);
	while (len < room - 1 && (n = read(out, text + len, room - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(out);
	r = coffer_process_wait(process, PATIENCE, &status, err);
	/* Also ends it when our patience has. */
	if (coffer_process_delete(process, true, r < 0 ? NULL : err) < 0 || r < 0)
		return -1;
	return status.code;
}

static int sandbox_boot(struct coffer_container **out, struct coffer_error *err)
{
	static const char *const idle[] = { "sleep", "1000000000", NULL };
	struct coffer_process_config program = COFFER_PROCESS_CONFIG_INIT;
	struct coffer_container_config config = COFFER_CONTAINER_CONFIG_INIT;
	struct coffer_container *sandbox;

	program.args = idle;
	config.process = &program;
	config.memory = MEMORY;
	if (coffer_container_new(NULL, &config, &sandbox, err) < 0)
		return -1;
	if (coffer_container_create(sandbox, err) < 0 || coffer_container_start(sandbox, err) < 0) {
		coffer_container_free(sandbox);
		return -1;
	}
	*out = sandbox;
	return 0;
}

static void *worker_run(void *data)
{
	struct worker *w = data;
	struct coffer_container *sandbox;
	char script[128], text[256];
	int job;

	if (sandbox_boot(&sandbox, &w->err) < 0)
		return NULL;
	while ((job = atomic_fetch_add(&w->pool->next, 1)) < w->pool->jobs) {
		snprintf(script, sizeof(script), "echo $((%d * %d))", job, job);
		if (job_run(sandbox, script, text, sizeof(text), &w->err) != 0)
			break;
		pthread_mutex_lock(&w->pool->print);
		printf("sandbox %d: job %d: %s", w->number, job, text);
		pthread_mutex_unlock(&w->pool->print);
		atomic_fetch_add(&w->pool->done, 1);
	}
	coffer_container_free(sandbox);
	return NULL;
}

int main(int argc, char **argv)
{
	struct pool pool = { .print = PTHREAD_MUTEX_INITIALIZER };
	int n = argc > 1 ? atoi(argv[1]) : SANDBOXES, started = 0;
	struct worker *workers = calloc(n > 0 ? (size_t)n : 1, sizeof(*workers));

	pool.jobs = argc > 2 ? atoi(argv[2]) : 100;
	while (workers && started < n) {
		struct worker *w = &workers[started];

		*w = (struct worker){ .pool = &pool, .number = started };
		if (pthread_create(&w->thread, NULL, worker_run, w) != 0)
			break;
		started++;
	}
	for (int i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].err.kind != COFFER_ERR_NONE)
			fprintf(stderr, "sandbox %d: %s\n", i, workers[i].err.message);
	}
	free(workers);
	printf("%d of %d jobs done by %d sandboxes\n", atomic_load(&pool.done), pool.jobs, started);
	return atomic_load(&pool.done) == pool.jobs ? 0 : 1;
}
