/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes among threads of this process, whose memory plays the guest's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/futex.h"
#include "sentry/task/futex_queue.h"
#include "sentry/task/internal.h"

#define NTASKS 8

/* --- the rooms around --- */

static struct task tasks[NTASKS];
static struct process process;

int user_read(struct mm *mm, void *dst, uint64_t src, size_t len)
{
	(void)mm;
	if (src < PAGE_SIZE)
		return -EFAULT;
	memcpy(dst, (void *)(uintptr_t)src, len);
	return 0;
}

int user_word_get(struct mm *mm, uint64_t addr, int write, int shared, struct user_word *out)
{
	(void)mm;
	(void)write;
	if (addr < PAGE_SIZE)
		return -EFAULT;
	out->word = (_Atomic uint32_t *)(uintptr_t)addr;
	out->key = (struct user_key){ (uint64_t)shared, addr };
	return 0;
}

void user_word_put(struct user_word *word)
{
	(void)word;
}

struct task *task_find(struct sandbox_container *container, int tid)
{
	(void)container;
	return tid >= 100 && tid < 100 + NTASKS ? &tasks[tid - 100] : NULL;
}

struct task *task_get(struct task *task)
{
	return task;
}

void task_put(struct task *task)
{
	(void)task;
}

bool task_must_end(struct task *task)
{
	return task->ending;
}

/* Nothing is parked: their threads have no guests. */
_Thread_local struct task *task_current;

int trap_event_fd(const struct trap_thread *thread)
{
	(void)thread;
	return -1;
}

void trap_return(struct trap_thread *thread, long value)
{
	(void)thread;
	(void)value;
}

void syscall_done(struct task *task, int nr, const uint64_t args[6], long result)
{
	(void)task;
	(void)nr;
	(void)args;
	(void)result;
}

bool task_may_run(struct task *task, long result)
{
	(void)result;
	return !atomic_load(&task->interrupted);
}

/* --- helpers --- */

static _Atomic uint32_t words[4];

static long futex(struct task *task, _Atomic uint32_t *word, uint32_t op, uint64_t value,
		  uint64_t timeout, _Atomic uint32_t *word2, uint64_t value3)
{
	const uint64_t args[6] = { (uintptr_t)word, op,		       value,
				   timeout,	    (uintptr_t)word2, value3 };

	return futex_call(task, args);
}

static long wake(_Atomic uint32_t *word, uint64_t max)
{
	return futex(&tasks[0], word, FUTEX_WAKE_PRIVATE, max, 0, NULL, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(tasks, 0, sizeof(tasks));
	memset(words, 0, sizeof(words));
	for (int i = 0; i < NTASKS; i++) {
		tasks[i].tid = 100 + i;
		tasks[i].process = &process;
	}
	return 0;
}

static unsigned queued(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
		struct futex_bucket *bucket = futex_bucket_at(i);

		pthread_mutex_lock(&bucket->lock);
		for (struct futex_waiter *w = bucket->first; w; w = w->next)
			n++;
		pthread_mutex_unlock(&bucket->lock);
	}
	return n;
}

static void wait_queued(unsigned n)
{
	while (queued() != n)
		sched_yield();
}

struct sleeper {
	pthread_t thread;
	struct task *task;
	_Atomic uint32_t *word;
	uint32_t op;
	uint64_t value, value3;
	const struct timespec *timeout;
	long result;
};

static void *sleeper_run(void *data)
{
	struct sleeper *s = data;

	s->task->host_tid = gettid();
	s->result = futex(s->task, s->word, s->op, s->value, (uintptr_t)s->timeout, NULL, s->value3);
	return NULL;
}

static void sleepers_start(struct sleeper *s, unsigned n, uint32_t op, uint64_t value3)
{
	for (unsigned i = 0; i < n; i++) {
		s[i] = (struct sleeper){ .task = &tasks[i + 1], .word = &words[0], .op = op,
					 .value3 = value3 };
		assert_int_equal(thread_start(&s[i].thread, 0, sleeper_run, &s[i]), 0);
		wait_queued(i + 1); /* so that their order is known */
	}
}

static long sleeper_end(struct sleeper *s)
{
	pthread_join(s->thread, NULL);
	return s->result;
}

/* --- tests --- */

static void test_refused(void **state)
{
	const struct timespec bad = { 0, 1000000000 };
	_Atomic uint32_t *odd = (_Atomic uint32_t *)((uintptr_t)&words[0] + 2);

	(void)state;
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT, 1, 0, NULL, 0), -EAGAIN);
	assert_int_equal(futex(&tasks[0], odd, FUTEX_WAIT, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(futex(&tasks[0], NULL, FUTEX_WAIT, 0, 0, NULL, 0), -EFAULT);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT, 0, (uintptr_t)&bad, NULL, 0),
			 -EINVAL);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT, 0, 8, NULL, 0), -EFAULT);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT_BITSET, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAKE_BITSET, 1, 0, NULL, 0), -EINVAL);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_REQUEUE, UINT32_MAX, 0, &words[1], 0),
			 -EINVAL);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_CMP_REQUEUE, 1, 1, &words[1], 9),
			 -EAGAIN);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, NULL,
			       0), -ENOSYS);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_FD, 1, 0, NULL, 0), -ENOSYS);
	assert_int_equal(queued(), 0);
}

