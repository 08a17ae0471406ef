/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes: against the host's own, with the same steps for both, and with threads on both ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "sentry/vfs/pipe.h"
#include "sentry/vfs/splice.h"
#include "sentry_files.h"

#define BUF (1u << 17)

static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % n;
}

static unsigned pick_size(unsigned *seed)
{
	static const unsigned sizes[] = { 1, 2, 17, 100, 1000, 4095, 4096, 4097, 8192, 65536, 100000 };

	return pick(seed, 2) ? 1 + pick(seed, 5000) : sizes[pick(seed, ARRAY_SIZE(sizes))];
}

/* --- against the host --- */

struct both {
	struct file *r, *w;
	int hr, hw;
	unsigned char *data, *got, *hgot;
	unsigned char next; /* byte to be written */
};

static void both_begin(struct both *b, uint32_t flags)
{
	int fds[2];

	memset(b, 0, sizeof(*b));
	assert_int_equal(pipe_open(flags, &b->r, &b->w), 0);
	assert_int_equal(pipe2(fds, O_NONBLOCK | (int)flags), 0);
	b->hr = fds[0];
	b->hw = fds[1];
	b->data = malloc(BUF);
	b->got = malloc(BUF);
	b->hgot = malloc(BUF);
}

static void both_end(struct both *b)
{
	if (b->r)
		file_put(b->r);
	if (b->w)
		file_put(b->w);
	close_fd(&b->hr);
	close_fd(&b->hw);
	free(b->data);
	free(b->got);
	free(b->hgot);
}

static long host_result(long r)
{
	return r < 0 ? -errno : r;
}

static void both_write(struct both *b, size_t len)
{
	long h;

	for (size_t i = 0; i < len; i++)
		b->data[i] = b->next++;
	h = host_result(write(b->hw, b->data, len));
	assert_int_equal(files_try_write(b->w, b->data, len), h);
	b->next = (unsigned char)(b->next - len + (h > 0 ? (size_t)h : 0));
}

static void both_read(struct both *b, size_t len)
{
	long h = host_result(read(b->hr, b->hgot, len));

	assert_int_equal(files_try_read(b->r, b->got, len), h);
	if (h > 0)
		assert_memory_equal(b->got, b->hgot, h);
}

static uint32_t host_poll(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM };

	poll(&p, 1, 0);
	return (uint32_t)p.revents;
}

static void both_poll(struct both *b)
{
	uint32_t mask = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	if (b->r)
		assert_int_equal(file_poll(b->r, mask, NULL), host_poll(b->hr));
	if (b->w)
		assert_int_equal(file_poll(b->w, mask, NULL), host_poll(b->hw));
}

static void both_resize(struct both *b, unsigned size)
{
	long h = host_result(fcntl(b->hw, F_SETPIPE_SZ, size));

	assert_int_equal(pipe_set_size(b->w, size), h);
	assert_int_equal(pipe_get_size(b->r), fcntl(b->hr, F_GETPIPE_SZ));
}

static void both_run(uint32_t flags, unsigned seed, unsigned steps)
{
	struct both b;

	both_begin(&b, flags);
	for (unsigned i = 0; i < steps; i++) {
		switch (pick(&seed, 9)) {
		case 0: case 1: case 2: case 3:
			both_write(&b, pick_size(&seed));
			break;
		case 4: case 5: case 6: case 7:
			both_read(&b, pick_size(&seed));
			break;
		default:
			if (pick(&seed, 4) == 0)
				both_resize(&b, 1 + pick(&seed, 70000));
		}
		both_poll(&b);
	}
	if (seed & 0x100) {
		file_put(steal_ptr(b.w));
		close_fd(&b.hw);
		both_poll(&b);
		for (unsigned i = 0; i < 40; i++)
			both_read(&b, pick_size(&seed));
	} else {
		file_put(steal_ptr(b.r));
		close_fd(&b.hr);
		both_poll(&b);
		both_write(&b, 10);
	}
	both_end(&b);
}

static void test_as_host(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	for (unsigned seed = 1; seed <= 60; seed++)
		both_run(0, seed, 400);
}

static void test_packets_as_host(void **state)
{
	for (unsigned seed = 1; seed <= 30; seed++)
		both_run(O_DIRECT, seed, 300);
}

