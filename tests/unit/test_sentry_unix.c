/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets: against the host's own with the same steps for both, and descriptors in messages:
 * what nobody can reach any more ends, what somebody can reach stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "sentry/control/container.h"
#include "sentry/net/unix.h"
#include "sentry_world.h"

static struct sandbox_container container = { .refs = 1, .serial = 1, .net_space = 1 };
static struct world *world;

static int setup(void **state)
{
	world = world_new();
	world->process.container = &container;
	return 0;
}

static int teardown(void **state)
{
	world_free(world);
	return 0;
}

static unsigned pick(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 8) % n;
}

static void pair(int type, struct socket *s[2])
{
	struct file *files[2];

	assert_int_equal(unix_pair(&world->task, type, O_NONBLOCK, files), 0);
	s[0] = socket_of(files[0]);
	s[1] = socket_of(files[1]);
	assert_non_null(s[0]);
	assert_non_null(s[1]);
}

static long send_bytes(struct socket *s, const void *data, size_t len,
		       struct socket_control *control)
{
	struct user_io io;
	long n;

	user_io_kernel(&io, (void *)data, len);
	n = s->ops->send(s, &world->task, &io, NULL, control, MSG_DONTWAIT);
	user_io_end(&io);
	return n;
}

static long recv_bytes(struct socket *s, void *data, size_t len, struct socket_control *control,
		       int flags, int *out_flags)
{
	struct socket_addr from;
	struct user_io io;
	long n;

	*out_flags = 0;
	user_io_kernel(&io, data, len);
	n = s->ops->recv(s, &world->task, &io, &from, control, flags | MSG_DONTWAIT, out_flags);
	user_io_end(&io);
	return n;
}

/* How many there are after a collection, which comes by itself when a socket ends, or at a bound. */
static unsigned living(void)
{
	struct buf text = BUF_INIT(16 << 20);
	unsigned lines = 0;

	flight_collect();
	assert_int_equal(socket_print_unix(&container, &text), 0);
	for (size_t i = 0; i < text.len; i++)
		lines += buf_data(&text)[i] == '\n';
	buf_free(&text);
	return lines - 1; /* the heading */
}

/* --- against the host --- */

#define MOST 30000u

static void step_send(struct socket *s, int host, unsigned *seed, size_t *queued, unsigned char *next)
{
	static unsigned char data[MOST];
	size_t len = pick(seed, 4) ? pick(seed, 300) : pick(seed, MOST);
	struct socket_control none = { 0 };
	long ours, theirs;

	if (*queued + len > 60000)
		return;
	for (size_t i = 0; i < len; i++)
		data[i] = (*next)++;
	ours = send_bytes(s, data, len, &none);
	theirs = send(host, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	assert_int_equal(ours, theirs < 0 ? -errno : theirs);
	if (ours > 0)
		*queued += (size_t)ours;
}

static void step_recv(struct socket *s, int host, unsigned *seed, size_t *queued)
{
	static unsigned char data[MOST + 10], other[MOST + 10];
	size_t len = pick(seed, 3) ? 1 + pick(seed, 400) : MOST + 10;
	int flags = (pick(seed, 4) ? 0 : MSG_PEEK) | (pick(seed, 3) ? 0 : MSG_TRUNC), out;
	struct socket_control none = { 0 };
	struct iovec iov = { other, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long ours, theirs;

	ours = recv_bytes(s, data, len, &none, flags, &out);
	theirs = recvmsg(host, &msg, flags | MSG_DONTWAIT);
	assert_int_equal(ours, theirs < 0 ? -errno : theirs);
	if (ours < 0)
		return;
	assert_int_equal(out, msg.msg_flags & ~MSG_DONTWAIT);
	assert_memory_equal(data, other, (size_t)ours < len ? (size_t)ours : len);
	if (!(flags & MSG_PEEK))
		*queued = (size_t)ours < *queued ? *queued - (size_t)ours : 0;
}

static void compare(int type, unsigned seed)
{
	size_t queued[2] = { 0 };
	unsigned char next = 0;
	struct socket *s[2];
	int h[2];

	pair(type, s);
	assert_int_equal(socketpair(AF_UNIX, type, 0, h), 0);
	for (int step = 0; step < 400; step++) {
		unsigned end = pick(&seed, 2);
		struct pollfd pfd = { .fd = h[end], .events = POLLIN | POLLRDHUP };

		if (pick(&seed, 2))
			step_send(s[end], h[end], &seed, &queued[!end], &next);
		else
			step_recv(s[end], h[end], &seed, &queued[end]);
		if (step > 300 && !pick(&seed, 40)) {
			int how = (int)pick(&seed, 3);

			assert_int_equal(s[end]->ops->shutdown(s[end], how), 0);
			assert_int_equal(shutdown(h[end], how), 0);
		}
		poll(&pfd, 1, 0);
		assert_int_equal(file_poll(&s[end]->file, POLLIN | POLLRDHUP, NULL), pfd.revents);
	}
	for (int i = 0; i < 2; i++) {
		file_put(&s[i]->file);
		close(h[i]);
	}
}

static void test_same(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned seed = 1; seed <= 60; seed++)
			compare(types[i], seed * 7919);
	}
	assert_int_equal(living(), 0);
}