static void test_order_and_count(void **state)
{
	struct sleeper s[5];

	(void)state;
	sleepers_start(s, 5, FUTEX_WAIT_PRIVATE, 0);
	assert_int_equal(wake(&words[1], 9), 0); /* another word */
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAKE, 9, 0, NULL, 0), 0); /* shared */
	assert_int_equal(wake(&words[0], 2), 2);
	assert_int_equal(sleeper_end(&s[0]), 0);
	assert_int_equal(sleeper_end(&s[1]), 0);
	assert_int_equal(queued(), 3);
	assert_int_equal(wake(&words[0], INT32_MAX), 3);
	for (int i = 2; i < 5; i++)
		assert_int_equal(sleeper_end(&s[i]), 0);
}

static void test_bits(void **state)
{
	struct sleeper s[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		s[i] = (struct sleeper){ .task = &tasks[i + 1], .word = &words[0],
					 .op = FUTEX_WAIT_BITSET_PRIVATE, .value3 = 1u << i };
		assert_int_equal(thread_start(&s[i].thread, 0, sleeper_run, &s[i]), 0);
		wait_queued(i + 1);
	}
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAKE_BITSET_PRIVATE, 9, 0, NULL, 5), 2);
	assert_int_equal(sleeper_end(&s[0]), 0);
	assert_int_equal(sleeper_end(&s[2]), 0);
	assert_int_equal(wake(&words[0], 9), 1);
	assert_int_equal(sleeper_end(&s[1]), 0);
}

static void test_requeue(void **state)
{
	struct sleeper s[6];

	(void)state;
	sleepers_start(s, 6, FUTEX_WAIT_PRIVATE, 0);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, 3, &words[2], 0),
			 4);
	assert_int_equal(sleeper_end(&s[0]), 0);
	assert_int_equal(queued(), 5);
	assert_int_equal(wake(&words[2], 9), 3);
	for (int i = 1; i < 4; i++)
		assert_int_equal(sleeper_end(&s[i]), 0);
	/* One that was moved is found by who interrupts it, too */
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_REQUEUE_PRIVATE, 0, 1, &words[3], 0), 1);
	atomic_store(&tasks[5].interrupted, true);
	task_wake(&tasks[5]);
	assert_int_equal(sleeper_end(&s[4]), -ERESTARTSYS);
	assert_int_equal(wake(&words[0], 9), 1);
	assert_int_equal(sleeper_end(&s[5]), 0);
	assert_int_equal(queued(), 0);
}

static void test_timeout(void **state)
{
	const struct timespec soon = { 0, 1000 }, past = { 1, 0 };

	(void)state;
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT, 0, (uintptr_t)&soon, NULL, 0),
			 -ETIMEDOUT);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT_BITSET, 0, (uintptr_t)&past, NULL,
			       1), -ETIMEDOUT);
	assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0,
			       (uintptr_t)&past, NULL, 1), -ETIMEDOUT);
	assert_int_equal(queued(), 0);
}

/* Interrupted with a timeout: what is left of it is for restart_syscall(2). */
static void test_restart(void **state)
{
	const struct timespec long_time = { 1000, 0 };

	(void)state;
	atomic_store(&tasks[1].interrupted, true);
	assert_int_equal(futex(&tasks[1], &words[0], FUTEX_WAIT, 0, (uintptr_t)&long_time, NULL, 0),
			 -ERESTART_RESTARTBLOCK);
	assert_int_equal(tasks[1].restart(&tasks[1]), -ERESTART_RESTARTBLOCK);
	atomic_store(&tasks[1].interrupted, false);
	atomic_store(&words[0], 1);
	assert_int_equal(tasks[1].restart(&tasks[1]), -EAGAIN);
	assert_int_equal(queued(), 0);
}

