/* SPDX-License-Identifier: Apache-2.0 */
/* Parked calls: who finishes them, and that none is lost or answered twice. Threads play the tasks,
 * descriptors their guests' next events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/internal.h"

#define TURNS  20000
#define RACERS 3

/* --- the rooms around --- */

struct trap_thread {
	int fd;
	_Atomic unsigned answers;
	long value;
};

_Thread_local struct task *task_current;

static _Atomic unsigned told;

int trap_event_fd(const struct trap_thread *thread)
{
	return thread->fd;
}

/* The guest runs, and calls again at once. */
void trap_return(struct trap_thread *thread, long value)
{
	thread->value = value;
	atomic_fetch_add(&thread->answers, 1);
	eventfd_write(thread->fd, 1);
}

void trap_wait(struct trap_thread *thread, struct trap_event *event)
{
	eventfd_t n;

	(void)event;
	eventfd_read(thread->fd, &n);
}

void syscall_done(struct task *task, int nr, const uint64_t args[6], long result)
{
	(void)task;
	(void)nr;
	(void)args;
	(void)result;
	atomic_fetch_add(&told, 1);
}

bool task_may_run(struct task *task, long result)
{
	(void)result;
	atomic_store(&task->watch, TASK_GUEST);
	return !atomic_load(&task->interrupted);
}

struct task *task_get(struct task *task)
{
	atomic_fetch_add(&task->refs, 1);
	return task;
}

void task_put(struct task *task)
{
	atomic_fetch_sub(&task->refs, 1);
}

bool task_must_end(struct task *task)
{
	return task->ending;
}

/* --- units that one side makes and the other takes --- */

struct store {
	struct waitq q;
	_Atomic unsigned units;
	_Atomic bool closed;
};

struct sleeper {
	struct task task; /* first */
	struct trap_thread thread;
	struct store *store;
	unsigned got, cut, by_others, tries;
	bool eager; /* parks whenever it can */
	pthread_t host;
};

static long store_take(struct store *s)
{
	unsigned n = atomic_load(&s->units);

	while (n)
		if (atomic_compare_exchange_weak(&s->units, &n, n - 1))
			return 1;
	return atomic_load(&s->closed) ? 0 : -EAGAIN;
}

static void store_add(struct store *s)
{
	atomic_fetch_add(&s->units, 1);
	waitq_wake(&s->q, POLLIN);
}

static long sleeper_finish(struct task *task)
{
	struct sleeper *s = (struct sleeper *)task;

	assert_ptr_equal(task_current, task);
	s->tries++;
	return store_take(s->store);
}

static long sleeper_resume(struct task *task)
{
	struct sleeper *s = (struct sleeper *)task;
	struct wait wait;
	long r;

	wait_begin(&wait, task);
	for (;;) {
		wait_reset(&wait);
		wait_on(&wait, &s->store->q, POLLIN);
		r = store_take(s->store);
		if (r != -EAGAIN)
			break;
		r = wait_sleep(&wait, USEC_INFINITY);
		if (r)
			break;
	}
	wait_end(&wait);
	return r;
}

/* As a handler does it. Return: TASK_PARKED or the result */
static long sleeper_call(struct sleeper *s)
{
	static const struct park_ops ops = { .finish = sleeper_finish, .resume = sleeper_resume };
	long r = store_take(s->store);

	atomic_store(&s->task.watch, SYS_read);
	park_turn();
	if (r != -EAGAIN)
		return r;
	if (!park_possible(&s->task))
		return sleeper_resume(&s->task);
	park_begin(&s->task, &ops);
	wait_on(&s->task.park.wait, &s->store->q, POLLIN);
	r = store_take(s->store);
	if (r == -EAGAIN)
		return TASK_PARKED;
	park_cancel(&s->task);
	return r;
}

/* As the task loop does it. Return: the result */
static long sleeper_serve(struct sleeper *s)
{
	long r;

	if (s->eager)
		s->task.park.skip = 0;
	r = sleeper_call(s);
	if (r == TASK_PARKED && !park_listen(&s->task, &r)) {
		s->by_others++;
		trap_wait(&s->thread, NULL);
		return s->thread.value;
	}
	if (!task_may_run(&s->task, r)) {
		atomic_store(&s->task.interrupted, false);
		s->cut++;
	}
	return r;
}