static void test_size_limits(void **state)
{
	struct both b;

	both_begin(&b, 0);
	both_resize(&b, 1 << 20);
	assert_int_equal(pipe_set_size(b.w, (1 << 20) + 1), -EPERM);
	assert_int_equal(pipe_set_size(b.w, UINT64_C(1) << 32), -EINVAL);
	for (unsigned i = 0; i < 5; i++)
		both_write(&b, 4096);
	both_resize(&b, 16384); /* EBUSY */
	both_resize(&b, 0);
	both_resize(&b, 20000);
	both_end(&b);
}

/* --- two ends, two threads --- */

struct stream {
	struct file *r, *w;
	size_t total;
	unsigned seed;
	long end; /* what the writer's last write said */
	bool gave_up;
};

static void *stream_writer(void *data)
{
	struct stream *s = data;
	unsigned char *buf = malloc(BUF);
	unsigned seed = s->seed;
	unsigned char next = 0;
	size_t done = 0;

	files_task_begin();
	while (done < s->total) {
		size_t len = pick_size(&seed);

		len = len < s->total - done ? len : s->total - done;
		for (size_t i = 0; i < len; i++)
			buf[i] = (unsigned char)(next + i);
		s->end = files_write(s->w, buf, len);
		if (s->end != (long)len)
			break;
		next = (unsigned char)(next + len);
		done += len;
	}
	if (s->end >= 0 && done < s->total)
		s->end = files_write(s->w, buf, 1);
	file_put(s->w);
	free(buf);
	files_task_end();
	return NULL;
}

static void stream_run(unsigned seed, size_t total, size_t stop_at)
{
	struct stream s = { .total = total, .seed = seed };
	unsigned char *buf = malloc(BUF);
	unsigned char next = 0;
	size_t got = 0;
	pthread_t thread;

	assert_int_equal(pipe_open(0, &s.r, &s.w), 0);
	pthread_create(&thread, NULL, stream_writer, &s);
	while (got < stop_at) {
		long n = files_read(s.r, buf, pick_size(&seed));

		assert_true(n >= 0);
		if (!n)
			break;
		for (long i = 0; i < n; i++)
			assert_int_equal(buf[i], next++);
		got += (size_t)n;
	}
	file_put(s.r);
	pthread_join(thread, NULL);
	if (stop_at >= total)
		assert_int_equal(got, total);
	else
		assert_int_equal(s.end, -EPIPE);
	free(buf);
}

static void test_stream(void **state)
{
	files_task_begin();
	for (unsigned seed = 1; seed <= 20; seed++)
		stream_run(seed, 3000000, SIZE_MAX);
	files_task_end();
}

static void test_reader_leaves(void **state)
{
	files_task_begin();
	for (unsigned seed = 1; seed <= 50; seed++)
		stream_run(seed, 50000000, 1 + seed * 7777);
	files_task_end();
}

/* Messages of several writers stay whole. */
#define WRITERS	 4
#define MESSAGES 3000

struct message {
	uint32_t writer, number, len;
	unsigned char body[4096 - 12];
};

struct talker {
	struct file *w;
	unsigned id;
};

static void *talker_run(void *data)
{
	struct talker *t = data;
	struct message m = { .writer = t->id };
	unsigned seed = t->id + 99;

	files_task_begin();
	for (m.number = 0; m.number < MESSAGES; m.number++) {
		m.len = pick(&seed, sizeof(m.body) + 1);
		memset(m.body, (int)(m.number + t->id), m.len);
		if (files_write(t->w, &m, 12 + m.len) != 12 + (long)m.len)
			break;
	}
	file_put(t->w);
	files_task_end();
	return NULL;
}

static void read_all(struct file *r, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		long n = files_read(r, (char *)buf + done, len - done);

		assert_true(n > 0);
		done += (size_t)n;
	}
}

static void test_whole_messages(void **state)
{
	struct talker talkers[WRITERS];
	pthread_t threads[WRITERS];
	unsigned next[WRITERS] = { 0 };
	struct file *r;
	struct file *w;
	struct message m;

	files_task_begin();
	assert_int_equal(pipe_open(0, &r, &w), 0);
	for (unsigned i = 0; i < WRITERS; i++) {
		talkers[i] = (struct talker){ .w = file_get(w), .id = i };
		pthread_create(&threads[i], NULL, talker_run, &talkers[i]);
	}
	file_put(w);
	for (unsigned i = 0; i < WRITERS * MESSAGES; i++) {
		read_all(r, &m, 12);
		assert_in_range(m.writer, 0, WRITERS - 1);
		assert_int_equal(m.number, next[m.writer]++);
		read_all(r, m.body, m.len);
		for (unsigned k = 0; k < m.len; k++)
			assert_int_equal(m.body[k], (unsigned char)(m.number + m.writer));
	}
	assert_int_equal(files_read(r, &m, 1), 0);
	file_put(r);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	files_task_end();
}

