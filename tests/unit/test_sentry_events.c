/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that events are read from: counters, timers, signals, changes of files
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "base/cleanup.h"
#include "sentry/task/timer.h"
#include "sentry_files.h"

static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % n;
}

static long host_result(long r)
{
	return r < 0 ? -errno : r;
}

static uint32_t host_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&p, 1, 0);
	return (uint32_t)p.revents;
}

/* --- eventfd --- */

static uint64_t pick_count(unsigned *seed)
{
	static const uint64_t counts[] = { 0, 1, 2, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2 };

	return counts[pick(seed, ARRAY_SIZE(counts))];
}

static void counter_run(bool semaphore, unsigned seed)
{
	autoclose int host = eventfd(seed & 1, EFD_NONBLOCK | (semaphore ? EFD_SEMAPHORE : 0));
	struct file *file;

	assert_int_equal(eventfd_open(seed & 1, O_NONBLOCK, semaphore, &file), 0);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t ours = pick_count(&seed);
		uint64_t theirs = ours;
		size_t len = pick(&seed, 9) ? sizeof(ours) : 7;

		if (pick(&seed, 2)) {
			long h = host_result(write(host, &theirs, len));

			assert_int_equal(files_try_write(file, &ours, len), h);
		} else {
			long h = host_result(read(host, &theirs, len));

			assert_int_equal(files_try_read(file, &ours, len), h);
			assert_int_equal(ours, theirs);
		}
		assert_int_equal(file_poll(file, POLLIN | POLLOUT, NULL), host_poll(host));
	}
	file_put(file);
}

static void test_counter(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		counter_run(false, seed);
		counter_run(true, seed);
	}
}

static void *counter_take(void *data)
{
	uint64_t sum = 0;
	uint64_t got;

	files_task_begin();
	while (sum < 20000) {
		assert_int_equal(files_read(data, &got, sizeof(got)), sizeof(got));
		sum += got;
	}
	files_task_end();
	return NULL;
}

static void test_counter_threads(void **state)
{
	uint64_t one = 1;
	struct file *file;
	pthread_t thread;

	files_task_begin();
	assert_int_equal(eventfd_open(0, 0, false, &file), 0);
	pthread_create(&thread, NULL, counter_take, file);
	for (unsigned i = 0; i < 20000; i++)
		files_write(file, &one, sizeof(one));
	pthread_join(thread, NULL);
	file_put(file);
	files_task_end();
}

/* --- timerfd --- */

struct clocks {
	struct file *file;
	int host;
};

static void clocks_begin(struct clocks *c, clockid_t clock)
{
	assert_int_equal(timerfd_open(clock, O_NONBLOCK, &c->file), 0);
	c->host = timerfd_create(clock, TFD_NONBLOCK);
	assert_true(c->host >= 0);
}

static void clocks_end(struct clocks *c)
{
	file_put(c->file);
	close(c->host);
}

static void clocks_set(struct clocks *c, int flags, time_t first, long first_ns, time_t interval)
{
	struct itimerspec value = { .it_value = { first, first_ns }, .it_interval = { interval, 0 } };
	struct itimerspec theirs = { 0 };
	struct itimerspec ours = { 0 };
	long h = host_result(timerfd_settime(c->host, flags, &value, &theirs));

	assert_int_equal(timerfd_set(c->file, flags, &value, &ours), h);
	assert_int_equal(ours.it_interval.tv_sec, theirs.it_interval.tv_sec);
	assert_in_range(ours.it_value.tv_sec + 10, theirs.it_value.tv_sec, theirs.it_value.tv_sec + 20);
}

static void clocks_read(struct clocks *c)
{
	uint64_t theirs = 0;
	uint64_t ours = 0;
	long h;

	assert_int_equal(file_poll(c->file, POLLIN | POLLOUT, NULL), host_poll(c->host));
	h = host_result(read(c->host, &theirs, sizeof(theirs)));
	assert_int_equal(files_try_read(c->file, &ours, sizeof(ours)), h);
	assert_int_equal(ours, theirs);
}

/* What is due already: the host's timer goes off by an interrupt, a moment later. */
static void clocks_due(struct clocks *c)
{
	struct pollfd p = { .fd = c->host, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 60000), 1);
	while (!(file_poll(c->file, POLLIN, NULL) & POLLIN))
		usleep(100);
}

