/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pool.c - the sentry's threads that tasks run on
 *
 * A thread whose task has ended waits for the next one, if not enough others wait already: a
 * thread costs more to make than a fork of most guests costs otherwise. They are never joined; the
 * process's end is theirs.
 */
#include "base/thread.h"
#include "sentry/task/internal.h"

#define POOL_IDLE_MAX 8

struct pool_thread {
	struct pool_thread *next;
	struct task *task;
	pthread_cond_t wake;
};

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pool_thread *pool_idle;
static unsigned pool_nidle;

/* Return: false: enough others wait */
static bool pool_wait(struct pool_thread *self)
{
	pthread_mutex_lock(&pool_lock);
	if (pool_nidle >= POOL_IDLE_MAX) {
		pthread_mutex_unlock(&pool_lock);
		return false;
	}
	self->task = NULL;
	self->next = pool_idle;
	pool_idle = self;
	pool_nidle++;
	while (!self->task)
		pthread_cond_wait(&self->wake, &pool_lock);
	pthread_mutex_unlock(&pool_lock);
	return true;
}

static void *pool_main(void *data)
{
	struct pool_thread self = { .task = data, .wake = PTHREAD_COND_INITIALIZER };

	do
		task_run(self.task);
	while (pool_wait(&self));
	pthread_cond_destroy(&self.wake);
	return NULL;
}

int task_launch(struct task *task)
{
	struct pool_thread *idle;
	int r;

	pthread_mutex_lock(&pool_lock);
	idle = pool_idle;
	if (idle) {
		pool_idle = idle->next;
		pool_nidle--;
		idle->task = task_get(task);
		pthread_cond_signal(&idle->wake);
	}
	pthread_mutex_unlock(&pool_lock);
	if (idle)
		return 0;
	r = thread_start(NULL, TASK_STACK, pool_main, task_get(task));
	if (r) {
		task_put(task);
		return -EAGAIN;
	}
	return 0;
}