static void sleeper_init(struct sleeper *s, struct store *store)
{
	memset(s, 0, sizeof(*s));
	s->store = store;
	s->thread.fd = eventfd(0, EFD_CLOEXEC);
	s->task.thread = &s->thread;
	s->task.refs = 1;
}

static void sleeper_here(struct sleeper *s)
{
	task_current = &s->task;
	s->task.host_tid = gettid();
}

static void sleeper_end(struct sleeper *s)
{
	park_settle(&s->task);
	assert_int_equal(atomic_load(&s->task.park.state), PARK_NONE);
	assert_int_equal(atomic_load(&s->task.refs), 1);
	close(s->thread.fd);
}

static void *sleeper_run(void *data)
{
	struct sleeper *s = data;
	long r;

	sleeper_here(s);
	while ((r = sleeper_serve(s)))
		s->got += r > 0;
	task_current = NULL;
	return NULL;
}

/* A thread that wakes as a task in a dialogue does. */
static void waker_here(struct task *task)
{
	struct sleeper nobody;
	struct store store = { .units = 0 };

	memset(task, 0, sizeof(*task));
	task_current = task;
	atomic_store(&task->watch, SYS_write);
	waitq_init(&store.q);
	sleeper_init(&nobody, &store);
	for (int i = 0; i < 8; i++) {
		park_turn();
		park_wake(&nobody.task);
		park_work_off();
	}
	park_turn();
	close(nobody.thread.fd);
	waitq_destroy(&store.q);
}

static void store_init(struct store *s)
{
	memset(s, 0, sizeof(*s));
	waitq_init(&s->q);
}

static void sleeper_await_parked(struct sleeper *s)
{
	while (atomic_load(&s->task.park.state) != PARK_READY || !atomic_load(&s->task.polling))
		usleep(100);
}

/* --- one at a time --- */

struct scene {
	struct store store;
	struct sleeper s;
	struct task waker;
};

static void scene_begin(struct scene *c)
{
	store_init(&c->store);
	sleeper_init(&c->s, &c->store);
	assert_int_equal(thread_start(&c->s.host, 0, sleeper_run, &c->s), 0);
	sleeper_await_parked(&c->s);
	waker_here(&c->waker);
}

static void scene_end(struct scene *c)
{
	atomic_store(&c->store.closed, true);
	waitq_wake(&c->store.q, POLLIN);
	park_work_off();
	pthread_join(c->s.host, NULL);
	sleeper_end(&c->s);
	assert_true(waitq_empty(&c->store.q));
	waitq_destroy(&c->store.q);
	task_current = NULL;
}

static void test_taken(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	store_add(&c.store);
	assert_int_equal(atomic_load(&c.s.task.park.state), PARK_HELD);
	assert_int_equal(atomic_load(&c.s.thread.answers), 0);
	park_work_off();
	assert_int_equal(atomic_load(&c.s.thread.answers), 1);
	assert_ptr_equal(task_current, &c.waker);
	scene_end(&c);
	assert_int_equal(c.s.got, 1);
	assert_in_range(c.s.by_others, 1, 2);
}

/* Somebody else was faster: parked again, and the next wake-up finishes it. */
static void test_parked_again(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	store_add(&c.store);
	assert_int_equal(store_take(&c.store), 1);
	park_work_off();
	assert_int_equal(atomic_load(&c.s.task.park.state), PARK_READY);
	assert_int_equal(c.s.tries, 1);
	park_turn();
	store_add(&c.store);
	park_work_off();
	assert_int_equal(atomic_load(&c.s.thread.answers), 1);
	scene_end(&c);
	assert_int_equal(c.s.got, 1);
}

/* What comes while it is held is not lost. */
static void test_woken_while_held(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	store_add(&c.store);
	assert_int_equal(store_take(&c.store), 1);
	waitq_wake(&c.store.q, POLLIN);
	assert_int_equal(atomic_load(&c.s.task.park.state), PARK_AGAIN);
	park_work_off();
	assert_int_equal(atomic_load(&c.s.task.park.state), PARK_READY);
	assert_int_equal(c.s.tries, 2);
	scene_end(&c);
	assert_int_equal(c.s.got, 0);
}

/* A signal that comes first is its own thread's to deal with; the result is not lost. */
static void test_interrupted_while_held(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	store_add(&c.store);
	atomic_store(&c.s.task.interrupted, true);
	task_wake(&c.s.task);
	park_work_off();
	assert_int_equal(atomic_load(&c.s.thread.answers), 0);
	scene_end(&c);
	assert_int_equal(c.s.got, 1);
	assert_in_range(c.s.cut, 1, 1);
}