/* --- FIFOs --- */

static void fifo_inode_free(struct inode *inode)
{
	inode_fini(inode);
	free(inode);
}

static const struct inode_ops fifo_ops = { .free = fifo_inode_free };

static void *fifo_open_writer(void *data)
{
	struct file *w = NULL;

	files_task_begin();
	if (pipe_open_fifo(task_current, data, NULL, O_WRONLY, &w) == 0) {
		files_write(w, "x", 1);
		file_put(w);
	}
	files_task_end();
	return NULL;
}

static void test_fifo(void **state)
{
	struct inode *inode = anon_inode_new(&fifo_ops, sizeof(*inode), S_IFIFO | 0600);
	struct file *r;
	struct file *w;
	pthread_t thread;
	char c;

	files_task_begin();
	assert_int_equal(pipe_open_fifo(task_current, inode, NULL, O_WRONLY | O_NONBLOCK, &w), -ENXIO);
	assert_null(inode->fifo);

	/* Nobody has hung up on a reader that came first. */
	assert_int_equal(pipe_open_fifo(task_current, inode, NULL, O_RDONLY | O_NONBLOCK, &r), 0);
	assert_int_equal(file_poll(r, POLLIN, NULL), 0);
	assert_int_equal(files_try_read(r, &c, 1), 0);
	assert_int_equal(pipe_open_fifo(task_current, inode, NULL, O_WRONLY | O_NONBLOCK, &w), 0);
	assert_int_equal(files_try_read(r, &c, 1), -EAGAIN);
	file_put(w);
	assert_int_equal(file_poll(r, POLLIN, NULL), POLLHUP);
	file_put(r);
	assert_null(inode->fifo);

	/* A writer that was gone at once has been there. */
	for (int i = 0; i < 200; i++) {
		pthread_create(&thread, NULL, fifo_open_writer, inode);
		assert_int_equal(pipe_open_fifo(task_current, inode, NULL, O_RDONLY, &r), 0);
		assert_int_equal(files_read(r, &c, 1), 1);
		assert_int_equal(files_read(r, &c, 1), 0);
		file_put(r);
		pthread_join(thread, NULL);
		assert_null(inode->fifo);
	}

	/* A signal ends the wait, and nothing is left behind. */
	task_current->interrupted = true;
	assert_int_equal(pipe_open_fifo(task_current, inode, NULL, O_RDONLY, &r), -ERESTARTSYS);
	assert_null(inode->fifo);
	inode_put(inode);
	files_task_end();
}

/* --- splice and tee --- */

static void test_splice_as_host(void **state)
{
	struct both a;
	struct both b;
	unsigned seed = 7;

	files_task_begin();
	both_begin(&a, 0);
	both_begin(&b, 0);
	for (unsigned i = 0; i < 3000; i++) {
		size_t len = pick_size(&seed);
		long h;

		switch (pick(&seed, 5)) {
		case 0:
			both_write(&a, len);
			break;
		case 1:
			both_read(&b, len);
			break;
		case 2:
			h = host_result(splice(a.hr, NULL, b.hw, NULL, len, SPLICE_F_NONBLOCK));
			assert_int_equal(splice_pipes(task_current, a.r, b.w, len, true), h);
			break;
		case 3:
			h = host_result(tee(a.hr, b.hw, len, SPLICE_F_NONBLOCK));
			assert_int_equal(splice_tee(task_current, a.r, b.w, len, true), h);
			break;
		default:
			both_read(&a, len);
		}
		both_poll(&a);
		both_poll(&b);
	}
	both_end(&a);
	both_end(&b);
	files_task_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_host),
		cmocka_unit_test(test_packets_as_host),
		cmocka_unit_test(test_size_limits),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_reader_leaves),
		cmocka_unit_test(test_whole_messages),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_splice_as_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