/* --- files in messages --- */

/* Copies of the references. */
static long send_files(struct socket *s, struct socket *const *what, unsigned n)
{
	struct socket_control control = { .nfiles = n };
	long r;

	control.files = calloc(n, sizeof(struct file *));
	for (unsigned i = 0; i < n; i++)
		control.files[i] = file_get(&what[i]->file);
	r = send_bytes(s, "f", 1, &control);
	socket_control_free(&control);
	return r;
}

static void test_itself(void **state)
{
	for (int i = 0; i < 100; i++) {
		struct socket *s[2];

		pair(SOCK_STREAM, s);
		assert_int_equal(send_files(s[0], s, 2), 1);
		assert_int_equal(send_files(s[1], s, 2), 1);
		file_put(&s[0]->file);
		assert_int_equal(living(), 2);
		file_put(&s[1]->file);
		assert_int_equal(living(), 0);
	}
}

#define NODES 12

/* A random graph: which pair's queue holds which others; some pairs stay open. What is alive at the
 * end is what can be reached from these. */
static void graph(unsigned seed)
{
	bool holds[NODES][NODES] = { 0 }, open[NODES], alive[NODES];
	struct socket *s[NODES][2];
	unsigned want = 0;
	bool more = true;

	for (unsigned i = 0; i < NODES; i++)
		pair(SOCK_SEQPACKET, s[i]);
	for (unsigned edge = 0; edge < 14; edge++) {
		unsigned in = pick(&seed, NODES), what = pick(&seed, NODES);

		/* Both ends travel, so that an end's reader is who has the pair. */
		if (send_files(s[in][0], s[what], 2) == 1)
			holds[in][what] = true;
	}
	for (unsigned i = 0; i < NODES; i++) {
		alive[i] = open[i] = !pick(&seed, 4);
		if (!open[i]) {
			file_put(&s[i][0]->file);
			file_put(&s[i][1]->file);
		}
	}
	while (more) {
		more = false;
		for (unsigned i = 0; i < NODES * NODES; i++) {
			if (alive[i / NODES] && holds[i / NODES][i % NODES] && !alive[i % NODES])
				more = alive[i % NODES] = true;
		}
	}
	for (unsigned i = 0; i < NODES; i++)
		want += alive[i] ? 2 : 0;
	assert_int_equal(living(), want);
	for (unsigned i = 0; i < NODES; i++) {
		if (open[i]) {
			file_put(&s[i][0]->file);
			file_put(&s[i][1]->file);
		}
	}
	assert_int_equal(living(), 0);
}

static void test_graphs(void **state)
{
	for (unsigned seed = 1; seed <= 500; seed++)
		graph(seed * 104729);
}

/* What waits in a backlog belongs to who listens. */
static void test_backlog(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "\0backlog" };
	struct socket_addr addr = { .len = 10 };
	struct socket *listener, *client;
	struct file *file;

	memcpy(&addr.addr, &un, sizeof(un));
	task_current = &world->task;
	assert_int_equal(socket_create(&world->task, AF_UNIX, SOCK_STREAM, 0, &file), 0);
	listener = socket_of(file);
	assert_int_equal(listener->ops->bind(listener, &world->task, &addr), 0);
	assert_int_equal(listener->ops->listen(listener, 3), 0);
	assert_int_equal(socket_create(&world->task, AF_UNIX, SOCK_STREAM, 0, &file), 0);
	client = socket_of(file);
	assert_int_equal(client->ops->connect(client, &world->task, &addr), 0);
	assert_int_equal(send_files(client, (struct socket *[]){ listener, client }, 2), 1);
	file_put(&listener->file);
	file_put(&client->file);
	assert_int_equal(living(), 0);
	task_current = NULL;
}

static void *release(void *data)
{
	struct socket **s = data;

	file_put(&s[0]->file);
	file_put(&s[1]->file);
	return NULL;
}

/* Each in the queue of the next: the last one's end is that of all, on a task's small stack. */
static void test_deep(void **state)
{
	struct socket *s[2], *next[2];
	pthread_attr_t attr;
	pthread_t thread;

	world->process.limits[RLIMIT_NOFILE].rlim_cur = 1 << 20;
	pair(SOCK_STREAM, s);
	for (int i = 0; i < 3000; i++) {
		pair(SOCK_STREAM, next);
		assert_int_equal(send_files(next[0], s, 2), 1);
		file_put(&s[0]->file);
		file_put(&s[1]->file);
		memcpy(s, next, sizeof(s));
		if (i == 20)
			assert_int_equal(living(), 44);
	}
	pthread_attr_init(&attr);
	/* The sanitizers' frames are larger than a task's whole stack. */
	pthread_attr_setstacksize(&attr, 256 << 10);
	assert_int_equal(pthread_create(&thread, &attr, release, s), 0);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
	assert_int_equal(living(), 0);
}