static void clocks_get(struct clocks *c)
{
	struct itimerspec theirs;
	struct itimerspec ours;

	assert_int_equal(timerfd_gettime(c->host, &theirs), 0);
	assert_int_equal(timerfd_get(c->file, &ours), 0);
	assert_int_equal(ours.it_interval.tv_sec, theirs.it_interval.tv_sec);
	assert_in_range(ours.it_value.tv_sec + 10, theirs.it_value.tv_sec, theirs.it_value.tv_sec + 20);
	assert_int_equal(ours.it_value.tv_sec + ours.it_value.tv_nsec > 0,
			 theirs.it_value.tv_sec + theirs.it_value.tv_nsec > 0);
}

static void clock_run(clockid_t clock)
{
	struct timespec now;
	struct clocks c;
	time_t past;

	clock_gettime(clock, &now);
	/* Half an interval from the next one also where the clock has not gone for that long. */
	past = now.tv_sec - (now.tv_sec > 1050 ? 1050 : 50);
	clocks_begin(&c, clock);
	clocks_get(&c);
	clocks_read(&c);
	clocks_set(&c, 0, 1000, 0, 0);
	clocks_get(&c);
	clocks_read(&c);
	/* Ten whole intervals and a half ago: eleven, and more at twenty. */
	clocks_set(&c, TFD_TIMER_ABSTIME, past > 0 ? past : 1, 0, 100);
	clocks_due(&c);
	clocks_get(&c);
	clocks_read(&c);
	clocks_read(&c);
	clocks_get(&c);
	clocks_set(&c, TFD_TIMER_ABSTIME, 1, 0, 0);
	clocks_due(&c);
	clocks_read(&c);
	clocks_get(&c);
	clocks_set(&c, 0, 0, 0, 5);
	clocks_get(&c);
	clocks_set(&c, 0, -1, 0, 0);
	clocks_set(&c, 0, 1, 1000000000, 0);
	clocks_set(&c, 0, INT64_MAX, 0, 0);
	clocks_read(&c);
	clocks_set(&c, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, now.tv_sec + 1000, 0, 0);
	clocks_read(&c);
	clocks_set(&c, 8, 1, 0, 0);
	clocks_end(&c);
}

static void test_timer(void **state)
{
	clock_run(CLOCK_MONOTONIC);
	clock_run(CLOCK_REALTIME);
	clock_run(CLOCK_BOOTTIME);
}

static void test_timer_wakes(void **state)
{
	struct itimerspec value = { .it_value = { 0, 3000000 }, .it_interval = { 0, 1000000 } };
	struct itimerspec old;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct file *file;
	struct file *ep;
	uint64_t ticks;

	files_task_begin();
	assert_int_equal(timerfd_open(CLOCK_MONOTONIC, 0, &file), 0);
	assert_int_equal(epoll_open(&ep), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, file, 5, &event), 0);
	assert_int_equal(timerfd_set(file, 0, &value, &old), 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(epoll_await(task_current, ep, &event, 1, USEC_INFINITY), 1);
		assert_int_equal(files_read(file, &ticks, sizeof(ticks)), sizeof(ticks));
		assert_true(ticks >= 1);
	}
	/* Nobody reads it: a short interval costs nothing and is counted all the same. */
	value.it_interval.tv_nsec = 1;
	assert_int_equal(timerfd_set(file, 0, &value, &old), 0);
	assert_int_equal(files_read(file, &ticks, sizeof(ticks)), sizeof(ticks));
	usleep(1); /* a thousand intervals */
	assert_int_equal(files_read(file, &ticks, sizeof(ticks)), sizeof(ticks));
	assert_true(ticks > 100);
	file_put(ep);
	file_put(file);
	files_task_end();
}

/* --- signalfd --- */

static void raise_here(int sig, const struct signal_info *info)
{
	pthread_mutex_lock(&kernel.tasks_lock);
	assert_int_equal(signal_process_send(task_current->process, sig, info), 0);
	pthread_mutex_unlock(&kernel.tasks_lock);
}