static void test_wake_op(void **state)
{
	static const struct {
		uint32_t op, cmp, arg, cmp_arg, before, after;
		bool second;
	} cases[] = {
		{ FUTEX_OP_SET, FUTEX_OP_CMP_EQ, 7, 3, 3, 7, true },
		{ FUTEX_OP_ADD, FUTEX_OP_CMP_NE, 7, 3, 3, 10, false },
		{ FUTEX_OP_ADD, FUTEX_OP_CMP_GT, 0xfff, 2, 3, 2, true }, /* minus one */
		{ FUTEX_OP_OR, FUTEX_OP_CMP_LT, 4, 3, 3, 7, false },
		{ FUTEX_OP_ANDN, FUTEX_OP_CMP_LE, 1, 3, 3, 2, true },
		{ FUTEX_OP_XOR, FUTEX_OP_CMP_GE, 1, 3, 3, 2, true },
		{ FUTEX_OP_SET | FUTEX_OP_OPARG_SHIFT, FUTEX_OP_CMP_EQ, 4, 0xfff, UINT32_MAX, 16,
		  true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t op = cases[i].op << 28 | cases[i].cmp << 24 | cases[i].arg << 12 |
			      cases[i].cmp_arg;
		struct sleeper s = { .task = &tasks[1], .word = &words[1], .op = FUTEX_WAIT_PRIVATE,
				     .value = cases[i].before };

		atomic_store(&words[1], cases[i].before);
		assert_int_equal(thread_start(&s.thread, 0, sleeper_run, &s), 0);
		wait_queued(1);
		assert_int_equal(futex(&tasks[0], &words[0], FUTEX_WAKE_OP_PRIVATE, 1, 1, &words[1],
				       op), cases[i].second);
		assert_int_equal(atomic_load(&words[1]), cases[i].after);
		assert_int_equal(wake(&words[1], 1), !cases[i].second);
		assert_int_equal(sleeper_end(&s), 0);
	}
}

static struct futex_waitv waitv_list[3];

static void *waitv_run(void *data)
{
	struct sleeper *s = data;
	const uint64_t args[6] = { (uintptr_t)waitv_list, 3 };

	s->task->host_tid = gettid();
	s->result = futex_waitv(s->task, args);
	return NULL;
}

static void test_waitv(void **state)
{
	struct sleeper s = { .task = &tasks[1] };
	uint64_t args[6] = { (uintptr_t)waitv_list, 3 };

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		waitv_list[i] = (struct futex_waitv){ .uaddr = (uintptr_t)&words[i],
						      .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG };
	assert_int_equal(thread_start(&s.thread, 0, waitv_run, &s), 0);
	wait_queued(3);
	assert_int_equal(wake(&words[1], 1), 1);
	assert_int_equal(sleeper_end(&s), 1);
	assert_int_equal(queued(), 0);
	atomic_store(&words[2], 5); /* the first two are queued already */
	assert_int_equal(futex_waitv(&tasks[0], args), -EAGAIN);
	assert_int_equal(queued(), 0);
	waitv_list[0].flags = 0;
	assert_int_equal(futex_waitv(&tasks[0], args), -EINVAL);
	args[1] = FUTEX_WAITV_MAX + 1;
	assert_int_equal(futex_waitv(&tasks[0], args), -EINVAL);
}

/* --- owners --- */

static long pi(struct task *task, uint32_t op)
{
	return futex(task, &words[0], op, 0, 0, NULL, 0);
}

static void test_pi(void **state)
{
	struct sleeper s[2];

	(void)state;
	assert_int_equal(pi(&tasks[0], FUTEX_LOCK_PI_PRIVATE), 0);
	assert_int_equal(atomic_load(&words[0]), 100);
	assert_int_equal(pi(&tasks[0], FUTEX_LOCK_PI_PRIVATE), -EDEADLK);
	assert_int_equal(pi(&tasks[1], FUTEX_TRYLOCK_PI_PRIVATE), -EAGAIN);
	assert_int_equal(pi(&tasks[1], FUTEX_UNLOCK_PI_PRIVATE), -EPERM);
	sleepers_start(s, 2, FUTEX_LOCK_PI_PRIVATE, 0);
	assert_int_equal(atomic_load(&words[0]), 100 | FUTEX_WAITERS);
	assert_int_equal(wake(&words[0], 1), -EINVAL);
	assert_int_equal(pi(&tasks[0], FUTEX_UNLOCK_PI_PRIVATE), 0);
	assert_int_equal(sleeper_end(&s[0]), 0);
	assert_int_equal(atomic_load(&words[0]), 101 | FUTEX_WAITERS);
	assert_int_equal(pi(&tasks[1], FUTEX_UNLOCK_PI_PRIVATE), 0);
	assert_int_equal(sleeper_end(&s[1]), 0);
	assert_int_equal(pi(&tasks[2], FUTEX_UNLOCK_PI_PRIVATE), 0);
	assert_int_equal(atomic_load(&words[0]), 0);
	atomic_store(&words[0], 5000); /* nobody */
	assert_int_equal(pi(&tasks[0], FUTEX_LOCK_PI_PRIVATE), -ESRCH);
}

static void test_pi_owner_ends(void **state)
{
	struct sleeper s[3];

	(void)state;
	assert_int_equal(pi(&tasks[0], FUTEX_LOCK_PI_PRIVATE), 0);
	sleepers_start(s, 3, FUTEX_LOCK_PI_PRIVATE, 0);
	futex_leave(&tasks[0]);
	for (int left = 3; left; left--) {
		uint32_t value;

		/* One of them has it, marked; the others queue again */
		do {
			sched_yield();
			value = atomic_load(&words[0]);
		} while ((value & FUTEX_TID_MASK) == 100);
		wait_queued((unsigned)left - 1);
		value = atomic_load(&words[0]);
		assert_int_equal(!!(value & FUTEX_OWNER_DIED), left == 3);
		assert_int_equal(pi(&tasks[(value & FUTEX_TID_MASK) - 100],
				    FUTEX_UNLOCK_PI_PRIVATE), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(sleeper_end(&s[i]), 0);
	assert_int_equal(atomic_load(&words[0]), 0);
}

/* --- robust lists --- */

struct robust_entry {
	uint64_t next;
	_Atomic uint32_t word;
};

struct robust_list_of_guest {
	uint64_t next;
	int64_t offset;
	uint64_t pending;
};

static void test_robust(void **state)
{
	struct robust_list_of_guest head;
	struct robust_entry e[4];
	struct sleeper s = { .task = &tasks[2], .word = &e[1].word, .op = FUTEX_WAIT,
			     .value = 101 | FUTEX_WAITERS };

	(void)state;
	for (int i = 0; i < 3; i++)
		e[i].next = (uintptr_t)&e[i + 1];
	e[2].next = (uintptr_t)&head;
	atomic_init(&e[0].word, 101);
	atomic_init(&e[1].word, 101 | FUTEX_WAITERS);
	atomic_init(&e[2].word, 102); /* another's */
	atomic_init(&e[3].word, 101);
	head = (struct robust_list_of_guest){ (uintptr_t)&e[0], offsetof(struct robust_entry, word),
					      (uintptr_t)&e[3] };
	assert_int_equal(thread_start(&s.thread, 0, sleeper_run, &s), 0);
	wait_queued(1);
	tasks[1].robust_list = (uintptr_t)&head;
	futex_leave(&tasks[1]);
	assert_int_equal(sleeper_end(&s), 0);
	assert_int_equal(atomic_load(&e[0].word), FUTEX_OWNER_DIED);
	assert_int_equal(atomic_load(&e[1].word), FUTEX_OWNER_DIED | FUTEX_WAITERS);
	assert_int_equal(atomic_load(&e[2].word), 102);
	assert_int_equal(atomic_load(&e[3].word), FUTEX_OWNER_DIED);
}

/* A list that leads nowhere, or in a circle, ends. */
static void test_robust_hostile(void **state)
{
	struct robust_list_of_guest head = { .offset = 1 };
	struct robust_entry loop = { .word = 101 };

	(void)state;
	tasks[1].robust_list = 8;
	futex_leave(&tasks[1]);
	tasks[1].robust_list = (uintptr_t)&head;
	head.next = 16;
	futex_leave(&tasks[1]);
	head.next = loop.next = (uintptr_t)&loop;
	futex_leave(&tasks[1]);
	head.offset = offsetof(struct robust_entry, word);
	futex_leave(&tasks[1]);
	assert_int_equal(atomic_load(&loop.word), FUTEX_OWNER_DIED);
}

/* --- nobody sleeps through it: a lock as C libraries make it --- */

#define ROUNDS 20000

static unsigned long guarded;

static void *lock_run(void *data)
{
	struct task *task = data;

	task->host_tid = gettid();
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t old = 0;

		if (!atomic_compare_exchange_strong(&words[0], &old, 1))
			while (atomic_exchange(&words[0], 2))
				futex(task, &words[0], FUTEX_WAIT_PRIVATE, 2, 0, NULL, 0);
		guarded++;
		if (atomic_exchange(&words[0], 0) == 2)
			futex(task, &words[0], FUTEX_WAKE_PRIVATE, 1, 0, NULL, 0);
	}
	return NULL;
}

static void test_lock(void **state)
{
	pthread_t threads[4];

	(void)state;
	guarded = 0;
	for (int i = 0; i < 4; i++)
		assert_int_equal(thread_start(&threads[i], 0, lock_run, &tasks[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(guarded, 4 * ROUNDS);
	assert_int_equal(queued(), 0);
}

#define TEST(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused), TEST(test_order_and_count), TEST(test_bits), TEST(test_requeue),
		TEST(test_timeout), TEST(test_restart),		TEST(test_wake_op), TEST(test_waitv),
		TEST(test_pi),	    TEST(test_pi_owner_ends),	TEST(test_robust),
		TEST(test_robust_hostile),			TEST(test_lock),
	};

	wait_signal_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