static void test_interrupted(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	atomic_store(&c.s.task.interrupted, true);
	task_wake(&c.s.task);
	while (atomic_load(&c.s.task.interrupted))
		usleep(100);
	scene_end(&c);
	assert_int_equal(c.s.cut, 1);
	assert_int_equal(c.s.got, 0);
	assert_int_equal(c.s.tries, 0);
}

/* Neither a thread without a guest, nor one that only makes, takes a call. */
static void test_not_taken(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	task_current = NULL;
	store_add(&c.store);
	while (atomic_load(&c.store.units))
		usleep(100);
	task_current = &c.waker;
	scene_end(&c);
	assert_int_equal(c.s.tries, 0);
	assert_int_equal(c.s.got, 1);

	scene_begin(&c);
	park_wake(&c.waker);
	park_work_off(); /* no turn in between */
	store_add(&c.store);
	while (atomic_load(&c.store.units))
		usleep(100);
	scene_end(&c);
	assert_int_equal(c.s.tries, 0);
}

/* Its guest's process dies: nobody wakes it, but its own thread sees the end. */
static void test_hang_up(void **state)
{
	struct scene c;

	(void)state;
	scene_begin(&c);
	eventfd_write(c.s.thread.fd, 1);
	while (atomic_load(&c.s.task.park.state) != PARK_NONE)
		usleep(100);
	scene_end(&c);
	assert_int_equal(c.s.tries, 0);
}

/* --- all at once --- */

struct race {
	struct store store;
	struct sleeper sleepers[RACERS];
	_Atomic unsigned made;
	_Atomic bool over;
};

static void *race_make(void *data)
{
	struct race *r = data;
	struct task task;

	waker_here(&task);
	for (unsigned i = 0; i < TURNS; i++) {
		store_add(&r->store);
		atomic_fetch_add(&r->made, 1);
		park_work_off();
		park_turn();
		if (i % 16 == 0)
			usleep(50);
	}
	task_current = NULL;
	return NULL;
}

static void *race_make_outside(void *data)
{
	struct race *r = data;

	while (!atomic_load(&r->over)) {
		store_add(&r->store);
		atomic_fetch_add(&r->made, 1);
		usleep(70);
	}
	return NULL;
}

static void *race_interrupt(void *data)
{
	struct race *r = data;

	for (unsigned i = 0; !atomic_load(&r->over); i++) {
		struct task *task = &r->sleepers[i % RACERS].task;

		atomic_store(&task->interrupted, true);
		task_wake(task);
		usleep(60);
	}
	return NULL;
}

static void test_race(void **state)
{
	pthread_t makers[2], outside, interrupts;
	unsigned got = 0, by_others = 0;
	static struct race r;

	(void)state;
	store_init(&r.store);
	for (int i = 0; i < RACERS; i++) {
		sleeper_init(&r.sleepers[i], &r.store);
		r.sleepers[i].eager = true;
		assert_int_equal(thread_start(&r.sleepers[i].host, 0, sleeper_run,
					      &r.sleepers[i]), 0);
	}
	assert_int_equal(thread_start(&interrupts, 0, race_interrupt, &r), 0);
	assert_int_equal(thread_start(&outside, 0, race_make_outside, &r), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(thread_start(&makers[i], 0, race_make, &r), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(makers[i], NULL);
	atomic_store(&r.over, true);
	pthread_join(outside, NULL);
	pthread_join(interrupts, NULL);
	while (atomic_load(&r.store.units))
		usleep(100); /* or the test never ends: a wake-up was lost */
	atomic_store(&r.store.closed, true);
	waitq_wake(&r.store.q, POLLIN);
	for (int i = 0; i < RACERS; i++) {
		pthread_join(r.sleepers[i].host, NULL);
		sleeper_end(&r.sleepers[i]);
		got += r.sleepers[i].got;
		by_others += r.sleepers[i].by_others;
	}
	assert_int_equal(got, atomic_load(&r.made));
	assert_true(waitq_empty(&r.store.q));
	print_message("%u of %u finished by others\n", by_others, got);
}

static int setup(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	wait_signal_install();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_parked_again),
		cmocka_unit_test(test_woken_while_held),
		cmocka_unit_test(test_interrupted_while_held),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_hang_up),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