static void test_signals(void **state)
{
	struct task *task = files_task_begin();
	struct signalfd_siginfo got[3];
	struct signal_info info;
	struct file *file;
	struct file *ep;
	struct epoll_event event = { .events = EPOLLIN };
	int value = 77;

	task->process->tasks = task;
	task->process->ntasks = 1;
	task->signals.mask = ~UINT64_C(0);
	task->process->limits[RLIMIT_SIGPENDING].rlim_cur = 100;
	assert_int_equal(signalfd_open(signal_bit(SIGUSR1) | signal_bit(SIGCHLD) | signal_bit(40), 0,
				       &file), 0);
	assert_int_equal(epoll_open(&ep), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, file, 5, &event), 0);
	assert_int_equal(epoll_await(task, ep, &event, 1, 0), 0);
	assert_int_equal(files_try_read(file, got, sizeof(got)), -EAGAIN);
	assert_int_equal(files_try_read(file, got, 100), -EINVAL);

	signal_info_user(&info, SIGUSR2, SI_USER, 12, 34);
	raise_here(SIGUSR2, &info);
	assert_int_equal(file_poll(file, POLLIN, NULL), 0);
	signal_info_user(&info, SIGUSR1, SI_USER, 12, 34);
	raise_here(SIGUSR1, &info);
	assert_int_equal(epoll_await(task, ep, &event, 1, 0), 1);
	signal_info_child(&info, CLD_EXITED, 99, 5, 3, 7, 8);
	raise_here(SIGCHLD, &info);
	signal_info_user(&info, 40, SI_QUEUE, 1, 2);
	memcpy(info.fields + 8, &value, sizeof(value));
	raise_here(40, &info);

	assert_int_equal(files_read(file, got, sizeof(got)), sizeof(got));
	assert_int_equal(got[0].ssi_signo, SIGUSR1);
	assert_int_equal(got[0].ssi_pid, 12);
	assert_int_equal(got[0].ssi_uid, 34);
	assert_int_equal(got[1].ssi_signo, SIGCHLD);
	assert_int_equal(got[1].ssi_pid, 99);
	assert_int_equal(got[1].ssi_status, 3);
	assert_int_equal(got[1].ssi_utime, 7);
	assert_int_equal(got[1].ssi_stime, 8);
	assert_int_equal(got[2].ssi_signo, 40);
	assert_int_equal(got[2].ssi_int, 77);
	assert_int_equal(epoll_await(task, ep, &event, 1, 0), 0);

	assert_int_equal(signalfd_set_mask(file, signal_bit(SIGUSR2)), 0);
	assert_int_equal(epoll_await(task, ep, &event, 1, 0), 1);
	assert_int_equal(files_read(file, got, sizeof(got)), sizeof(got[0]));
	assert_int_equal(got[0].ssi_signo, SIGUSR2);
	assert_int_equal(signalfd_set_mask(ep, 1), -EINVAL);
	file_put(ep);
	file_put(file);
	files_task_end();
}

/* --- inotify --- */

static void watched_free(struct inode *inode)
{
	*(bool *)(inode + 1) = true;
	inode_fini(inode);
}

static const struct inode_ops watched_ops = { .free = watched_free };

/* An inode and, behind it, whether it was freed. */
static struct inode *watched_new(uint32_t mode)
{
	return anon_inode_new(&watched_ops, sizeof(struct inode) + sizeof(bool), mode);
}

static bool watched_gone(const struct inode *inode)
{
	return *(const bool *)(inode + 1);
}

struct told {
	int wd;
	uint32_t mask, cookie;
	const char *name;
};

static void expect_told(struct file *file, const struct told *told, size_t n)
{
	char buf[4096];
	long len = files_try_read(file, buf, sizeof(buf));
	long at = 0;

	for (size_t i = 0; i < n; i++) {
		const struct inotify_event *event = (const void *)(buf + at);

		assert_true(at < len);
		assert_int_equal(event->wd, told[i].wd);
		assert_int_equal(event->mask, told[i].mask);
		assert_int_equal(event->cookie, told[i].cookie);
		if (told[i].name)
			assert_string_equal(event->name, told[i].name);
		else
			assert_int_equal(event->len, 0);
		assert_int_equal(event->len % sizeof(*event), 0);
		at += (long)(sizeof(*event) + event->len);
	}
	if (n)
		assert_int_equal(at, len);
	else
		assert_int_equal(len, -EAGAIN);
}

#define EXPECT(file, ...)                                                                 \
	expect_told(file, (const struct told[]){ __VA_ARGS__ },                           \
		    sizeof((const struct told[]){ __VA_ARGS__ }) / sizeof(struct told))