static void test_bounds(void **state)
{
	struct socket *s[2];
	int sent = 0;

	world->task.cred = &world->user;
	world->process.limits[RLIMIT_NOFILE].rlim_cur = 100;
	pair(SOCK_STREAM, s);
	while (send_files(s[0], s, 2) == 1)
		sent++;
	assert_int_equal(sent, 50);
	assert_int_equal(send_files(s[0], s, 2), -ETOOMANYREFS);
	/* Rights have limits too: here those of the queue. */
	world->task.cred = &world->root;
	while (send_files(s[0], s, 2) == 1)
		sent++;
	assert_true(sent > 50);
	assert_int_equal(send_files(s[0], s, 2), -EAGAIN);
	file_put(&s[0]->file);
	file_put(&s[1]->file);
	assert_int_equal(living(), 0);
	pair(SOCK_STREAM, s);
	assert_int_equal(send_files(s[0], s, 2), 1);
	file_put(&s[0]->file);
	file_put(&s[1]->file);
	assert_int_equal(living(), 0);
}

/* --- many threads --- */

struct traffic {
	struct socket *s;
	_Atomic bool *stop;
	_Atomic uint64_t bytes;
};

static void *sender(void *data)
{
	struct traffic *t = data;
	static const char zeros[5000];
	struct socket_control none = { 0 };
	unsigned seed = 1;

	while (!*t->stop) {
		long n = send_bytes(t->s, zeros, 1 + pick(&seed, sizeof(zeros)), &none);

		t->bytes += n > 0 ? (uint64_t)n : 0;
		if (n < 0)
			sched_yield();
	}
	return NULL;
}

static void *receiver(void *data)
{
	struct traffic *t = data;
	char *bytes = malloc(70000);
	struct socket_control none = { 0 };
	int flags;
	long n;

	while ((n = recv_bytes(t->s, bytes, 70000, &none, 0, &flags)) != 0) {
		t->bytes += n > 0 ? (uint64_t)n : 0;
		if (n < 0)
			sched_yield();
	}
	free(bytes);
	return NULL;
}

/* Others make and lose sockets in messages meanwhile. */
static void *litter(void *data)
{
	struct traffic *t = data;

	while (!*t->stop) {
		struct socket *s[2];

		pair(SOCK_STREAM, s);
		send_files(s[0], s, 2);
		send_files(s[1], &t->s, 1);
		file_put(&s[0]->file);
		file_put(&s[1]->file);
	}
	return NULL;
}

static void test_threads(void **state)
{
	_Atomic bool stop = false;
	struct socket *s[2];
	struct traffic out, in, mess;
	pthread_t threads[4];

	world->process.limits[RLIMIT_NOFILE].rlim_cur = 1 << 20;
	pair(SOCK_STREAM, s);
	out = (struct traffic){ s[0], &stop, 0 };
	in = (struct traffic){ s[1], &stop, 0 };
	mess = (struct traffic){ s[1], &stop, 0 };
	pthread_create(&threads[0], NULL, receiver, &in);
	pthread_create(&threads[1], NULL, sender, &out);
	pthread_create(&threads[2], NULL, litter, &mess);
	pthread_create(&threads[3], NULL, litter, &mess);
	usleep(300000);
	while (!in.bytes)
		usleep(1000);
	stop = true;
	for (int i = 1; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s[0]->ops->shutdown(s[0], SHUT_WR), 0);
	pthread_join(threads[0], NULL);
	assert_true(out.bytes > 0);
	assert_int_equal(out.bytes, in.bytes);
	file_put(&s[0]->file);
	file_put(&s[1]->file);
	assert_int_equal(living(), 0);
}

/* Who sends without a name gets one, but not while another thread's bind(2) is under way. */
static void test_one_name(void **state)
{
	struct unix_socket *u;

	assert_int_equal(unix_new(&container, SOCK_DGRAM, 0, &u), 0);
	u->binding = true;
	assert_int_equal(unix_autobind(u), 0);
	assert_null(u->name);
	assert_false(u->abstract);
	u->binding = false;
	assert_int_equal(unix_autobind(u), 0);
	assert_non_null(u->name);
	assert_true(u->abstract);
	assert_false(u->binding);
	assert_int_equal(unix_autobind(u), 0);
	file_put(&u->socket.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_same, setup, teardown),
		cmocka_unit_test_setup_teardown(test_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_graphs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