static void test_inotify(void **state)
{
	struct inode *dir = watched_new(S_IFDIR | 0700);
	struct inode *a = watched_new(S_IFREG | 0600);
	struct file *file;
	struct file *other;
	char small[8];

	assert_int_equal(inotify_open(O_NONBLOCK, &file), 0);
	assert_int_equal(inotify_open(O_NONBLOCK, &other), 0);
	assert_int_equal(inotify_add(file, dir, IN_ALL_EVENTS), 1);
	assert_int_equal(inotify_add(file, a, IN_MODIFY), 2);
	assert_int_equal(inotify_add(file, a, IN_ATTRIB | IN_MASK_CREATE), -EEXIST);
	assert_int_equal(inotify_add(file, a, IN_ATTRIB | IN_MASK_ADD), 2);
	assert_int_equal(inotify_add(other, a, IN_ATTRIB | IN_ONESHOT), 1);

	vfs_notify(dir, "a", a, IN_OPEN, 0);
	EXPECT(file, { 1, IN_OPEN, 0, "a" });
	vfs_notify(dir, "a", a, IN_MODIFY, 0);
	vfs_notify(dir, "a", a, IN_MODIFY, 0);
	/* Not like the last one of the queue, but like the one before. */
	EXPECT(file, { 1, IN_MODIFY, 0, "a" }, { 2, IN_MODIFY, 0, NULL }, { 1, IN_MODIFY, 0, "a" },
	       { 2, IN_MODIFY, 0, NULL });
	vfs_notify(NULL, NULL, a, IN_MODIFY, 0);
	vfs_notify(NULL, NULL, a, IN_MODIFY, 0);
	EXPECT(file, { 2, IN_MODIFY, 0, NULL });
	vfs_notify(dir, "sixteen-letters-", NULL, IN_CREATE | IN_ISDIR, 0);
	assert_int_equal(files_try_read(file, small, sizeof(small)), -EINVAL);
	EXPECT(file, { 1, IN_CREATE | IN_ISDIR, 0, "sixteen-letters-" });
	vfs_notify(dir, "a", NULL, IN_MOVED_FROM, 7);
	vfs_notify(dir, "b", NULL, IN_MOVED_TO, 7);
	vfs_notify(NULL, NULL, a, IN_MOVE_SELF, 0);
	EXPECT(file, { 1, IN_MOVED_FROM, 7, "a" }, { 1, IN_MOVED_TO, 7, "b" });

	vfs_notify(dir, "b", a, IN_ATTRIB, 0);
	vfs_notify(dir, "b", a, IN_ATTRIB, 0);
	EXPECT(other, { 1, IN_ATTRIB, 0, NULL }, { 1, IN_IGNORED, 0, NULL });
	assert_int_equal(inotify_remove(other, 1), -EINVAL);
	EXPECT(file, { 1, IN_ATTRIB, 0, "b" }, { 2, IN_ATTRIB, 0, NULL }, { 1, IN_ATTRIB, 0, "b" },
	       { 2, IN_ATTRIB, 0, NULL });

	/* The watch holds what it watches until that is deleted. */
	inode_put(a);
	assert_false(watched_gone(a));
	vfs_notify(NULL, NULL, a, IN_DELETE_SELF, 0);
	assert_true(watched_gone(a));
	EXPECT(file, { 2, IN_IGNORED, 0, NULL });
	assert_int_equal(inotify_remove(file, 1), 0);
	EXPECT(file, { 1, IN_IGNORED, 0, NULL });
	assert_int_equal(inotify_add(file, dir, IN_CREATE), 3);
	inode_put(dir);
	assert_false(watched_gone(dir));
	file_put(file);
	assert_true(watched_gone(dir));
	file_put(other);
	free(a);
	free(dir);
}

static void test_inotify_overflow(void **state)
{
	struct inode *dir = watched_new(S_IFDIR | 0700);
	char buf[65536];
	struct file *file;
	unsigned events = 0;
	uint32_t last = 0;
	long n;

	assert_int_equal(inotify_open(O_NONBLOCK, &file), 0);
	assert_int_equal(inotify_add(file, dir, IN_ALL_EVENTS), 1);
	for (unsigned i = 0; i < 20000; i++)
		vfs_notify(dir, i % 2 ? "a" : "b", NULL, IN_CREATE, 0);
	while ((n = files_try_read(file, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(buf + at);

			last = event->mask;
			events++;
			at += (long)(sizeof(*event) + event->len);
		}
	}
	assert_int_equal(events, 16385);
	assert_int_equal(last, IN_Q_OVERFLOW);
	vfs_notify(dir, "a", NULL, IN_CREATE, 0);
	EXPECT(file, { 1, IN_CREATE, 0, "a" });
	file_put(file);
	inode_put(dir);
	free(dir);
}

static int setup(void **state)
{
	struct coffer_error err;

	return timers_start(&err);
}

static int teardown(void **state)
{
	timers_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_counter_threads),
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_timer_wakes),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_inotify),
		cmocka_unit_test(test_inotify_overflow),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
